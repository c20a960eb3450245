"""Plays a media file onto the graph as a camera and a microphone would give it."""

from __future__ import annotations

import logging
import math
import threading
import time
from contextlib import closing
from dataclasses import dataclass
from os import PathLike
from typing import cast

from maven_ros.counters import Counters
from maven_ros.devices.media import MediaReader, Record, available_ns
from maven_ros.errors import InputError, SettingsError
from maven_ros.graph.convert import audio_message, compressed_message, image_message
from maven_ros.graph.interface import IMAGE_SOURCE, SOUND_SOURCE, Graph, Publisher
from maven_ros.graph.topics import AUDIO_TOPIC, IMAGE_TOPIC
from maven_ros.records import NS, AudioChunk, Frame, Pixels, seconds

SETTLE_S = 0.3  # a subscriber that we know of may not know us yet
REMIND_S = 5.0
LATE_NS = 100_000_000

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PlayerReport:
    """
    What was played.

    :param duration_ns: of media time.
    """

    frames: int
    chunks: int
    duration_ns: int


class Player:
    """
    Publishes a file's pictures (sensor_msgs/msg/Image) and sound (maven_ros/msg/AudioChunk).

    A picture goes out at its stamp, a chunk when its last sample is past. Stamps are the graph's
    time at the start plus media time *at every rate*: pictures, sound and the sound's own sample
    clock stay consistent, as in ``ros2 bag play --rate``. So above a rate of 1 stamps run ahead
    of the graph's time. A player that falls behind publishes late, counted, with the same stamps.

    :param graph: where to publish.
    :param path: the media file.
    :param image_topic: with ``compressed``, ``/compressed`` is appended as image_transport does.
    :param rate: media seconds a second; 0 for as fast as possible.
    :param loop: how often; 0 for ever.
    :param subscribers: starts once each topic has so many; 0 starts at once.
    :param width: pictures are reduced to so many pixels; 0 leaves them as they are.
    :param compressed: publish JPEG (sensor_msgs/msg/CompressedImage).
    :param video_stream: number of the stream, from 1; 0 for the file's own choice.
    :param audio_stream: likewise.
    :param counters: takes what is late or unusable, under ``'player'`` and ``'media'``.
    :raises ResourceError: when the file is missing or unusable.
    :raises SettingsError: for a value out of range.
    """

    def __init__(
        self, graph: Graph, path: str | PathLike[str], *,
        image_topic: str = IMAGE_TOPIC, audio_topic: str = AUDIO_TOPIC, rate: float = 1.0,
        loop: int = 1, subscribers: int = 1, width: int = 0,
        compressed: bool = False, frame_id: str = 'camera', counters: Counters | None = None,
        video_stream: int = 0, audio_stream: int = 0,
    ) -> None:
        numbers = {'rate': rate, 'loop': loop, 'subscribers': subscribers, 'width': width}
        for name, value in numbers.items():
            if not 0 <= value < math.inf:
                raise SettingsError(f'{name}: {value!r} is not a number of at least 0')
        self._graph = graph
        self._image_topic = f'{image_topic}/compressed' if compressed else image_topic
        self._audio_topic = audio_topic
        self._rate = rate
        self._subscribers = subscribers
        self._width = width
        self._compressed = compressed
        self._frame_id = frame_id
        self._counters = counters or Counters()
        self._reader = MediaReader(path, loop=loop, counters=self._counters,
                                   video_stream=video_stream, audio_stream=audio_stream)

    def run(self, stop: threading.Event) -> PlayerReport:
        """
        Play until the end or until ``stop`` is set; once.

        :raises ResourceError: when nothing in the file can be decoded.
        :raises GraphError: when a topic cannot be used.
        """
        publishers: dict[type[Record], Publisher] = {}
        media = self._reader.media
        try:
            if media.has_video:
                kind = 'CompressedImage' if self._compressed else 'Image'
                publishers[Frame] = self._graph.advertise(
                    self._image_topic, f'sensor_msgs/msg/{kind}', IMAGE_SOURCE)
            if media.has_audio:
                publishers[AudioChunk] = self._graph.advertise(
                    self._audio_topic, 'maven_ros/msg/AudioChunk', SOUND_SOURCE)
            _wait_for_subscribers(list(publishers.values()), self._subscribers, stop)
            return self._play(publishers, stop)
        finally:
            self._reader.close()
            for publisher in publishers.values():
                publisher.close()

    def _play(
        self, publishers: dict[type[Record], Publisher], stop: threading.Event,
    ) -> PlayerReport:
        played = {Frame: 0, AudioChunk: 0}
        start_ns = end_ns = self._graph.now_ns()
        started_ns = time.monotonic_ns()
        with closing(self._reader.records(start_ns)) as records:
            for record in records:
                media_ns = available_ns(record) - start_ns
                if not self._keep_time(started_ns, media_ns, stop):
                    break
                if self._publish(publishers[type(record)], record):
                    played[type(record)] += 1
                end_ns = start_ns + media_ns
        return PlayerReport(played[Frame], played[AudioChunk], end_ns - start_ns)

    def _keep_time(self, started_ns: int, media_ns: int, stop: threading.Event) -> bool:
        """Wait until a media time has come; False when told to stop."""
        if not self._rate:
            return not stop.is_set()
        ahead_ns = started_ns + round(media_ns / self._rate) - time.monotonic_ns()
        if ahead_ns < -LATE_NS:
            self._counters.count(
                'player', 'late', f'{self._reader.media.path}: {-ahead_ns / NS:.2f} s behind at '
                f'{media_ns / NS:.2f} s, allowed {LATE_NS / NS:.1f} s; stamps are kept')
        return not stop.wait(max(0.0, seconds(ahead_ns)))

    def _publish(self, publisher: Publisher, record: Record) -> bool:
        if isinstance(record, AudioChunk):
            publisher.publish(audio_message(record))
            return True
        try:
            pixels = self._reduced(record.decode())
        except InputError as error:
            self._counters.count('player', error.cause, str(error))
            return False
        convert = compressed_message if self._compressed else image_message
        publisher.publish(convert(record.stamp_ns, pixels, self._frame_id))
        return True

    def _reduced(self, pixels: Pixels) -> Pixels:
        height, width = pixels.shape[:2]
        if not 0 < self._width < width:
            return pixels
        import cv2

        size = self._width, max(1, round(height * self._width / width))
        return cast(Pixels, cv2.resize(pixels, size, interpolation=cv2.INTER_AREA))


def _wait_for_subscribers(
    publishers: list[Publisher], wanted: int, stop: threading.Event
) -> None:
    reminded = time.monotonic()
    while not stop.is_set():
        lacking = [one.topic for one in publishers if one.subscription_count() < wanted]
        if not lacking:
            break
        if time.monotonic() - reminded >= REMIND_S:
            reminded = time.monotonic()
            _log.warning('waiting for %d to listen to %s', wanted, ' and '.join(lacking))
        stop.wait(0.05)
    if wanted:
        stop.wait(SETTLE_S)
