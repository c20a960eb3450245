"""The affect node: camera and microphone topics in, states and utterances out."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from maven_ros.diagnostics import Counters
from maven_ros.errors import GraphError, InputError
from maven_ros.graph.convert import (
    DIAGNOSTICS,
    INPUT_TYPES,
    InputReader,
    diagnostics_message,
)
from maven_ros.graph.interface import SENSOR, SOUND, STATE, Graph, Received, Subscription
from maven_ros.graph.topics import (
    AUDIO_TOPIC,
    DIAGNOSTICS_TOPIC,
    IMAGE_TOPIC,
    OUTPUT_TYPES,
    ROBOT_SPEAKING_TOPIC,
    SPEECH_TOPIC,
    output_message,
)
from maven_ros.nodes.inbox import Inbox
from maven_ros.pipeline import Pipeline
from maven_ros.records import AffectState, Output
from maven_ros.settings import Settings

_log = logging.getLogger('maven_ros.affect')

#: How many messages of each role may wait: a second or more of each.
_LIMITS = {'image': 30, 'audio': 500, 'audio_info': 10, 'robot_speaking': 100, 'speech': 100}
_QOS = {'image': SENSOR, 'audio': SOUND}
_POLL_S = 0.05
_LOOK_S = 0.25
_REPORT_S = 1.0


@dataclass(frozen=True)
class InputTopics:
    """Where each input comes from; relative to the namespace unless absolute."""

    image: str = IMAGE_TOPIC
    audio: str = AUDIO_TOPIC
    robot_speaking: str = ROBOT_SPEAKING_TOPIC
    speech: str = SPEECH_TOPIC


class Inputs:
    """
    The subscriptions of a node, opened as their topics appear.

    A topic's type is what its publisher says; one that is not understood is refused by name.

    :param put: called with role and message from the transport's thread.
    """

    def __init__(
        self, graph: Graph, topics: InputTopics, counters: Counters,
        put: Callable[[str, Received], None],
    ) -> None:
        self._graph = graph
        self._topics = {role: graph.resolve(topic) for role, topic in vars(topics).items()}
        # ros-drivers' audio says its format on a topic beside itself
        self._topics['audio_info'] = self._topics['audio'].rpartition('/')[0] + '/audio_info'
        self._counters = counters
        self._put = put
        self._open: dict[str, Subscription] = {}
        self._refused: set[str] = set()
        self.arrivals: Counter[str] = Counter()  # messages since the last report, by topic

    def look(self) -> None:
        """Subscribe to the topics that have appeared since the last look."""
        known = self._graph.topics()
        for role, topic in self._topics.items():
            if role == 'image' and topic not in known:
                topic = f'{topic}/compressed'  # as image_transport names it
            msgtype = known.get(topic)
            if msgtype is None or role in self._open:
                continue
            if msgtype in INPUT_TYPES[role]:
                self._listen(role, topic, msgtype)
            elif topic not in self._refused:
                self._refused.add(topic)
                self._counters.count(role, 'wrong_type', f'{topic} is {msgtype}; understood: '
                                                         f'{", ".join(INPUT_TYPES[role])}')

    def _listen(self, role: str, topic: str, msgtype: str) -> None:
        def arrived(received: Received) -> None:
            self.arrivals[topic] += 1
            self._put(role, received)

        qos = _QOS.get(role, STATE)
        self._open[role] = self._graph.subscribe(topic, msgtype, qos, arrived)
        _log.info('listening to %s (%s)', topic, msgtype)

    def missing(self) -> list[str]:
        """Return the camera and microphone topics that have not appeared."""
        return [self._topics[role] for role in ('image', 'audio')
                if role not in self._open]

    def close(self) -> None:
        """Close every subscription."""
        for subscription in self._open.values():
            subscription.close()
        self._open.clear()


class AffectNode:
    """
    The pipeline on a graph.

    Callbacks only append to the inbox; :meth:`run` does the work on the caller's thread.

    :param graph: any transport; stays the caller's to close.
    :param topics: where the inputs come from.
    :param counters: shared with the graph, so that its losses are published, too.
    :raises ResourceError: when a model or package that the settings ask for is missing.
    """

    def __init__(
        self, graph: Graph, settings: Settings, topics: InputTopics | None = None,
        counters: Counters | None = None,
    ) -> None:
        self._graph = graph
        self.counters = counters if counters is not None else Counters()
        self._name = f'maven_ros: {graph.resolve("affect")}'
        self.pipeline = Pipeline(settings, live=True, counters=self.counters)
        self._reader = InputReader(settings.audio)
        self._inbox = Inbox(_LIMITS, self.counters)
        self._outputs = {topic: graph.advertise(topic, msgtype, STATE)
                         for topic, msgtype in OUTPUT_TYPES.items()}
        self._diagnostics = graph.advertise(DIAGNOSTICS_TOPIC, DIAGNOSTICS, STATE)
        self._inputs = Inputs(graph, topics or InputTopics(), self.counters, self._inbox.put)
        self.states_published = 0
        self._worst_latency_ns = 0
        self._worst_inference_s = 0.0
        self._busy_s = 0.0
        if not self.pipeline.engine.trained:
            _log.warning('%s: the weights are random; its states show that everything works, '
                         'and mean nothing', self.pipeline.engine.name)

    def run(self, stop: threading.Event) -> None:
        """Work until ``stop`` is set, then publish what is still open and return."""
        next_look = next_report = time.monotonic()
        _log.info('waiting for %s', ' and '.join(self._inputs.missing()))
        try:
            while not stop.is_set():
                now_s = time.monotonic()
                if now_s >= next_look:
                    next_look = now_s + _LOOK_S
                    self._inputs.look()
                if now_s >= next_report:
                    next_report = now_s + _REPORT_S
                    self._report()
                self._step()
        finally:
            self._inputs.close()
            self._publish(self.pipeline.finish(timeout_s=0.5))
            self.pipeline.close()
            _log.info('published %d states; %s', self.states_published,
                      ', '.join(f'{name} {n}' for name, n in self.counters.snapshot().items())
                      or 'nothing dropped')

    def _step(self) -> None:
        """Work off one message, or let time pass."""
        received = self._inbox.get(_POLL_S)
        began_s, published = time.perf_counter(), self.states_published
        if received is None:
            self._publish(self.pipeline.advance(self._graph.now_ns()))
        else:
            try:
                record = self._reader.read(received)
            except InputError as error:
                self.counters.count(received.topic, error.cause, str(error))
            else:
                if record is not None:
                    # The arrival is the pipeline's now: a backlog here is no silence there.
                    self._publish(self.pipeline.feed(record, received.received_ns))
        took_s = time.perf_counter() - began_s
        self._busy_s += took_s
        if self.states_published > published:
            self._worst_inference_s = max(self._worst_inference_s, took_s)

    def _publish(self, outputs: list[Output]) -> None:
        for output in outputs:
            try:
                self._publish_one(output)
            except GraphError as error:  # a stamp at the edge of what a message can hold
                self.counters.count('output', 'unpublishable', str(error))

    def _publish_one(self, output: Output) -> None:
        now_ns = self._graph.now_ns()
        topic, message = output_message(output, now_ns)
        self._outputs[topic].publish(message)
        if isinstance(output, AffectState):
            self.states_published += 1
            self._worst_latency_ns = max(self._worst_latency_ns, now_ns - output.window_end_ns)

    def _report(self) -> None:
        """Publish diagnostics: rates, drops by cause, lags, model."""
        arrivals, self._inputs.arrivals = self._inputs.arrivals, Counter()
        missing = self._inputs.missing()
        values = {
            'model': self.pipeline.engine.name,
            'device': self.pipeline.engine.device,
            'audio clock': self.pipeline.audio_clock,
            'states': str(self.states_published),
            'worst latency (ms)': f'{self._worst_latency_ns / 1e6:.0f}',
            'worst inference (ms)': f'{self._worst_inference_s * 1e3:.0f}',
            'busy (share)': f'{self._busy_s / _REPORT_S:.2f}',
            'speech lag (s)': f'{self.pipeline.speech.lag_s:.2f}',
            **{f'rate of {topic} (Hz)': f'{n / _REPORT_S:.1f}'
               for topic, n in dict(arrivals).items()},
            **{name: str(n) for name, n in self.counters.snapshot().items()},
        }
        self._worst_latency_ns, self._worst_inference_s, self._busy_s = 0, 0.0, 0.0
        silent = [*missing, *(stream.value for stream in self.pipeline.stopped)]
        level, text = (1, f'nothing from {", ".join(silent)}') if silent else (0, 'ok')
        self._diagnostics.publish(diagnostics_message(
            self._graph.now_ns(), self._name, level, text, values))
