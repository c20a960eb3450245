"""
A checkpoint is a folder: ``config.json``, ``tokenizer.json`` and ``model.safetensors``.

Without ``model.safetensors`` the network is untrained and its weights come from a seed. Pickles
are never read: to unpickle is to run whatever the file says.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from maven_ros.errors import ResourceError, SettingsError
from maven_ros.model.configuration import UNKNOWN_TOKEN, MavenConfig
from maven_ros.model.maven import MavenModel

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from torch import Tensor

CONFIG, TOKENIZER, WEIGHTS = 'config.json', 'tokenizer.json', 'model.safetensors'
_PICKLES = ('*.bin', '*.pt', '*.pth', '*.ckpt', '*.pkl', '*.pickle')


@dataclass(frozen=True)
class Checkpoint:
    """
    A network with what belongs to it.

    :param model: on the CPU, in evaluation mode.
    :param tokenizer: turns words into the ids that the model knows.
    :param trained: False when the weights came from a seed.
    """

    model: MavenModel
    tokenizer: Tokenizer
    trained: bool

    @property
    def name(self) -> str:
        """Name and hash of the weights, such as ``'untrained compact-1a2b3c4d'``."""
        name = f'{self.model.config.name}-{weights_hash(self.model)}'
        return name if self.trained else f'untrained {name}'


def load(folder: Path, seed: int = 0) -> Checkpoint:
    """
    Read a checkpoint folder.

    :param seed: of the weights when the folder has none.
    :raises ResourceError: names the file and what is wrong with it.
    """
    if not folder.is_dir():
        raise ResourceError(f'{folder}: no such folder; a checkpoint is one with {CONFIG}')
    config = _read_config(folder / CONFIG)
    tokenizer = _read_tokenizer(folder / TOKENIZER, config.vocabulary)
    model = MavenModel.untrained(config, seed).eval()
    weights = folder / WEIGHTS
    if weights.exists():
        model.load_state_dict(_read_weights(weights, model))
        return Checkpoint(model, tokenizer, trained=True)
    for pattern in _PICKLES:
        for pickle in sorted(folder.glob(pattern)):
            raise ResourceError(f'{pickle}: weights are read from {WEIGHTS}, never from pickles')
    return Checkpoint(model, tokenizer, trained=False)


def save(folder: Path, model: MavenModel, tokenizer: Tokenizer) -> None:
    """
    Write a checkpoint folder, which is made when it is missing.

    :raises ResourceError: when it cannot be written, or the weights are not finite.
    """
    from safetensors.torch import save_file

    weights = {name: value.detach().cpu().contiguous()
               for name, value in model.state_dict().items()}
    for name, value in weights.items():
        _check_finite(folder / WEIGHTS, name, value)
    text = json.dumps(model.config.to_dict(), indent=2) + '\n'
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / CONFIG).write_text(text, 'utf-8')
        (folder / TOKENIZER).write_text(tokenizer.to_str(), 'utf-8')
        # The configuration travels with the weights too, so that they cannot part unnoticed.
        save_file(weights, folder / WEIGHTS, metadata={'format': 'pt', 'config': text})
    except OSError as error:
        raise ResourceError(f'{folder}: cannot be written: {error}') from error


def weights_hash(model: MavenModel) -> str:
    """Return the first eight hexadecimal digits of the SHA-256 over all weights, by name."""
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:8]


def _read(path: Path) -> str:
    try:
        return path.read_text('utf-8')
    except (OSError, UnicodeDecodeError) as error:
        raise ResourceError(f'{path}: cannot be read: {error}') from error


def _read_config(path: Path) -> MavenConfig:
    return _parse_config(_read(path), str(path))


def _parse_config(text: str, where: str) -> MavenConfig:
    try:
        values = json.loads(text)
        if not isinstance(values, dict):
            raise ResourceError(f'{where}: not a JSON object but {type(values).__name__}')
        return MavenConfig.from_dict(values)
    except (json.JSONDecodeError, SettingsError) as error:
        raise ResourceError(f'{where}: {error}') from error


def _read_tokenizer(path: Path, vocabulary: int) -> Tokenizer:
    from tokenizers import Tokenizer

    text = _read(path)
    try:
        tokenizer = Tokenizer.from_str(text)
    except Exception as error:  # the binding raises the bare class, for whatever is wrong
        raise ResourceError(f'{path}: not a tokenizer of the tokenizers library: {error}'
                            ) from error
    if tokenizer.token_to_id(UNKNOWN_TOKEN) is None:
        raise ResourceError(f'{path}: has no {UNKNOWN_TOKEN!r}')
    if tokenizer.get_vocab_size() > vocabulary:
        raise ResourceError(f'{path}: {tokenizer.get_vocab_size()} subwords, and {CONFIG} allows '
                            f'{vocabulary}')
    return tokenizer


def _read_weights(path: Path, model: MavenModel) -> dict[str, Tensor]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework='pt') as file:
            metadata = file.metadata() or {}
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise ResourceError(f'{path}: not a safetensors file: {error}') from error
    _check_config(path, metadata, model.config)
    wanted = model.state_dict()
    for what, names in (('missing', wanted.keys() - weights.keys()),
                        ('not of this model', weights.keys() - wanted.keys())):
        if names:
            raise ResourceError(f'{path}: tensors {what}: {", ".join(sorted(names))}')
    for name, value in weights.items():
        if value.shape != wanted[name].shape:
            raise ResourceError(f'{path}: {name} has shape {tuple(value.shape)}, and {CONFIG} '
                                f'asks for {tuple(wanted[name].shape)}')
        _check_finite(path, name, value)
    return weights


def _check_config(path: Path, metadata: dict[str, Any], config: MavenConfig) -> None:
    if 'config' not in metadata:
        return
    own = _parse_config(metadata['config'], f'{path} (configuration inside)').to_dict()
    here = config.to_dict()
    differing = sorted(name for name in own if own[name] != here[name])
    if differing:
        raise ResourceError(f'{path}: made with another {CONFIG}; they differ in '
                            f'{", ".join(differing)}')


def _check_finite(path: Path, name: str, value: Tensor) -> None:
    if not value.is_floating_point():
        raise ResourceError(f'{path}: {name} is {value.dtype}, and weights are floating point')
    if not torch.isfinite(value).all():
        raise ResourceError(f'{path}: {name} holds NaN or infinite values')
