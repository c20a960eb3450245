"""Finds faces in a single picture: Haar cascades, or YuNet where a model file is given."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from maven_ros.errors import ResourceError
from maven_ros.records import Pixels
from maven_ros.senses.crops import Outline
from maven_ros.settings import FaceSettings


@dataclass(frozen=True, slots=True)
class Detection:
    """
    Something that looks like a face.

    :param outline: where it is, in pixels of the picture.
    :param score: the detector's own measure; higher is better.
    :param sure: whether it is enough to start a new face, not only to go on with a known one.
    """

    outline: Outline
    score: float
    sure: bool


class Detector(Protocol):
    """What finds faces in a picture."""

    def detect(
        self, picture: Pixels, near: Sequence[Outline], *, whole: bool,
    ) -> tuple[Detection, ...]:
        """
        Find faces.

        :param picture: uint8 (height, width, 3) BGR, already reduced in size.
        :param near: known faces; one of about the same place and size is found more readily.
        :param whole: search the whole picture too, for faces that are not known.
        :returns: each face once, best first.
        """
        ...


def open_detector(settings: FaceSettings) -> Detector:
    """
    Open the detector that is configured.

    :raises ResourceError: names the file that is missing or no model.
    """
    if settings.detector == 'yunet':
        return YunetDetector(Path(settings.yunet_model), settings.min_size)
    return HaarDetector(settings.min_size)


class HaarDetector:
    """
    OpenCV's frontal cascade; its box has the geometry of the FER+ pictures.

    Measured on a clip of a half-covered face, at 320x180 on one core: `default` in steps of 1.2
    finds 99% in 15 ms, `alt2` 86% in 13 ms, `alt2` and `alt` in steps of 1.1 96% and 94% in 22
    and 28 ms, `alt_tree` 45%, `profileface` a third. A search around a known face costs 4 ms in
    steps of 1.1, of any size, and finds this face in every frame.
    """

    _CASCADE = 'haarcascade_frontalface_default.xml'
    _WINDOW_PX = 24  # smallest face that the cascade can see
    _WHOLE_STEP, _NEAR_STEP = 1.2, 1.1
    _NEAR_REACH = 0.9  # sizes, from the middle of a known face to the border of its search
    _NEAR_SIZES = (0.75, 1.35)
    _KEEP, _SURE = 2, 4  # windows that agree, in a search of the whole picture
    _NEAR_KEEP, _NEAR_SURE = 3, 6  # and around a known face, where there are more of them

    def __init__(self, min_size: float) -> None:
        import cv2

        path = _cascade_file(self._CASCADE)
        self._cascade = cv2.CascadeClassifier()
        try:
            readable, cause = self._cascade.load(str(path)), None
        except cv2.error as error:
            readable, cause = False, error
        if not readable:
            raise ResourceError(f'{path}: not a Haar cascade that OpenCV can read') from cause
        self._min_size = min_size

    def detect(
        self, picture: Pixels, near: Sequence[Outline], *, whole: bool,
    ) -> tuple[Detection, ...]:
        """Find faces; see :class:`Detector`."""
        import cv2

        grey = np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), np.uint8)
        smallest = max(self._WINDOW_PX, round(self._min_size * min(grey.shape)))
        found = [detection for face in near for detection in self._near(grey, face, smallest)]
        if whole:
            found += self._search(
                grey, self._WHOLE_STEP, self._KEEP, self._SURE, smallest, max(grey.shape))
        return _distinct(found)

    def _near(self, grey: Pixels, face: Outline, smallest: int) -> Iterator[Detection]:
        reach = self._NEAR_REACH * face.size
        x, y = (max(0, round(middle - reach)) for middle in face.centre)
        right, bottom = (max(0, round(middle + reach)) for middle in face.centre)
        low, high = (round(share * face.size) for share in self._NEAR_SIZES)
        return self._search(
            grey[y:bottom, x:right], self._NEAR_STEP, self._NEAR_KEEP, self._NEAR_SURE,
            max(low, smallest), high, x, y)

    def _search(
        self, grey: Pixels, step: float, keep: int, sure: int, low_px: int, high_px: int,
        left: int = 0, top: int = 0,
    ) -> Iterator[Detection]:
        if min(grey.shape) < low_px:
            return
        boxes, agreeing = self._cascade.detectMultiScale2(
            grey, scaleFactor=step, minNeighbors=keep, minSize=(low_px, low_px),
            maxSize=(high_px, high_px))
        for (x, y, width, height), count in zip(boxes, agreeing, strict=True):
            outline = Outline(float(x + left), float(y + top), float(width), float(height))
            yield Detection(outline, float(count), bool(count >= sure))


class YunetDetector:
    """The YuNet network through ``cv2.FaceDetectorYN``; it gives landmarks."""

    _KEEP, _SURE = 0.5, 0.75  # its score, in [0, 1]
    _CELL_PX = 32  # of its coarsest map; one cell high or wide, noise gives it infinite boxes

    def __init__(self, model: Path, min_size: float) -> None:
        import cv2

        try:
            self._network = cv2.FaceDetectorYN.create(str(model), '', (320, 320), self._KEEP)
            self._network.detect(np.zeros((320, 320, 3), np.uint8))  # a wrong network shows here
        except cv2.error as error:
            raise ResourceError(
                f'faces.yunet_model: {model} is not a YuNet ONNX file that OpenCV '
                f'{cv2.__version__} can run') from error
        self._min_size = min_size

    def detect(
        self, picture: Pixels, near: Sequence[Outline], *, whole: bool,
    ) -> tuple[Detection, ...]:
        """Find faces; see :class:`Detector`. The whole picture costs no more than a part."""
        height, width = picture.shape[:2]
        if min(height, width) <= self._CELL_PX:
            return ()
        self._network.setInputSize((width, height))
        _, rows = self._network.detect(picture)
        return _distinct(
            Detection(_landmarked(row), row[14], row[14] >= self._SURE)
            for row in (() if rows is None else rows.tolist())
            if max(row[2:4]) >= self._min_size * min(height, width))


def _landmarked(row: list[float]) -> Outline:
    """Read YuNet's row: box, then right eye, left eye (the person's), nose, mouth, score."""
    x, y, width, height, right_x, right_y, left_x, left_y = row[:8]
    return Outline(x, y, width, height, ((right_x, right_y), (left_x, left_y)))


def _distinct(found: Iterable[Detection]) -> tuple[Detection, ...]:
    """Keep the best of those that lie on each other."""
    kept: list[Detection] = []
    for detection in sorted(found, key=lambda one: one.score, reverse=True):
        one = detection.outline
        if not any(one.intersection(other.outline) > 0.5 * min(
                one.width * one.height, other.outline.width * other.outline.height)
                for other in kept):
            kept.append(detection)
    return tuple(kept)


def _cascade_file(name: str) -> Path:
    """Find a cascade in OpenCV's wheel, or where Debian's opencv-data puts it."""
    import cv2

    folders = [Path('/usr/share/opencv4/haarcascades')]
    if hasattr(cv2, 'data'):
        folders.insert(0, Path(cv2.data.haarcascades))
    for folder in folders:
        if (folder / name).is_file():
            return folder / name
    raise ResourceError(
        f'{name}: not found in {", ".join(map(str, folders))}; install opencv-python-headless '
        'or the system package opencv-data')
