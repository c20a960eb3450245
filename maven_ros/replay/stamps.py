"""Describe faults of a recording's stamps and their likely causes."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from maven_ros.intake.stamp_watch import frozen_stamps

#: By topic: number of readable messages, their earliest and latest stamp in ns.
Stamps: TypeAlias = Mapping[str, Sequence[int]]


def stamp_faults(
    stamps: Stamps, windows: int, hop_s: float, stands_in: bool = False,
) -> list[str]:
    """
    Describe faults that keep windows from closing, or streams from sharing windows.

    :param stamps: stamps of pictures and sound.
    :param windows: number of windows that closed.
    :param hop_s: time from one window to the next.
    :param stands_in: whether the time of arrival replaces stamps of 0.
    :returns: empty without faults.
    """
    stamps = dict(sorted(stamps.items()))
    found = [frozen_stamps(topic, own[0], own[1])
             + ('; the time of arrival stands in' if stands_in and not own[1] else '')
             for topic, own in stamps.items() if _is_frozen(*own)]
    moving = {topic: own for topic, own in stamps.items() if not _is_frozen(*own)}
    found += [
        f'{one} and {other} have no time in common: stamps from {first} to {last} ns, and from '
        f'{other_first} to {other_last} ns; their clocks differ'
        for (one, (_, first, last)), (other, (_, other_first, other_last))
        in itertools.combinations(moving.items(), 2) if last < other_first or other_last < first]
    if windows:
        return found
    if not stamps:
        return ['no window closed: no picture and no sound could be read']
    earliest = min(first for _, first, _ in stamps.values())
    latest = max(last for _, _, last in stamps.values())
    cause = '; '.join(found) or f'too short, a window ends at each multiple of {hop_s:g} s'
    return [f'no window closed; stamps run from {earliest} to {latest} ns: {cause}']


def _is_frozen(count: int, first_ns: int, last_ns: int) -> bool:
    return count > 1 and first_ns == last_ns
