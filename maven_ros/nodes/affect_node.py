"""The affect node: it turns camera and microphone topics into states, events and utterances."""

from __future__ import annotations

import functools
import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import replace

from maven_ros.closing import Closing
from maven_ros.counters import Counters
from maven_ros.errors import GraphError, InputError
from maven_ros.graph.convert import DIAGNOSTICS, diagnostics_message, image_message
from maven_ros.graph.images import IMAGE
from maven_ros.graph.interface import DRAWING, STATE, Graph
from maven_ros.graph.topics import (
    ANNOTATED_TOPIC,
    DIAGNOSTICS_TOPIC,
    OUTPUT_TYPES,
    STATE_TOPIC,
    diagnosis_name,
    output_message,
)
from maven_ros.intake.clock import ClockWatch
from maven_ros.intake.face_topics import FaceTopics
from maven_ros.intake.inbox import Inbox
from maven_ros.intake.inputs import Inputs, InputTopics
from maven_ros.intake.intake import Intake
from maven_ros.nodes.annotate import annotated
from maven_ros.nodes.health import ERROR, WARN, Fault, Health, diagnosis
from maven_ros.nodes.recall import Recall
from maven_ros.nodes.ros4hri import Ros4Hri
from maven_ros.pipeline import Pipeline
from maven_ros.records import (
    NS,
    AffectState,
    Attention,
    Frame,
    Input,
    Output,
    Pixels,
    RobotSpeaking,
    Utterance,
)
from maven_ros.settings import Settings

_log = logging.getLogger('maven_ros.affect')

#: Largest number of waiting messages by role: a second or more of each.
_LIMITS = {'image': 30, 'camera_info': 100, 'audio': 500, 'audio_info': 10,
           'robot_speaking': 100, 'robot_audio': 500, 'speech': 100, 'faces': 1000}
_POLL_S = 0.05
_LOOK_S = 0.25
_REPORT_S = 1.0
#: An older state is no longer drawn.
_SHOWN_NS = NS


class AffectNode(Closing):
    """
    The pipeline on a graph. The node is created, activated, deactivated, and closed.

    Creation loads and warms up the models. While active, the node subscribes and publishes:
    callbacks only append to the inbox, and its own thread does the work. ``close`` releases
    threads and models.

    :param graph: any transport; the caller closes it.
    :param topics: names of the input topics.
    :param counters: shared with the graph, so that lost messages are also published.
    :raises ResourceError: if a model or package that the settings need is missing.
    """

    def __init__(
        self, graph: Graph, settings: Settings, topics: InputTopics | None = None,
        counters: Counters | None = None,
    ) -> None:
        self._graph = graph
        self.counters = counters if counters is not None else Counters()
        self._name = diagnosis_name(graph)
        self._topics = topics or InputTopics()
        self.pipeline = Pipeline(settings, live=True, counters=self.counters)
        self._intake = Intake(settings.audio, self.counters, settings.time,
                              graph.resolve(self._topics.robot_audio))
        self._inbox = Inbox(_LIMITS, self.counters)
        self._recall = Recall(settings)
        self._orders: deque[Callable[[], None]] = deque()  # for the working thread
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        #: The error that ended the work.
        self.failure: Exception | None = None
        self.states_published = 0
        self._worst_latency_ns = 0
        self._worst_inference_s = 0.0
        self._busy_s = 0.0
        if not self.pipeline.engine.trained:
            _log.warning('%s: the weights are random; its states show that the node works, but '
                         'have no meaning', self.pipeline.engine.name)

    def run(self, stop: threading.Event) -> None:
        """
        Work until ``stop`` is set, then publish the last outputs and close.

        :raises Exception: the error that ended the work.
        """
        with self:
            self.activate()
            while not stop.wait(_POLL_S) and self.failure is None:
                pass
        if self.failure is not None:
            raise self.failure

    def activate(self) -> None:
        """
        Open all topics and start to work.

        :raises GraphError: if a topic cannot be published.
        """
        if self._thread is not None:
            return
        graph = self._graph
        self._outputs = {topic: graph.advertise(topic, msgtype, STATE)
                         for topic, msgtype in OUTPUT_TYPES.items()}
        self._diagnostics = graph.advertise(DIAGNOSTICS_TOPIC, DIAGNOSTICS, STATE)
        self._annotated = graph.advertise(ANNOTATED_TOPIC, IMAGE, DRAWING)
        self._service = self._recall.open(graph)
        self._ros4hri = Ros4Hri(graph) if self.pipeline.settings.outputs.ros4hri else None
        self._face_topics = FaceTopics(
            graph, self.counters, functools.partial(self._inbox.put, 'faces'),
            wanted=self.pipeline.settings.faces.ros4hri,
            own=lambda: 0 if self._ros4hri is None else self._ros4hri.faces.lists)
        self._clock = ClockWatch(self.counters)
        unused = self.pipeline.settings.unused_inputs()
        self._inputs = Inputs(
            graph, {role: topic for role, topic in vars(self._topics).items()
                    if role not in unused}, self.counters, self._inbox.put)
        self._health = Health(self._name, self.counters, self._intake, self._inputs)
        self._newest: dict[str, AffectState] = {}  # by person
        self._attentions: dict[str, Attention] = {}  # likewise
        self._stop.clear()
        _log.info('waiting for %s', ' and '.join(self._inputs.awaited()))
        self._thread = threading.Thread(target=self._work, name='affect', daemon=True)
        self._thread.start()

    def deactivate(self) -> None:
        """Stop listening, publish the last outputs, and close all topics."""
        if self._thread is None:
            return
        self._stop.set()
        self._thread.join()
        self._thread = None
        self._inputs.close()
        self._face_topics.close()
        self._inbox.clear()
        self._intake.reset()
        if self.failure is None:
            # The node will not receive the end of the robot's speech.
            self._publish(self.pipeline.feed(RobotSpeaking(self._graph.now_ns(), False)))
            self._publish(self.pipeline.finish(timeout_s=0.5))
        self._publish(self.pipeline.reset())
        self._service.close()
        self._recall.clear()
        for publisher in (*self._outputs.values(), self._diagnostics, self._annotated):
            publisher.close()
        if self._ros4hri is not None:
            self._ros4hri.close()
        _log.info('published %d states; %s', self.states_published, self.counters.summary())

    def close(self) -> None:
        """Deactivate, and release the models and their resources."""
        try:
            self.deactivate()
        finally:
            self.pipeline.close()

    def change(self, settings: Settings) -> None:
        """
        Change the settings, from the next window.

        :raises SettingsError: for a change that needs a new node.
        """
        self.pipeline.settings.check_change(settings)
        self._orders.append(lambda: self.pipeline.change(settings))
        self._recall.change(settings)

    def reset(self) -> None:
        """Forget all evidence and all waiting messages."""
        self._inbox.clear()
        self._orders.append(self._intake.reset)
        self._orders.append(lambda: self._publish(self.pipeline.reset()))
        self._orders.append(self._recall.clear)

    def reset_baselines(self) -> None:
        """Forget the personal baselines of all people."""
        self._orders.append(self.pipeline.reset_baselines)

    # --- on the working thread ---------------------------------------------------------------

    def _work(self) -> None:
        try:
            self.pipeline.engine.adopt_thread()
            self._loop()
        except Exception as error:  # any error must reach the thread that waits for this one
            self.failure = error
            _log.error('the work has failed: %s', error, exc_info=True)

    def _loop(self) -> None:
        next_look = next_report = time.monotonic()
        while not self._stop.is_set():
            now_s = time.monotonic()
            if now_s >= next_look:
                next_look = now_s + _LOOK_S
                self._inputs.look()
                self._face_topics.look()
                if self._ros4hri is not None:
                    self._ros4hri.look(now_s, self._graph.now_ns(), self.pipeline.voiced)
            if now_s >= next_report:
                next_report = now_s + _REPORT_S
                self._report()
            while self._orders:
                self._orders.popleft()()
            begun = self._clock.look(self._graph.now_ns())
            self._inbox.cause = 'overflow' if begun else 'no_clock'
            if begun:
                self._step()
            else:
                self._stop.wait(_POLL_S)  # messages wait in the inbox

    def _step(self) -> None:
        """Process one message, or let time pass."""
        clock_ns = self._graph.now_ns()  # messages up to this time arrive during the wait
        received = self._inbox.get(_POLL_S)
        began_s, published = time.perf_counter(), self.states_published
        if received is None:
            self._publish(self.pipeline.advance(self._intake.pass_time(clock_ns)))
        else:
            for record in self._intake.take(received, clock_ns):
                # The pipeline's time is that of arrival, so a backlog does not look like silence.
                self._feed(record, self._intake.now_ns)
                self._show_faces()
            self._face_topics.follow(self._intake.faces.listed)
        took_s = time.perf_counter() - began_s
        self._busy_s += took_s
        if self.states_published > published:
            self._worst_inference_s = max(self._worst_inference_s, took_s)

    def _feed(self, record: Input, now_ns: int) -> None:
        if not isinstance(record, Frame) or not self._annotated.subscription_count():
            self._publish(self.pipeline.feed(record, now_ns))
            return
        looked: list[None] = []  # only frames that the pipeline uses are drawn
        decode = functools.cache(record.decode)

        def look() -> Pixels:
            looked.append(None)
            return decode()

        self._publish(self.pipeline.feed(replace(record, decode=look), now_ns))
        if looked:
            self._draw(replace(record, decode=decode))

    def _show_faces(self) -> None:
        """Publish the faces of a new frame for ROS4HRI."""
        seen, self.pipeline.seen = self.pipeline.seen, None
        if seen is not None and self._ros4hri is not None:
            self._ros4hri.publish_faces(seen)

    def _draw(self, frame: Frame) -> None:
        try:
            pixels = frame.decode()
        except InputError:  # the pipeline has counted it
            return
        shown = [state for state in self._newest.values()
                 if abs(frame.stamp_ns - state.window_end_ns) < _SHOWN_NS]
        self._annotated.publish(
            image_message(frame.stamp_ns, annotated(pixels, shown, self._attentions),
                          frame.frame_id))

    def _publish(self, outputs: list[Output]) -> None:
        for output in outputs:
            try:
                self._publish_one(output)
            except GraphError as error:  # a stamp beyond the range of messages
                self.counters.count('output', 'unpublishable', str(error))

    def _publish_one(self, output: Output) -> None:
        # The time on the stamps' clock, which may differ from the graph's.
        now_ns = self._graph.now_ns() - self._intake.stamps.skew_ns
        topic, message = output_message(output, now_ns)
        self._outputs[topic].publish(message)
        self._recall.take(output, message)
        if isinstance(output, AffectState):
            self.states_published += 1
            self._worst_latency_ns = max(self._worst_latency_ns, now_ns - output.window_end_ns)
            self._newest = {person_id: state for person_id, state in self._newest.items()
                            if abs(output.window_end_ns - state.window_end_ns) < _SHOWN_NS}
            self._newest[output.person_id] = output
            if self._ros4hri is not None:
                self._ros4hri.publish_state(output)
        elif isinstance(output, Attention):
            self._attentions = {person_id: one for person_id, one in self._attentions.items()
                                if person_id in self._newest}
            self._attentions[output.person_id] = output
            if self._ros4hri is not None:
                self._ros4hri.publish_attention(output)
        elif isinstance(output, Utterance) and self._ros4hri is not None:
            self._ros4hri.publish_utterance(output)

    def _report(self) -> None:
        """Publish diagnostics: rates, drops by cause, lags, model."""
        arrivals, self._inputs.arrivals = self._inputs.arrivals, Counter()
        rates = {topic: n / _REPORT_S for topic, n in dict(arrivals).items()}
        values = {
            'model': self.pipeline.engine.name,
            'without': ', '.join(sorted(self.pipeline.settings.unused_inputs())) or 'nothing',
            'device': self.pipeline.engine.device,
            'faces': 'tracked' if self._intake.faces.used else 'detected',
            'audio clock': self.pipeline.audio_clock,
            'states': str(self.states_published),
            'worst latency (ms)': f'{self._worst_latency_ns / 1e6:.0f}',
            'worst inference (ms)': f'{self._worst_inference_s * 1e3:.0f}',
            'busy (share)': f'{self._busy_s / _REPORT_S:.2f}',
            'speech lag (s)': f'{self.pipeline.speech.lag_s:.2f}',
            **{f'rate of {topic} (Hz)': f'{rate:.1f}' for topic, rate in rates.items()},
            **{name: str(n) for name, n in self.counters.snapshot().items()},
        }
        self._worst_latency_ns, self._worst_inference_s, self._busy_s = 0, 0.0, 0.0
        faults, statuses = self._health.look(
            self._own_faults(), self.states_published, self.pipeline.stopped, rates)
        awaited = self._inputs.awaited()
        otherwise = f'waiting for {" and ".join(awaited)}' if awaited else 'ok'
        self._diagnostics.publish(diagnostics_message(
            self._graph.now_ns(), diagnosis(self._name, faults, otherwise, values), *statuses))

    def _own_faults(self) -> list[Fault]:
        """Return the faults of the clock, the recogniser and the state topic."""
        faults = []
        clock = self._clock.fault()
        if clock:
            faults.append(Fault(ERROR, 'clock', clock))
        no_model = self.counters.detail('speech', 'no_model')
        if no_model:
            faults.append(Fault(WARN, 'speech no_model', no_model, logged=True))
        topic = self._outputs[STATE_TOPIC].topic
        speakers = self._graph.publisher_count(topic)
        if speakers > 1:
            faults.append(Fault(WARN, 'speakers', f'{speakers} nodes publish {topic}: another '
                                'affect node has this name or namespace, too'))
        return faults
