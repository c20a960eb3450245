"""The affect node: camera and microphone topics in, states and utterances out."""

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
from maven_ros.graph.convert import DIAGNOSTICS, Diagnosis, diagnostics_message, image_message
from maven_ros.graph.images import IMAGE
from maven_ros.graph.interface import DRAWING, STATE, Graph
from maven_ros.graph.topics import (
    ANNOTATED_TOPIC,
    DIAGNOSTICS_TOPIC,
    OUTPUT_TYPES,
    STATE_TOPIC,
    output_message,
)
from maven_ros.intake.clock import ClockWatch
from maven_ros.intake.face_topics import FaceTopics
from maven_ros.intake.inbox import Inbox
from maven_ros.intake.inputs import Inputs, InputTopics
from maven_ros.intake.intake import Intake
from maven_ros.nodes.annotate import annotated
from maven_ros.nodes.health import ERROR, OK, WARN, Fault, Health
from maven_ros.nodes.ros4hri import Ros4Hri
from maven_ros.pipeline import Pipeline
from maven_ros.records import (
    NS,
    AffectState,
    Frame,
    Input,
    Output,
    Pixels,
    RobotSpeaking,
    Utterance,
)
from maven_ros.settings import Settings

_log = logging.getLogger('maven_ros.affect')

#: How many messages of each role may wait: a second or more of each.
_LIMITS = {'image': 30, 'audio': 500, 'audio_info': 10, 'robot_speaking': 100,
           'robot_audio': 500, 'speech': 100, 'faces': 1000}
_POLL_S = 0.05
_LOOK_S = 0.25
_REPORT_S = 1.0
#: A state older than this is drawn no more.
_SHOWN_NS = NS


class AffectNode(Closing):
    """
    The pipeline on a graph, in phases: it is made, is activated and deactivated, and is closed.

    Made, it has loaded and warmed its models. Active, it listens and publishes: callbacks only
    append to the inbox, and a thread of its own does the work. Closed, it has let go of threads,
    processes and devices.

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
        self._topics = topics or InputTopics()
        self.pipeline = Pipeline(settings, live=True, counters=self.counters)
        self._intake = Intake(settings.audio, self.counters, settings.time,
                              graph.resolve(self._topics.robot_audio))
        self._inbox = Inbox(_LIMITS, self.counters)
        self._orders: deque[Callable[[], None]] = deque()  # for the thread that works
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        #: What ended the work too early.
        self.failure: Exception | None = None
        self.states_published = 0
        self._worst_latency_ns = 0
        self._worst_inference_s = 0.0
        self._busy_s = 0.0
        if not self.pipeline.engine.trained:
            _log.warning('%s: the weights are random; its states show that everything works, '
                         'and mean nothing', self.pipeline.engine.name)

    def run(self, stop: threading.Event) -> None:
        """
        Work until ``stop`` is set, then publish what is still open, close and return.

        :raises Exception: what made the work fail.
        """
        with self:
            self.activate()
            while not stop.wait(_POLL_S) and self.failure is None:
                pass
        if self.failure is not None:
            raise self.failure

    def activate(self) -> None:
        """
        Open every topic and begin to work.

        :raises GraphError: when a topic cannot be published.
        """
        if self._thread is not None:
            return
        graph = self._graph
        self._outputs = {topic: graph.advertise(topic, msgtype, STATE)
                         for topic, msgtype in OUTPUT_TYPES.items()}
        self._diagnostics = graph.advertise(DIAGNOSTICS_TOPIC, DIAGNOSTICS, STATE)
        self._annotated = graph.advertise(ANNOTATED_TOPIC, IMAGE, DRAWING)
        self._ros4hri = Ros4Hri(graph) if self.pipeline.settings.outputs.ros4hri else None
        self._face_topics = FaceTopics(
            graph, self.counters, functools.partial(self._inbox.put, 'faces'),
            wanted=self.pipeline.settings.faces.ros4hri)
        self._clock = ClockWatch(self.counters)
        unused = self.pipeline.settings.unused_inputs()
        self._inputs = Inputs(
            graph, {role: topic for role, topic in vars(self._topics).items()
                    if role not in unused}, self.counters, self._inbox.put)
        self._health = Health(self._name, self.counters, self._intake, self._inputs)
        self._newest: dict[str, AffectState] = {}  # by person
        self._stop.clear()
        _log.info('waiting for %s', ' and '.join(self._inputs.awaited()))
        self._thread = threading.Thread(target=self._work, name='affect', daemon=True)
        self._thread.start()

    def deactivate(self) -> None:
        """Stop to listen, publish what is still open, and withdraw from every topic."""
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
            # From here on nobody hears when the robot ends.
            self._publish(self.pipeline.feed(RobotSpeaking(self._graph.now_ns(), False)))
            self._publish(self.pipeline.finish(timeout_s=0.5))
        self._publish(self.pipeline.reset())
        for publisher in (*self._outputs.values(), self._diagnostics, self._annotated):
            publisher.close()
        if self._ros4hri is not None:
            self._ros4hri.close()
        _log.info('published %d states; %s', self.states_published, self.counters.summary())

    def close(self) -> None:
        """Deactivate, and let go of models, processes and devices."""
        try:
            self.deactivate()
        finally:
            self.pipeline.close()

    def change(self, settings: Settings) -> None:
        """
        Go on with other settings, from the next window on.

        :raises SettingsError: for a change that only a new node can make.
        """
        self.pipeline.settings.check_change(settings)
        self._orders.append(lambda: self.pipeline.change(settings))

    def reset(self) -> None:
        """Forget all evidence, and what has arrived and waits."""
        self._inbox.clear()
        self._orders.append(self._intake.reset)
        self._orders.append(lambda: self._publish(self.pipeline.reset()))

    def reset_baselines(self) -> None:
        """Take everybody's rest for neutral again; all else goes on."""
        self._orders.append(self.pipeline.reset_baselines)

    # --- on the thread that works ------------------------------------------------------------

    def _work(self) -> None:
        try:
            self.pipeline.engine.adopt_thread()
            self._loop()
        except Exception as error:  # whatever it is, who waits for this thread must know
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
                self._stop.wait(_POLL_S)  # what arrives meanwhile waits in the inbox

    def _step(self) -> None:
        """Work off one message, or let time pass."""
        clock_ns = self._graph.now_ns()  # what has arrived by then is here when the wait is over
        received = self._inbox.get(_POLL_S)
        began_s, published = time.perf_counter(), self.states_published
        if received is None:
            self._publish(self.pipeline.advance(self._intake.pass_time(clock_ns)))
        else:
            for record in self._intake.take(received, clock_ns):
                # The arrival is the pipeline's now: a backlog here is no silence there.
                self._feed(record, self._intake.now_ns)
            self._face_topics.follow(self._intake.faces.listed)
        took_s = time.perf_counter() - began_s
        self._busy_s += took_s
        if self.states_published > published:
            self._worst_inference_s = max(self._worst_inference_s, took_s)

    def _feed(self, record: Input, now_ns: int) -> None:
        if not isinstance(record, Frame) or not self._annotated.subscription_count():
            self._publish(self.pipeline.feed(record, now_ns))
            return
        looked: list[None] = []  # the pipeline thins frames: only those that it looks at are drawn
        decode = functools.cache(record.decode)

        def look() -> Pixels:
            looked.append(None)
            return decode()

        self._publish(self.pipeline.feed(replace(record, decode=look), now_ns))
        if looked:
            self._draw(replace(record, decode=decode))

    def _draw(self, frame: Frame) -> None:
        try:
            pixels = frame.decode()
        except InputError:  # counted already
            return
        shown = [state for state in self._newest.values()
                 if abs(frame.stamp_ns - state.window_end_ns) < _SHOWN_NS]
        self._annotated.publish(
            image_message(frame.stamp_ns, annotated(pixels, shown), frame.frame_id))

    def _publish(self, outputs: list[Output]) -> None:
        for output in outputs:
            try:
                self._publish_one(output)
            except GraphError as error:  # a stamp at the edge of what a message can hold
                self.counters.count('output', 'unpublishable', str(error))

    def _publish_one(self, output: Output) -> None:
        # On the stamps' clock, where that is another.
        now_ns = self._graph.now_ns() - self._intake.stamps.skew_ns
        topic, message = output_message(output, now_ns)
        self._outputs[topic].publish(message)
        if isinstance(output, AffectState):
            self.states_published += 1
            self._worst_latency_ns = max(self._worst_latency_ns, now_ns - output.window_end_ns)
            self._newest = {person_id: state for person_id, state in self._newest.items()
                            if abs(output.window_end_ns - state.window_end_ns) < _SHOWN_NS}
            self._newest[output.person_id] = output
            if self._ros4hri is not None:
                self._ros4hri.publish_state(output)
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
        text = '; '.join(one.text for one in faults) or (
            f'waiting for {" and ".join(awaited)}' if awaited else 'ok')
        level = max((one.level for one in faults), default=OK)
        self._diagnostics.publish(diagnostics_message(
            self._graph.now_ns(), Diagnosis(self._name, level, text, values), *statuses))

    def _own_faults(self) -> list[Fault]:
        """Say what is wrong with the clock, the recogniser and the topics of the states."""
        faults = []
        clock = self._clock.fault()
        if clock:
            faults.append(Fault(ERROR, 'clock', clock))
        no_model = self.counters.detail('speech', 'no_model')
        if no_model:
            faults.append(Fault(WARN, 'speech no_model', no_model))
        topic = self._outputs[STATE_TOPIC].topic
        speakers = self._graph.publisher_count(topic)
        if speakers > 1:
            faults.append(Fault(WARN, 'speakers', f'{speakers} nodes publish {topic}: another '
                                'affect node has this name or namespace, too'))
        return faults
