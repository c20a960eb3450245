"""Find the person on the left and the person on the right of an picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TypeAlias

from maven_ros.records import Box

#: The faces in one picture, by person id.
Boxes: TypeAlias = Mapping[str, Box]


def side_of(person: str, boxes: Boxes, usual: Mapping[str, str]) -> str:
    """
    Return the side of a person in an picture: ``'left'``, ``'right'`` or ``''``.

    The outermost of several faces have a side. A face that is alone in view has its usual side.

    :param usual: the result of :func:`usual_sides` for the whole recording.
    """
    return _outermost(boxes).get(person, usual.get(person, ''))


def usual_sides(pictures: Iterable[Boxes]) -> dict[str, str]:
    """Return, for each person, the side on which they were most often among several faces."""
    counts: dict[str, Counter[str]] = {}
    for boxes in pictures:
        for person, side in _outermost(boxes).items():
            counts.setdefault(person, Counter())[side] += 1
    return {person: sides.most_common(1)[0][0] for person, sides in counts.items()}


def _outermost(boxes: Boxes) -> dict[str, str]:
    """Return the sides of several faces; faces between the outermost two have none."""
    seen = sorted((box.x + box.width / 2, person) for person, box in boxes.items())
    if len(seen) < 2:
        return {}
    return {**{person: '' for _, person in seen}, seen[0][1]: 'left', seen[-1][1]: 'right'}
