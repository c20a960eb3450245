"""
One clock for a file in which the clock begins anew, as where recordings were put together.

Parts of transport streams, Ogg, Matroska or FLAC that were joined by ``cat`` each count from
their own start. Each part is laid after the one before, all streams of it by the same shift, so
picture and sound stay together.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

_BACK_S = Fraction(1, 10)  # clumsy writers go back by a frame
_AHEAD_S = 10  # where FFmpeg says that its format may jump: a pause is shorter
_MAY_JUMP = 0x0200  # AVFMT_TS_DISCONT

_log = logging.getLogger(__name__)


class Part:
    """
    In which part of a file a stream is, packet by packet.

    :param jumps_ahead: whether the format's clock may jump ahead, too.
    """

    def __init__(self, jumps_ahead: bool) -> None:
        self._jumps_ahead = jumps_ahead
        self._last_s: Fraction | None = None
        #: How often the clock has begun anew.
        self.number = 0

    def take(self, packet: Any) -> bool:
        """Take a packet; tell whether the clock begins anew with it."""
        if packet.dts is None:  # times of showing, pts, go back where pictures are reordered
            return False
        last_s, self._last_s = self._last_s, packet.dts * packet.time_base
        if last_s is None or not (
                self._last_s < last_s - _BACK_S
                or (self._jumps_ahead and self._last_s > last_s + _AHEAD_S)):
            return False
        self.number += 1
        return True


def jumps_ahead(container: Any) -> bool:
    """Whether a container's format has a clock that may jump ahead."""
    return bool(container.format.flags & _MAY_JUMP)


def shifts(path: Path, container: Any, streams: Iterable[int]) -> dict[int, list[Fraction]]:
    """
    Read through a file, without decoding.

    :param streams: indexes of those that are played.
    :returns: for each stream, the seconds by which each part of it is shifted.
    """
    chosen = [container.streams[index] for index in streams]
    parts = {stream.index: Part(jumps_ahead(container)) for stream in chosen}
    within: dict[int, list[int]] = {}
    begins: list[Fraction] = []
    ends: list[Fraction] = []
    for packet in container.demux(chosen):
        time = packet.pts if packet.pts is not None else packet.dts
        if time is None:
            continue
        own = within.setdefault(packet.stream.index, [])
        if parts[packet.stream.index].take(packet) or not own:
            # Whoever jumps first begins the part; the others join it when they jump.
            own.append(max(len(begins) - 1, own[-1] + 1 if own else 0))
        begin_s = time * packet.time_base
        end_s = begin_s + (packet.duration or 0) * packet.time_base
        if own[-1] == len(begins):
            begins.append(begin_s)
            ends.append(end_s)
        begins[own[-1]] = min(begins[own[-1]], begin_s)
        ends[own[-1]] = max(ends[own[-1]], end_s)
    by_part = [Fraction(0)]
    for before, after in zip(ends, begins[1:], strict=False):
        by_part.append(by_part[-1] + before - after)
    _log.info('%s: its clock begins anew %d times; each part is laid after the one before', path,
              len(begins) - 1)
    return {index: [by_part[number] for number in own] for index, own in within.items()}
