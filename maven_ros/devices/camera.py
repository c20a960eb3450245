"""Publishes a camera's pictures, stamped when they are grabbed."""

from __future__ import annotations

import logging
import threading
from typing import Any

from maven_ros.counters import Counters
from maven_ros.devices.capture import DeviceLost, keep_capturing
from maven_ros.devices.listing import cameras
from maven_ros.errors import ResourceError, SettingsError
from maven_ros.graph.convert import compressed_message, image_message
from maven_ros.graph.interface import IMAGE_SOURCE, Graph, Publisher
from maven_ros.graph.topics import IMAGE_TOPIC
from maven_ros.text import shown

_log = logging.getLogger(__name__)


class Camera:
    """
    Publishes sensor_msgs/msg/Image from a camera, through OpenCV.

    A camera that goes away (or a file that ends) is opened again, with a try each second.

    :param graph: where to publish, and whose clock stamps.
    :param source: index, device, file or URL.
    :param image_topic: with ``compressed``, ``/compressed`` is appended as image_transport does.
    :param width: pixels to ask the camera for; 0 for its own choice, as for the next two.
    :param fps: frames a second to ask the camera for.
    :param compressed: publish JPEG (sensor_msgs/msg/CompressedImage).
    :param wait: whether a camera that is missing at the start is waited for.
    :param counters: takes, under ``'camera'``: undecodable, not_as_asked, lost, missing, hung.
    """

    def __init__(
        self, graph: Graph, source: int | str = 0, *, image_topic: str = IMAGE_TOPIC,
        width: int = 0, height: int = 0, fps: float = 0.0, compressed: bool = False,
        frame_id: str = 'camera', wait: bool = False, counters: Counters | None = None,
    ) -> None:
        for name, value in (('width', width), ('height', height), ('fps', fps)):
            if not 0 <= value <= 16_384:
                raise SettingsError(f'{name}: {value!r} is not in [0, 16384] (0: its own choice)')
        self._graph = graph
        self._source = int(source) if str(source).isdigit() else source
        self._topic = f'{image_topic}/compressed' if compressed else image_topic
        self._asked = {'FRAME_WIDTH': width, 'FRAME_HEIGHT': height, 'FPS': fps}
        self._compressed = compressed
        self._frame_id = frame_id
        self._wait = wait
        self._counters = counters or Counters()
        self._published = 0

    def run(self, stop: threading.Event) -> int:
        """
        Publish until ``stop`` is set.

        :returns: how many pictures were published.
        :raises ResourceError: when the camera cannot be opened at the start, unless ``wait``.
        """
        kind = 'CompressedImage' if self._compressed else 'Image'
        publisher = self._graph.advertise(self._topic, f'sensor_msgs/msg/{kind}', IMAGE_SOURCE)
        try:
            keep_capturing('camera', lambda: self._capture(publisher, stop), stop,
                           counters=self._counters, wait=self._wait)
        finally:
            publisher.close()
        return self._published

    def _capture(self, publisher: Publisher, stop: threading.Event) -> None:
        convert = compressed_message if self._compressed else image_message
        camera = self._open()
        try:
            while not stop.is_set():
                grabbed = camera.grab()
                stamp_ns = self._graph.now_ns()
                if stop.is_set():
                    return
                if not grabbed:
                    raise DeviceLost(f'camera {self._source!r}: gives no more pictures')
                decoded, pixels = camera.retrieve()
                if not decoded:
                    self._counters.count(
                        'camera', 'undecodable', f'camera {self._source!r}: a picture')
                    continue
                publisher.publish(convert(stamp_ns, pixels, self._frame_id))
                self._published += 1
        finally:
            camera.release()

    def _open(self) -> Any:
        import cv2

        if shown(self._source) != str(self._source):  # OpenCV dies of it
            raise ResourceError(f'camera {self._source!r}: its name is no UTF-8')
        camera = cv2.VideoCapture(self._source)
        if not camera.isOpened():
            there = ', '.join(f'{device.index} {device.name!r}' for device in cameras())
            raise ResourceError(
                f'camera {self._source!r}: cannot be opened; there are: {there or "none"}')
        asked = {name: value for name, value in self._asked.items() if value}
        for name, value in asked.items():
            camera.set(getattr(cv2, f'CAP_PROP_{name}'), value)
        for name, value in asked.items():
            actual = camera.get(getattr(cv2, f'CAP_PROP_{name}'))
            if abs(actual - value) > 0.5:
                self._counters.count(
                    'camera', 'not_as_asked', f'camera {self._source!r}: {name.lower()} '
                    f'{value:g} was asked for, it gives {actual:g}')
        _log.info('camera %r: open', self._source)
        return camera
