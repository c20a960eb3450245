"""Deterministic degradations of faces, to measure robustness."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from maven_ros.training.compact.face_augmentation import blur, enlarged, resampled

BLUR_PX = 1.5       # standard deviation of the blur
DARK = 0.2          # remaining share of the light
ROTATION_DEG = 20.0
#: Rows of the picture, as shares of its height, that are hidden by a middle grey.
HIDDEN = {'mouth_hidden': (0.6, 1.0), 'eyes_hidden': (0.2, 0.52)}
_AT_ONCE = 1024


def faces_degraded(images: NDArray[np.uint8]) -> dict[str, NDArray[np.uint8]]:
    """
    Return the faces and degraded versions of them, by name.

    :param images: uint8 (n, side, side), grey.
    :returns: arrays of the same shape: ``plain`` (unchanged), ``blurred``, ``dark``,
        ``rotated_20_deg``, ``half_size``, ``mouth_hidden``, ``eyes_hidden``.
    """
    turn = math.radians(ROTATION_DEG)
    cos, sin = math.cos(turn), math.sin(turn)
    worse: dict[str, list[NDArray[np.uint8]]] = {}
    for first in range(0, len(images), _AT_ONCE):
        pictures = torch.from_numpy(images[first:first + _AT_ONCE])[:, None].float() / 255
        n, side = len(pictures), pictures.shape[-1]
        matrix = torch.tensor([[cos, -sin, 0.0], [sin, cos, 0.0]]).expand(n, 2, 3)
        changed = {
            'blurred': blur(pictures, torch.full((n,), BLUR_PX)), 'dark': pictures * DARK,
            'rotated_20_deg': resampled(pictures, matrix, side),
            'half_size': enlarged(pictures, side // 2),
            **{name: _without(pictures, *rows) for name, rows in HIDDEN.items()}}
        for name, value in changed.items():
            worse.setdefault(name, []).append(
                (value[:, 0] * 255).round().clamp(0, 255).byte().numpy())
    return {'plain': images, **{name: np.concatenate(parts) for name, parts in worse.items()}}


def _without(pictures: Tensor, first: float, last: float) -> Tensor:
    """Return pictures with some rows hidden."""
    side, changed = pictures.shape[-1], pictures.clone()
    changed[:, :, round(first * side):round(last * side)] = 0.5
    return changed
