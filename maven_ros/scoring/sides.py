"""Which of several people in a picture is the one on its left, and which the one on its right."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TypeAlias

from maven_ros.records import Box

#: The faces in one picture, by who they are.
Boxes: TypeAlias = Mapping[str, Box]


def side_of(person: str, boxes: Boxes, usual: Mapping[str, str]) -> str:
    """
    Return ``'left'`` or ``'right'``, or nothing.

    They are the outermost of several faces. A face that is alone in view has its usual side.

    :param usual: what :func:`usual_sides` returned for the whole recording.
    """
    return _outermost(boxes).get(person, usual.get(person, ''))


def usual_sides(pictures: Iterable[Boxes]) -> dict[str, str]:
    """Return the side on which each was seen among several most often."""
    counts: dict[str, Counter[str]] = {}
    for boxes in pictures:
        for person, side in _outermost(boxes).items():
            counts.setdefault(person, Counter())[side] += 1
    return {person: sides.most_common(1)[0][0] for person, sides in counts.items()}


def _outermost(boxes: Boxes) -> dict[str, str]:
    """Name the sides of several faces; those between, if any, are on none."""
    seen = sorted((box.x + box.width / 2, person) for person, box in boxes.items())
    if len(seen) < 2:
        return {}
    return {**{person: '' for _, person in seen}, seen[0][1]: 'left', seen[-1][1]: 'right'}
