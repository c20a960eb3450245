"""Follows faces from one picture to the next by optical flow, between detections."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from maven_ros.records import Pixels
from maven_ros.senses.crops import Outline

_GRID = 8  # points a side, over the middle of the face
_MARGIN = 0.15  # of the box is left out on each side: hair and background
_RETURN_PX = 1.0  # a point that is followed there and back must come home so closely
_MIN_SHARE = 0.5  # of the points must move as one
_PATCH_PX = 20
_MIN_LIKENESS = 0.4  # of the face to itself at its last detection

Points = NDArray[np.float32]


def follow(
    previous: Pixels, current: Pixels, faces: Sequence[Outline],
) -> list[Outline | None]:
    """
    Follow faces into the next picture, by one similarity motion each.

    :param previous: uint8 (height, width), grey.
    :param current: the same, later.
    :param faces: where they were in ``previous``.
    :returns: where they are in ``current``; None for a face whose points do not move as one.
    """
    import cv2

    if not faces:
        return []
    old = np.concatenate([_grid(face) for face in faces])
    new, found, _ = cv2.calcOpticalFlowPyrLK(previous, current, old, old.copy())
    back, found_back, _ = cv2.calcOpticalFlowPyrLK(current, previous, new, old.copy())
    home = np.linalg.norm(np.subtract(back, old), axis=1) < _RETURN_PX
    good = home & (np.ravel(found) == 1) & (np.ravel(found_back) == 1)
    followed: list[Outline | None] = []
    for face, was, now, kept in zip(
            faces, *(np.split(np.asarray(points), len(faces)) for points in (old, new, good)),
            strict=True):
        followed.append(_moved(face, was[kept], now[kept]))
    return followed


def _grid(face: Outline) -> Points:
    steps = np.linspace(_MARGIN, 1 - _MARGIN, _GRID)
    x, y = np.meshgrid(face.x + face.width * steps, face.y + face.height * steps)
    return np.stack([x.ravel(), y.ravel()], axis=1).astype(np.float32)


def _moved(face: Outline, was: Points, now: Points) -> Outline | None:
    import cv2

    needed = _MIN_SHARE * _GRID**2
    if len(was) < needed:
        return None
    similarity, together = cv2.estimateAffinePartial2D(
        was, now, method=cv2.RANSAC, ransacReprojThreshold=max(1.0, 0.03 * face.size))
    if similarity is None or int(together.sum()) < needed:
        return None
    return face.moved(np.asarray(similarity, np.float64))


def patch(grey: Pixels, face: Outline) -> Pixels:
    """
    Return a small picture of a face, to compare with :func:`alike`.

    :param grey: uint8 (height, width).
    :returns: uint8 (20, 20).
    """
    import cv2

    size = (max(1, round(face.width)), max(1, round(face.height)))
    centre = (face.centre[0] - 0.5, face.centre[1] - 0.5)
    whole = cv2.getRectSubPix(grey, size, centre)
    small = cv2.resize(whole, (_PATCH_PX, _PATCH_PX), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8)


def alike(one: Pixels, other: Pixels) -> bool:
    """Tell whether two patches show the same face, whatever the light."""
    return likeness(one, other) >= _MIN_LIKENESS


def likeness(one: Pixels, other: Pixels) -> float:
    """Return the correlation of two patches, in [-1, 1]; 0 for one without any contrast."""
    a, b = (patch.astype(np.float64) - patch.mean() for patch in (one, other))
    norm = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / norm if norm > 0 else 0.0
