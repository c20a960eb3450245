"""Feeds a bag's messages to a pipeline, as the affect node would have, in the bag's time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from maven_ros.errors import InputError
from maven_ros.graph.interface import Received
from maven_ros.intake.intake import Intake
from maven_ros.pipeline import Pipeline
from maven_ros.records import NS, Frame, Input, Output

#: The node looks at its clock so often while nothing comes.
TICK_NS = NS // 20
#: Longer silence is no waiting but a break in the recording: time goes on behind it.
LONGEST_SILENCE_NS = 60 * NS


class Feed:
    """
    One message after the other into a pipeline; messages that cannot be used are counted.

    :param rest_every_ns: it wants to rest after so long.
    :param decode: False to hand out frames without pixels, which nobody may look at.
    """

    def __init__(self, pipeline: Pipeline, rest_every_ns: int, decode: bool = True) -> None:
        self.pipeline = pipeline
        self._rest_every_ns = rest_every_ns
        self._decode = decode
        self._intake = Intake(pipeline.settings.audio, pipeline.counters)
        self.now_ns: int | None = None      # when the last message arrived
        self._rested_ns: int | None = None

    @property
    def stamps(self) -> dict[str, list[int]]:
        """Of each topic of pictures and sound."""
        return self._intake.stamps

    def take(self, received: Received) -> list[tuple[int, Output]]:
        """
        Take the next message.

        :returns: what became known since the last, with the bag's time at which it did.
        """
        known: list[tuple[int, Output]] = []
        now_ns = received.received_ns
        if self.now_ns is not None and now_ns - self.now_ns <= LONGEST_SILENCE_NS:
            for tick_ns in range(self.now_ns + TICK_NS, now_ns, TICK_NS):
                known += [(tick_ns, one) for one in self.pipeline.advance(tick_ns)]
        self.now_ns = now_ns
        if self._rested_ns is None:
            self._rested_ns = now_ns
        for record in self._intake.take(received):
            known += [(now_ns, one) for one in self.pipeline.feed(self._seen(record), now_ns)]
        return known

    def _seen(self, record: Input) -> Input:
        if isinstance(record, Frame) and not self._decode:
            return replace(record, decode=_no_pixels)
        return record

    def finish(self) -> list[tuple[int, Output]]:
        """End the streams; return what became known by it."""
        return [(self.now_ns or 0, one) for one in self.pipeline.finish()]

    @property
    def rest_due(self) -> bool:
        """Whether it is time to rest, once nobody speaks."""
        return (self.now_ns is not None and self._rested_ns is not None
                and self.now_ns - self._rested_ns >= self._rest_every_ns)

    def rest(self) -> list[tuple[int, Output]]:
        """Bring the pipeline to where :meth:`freeze` can write it down."""
        self._rested_ns = self.now_ns
        return [(self.now_ns or 0, one) for one in self.pipeline.rest()]

    def freeze(self) -> dict[str, Any]:
        """Return all that must be known to go on; :meth:`rest` goes before."""
        return {'pipeline': self.pipeline.freeze(), 'intake': self._intake.freeze(),
                'times': (self.now_ns, self._rested_ns)}

    def thaw(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`freeze` returned."""
        self.pipeline.thaw(state['pipeline'])
        self._intake.thaw(state['intake'])
        self.now_ns, self._rested_ns = state['times']


def _no_pixels() -> Any:
    raise InputError('undecoded', 'a frame without pixels')
