"""
A checkpoint is a folder: ``config.json``, ``tokenizer.json`` and ``model.safetensors``.

Without ``model.safetensors`` the weights come from a seed. Whether those in it were trained is the
configuration's to say: a network on encoders of the hub is stored before its fusion is trained.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer

from maven_ros.errors import ResourceError
from maven_ros.model import hub, weights
from maven_ros.model.configuration import MavenConfig
from maven_ros.model.maven import MavenModel


@dataclass(frozen=True)
class Checkpoint:
    """
    A network with what belongs to it.

    :param model: on the CPU, in evaluation mode.
    :param tokenizer: turns words into the ids that the model knows.
    :param trained: False when the weights, or those of the fusion, came from a seed.
    """

    model: MavenModel
    tokenizer: Tokenizer
    trained: bool

    @property
    def name(self) -> str:
        """
        Name and hash, such as ``'untrained compact-1a2b3c4d'``.

        The hash is over the configuration, the tokenizer and the weights: what differs in any of
        them has another name.
        """
        digest = hashlib.sha256(weights_hash(self.model).encode())
        for part in (self.model.config.own(), json.loads(self.tokenizer.to_str())):
            digest.update(json.dumps(part, sort_keys=True).encode())
        name = f'{self.model.config.name}-{digest.hexdigest()[:8]}'
        return name if self.trained else f'untrained {name}'


def load(folder: Path, seed: int = 0) -> Checkpoint:
    """
    Read a checkpoint folder.

    :param seed: of the weights when the folder has none.
    :raises ResourceError: names the file and what is wrong with it.
    """
    config = hub.read_config(folder)
    tokenizer = _read_tokenizer(folder / hub.TOKENIZER, config)
    stored = weights.find(folder) is not None
    if config.trained and not stored:
        raise ResourceError(f'{folder / weights.WEIGHTS}: is missing, and {hub.CONFIG} says that '
                            'the network is trained')
    if stored:
        model = MavenModel.from_pretrained(folder, config=config)
    else:
        with hub.said_by(folder / hub.CONFIG):
            model = MavenModel.untrained(config, seed)
        model.load_encoders(folder)  # the fusion is untrained: what is pinned is still pinned
    return Checkpoint(model.eval(), tokenizer, config.trained)


def save(folder: Path, model: MavenModel, tokenizer: Tokenizer) -> None:
    """
    Write a checkpoint folder, which is made when it is missing.

    :raises ResourceError: when it cannot be written, or the weights are not finite.
    """
    model.save_pretrained(folder)
    try:
        (folder / hub.TOKENIZER).write_text(tokenizer.to_str(), 'utf-8')
    except OSError as error:
        raise ResourceError(f'{folder}: cannot be written: {error}') from error


def weights_hash(model: MavenModel) -> str:
    """
    Return the SHA-256 over all weights that a checkpoint stores, by name, in hexadecimal digits.

    Of an encoder that lies in a folder of its own the configuration has the file's.
    """
    digest = hashlib.sha256()
    for name, value in sorted(model.stored_weights().items()):
        digest.update(name.encode())
        raw = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
        digest.update(raw.numpy().tobytes())
    return digest.hexdigest()


def _read_tokenizer(path: Path, config: MavenConfig) -> Tokenizer:
    try:
        text = path.read_text('utf-8')
    except (OSError, UnicodeDecodeError) as error:
        raise ResourceError(f'{path}: cannot be read: {error}; a checkpoint has its tokenizer '
                            'beside it, as maven_ros.model.checkpoint.save writes it') from error
    try:
        tokenizer = Tokenizer.from_str(text)
    except Exception as error:  # the binding raises the bare class, for whatever is wrong
        raise ResourceError(f'{path}: not a tokenizer of the tokenizers library: {error}'
                            ) from error
    if tokenizer.token_to_id(config.unknown_token) is None:
        raise ResourceError(f'{path}: has no {config.unknown_token!r}')
    if tokenizer.get_vocab_size() > config.vocabulary:
        raise ResourceError(f'{path}: {tokenizer.get_vocab_size()} subwords, and {hub.CONFIG} '
                            f'allows {config.vocabulary}')
    return tokenizer
