"""The faces in the frames of a video."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from maven_ros.errors import ResourceError
from maven_ros.records import Box, Face, Pixels
from maven_ros.scoring.sides import side_of, usual_sides

_JPEG_QUALITY = 95
_UNEVEN = 0.1  # share of the usual time between frames: clocks of containers are rounded


@dataclass(frozen=True)
class Seen:
    """
    A face in a frame.

    :param box: position in the picture.
    :param jpeg: encoded crop.
    """

    box: Box
    jpeg: bytes


#: The faces in a frame, by track id.
Faces: TypeAlias = Mapping[str, Seen]


def see(faces: Sequence[Face]) -> dict[str, Seen]:
    """Return faces with JPEG crops, to save memory."""
    return {face.person_id: Seen(face.box, encode_jpeg(face.crop)) for face in faces}


def choose(frames: Sequence[Faces], sides: Sequence[str]) -> dict[str, list[Seen | None]]:
    """
    Choose the faces of annotated people by their side of the picture.

    The empty side (``''``) selects the largest face that is not on the side of another annotated
    person.

    :param frames: all frames of the video, in order.
    :param sides: sides of the people: ``'left'``, ``'right'`` or ``''``.
    :returns: for each side one face per frame; None if there is none.
    """
    boxes = [{person: seen.box for person, seen in faces.items()} for faces in frames]
    usual = usual_sides(boxes) if any(sides) else {}
    chosen: dict[str, list[Seen | None]] = {side: [] for side in sides}
    for faces, own in zip(frames, boxes, strict=True):
        by_side: dict[str, Seen] = {}
        for person, seen in sorted(faces.items(), key=lambda one: _area(one[1])):
            side = side_of(person, own, usual)
            by_side[side if side in sides else ''] = seen  # the largest is last
        for side in sides:
            chosen[side].append(by_side.get(side))
    return chosen


def holes(stamps_ns: NDArray[np.int64], lines: int) -> NDArray[np.int64]:
    """
    Find pictures that are missing from a video of constant rate, and that its labels count.

    :param stamps_ns: int64 (frames,), ascending.
    :param lines: of labels.
    :returns: int64, stamps of what is missing; none unless there are just as many lines.
    """
    nothing = np.zeros(0, np.int64)
    steps = np.diff(stamps_ns)
    if lines <= len(stamps_ns) or len(steps) < 2 or (steps <= 0).any():
        return nothing
    usual = float(np.median(steps))
    counts = np.round(steps / usual).astype(np.int64)
    even = np.abs(steps - counts * usual) <= _UNEVEN * usual
    if counts.sum() + 1 != lines or not even.all() or (counts < 1).any():
        return nothing
    return np.concatenate([nothing, *(
        np.round(np.linspace(begin, begin + step, count + 1)[1:-1]).astype(np.int64)
        for begin, step, count in zip(stamps_ns, steps, counts, strict=False) if count > 1)])


def encode_jpeg(crop: Pixels) -> bytes:
    """Return a picture, uint8 (height, width, 3) BGR, as JPEG."""
    import cv2

    done, encoded = cv2.imencode('.jpg', crop, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    if not done:
        raise ResourceError(f'a crop of {crop.shape} cannot be written as JPEG')
    return encoded.tobytes()


def _area(seen: Seen) -> int:
    return seen.box.width * seen.box.height
