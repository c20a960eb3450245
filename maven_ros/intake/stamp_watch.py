"""What the stamps of each topic are like, and what is wrong with them, in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from maven_ros.freezing import Freezing, plain_data
from maven_ros.intake.clock import AHEAD_NS, BACK_NS
from maven_ros.records import NS

#: So many messages with one and the same stamp are no coincidence.
_FROZEN = 3
#: So many jumps back within some seconds are no clock that was set once.
_RESTLESS = 3


@plain_data
@dataclass(frozen=True, slots=True)
class SeenStamps:
    """
    What the stamps of a topic were like so far, as its driver set them.

    :param count: messages that could be read.
    :param first_ns: the earliest stamp.
    :param last_ns: the latest one.
    :param newest_ns: that of the newest message.
    :param unset: how many were 0.
    :param moved: how many differed from the one before.
    :param back: how many were far behind the one before.
    :param behind_ns: how far the newest one lies behind its arrival,
    :param arrived_ns: and when that was.
    """

    count: int
    first_ns: int
    last_ns: int
    newest_ns: int
    unset: int
    moved: int
    back: int
    behind_ns: int
    arrived_ns: int

    @classmethod
    def of(cls, stamp_ns: int, arrived_ns: int) -> SeenStamps:
        """Begin with the stamp of the first message."""
        return cls(1, stamp_ns, stamp_ns, stamp_ns, int(not stamp_ns), 0, 0,
                   arrived_ns - stamp_ns, arrived_ns)

    def and_then(self, stamp_ns: int, arrived_ns: int) -> SeenStamps:
        """Return what they were like with the stamp of the next message."""
        return SeenStamps(
            self.count + 1, min(self.first_ns, stamp_ns), max(self.last_ns, stamp_ns), stamp_ns,
            self.unset + (not stamp_ns), self.moved + (stamp_ns != self.newest_ns),
            self.back + (stamp_ns < self.newest_ns - BACK_NS), arrived_ns - stamp_ns,
            arrived_ns)

    def since(self, before: SeenStamps | None) -> SeenStamps:
        """Return what they were like since another look; the span is that of all so far."""
        if before is None:
            return self
        return replace(
            self, count=self.count - before.count, unset=self.unset - before.unset,
            moved=self.moved - before.moved, back=self.back - before.back)


class StampWatch(Freezing):
    """Gathers the stamps of pictures and sound, by topic."""

    def __init__(self) -> None:
        self._seen: dict[str, SeenStamps] = {}

    def note(self, topic: str, stamp_ns: int, arrived_ns: int) -> None:
        """
        Note a stamp as its driver set it.

        :param arrived_ns: when the message arrived, on the graph's clock.
        """
        known = self._seen.get(topic)
        self._seen[topic] = (SeenStamps.of(stamp_ns, arrived_ns) if known is None else
                             known.and_then(stamp_ns, arrived_ns))

    @property
    def seen(self) -> Mapping[str, SeenStamps]:
        """What was noted so far, by topic."""
        return dict(self._seen)

    @property
    def spans(self) -> dict[str, list[int]]:
        """Of each topic: messages that could be read, their earliest and latest stamp in ns."""
        return {topic: [seen.count, seen.first_ns, seen.last_ns]
                for topic, seen in self._seen.items()}

    @property
    def skew_ns(self) -> int:
        """By how much the stamps' clock lies behind the graph's; 0 where they are the same."""
        now_ns = max((seen.arrived_ns for seen in self._seen.values()), default=0)
        behind_ns = min((seen.behind_ns for seen in self._seen.values()
                         if seen.newest_ns and now_ns - seen.arrived_ns < NS),
                        key=abs, default=0)
        return behind_ns if abs(behind_ns) > AHEAD_NS else 0


def frozen_stamps(topic: str, count: int, stamp_ns: int) -> str:
    """Say that all stamps of a topic are the same."""
    if not stamp_ns:
        return f'all {count} stamps of {topic} are 0: its driver sets none'
    return f'all {count} stamps of {topic} are {stamp_ns} ns; its driver does not advance them'


def stamp_fault(topic: str, seen: SeenStamps) -> str:
    """
    Say what is wrong with the stamps of a live topic; empty where nothing is.

    :param seen: what they were like in the last seconds.
    """
    if seen.unset == seen.count and seen.unset:
        return frozen_stamps(topic, seen.count, 0)
    if seen.unset:
        return f'{seen.unset} of {seen.count} stamps of {topic} are 0: its driver sets none'
    if seen.count >= _FROZEN and not seen.moved:
        return frozen_stamps(topic, seen.count, seen.newest_ns)
    if seen.back >= _RESTLESS:
        return (f'stamps of {topic} jumped back {seen.back} times within {seen.count} messages: '
                'two clocks, or a clock that is set again and again')
    if seen.count and abs(seen.behind_ns) > AHEAD_NS:
        where = 'behind' if seen.behind_ns > 0 else 'ahead of'
        return (f'stamps of {topic} are {abs(seen.behind_ns) / NS:.0f} s {where} the clock: its '
                "driver's clock is another, or a bag plays without use_sim_time")
    return ''
