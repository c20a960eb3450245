"""Record the topics of a graph into a bag."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Collection, Sequence
from contextlib import closing, suppress
from dataclasses import replace

from maven_ros.counters import Counters
from maven_ros.errors import CannotWrite, GraphError, InputError, ResourceError
from maven_ros.graph.bag.bag_graph import BagGraph, BagPublisher
from maven_ros.graph.convert import DIAGNOSTICS, diagnostics_message
from maven_ros.graph.images import COMPRESSED_IMAGE, IMAGE, compressed_message, read_image
from maven_ros.graph.interface import (
    STATE,
    Graph,
    Publisher,
    Qos,
    Received,
    Reliability,
    Subscription,
)
from maven_ros.graph.messages import from_cdr, to_cdr, types
from maven_ros.graph.topics import DIAGNOSTICS_TOPIC, diagnosis_name, is_echo
from maven_ros.intake.inbox import Inbox
from maven_ros.nodes.health import ERROR, LOOKS_BACK, Fault, diagnosis, grown
from maven_ros.text import shown

_log = logging.getLogger('maven_ros.recorder')

#: A deep queue, because a disk may stall for a second.
_QOS = Qos(Reliability.AS_OFFERED, 200)
_LOOK_S = 0.2
_SECURE_S = 1.0  # most data that a kill or a full disk may lose


class Recorder:
    """
    Write messages into a bag, with their times of arrival, and report on ``/diagnostics``.

    While the disk is full, messages are lost and counted; when there is room, recording goes on.

    :param graph: the graph to record.
    :param bag: open for writing; the caller closes it.
    :param topics: full names; if empty, all topics of known types, except the affect node's
        annotated pictures and ROS4HRI outputs.
    :param jpeg: whether raw pictures of colour or grey are recorded as JPEG, on
        ``TOPIC/compressed``; other pictures stay as they are.
    :param counters: shared with the graph, so that lost messages are counted together.
    """

    def __init__(
        self, graph: Graph, bag: BagGraph, topics: Collection[str] = (),
        counters: Counters | None = None, jpeg: bool = False,
    ) -> None:
        self._graph = graph
        self._bag = bag
        self._wanted = {graph.resolve(topic) for topic in topics}
        self._jpeg = jpeg
        self.counters = counters if counters is not None else Counters()
        self._inbox = Inbox({'recorder': 500}, self.counters)
        self._heard: dict[str, Subscription] = {}
        self._writers: dict[str, BagPublisher] = {}
        self._ignored: set[str] = set()
        self._written = 0
        self._full = ''  # why the bag cannot be written
        self._waits = False  # until it is tried again
        self._written_then, self._undone = 0, 0
        self._looks = deque([self.counters.counts()], maxlen=LOOKS_BACK + 1)

    def run(self, stop: threading.Event) -> int:
        """
        Record until ``stop`` is set, then write the waiting messages; secure the bag each second.

        :returns: number of written messages.
        :raises ResourceError: if the bag cannot be written, for another reason than a full disk;
            ``/diagnostics`` has it, too.
        """
        with closing(self._graph.advertise(DIAGNOSTICS_TOPIC, DIAGNOSTICS, STATE)) as diagnostics:
            try:
                self._record(stop, diagnostics)
            except ResourceError as error:
                self._report(diagnostics, [Fault(ERROR, 'bag', str(error))])
                raise
        return self._written

    def _record(self, stop: threading.Event, diagnostics: Publisher) -> None:
        due_s = time.monotonic() + _SECURE_S
        try:
            while not stop.is_set():
                self._look()
                self._write(_LOOK_S, stop)
                if time.monotonic() >= due_s:
                    self._secure()
                    self._report(diagnostics, [Fault(ERROR, 'bag', self._full)] * bool(self._full))
                    due_s = time.monotonic() + _SECURE_S
        finally:
            for subscription in self._heard.values():
                subscription.close()
            self._write(0.0)

    def _secure(self) -> None:
        """Secure the bag; from here on, one that was full is written again."""
        self._waits = False
        try:
            self._bag.secure()
        except CannotWrite as error:
            self._stall(error)
            return
        if self._full and self._written > self._written_then:
            _log.warning('%s: can be written again; recording goes on', shown(self._bag.path))
            self._full = ''

    def _stall(self, error: CannotWrite) -> None:
        """Write nothing for a moment, since there is no room."""
        self._waits = True
        undone, self._undone = self._bag.undone - self._undone, self._bag.undone
        self._written -= undone
        self._written_then = self._written
        if not self._full:
            self._full = f'{error}; what arrives is lost until there is room'
            _log.error('%s', self._full)
        if undone:
            self._lose(undone)

    def _lose(self, count: int = 1) -> None:
        self.counters.count('recorder', 'no_room', self._full, n=count)

    def _report(self, diagnostics: Publisher, faults: Sequence[Fault] = ()) -> None:
        """Publish what was lost in the last seconds, by cause, and what was written."""
        self._looks.append(self.counters.counts())
        lost = (grown(self.counters, self._looks[0], self._looks[-1], *kind)
                for kind in self._looks[-1])
        diagnostics.publish(diagnostics_message(self._graph.now_ns(), diagnosis(
            diagnosis_name(self._graph, 'recorder'), [*faults, *filter(None, lost)], 'ok',
            {'bag': shown(self._bag.path), 'messages': str(self._written),
             **{name: str(n) for name, n in self.counters.snapshot().items()}})))

    def _look(self) -> None:
        """Subscribe to new topics."""
        for topic, msgtype in self._graph.topics().items():
            if topic in self._heard or topic in self._ignored:
                continue
            # A subscription to the annotated pictures would make the node draw them.
            wanted = topic in self._wanted if self._wanted else not is_echo(topic)
            if not wanted:
                continue
            if msgtype not in types():
                self._ignored.add(topic)
                self.counters.count('recorder', 'unknown_type',
                                    f'{topic} is {msgtype}, whose definition is not known here')
                continue
            self._heard[topic] = self._graph.subscribe(topic, msgtype, _QOS, self._arrived)
            if not (self._jpeg and msgtype == IMAGE):
                try:
                    self._writer(topic, topic, msgtype)  # also of a topic that says nothing
                except CannotWrite as error:
                    self._stall(error)
            _log.info('recording %s (%s)', topic, msgtype)

    def _arrived(self, received: Received) -> None:
        self._inbox.put('recorder', received)

    def _writer(self, topic: str, heard: str, msgtype: str) -> BagPublisher:
        if topic not in self._writers:
            self._writers[topic] = self._bag.advertise(
                topic, msgtype, replace(_QOS, reliability=self._heard[heard].reliability))
        return self._writers[topic]

    def _keep(self, received: Received) -> None:
        topic, msgtype, cdr = received.topic, received.msgtype, received.cdr
        if self._jpeg and msgtype == IMAGE:
            with suppress(InputError, GraphError):  # such as depth: it is recorded as it is
                frame = read_image(from_cdr(cdr, msgtype))
                cdr = to_cdr(compressed_message(frame.stamp_ns, frame.decode(), frame.frame_id),
                             COMPRESSED_IMAGE)
                topic, msgtype = f'{topic}/compressed', COMPRESSED_IMAGE
        self._writer(topic, received.topic, msgtype).publish_cdr(cdr, received.received_ns)

    def _write(self, wait_s: float, stop: threading.Event | None = None) -> None:
        """Write all messages that arrive within the time; ``stop`` ends it early."""
        until_s = time.monotonic() + _LOOK_S
        while (received := self._inbox.get(wait_s)) is not None:
            if not self._waits:
                try:
                    self._keep(received)
                    self._written += 1
                except CannotWrite as error:
                    self._stall(error)
            if self._waits:
                self._lose()
            wait_s = 0.0
            if stop is not None and (stop.is_set() or time.monotonic() > until_s):
                break  # messages arrive faster than they are written; do the other work, too
