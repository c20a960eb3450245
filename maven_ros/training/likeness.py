"""Pictures that are nearly identical, such as frames of one video or copies of one photograph."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: Correlation from which two faces are nearly identical: above 0.8 all pairs were, by eye; at 0.7
#: most were two people in the same pose.
NEARLY = 0.75
_SIDE = 24
_BLUR_PX = 3.0
_AT_ONCE = 512


def alike(pictures: NDArray[np.uint8], nearly: float = NEARLY) -> NDArray[np.int64]:
    """
    Group pictures: two are in one group if a chain of nearly identical ones leads across.

    Pictures are compared at 24x24, without their light (a blur of 3 pixels), with the same
    contrast, less the mean of all; as they are and mirrored.

    :param pictures: uint8 (n, side, side); the side is a multiple of 24.
    :param nearly: correlation from which two are nearly identical.
    :returns: (n,), number of the group, from 0, in the order of their first pictures.
    """
    import cv2

    n, times = len(pictures), pictures.shape[1] // _SIDE
    small = pictures.reshape(n, _SIDE, times, _SIDE, times).mean((2, 4)).astype(np.float32)
    fine = np.stack([one - cv2.GaussianBlur(one, (0, 0), _BLUR_PX) for one in small])
    fine /= fine.std((1, 2), keepdims=True) + 1  # 1 of 255: a flat picture has no contrast
    fine -= fine.mean(0)
    plain, mirrored = _normal(fine), _normal(fine[:, :, ::-1])
    groups = np.arange(n)
    for first in range(0, n, _AT_ONCE):
        part = slice(first, first + _AT_ONCE)
        close = np.maximum(plain[part] @ plain.T, mirrored[part] @ plain.T) >= nearly
        for one, other in zip(*np.nonzero(close), strict=True):
            low, high = sorted((groups[first + one], groups[other]))
            if low < high:
                groups[groups == high] = low
    _, numbers = np.unique(groups, return_inverse=True)
    return np.asarray(numbers, np.int64)


def _normal(pictures: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return pictures (n, side, side) as rows of norm 1; a flat one as zeros."""
    rows = pictures.reshape(len(pictures), -1)
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6))
