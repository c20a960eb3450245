"""Feed a bag's messages to a pipeline in the bag's time, as the affect node does live."""

from __future__ import annotations

import time
from collections import deque
from typing import Any, NamedTuple

from maven_ros.graph.interface import Received
from maven_ros.intake.intake import Intake
from maven_ros.pipeline import Pipeline, Step
from maven_ros.records import NS, Input, Output
from maven_ros.senses.speech.ahead import AheadRecogniser

#: Interval at which the node looks at its clock while no message comes.
TICK_NS = NS // 20
#: A longer interval between messages is a break in the recording; time jumps over it.
LONGEST_SILENCE_NS = 60 * NS
#: Recognition may run this far ahead of the windows that need its words.
AHEAD_NS = 10 * NS


class Known(NamedTuple):
    """
    Outputs that became known at the same time.

    :param known_ns: the bag's time at which they became known.
    :param took_s: computing time since their message was taken; 0 at the end of the bag.
    """

    outputs: list[Output]
    known_ns: int
    took_s: float


class _Left(NamedTuple):
    """A deferred step of a message, and the computing time of the message so far."""

    step: Step
    known_ns: int
    gathered_s: float


class Feed:
    """
    Feed messages one by one to a pipeline; messages that cannot be used are counted.

    The outputs of a message may be returned with a later message, because recognition runs ahead
    and is waited for only where words are needed. This does not change the outputs.

    :param speech: the pipeline's recognition.
    :param rest_every_ns: time between saved states.
    :param robot_audio: the topic of the sound that the robot plays; empty for none.
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
        """Count, earliest and latest stamp of each topic of pictures or sound."""
        return self._intake.stamps.spans

    def describe(self, info: Received | None) -> None:
        """Take the bag's description of its sound, or None, before any message."""
        self._intake.describe(info)

    def take(self, received: Received) -> list[Known]:
        """Take the next message and return the new outputs, in order."""
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
        """End the streams and return the last outputs."""
        now_ns = self._intake.now_ns
        return [*self._settle(now_ns), Known(self.pipeline.finish(), now_ns, 0.0)]

    @property
    def rests(self) -> bool:
        """Whether a state should be saved now: one is due, and nobody speaks."""
        return self._rest_due and not self._speech.speaking

    def rest(self) -> list[Known]:
        """Prepare the pipeline for :meth:`freeze`."""
        self._rested_ns = self._intake.now_ns
        return [Known(self.pipeline.rest(), self._intake.now_ns, 0.0)]

    def freeze(self) -> dict[str, Any]:
        """Return the whole state. Call :meth:`rest` before."""
        return {'pipeline': self.pipeline.freeze(), 'intake': self._intake.freeze(),
                'learnt': self._speech.learnt, 'rested': self._rested_ns}

    def thaw(self, state: dict[str, Any]) -> None:
        """Restore the state that :meth:`freeze` returned."""
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
        """Do the deferred steps of all messages up to a time."""
        known: list[Known] = []
        while self._left and self._left[0].known_ns <= until_ns:
            step, known_ns, gathered_s = self._left.popleft()
            began_s = time.perf_counter()
            outputs = step()
            known.append(Known(outputs, known_ns, gathered_s + time.perf_counter() - began_s))
        return known
