"""
Finds faces in a single picture, by YuNet: in all of it, or where a face is expected.

YuNet reads a face best that is upright and 80 to 300 pixels high. So a face that is known is
looked for in a small picture that shows it level and at its best size.

It draws landmarks more upright than faces are: of a tilt its eyes show 0.11, and the way from eyes
to mouth 0.23 (900 faces, tilted by up to 45 degrees). What the tilt is follows from both, to
within 5 degrees up to a tilt of 25; a face that is looked at again, level, is levelled further.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from maven_ros.errors import ResourceError
from maven_ros.files import sha256_of
from maven_ros.records import Pixels, Point
from maven_ros.resources import resource
from maven_ros.senses.crops import Affine, Outline, Square, cut, reduced, turning
from maven_ros.settings import FaceSettings

SHIPPED = 'models/yunet/face_detection_yunet_2026may.onnx'
_SHA256 = 'ebafce4e3c118d6554634be5c27ab333b4c047a9a8c3faf1d7cf93101c22f0f0'
#: YuNet's score, in [0, 1]: to look closer, to go on with somebody known, to be somebody.
_LOOK, _KEEP, _SURE = 0.3, 0.5, 0.85
_CELL_PX = 32         # of its coarsest map; one cell high or wide, noise gives it infinite boxes
_SMALLEST_PX = 24     # side of the smallest face that is seen when a whole picture is searched
_SIZE_SLACK = 0.8     # of the smallest size: so unsurely are sizes measured
_NEAR_SIDES = 1.8     # of the expected face, that are looked at
_NEAR_PX = 160        # side of that picture
_TILT_BY_EYES, _TILT_BY_MOUTH = 1.5, 2.0  # of their own angles
_MOST_TILT = math.radians(45)
_LONGEST = 4  # longer side of a picture, in shorter ones, up to which min_size is of the shorter
_BELIEVED = 0.5       # of a tilt against the expected one: the rest is taken for noise
#: How the whole picture is turned, search after search, and at which share of its size.
_VIEWS = ((0.0, 1.0), (math.radians(45), 0.5), (0.0, 0.5), (math.radians(-45), 0.5))


@dataclass(frozen=True, slots=True)
class Detection:
    """
    Something that looks like a face.

    :param outline: where it is, in pixels of the picture.
    :param score: YuNet's, in [0, 1].
    """

    outline: Outline
    score: float

    @property
    def is_sure(self) -> bool:
        """Whether it is enough to be somebody, not only to go on with somebody known."""
        return self.score >= _SURE


class FaceDetector:
    """
    YuNet, for whole pictures and for single faces.

    :param settings: the model file and the smallest size.
    :raises ResourceError: names the file that is missing, no YuNet, or not the one that ships.
    """

    def __init__(self, settings: FaceSettings) -> None:
        path = _model_path(settings)
        # One for each size of pictures, because to change it takes 3 ms.
        self._views = {(abs(angle_rad), share): _Yunet(path, _LOOK)
                       for angle_rad, share in _VIEWS}
        self._near = _Yunet(path, _KEEP)
        self._min_size = settings.min_size

    def search(self, picture: Pixels, view: int = 0) -> list[Detection]:
        """
        Look for faces in the whole picture.

        :param picture: uint8 (height, width, 3) BGR.
        :param view: counts searches: each other one, at half the size, is for tilted heads.
        :returns: each face once, the surest first.
        """
        angle_rad, share = _VIEWS[view % len(_VIEWS)]
        smallest_px = max(_SMALLEST_PX, self._smallest_px(picture))
        scale = share * _SMALLEST_PX / smallest_px
        found = self._views[abs(angle_rad), share].find(
            *_turned(picture, angle_rad, scale), 1.0)
        return distinct(sorted(
            self._large_enough(found, picture), key=lambda one: one.score, reverse=True))

    def _smallest_px(self, picture: Pixels) -> float:
        """Return the smallest size of a face; in a long strip it would take hundreds of MB."""
        shorter, longer = sorted(map(int, picture.shape[:2]))
        return self._min_size * max(shorter, longer / _LONGEST)

    def look(self, picture: Pixels, expected: Square) -> Detection | None:
        """
        Look for one face, level and at its best size.

        :param picture: as for :meth:`search`.
        :param expected: where its crop would be.
        :returns: the one that is nearest to that; None where there is none.
        """
        region = expected.enlarged(_NEAR_SIDES)
        found = self._near.find(
            cut(picture, region, _NEAR_PX), _inverse(region.matrix(_NEAR_PX)), _BELIEVED)
        return min(self._large_enough(found, picture), default=None, key=lambda one: math.dist(
            one.outline.square.centre, expected.centre))

    def _large_enough(self, found: Iterable[Detection], picture: Pixels) -> Iterator[Detection]:
        least = _SIZE_SLACK * self._smallest_px(picture)
        return (one for one in found if one.outline.square.side >= least)


class _Yunet:
    """
    The network, through ``cv2.FaceDetectorYN``.

    :param least: score of what it finds.
    :raises ResourceError: the file is no YuNet.
    """

    def __init__(self, path: Path, least: float) -> None:
        import cv2

        try:
            self._network = cv2.FaceDetectorYN.create(str(path), '', (64, 64), least)
            self._network.detect(np.zeros((64, 64, 3), np.uint8))  # a wrong network shows here
        except cv2.error as error:
            raise ResourceError(
                f'faces.yunet_model: {path} is not a YuNet ONNX file that OpenCV '
                f'{cv2.__version__} can run; it takes 4.8 and later') from error

    def find(self, view: Pixels, back: Affine, believed: float) -> Iterator[Detection]:
        """
        Yield what looks like a face.

        :param view: uint8 (height, width, 3) BGR.
        :param back: (2, 3), the motion from the view to the picture that is meant.
        :param believed: how much of a tilt is.
        """
        height, width = view.shape[:2]
        if min(height, width) <= _CELL_PX:
            return
        self._network.setInputSize((width, height))
        _, rows = self._network.detect(view)
        for row in () if rows is None else rows.tolist():
            points = _tilted(np.reshape(row[4:14], (5, 2)), believed)
            x, y, box_width, box_height = row[:4]
            outline = Outline(
                (x + box_width / 2, y + box_height / 2), box_width, box_height, points)
            yield Detection(outline.moved(back), row[14])


def _tilted(points: NDArray[np.float64], believed: float) -> tuple[Point, ...]:
    """
    Turn landmarks by the tilt that they understate.

    :param points: (5, 2), as YuNet draws them.
    """
    right_eye, left_eye, _, right_corner, left_corner = points
    across, down = left_eye - right_eye, right_corner + left_corner - right_eye - left_eye
    eyes_rad, mouth_rad = math.atan2(across[1], across[0]), math.atan2(-down[0], down[1])
    tilt_rad = believed * (_TILT_BY_EYES * eyes_rad + _TILT_BY_MOUTH * mouth_rad)
    turn_rad = min(max(tilt_rad, -_MOST_TILT), _MOST_TILT) - eyes_rad
    middle = points.mean(0)
    turned = (points - middle) @ turning(turn_rad) + middle
    return tuple(map(tuple, turned.tolist()))


def distinct(found: Iterable[Detection]) -> list[Detection]:
    """Keep the first of those that lie on each other."""
    kept: list[Detection] = []
    for detection in found:
        if not any(detection.outline.overlap(other.outline) > 0.5 for other in kept):
            kept.append(detection)
    return kept


def _model_path(settings: FaceSettings) -> Path:
    """Return the file that is configured, or the one that ships, as it shipped."""
    if settings.yunet_model:
        return Path(settings.yunet_model)
    path = resource(SHIPPED)
    if (found := sha256_of(path)) != _SHA256:
        raise ResourceError(f'{path}: is not the file that ships: its sha256 is {found}, not '
                            f'{_SHA256}; install maven_ros again, or name a YuNet of your own by '
                            'faces.yunet_model')
    return path


def _turned(picture: Pixels, angle_rad: float, scale: float) -> tuple[Pixels, Affine]:
    """
    Return all of a picture, turned and scaled.

    :returns: the view, and the motion back to the picture.
    """
    import cv2

    small, shrunk = reduced(picture, max(1, int(1 / scale)))
    before = small.shape[1::-1]
    size = np.maximum(1, np.round(before / shrunk * scale)).astype(int)
    view = np.asarray(cv2.resize(small, size.tolist()), np.uint8)
    motion = np.diag(size / before * shrunk) @ np.eye(2, 3)
    if angle_rad:
        turn = turning(angle_rad)
        about = np.ceil(np.abs(turn) @ size)
        motion = turn @ motion
        motion[:, 2] = about / 2 - turn @ size / 2
        view = np.asarray(cv2.warpAffine(
            view, np.column_stack([turn, motion[:, 2]]), about.astype(int)), np.uint8)
    return view, _inverse(motion)


def _inverse(motion: Affine) -> Affine:
    import cv2

    return np.asarray(cv2.invertAffineTransform(motion), np.float64)
