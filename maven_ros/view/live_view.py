"""The live view: an ordinary subscriber; no node waits for it."""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path

from maven_ros.closing import Closing
from maven_ros.counters import Counters
from maven_ros.graph.interface import Graph, Qos, Received, Reliability
from maven_ros.graph.topics import AUDIO_TOPIC, IMAGE_TOPIC
from maven_ros.intake.inbox import Inbox
from maven_ros.intake.inputs import Inputs
from maven_ros.view import DEFAULT_PORT
from maven_ros.view.reader import TYPES, Reader
from maven_ros.view.recording import Recording
from maven_ros.view.screen import Screen

_log = logging.getLogger('maven_ros.view')

_QOS = Qos(Reliability.AS_OFFERED, 50)
_LIMITS = {'image': 5, 'camera_info': 50, 'audio': 200, 'audio_info': 10, 'output': 200}
_POLL_S = 0.1
_LOOK_S = 0.25


class View(Closing):
    """
    Draw the messages of a graph.

    :param graph: any transport; the caller closes it.
    :param screen: draws them.
    :param counters: shared with the graph, so that lost messages are counted together.
    """

    def __init__(
        self, graph: Graph, screen: Screen, counters: Counters,
        image_topic: str = IMAGE_TOPIC, audio_topic: str = AUDIO_TOPIC,
    ) -> None:
        self._inbox = Inbox(_LIMITS, counters)
        self._reader = Reader(graph, screen, counters)
        self._inputs = Inputs(graph, {'image': image_topic, 'audio': audio_topic}, counters,
                              self._inbox.put)
        self._subscriptions = [graph.subscribe(topic, msgtype, _QOS, self._heard)
                               for topic, msgtype in TYPES.items()]
        self._next_look_s = 0.0

    def step(self, timeout_s: float) -> None:
        """Draw one message, or wait for one; look for new cameras and microphones regularly."""
        now_s = time.monotonic()
        if now_s >= self._next_look_s:
            self._next_look_s = now_s + _LOOK_S
            self._inputs.look()
        received = self._inbox.get(timeout_s)
        if received is not None:
            self._reader.take(received)

    def close(self) -> None:
        """Close every subscription."""
        self._inputs.close()
        for one in self._subscriptions:
            one.close()
        self._subscriptions = []

    def _heard(self, received: Received) -> None:
        self._inbox.put('output', received)


def run_view(
    graph: Graph, counters: Counters, stop: threading.Event, port: int = DEFAULT_PORT,
    save: Path | None = None, image_topic: str = IMAGE_TOPIC, audio_topic: str = AUDIO_TOPIC,
) -> None:
    """
    Show the messages of a graph until ``stop`` is set.

    The viewer belongs to the calling thread and ends with it.

    :param counters: shared with the graph.
    :raises ResourceError: as :class:`Recording`, and if the viewer ends by itself.
    """
    with Recording(True, port, save) as recording, \
            View(graph, recording.screen, counters, image_topic, audio_topic) as view:
        recording.announce()
        while not stop.is_set():
            view.step(_POLL_S)
            recording.check()
    _log.info('closed; %s', counters.summary())
