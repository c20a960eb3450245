"""What the affect node listens to: topics that appear, stop and come back."""

from __future__ import annotations

import functools
import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from maven_ros.closing import Closing
from maven_ros.counters import Counters
from maven_ros.errors import GraphError
from maven_ros.graph.interface import (
    IMAGE_INPUT,
    INPUT,
    LATCHED,
    SOUND_INPUT,
    Graph,
    Received,
    Subscription,
)
from maven_ros.graph.topics import (
    AUDIO_TOPIC,
    IMAGE_TOPIC,
    ROBOT_AUDIO_TOPIC,
    ROBOT_SPEAKING_TOPIC,
    SPEECH_TOPIC,
    camera_info_topic,
    info_topic,
)
from maven_ros.intake.input_reader import INPUT_TYPES

_log = logging.getLogger('maven_ros.affect')

_QOS = {'image': IMAGE_INPUT, 'audio': SOUND_INPUT, 'robot_audio': SOUND_INPUT}
_DEVICES = ('image', 'audio')
#: A camera or microphone that gives nothing for so long is missed.
SILENT_S = 5.0


@dataclass(frozen=True)
class InputTopics:
    """Where each input comes from; relative to the namespace unless absolute."""

    image: str = IMAGE_TOPIC
    audio: str = AUDIO_TOPIC
    robot_speaking: str = ROBOT_SPEAKING_TOPIC
    robot_audio: str = ROBOT_AUDIO_TOPIC
    speech: str = SPEECH_TOPIC


class Inputs(Closing):
    """
    The subscriptions of a node, opened as their topics appear.

    A topic's type is what its publisher says; one that is not understood is refused by name.

    :param topics: name by role; roles are those of :class:`InputTopics`.
    :param put: called with role and message from the transport's thread.
    """

    def __init__(
        self, graph: Graph, topics: Mapping[str, str], counters: Counters,
        put: Callable[[str, Received], None],
    ) -> None:
        self._graph = graph
        self._topics = {role: graph.resolve(topic) for role, topic in topics.items()}
        if 'audio' in self._topics:
            self._topics['audio_info'] = info_topic(self._topics['audio'])
        if 'image' in self._topics:
            self._topics['camera_info'] = camera_info_topic(self._topics['image'])
        self._counters = counters
        self._put = put
        self._open: dict[str, Subscription] = {}
        self._latched: Subscription | None = None  # beside that of the AudioInfo
        self._refused: dict[str, str] = {}  # topics, and why
        self._heard_s = dict.fromkeys(self._topics, time.monotonic())
        self.arrivals: Counter[str] = Counter()  # messages since the last report, by topic

    def look(self) -> None:
        """
        Subscribe to the topics that somebody publishes since the last look.

        A subscription stays while its topic and type are published, and makes way for another.
        """
        known = self._graph.topics()
        for role, topic in self._topics.items():
            current = self._open.get(role)
            if current is not None and known.get(current.topic) == current.msgtype \
                    and current.publisher_count():
                continue
            # image_transport publishes JPEG beside the pictures
            for candidate in (topic, f'{topic}/compressed') if role == 'image' else (topic,):
                msgtype = self._published(candidate, known)
                if msgtype is not None:
                    self._take(role, candidate, msgtype)
                    break

        self._look_back()

    def _look_back(self) -> None:
        """Ask for the AudioInfo that was said once, before there was anybody to hear it."""
        now = self._open.get('audio_info')
        latched = now is not None and self._graph.latched(now.topic)
        if self._latched is not None and not latched:
            self._latched.close()
            self._latched = None
        elif self._latched is None and latched and now is not None:
            self._latched = self._graph.subscribe(
                now.topic, now.msgtype, LATCHED, functools.partial(self._put, 'audio_info'))

    def _published(self, topic: str, known: Mapping[str, str]) -> str | None:
        """Return the type of a topic; None where nobody publishes it."""
        return known[topic] if topic in known and self._graph.publisher_count(topic) else None

    def _take(self, role: str, topic: str, msgtype: str) -> None:
        if msgtype not in INPUT_TYPES[role]:
            self._refuse(role, topic, 'wrong_type', f'{topic} is {msgtype}; understood: '
                                                    f'{", ".join(INPUT_TYPES[role])}')
            return
        if role in self._open:
            self._open.pop(role).close()
        try:
            self._listen(role, topic, msgtype)
        except GraphError as error:  # its package is missing, say: that costs this input
            self._refuse(role, topic, 'unusable', str(error))

    def _refuse(self, role: str, topic: str, cause: str, why: str) -> None:
        if self._refused.get(topic) != why:
            self._refused[topic] = why
            self._counters.count(role, cause, why)

    def _listen(self, role: str, topic: str, msgtype: str) -> None:
        def arrived(received: Received) -> None:
            self.arrivals[topic] += 1
            self._heard_s[role] = time.monotonic()
            self._put(role, received)

        qos = _QOS.get(role, INPUT)
        self._open[role] = self._graph.subscribe(topic, msgtype, qos, arrived)
        self._refused.pop(topic, None)
        _log.info('listening to %s (%s)', topic, msgtype)

    def awaited(self) -> list[str]:
        """Return the camera and microphone topics that have not appeared."""
        return [topic for role, topic in self.devices().items() if role not in self._open]

    def devices(self) -> dict[str, str]:
        """Return the topic of the camera and of the microphone, by role, where they are used."""
        return {role: self.topic(role) for role in _DEVICES if role in self._topics}

    def topic(self, role: str) -> str:
        """Return the topic that is listened to for a role, or waited for."""
        return self._open[role].topic if role in self._open else self._topics[role]

    def publishers(self, role: str) -> int:
        """Return how many publish what a role listens to."""
        return self._graph.publisher_count(self.topic(role))

    def missed(self, role: str) -> str:
        """Say that nothing comes for a role, and why, as far as is known; empty while it does."""
        topic = self.topic(role)
        silent_s, why = time.monotonic() - self._heard_s[role], self._refused.get(topic, '')
        if silent_s < SILENT_S and not why:
            return ''
        publishers = self.publishers(role)
        return (f'nothing from {topic} for {silent_s:.0f} s ({publishers} '
                f'publisher{"" if publishers == 1 else "s"}{f"; {why}" if why else ""})')

    def close(self) -> None:
        """Close every subscription."""
        for subscription in self._open.values():
            subscription.close()
        self._open.clear()
        if self._latched is not None:
            self._latched.close()
            self._latched = None
