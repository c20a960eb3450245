"""
Banks of encoded pieces: vectors of the frozen encoders, computed once and stored in a file.

The engine's own code encodes the pieces and aligns them with the grid, so that the fusion gets the
same input in training as at run time.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from maven_ros.errors import ResourceError
from maven_ros.files import written
from maven_ros.model.incremental import IncrementalEncoder, Memory
from maven_ros.records import MODALITIES
from maven_ros.training.compact.pieces import Pieces
from maven_ros.training.corpus import Examples

_WINDOWS_AT_ONCE = 256


@dataclass(frozen=True)
class Bank:
    """
    Encoded pieces of one modality.

    :param values: (pieces, versions, slots, width); faces have one slot.
    :param mask: bool (pieces, versions, slots).
    :param targets: (pieces, 2), valence and arousal; NaN for noise.
    :param spreads: (pieces, 2), standard deviations of the targets.
    :param weights: (pieces,), relative frequency of each piece.
    :param made_of: digest of the encoder and of the pieces.
    """

    values: Tensor
    mask: Tensor
    targets: Tensor
    spreads: Tensor
    weights: Tensor
    made_of: str = ''

    @classmethod
    def of(cls, values: Tensor, mask: Tensor, examples: Examples | None, made_of: str) -> Bank:
        """Return a bank with the labels of examples, or of noise without labels."""
        if examples is None:
            nothing = torch.full((len(values), 2), torch.nan)
            return cls(values, mask, nothing, nothing, torch.ones(len(values)), made_of)
        targets, spreads, weights = map(
            torch.from_numpy, (examples.targets, examples.spreads, examples.weights))
        return cls(values, mask, targets, spreads, weights, made_of)

    def __len__(self) -> int:
        return len(self.values)

    @property
    def versions(self) -> int:
        """Number of versions of each piece."""
        return self.values.shape[1]


def encode(
    pieces: Pieces, modality: str, versions: int, encoder: IncrementalEncoder, seed: int,
    bf16: bool = False,
) -> tuple[Tensor, Tensor]:
    """
    Encode every version of every piece with the engine's encoder.

    :param encoder: encoder of a model in evaluation mode, with the grid of the windows.
    :param seed: seed of the random versions.
    :param bf16: whether large products run in bfloat16, which is faster if the CPU supports it.
    :returns: ``values`` and ``mask`` of a :class:`Bank`.
    """
    step = max(1, _WINDOWS_AT_ONCE // versions)
    values, masks = [], []
    for first in range(0, len(pieces), step):
        indices = np.arange(first, min(first + step, len(pieces)))
        rendered = pieces.render(indices, versions, seed * 1_000_003 + first)
        with torch.inference_mode(), torch.autocast('cpu', torch.bfloat16, bf16):
            # Each piece has its own memory, because no rendered version occurs twice.
            features = encoder.encode([(Memory(), piece) for own in rendered for piece in own])
        aligned = features.streams[MODALITIES.index(modality)]
        if modality == 'video':  # the versions are slots of one window
            values.append(aligned.values[:, :versions, None])
            masks.append(aligned.mask[:, :versions, None])
        else:
            values.append(aligned.values.view(-1, versions, *aligned.values.shape[1:]))
            masks.append(aligned.mask.view(-1, versions, aligned.mask.shape[1]))
    return torch.cat(values).clone(), torch.cat(masks).clone()


def keep(path: Path, make: Callable[[], tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """
    Return values and mask from a file, or compute them and write the file.

    :param make: function without arguments that computes both.
    :raises ResourceError: if the file cannot be read or written.
    """
    try:
        if path.exists():
            kept = load_file(path)
            return kept['values'], kept['mask']
    except (OSError, KeyError, SafetensorError) as error:
        raise ResourceError(
            f'{path}: cannot be read: {error}; remove it to compute it again') from error
    values, mask = make()
    with written(path) as beside:
        save_file({'values': values.contiguous(), 'mask': mask.contiguous()}, beside)
    return values, mask


def fingerprint(encoder: nn.Module, **what: Any) -> str:
    """
    Return 16 hexadecimal digits of the SHA-256 over an encoder's weights and plain values.

    :param what: everything else that the encoded pieces depend on, as JSON values.
    """
    digest = hashlib.sha256(json.dumps(what, sort_keys=True).encode())
    state: Mapping[str, Tensor] = encoder.state_dict()
    for name, value in sorted(state.items()):
        digest.update(name.encode())
        digest.update(value.cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]
