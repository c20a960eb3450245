"""
A checkpoint: a folder with ``config.json``, ``tokenizer.json`` and ``model.safetensors``.

Without ``model.safetensors`` the weights are random, from a seed. The field ``trained`` of the
configuration says whether stored weights are trained: a network on pretrained encoders can be
stored before its fusion is trained.
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
    A network with its tokenizer.

    :param model: on the CPU, in evaluation mode.
    :param tokenizer: maps words to the model's subword ids.
    :param trained: False if the weights, or those of the fusion, are random.
    """

    model: MavenModel
    tokenizer: Tokenizer
    trained: bool

    @property
    def name(self) -> str:
        """
        Name and hash, such as ``'untrained compact-1a2b3c4d'``.

        The hash covers the configuration, the tokenizer and the weights.
        """
        digest = hashlib.sha256(weights_hash(self.model).encode())
        digest.update(json.dumps(self.model.config.own(), sort_keys=True).encode())
        digest.update(self.tokenizer.to_str().encode())
        name = f'{self.model.config.name}-{digest.hexdigest()[:8]}'
        return name if self.trained else f'untrained {name}'


def load(folder: Path, seed: int = 0) -> Checkpoint:
    """
    Read a checkpoint folder.

    :param seed: seed of the weights if the folder has none.
    :raises ResourceError: names the file and the fault.
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
        model.load_encoders(folder)  # pinned encoders are required even if the fusion is untrained
    return Checkpoint(model.eval(), tokenizer, config.trained)


def save(folder: Path, model: MavenModel, tokenizer: Tokenizer, half: bool = False) -> None:
    """
    Write a checkpoint folder; it is created if missing.

    :param half: whether to write the weights in half precision, except those in fewer bits.
    :raises ResourceError: if it cannot be written, or a weight is not finite.
    """
    few = model.quantized_bits()
    model.save_pretrained(folder, state_dict={
        name: value.half() if half and value.is_floating_point() and name not in few else value
        for name, value in model.stored_weights().items()})
    try:
        (folder / hub.TOKENIZER).write_text(tokenizer.to_str(), 'utf-8')
    except OSError as error:
        raise ResourceError(f'{folder}: cannot be written: {error}') from error


def weights_hash(model: MavenModel) -> str:
    """
    Return the SHA-256 over the names and values of all stored weights, in hexadecimal digits.

    Encoders in a separate folder are not included; the configuration has the hash of their file.
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
    except Exception as error:  # the binding raises plain Exception for any fault
        raise ResourceError(f'{path}: not a tokenizer of the tokenizers library: {error}'
                            ) from error
    if tokenizer.token_to_id(config.unknown_token) is None:
        raise ResourceError(f'{path}: has no {config.unknown_token!r}')
    if tokenizer.get_vocab_size() > config.vocabulary:
        raise ResourceError(f'{path}: {tokenizer.get_vocab_size()} subwords, and {hub.CONFIG} '
                            f'allows {config.vocabulary}')
    return tokenizer
