"""Feeds a bag's messages to a pipeline, as the affect node would have, in the bag's time."""

from __future__ import annotations

import time
from collections import deque
from typing import Any, NamedTuple

from maven_ros.graph.interface import Received
from maven_ros.intake.intake import Intake
from maven_ros.pipeline import Pipeline, Step
from maven_ros.records import NS, Input, Output
from maven_ros.senses.speech.ahead import AheadRecogniser

#: The node looks at its clock so often while nothing comes.
TICK_NS = NS // 20
#: Longer silence is no waiting but a break in the recording: time goes on behind it.
LONGEST_SILENCE_NS = 60 * NS
#: Recognition may run so far ahead of what needs its words.
AHEAD_NS = 10 * NS


class Known(NamedTuple):
    """
    What became known at once.

    :param known_ns: the bag's time then.
    :param took_s: computing, from the message that led to it; 0 at the end of the bag.
    """

    outputs: list[Output]
    known_ns: int
    took_s: float


class _Left(NamedTuple):
    """What is left to do of a message, and what it took to gather it."""

    step: Step
    known_ns: int
    gathered_s: float


class Feed:
    """
    One message after the other into a pipeline; messages that cannot be used are counted.

    What a message led to may be told with a later one: recognition runs ahead, and is waited for
    where its words are needed. What is told does not depend on that.

    :param speech: the pipeline's.
    :param rest_every_ns: it wants to rest after so long.
    :param robot_audio: the topic of what the robot plays; empty for none.
    """

    def __init__(
        self, pipeline: Pipeline, speech: AheadRecogniser, rest_every_ns: int,
        robot_audio: str = '',
    ) -> None:
        self.pipeline = pipeline
        self._speech = speech
        self._rest_every_ns = rest_every_ns
        self._rested_ns: int | None = None
        self._intake = Intake(
            pipeline.settings.audio, pipeline.counters, pipeline.settings.time, robot_audio)
        self._left: deque[_Left] = deque()

    @property
    def stamps(self) -> dict[str, list[int]]:
        """Of each topic of pictures and sound."""
        return self._intake.stamps.spans

    def describe(self, info: Received | None) -> None:
        """Take what the bag says of its sound, or that it says nothing, before all else."""
        self._intake.describe(info)

    def take(self, received: Received) -> list[Known]:
        """Take the next message; return what has become known since, in order."""
        last_ns, now_ns = self._intake.now_ns, received.received_ns
        if last_ns and now_ns - last_ns <= LONGEST_SILENCE_NS:
            for tick_ns in range(last_ns + TICK_NS, now_ns, TICK_NS):
                self._gather(None, tick_ns)
        for record in self._intake.take(received):
            self._gather(record, now_ns)
        if self._rested_ns is None:
            self._rested_ns = now_ns
        ahead = self._speech.busy and not self._rest_due
        return self._settle(now_ns - AHEAD_NS if ahead else now_ns)

    def finish(self) -> list[Known]:
        """End the streams; return what became known by it."""
        now_ns = self._intake.now_ns
        return [*self._settle(now_ns), Known(self.pipeline.finish(), now_ns, 0.0)]

    @property
    def rests(self) -> bool:
        """Whether to rest now: when it is time to, and nobody speaks."""
        return self._rest_due and not self._speech.speaking

    def rest(self) -> list[Known]:
        """Bring the pipeline to where :meth:`freeze` can write it down."""
        self._rested_ns = self._intake.now_ns
        return [Known(self.pipeline.rest(), self._intake.now_ns, 0.0)]

    def freeze(self) -> dict[str, Any]:
        """Return all that must be known to go on; :meth:`rest` goes before."""
        return {'pipeline': self.pipeline.freeze(), 'intake': self._intake.freeze(),
                'learnt': self._speech.learnt, 'rested': self._rested_ns}

    def thaw(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`freeze` returned."""
        self.pipeline.thaw(state['pipeline'])
        self._intake.thaw(state['intake'])
        self._speech.learnt = state['learnt']
        self._rested_ns = state['rested']

    @property
    def _rest_due(self) -> bool:
        return (self._rested_ns is not None
                and self._intake.now_ns - self._rested_ns >= self._rest_every_ns)

    def _gather(self, record: Input | None, now_ns: int) -> None:
        began_s = time.perf_counter()
        steps = self.pipeline.gather(record, now_ns)
        gathered_s = time.perf_counter() - began_s
        self._left.extend(_Left(step, now_ns, gathered_s) for step in steps)

    def _settle(self, until_ns: int) -> list[Known]:
        """Do what is left of what came in up to then."""
        known: list[Known] = []
        while self._left and self._left[0].known_ns <= until_ns:
            step, known_ns, gathered_s = self._left.popleft()
            began_s = time.perf_counter()
            outputs = step()
            known.append(Known(outputs, known_ns, gathered_s + time.perf_counter() - began_s))
        return known
