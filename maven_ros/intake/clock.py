"""Watches a graph's clock: simulated ones begin late, stop and jump."""

from __future__ import annotations

import time

from maven_ros.counters import Counters
from maven_ros.records import NS, seconds

#: A clock that does not move for so long has stopped.
STOPPED_S = 5.0
BACK_NS = NS // 2
AHEAD_NS = 10 * NS
#: Bags are played at rates up to this; what is faster is a jump.
_FASTEST = 20


class ClockWatch:
    """
    Compares a clock with the steady one of the machine.

    :param counters: takes ``clock.jump_back`` and ``clock.jump_ahead``.
    """

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._now_ns = 0
        self._looked_s = self._moved_s = time.monotonic()

    def look(self, now_ns: int) -> bool:
        """
        Look at the clock, some times a second.

        :param now_ns: what it shows; 0 before it has begun.
        :returns: whether it has begun.
        """
        looked_s = time.monotonic()
        by_ns, elapsed_s = now_ns - self._now_ns, looked_s - self._looked_s
        if self._now_ns and by_ns < -BACK_NS:
            self._counters.count('clock', 'jump_back', f'by {seconds(by_ns):.3f} s')
        elif self._now_ns and by_ns > AHEAD_NS + _FASTEST * elapsed_s * NS:
            self._counters.count('clock', 'jump_ahead', f'by {seconds(by_ns):.3f} s within '
                                                        f'{elapsed_s:.3f} s')
        if by_ns:
            self._moved_s = looked_s
        self._now_ns, self._looked_s = now_ns, looked_s
        return now_ns != 0

    def fault(self) -> str:
        """Say what is wrong with the clock now; empty when nothing is."""
        still_s = time.monotonic() - self._moved_s
        if still_s < STOPPED_S:
            return ''
        if not self._now_ns:
            return (f'the clock has not begun for {still_s:.0f} s: use_sim_time is set, and '
                    'nobody publishes /clock')
        return f'the clock has stood still for {still_s:.0f} s'
