"""
Where a face is as seen from the camera, by its calibration or by a stated field of view.

The eyes of adults are 63 mm apart, with a standard deviation of 4 mm; children's are closer.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from maven_ros.counters import Counters
from maven_ros.freezing import Freezing
from maven_ros.records import Camera, Face, Place, Point
from maven_ros.settings import AttentionSettings

_EYES_M = 0.063
#: Standard deviations of a distance, relative: of people's eyes, and of where they are seen.
_PEOPLE, _SEEN = 0.065, 0.06
_SAME_RATIO = 0.01  # how far the ratios of width to height of one camera may differ
_MOST_YAW = math.radians(60)  # beyond it, the eyes' spacing tells little

_log = logging.getLogger('maven_ros.attention')


class Lens(Freezing):
    """
    Places faces; it follows the newest calibration.

    :param counters: where calibrations that cannot be used are counted, under ``camera_info``.
    """

    _fixed: ClassVar[frozenset[str]] = frozenset({'_settings', '_counters'})

    def __init__(self, settings: AttentionSettings, counters: Counters) -> None:
        self._settings = settings
        self._counters = counters
        self._camera: Camera | None = None
        self._told: tuple[tuple[int, int] | None, tuple[int, int]] | None = None

    def change(self, settings: AttentionSettings) -> None:
        """Go on with another stated field of view."""
        self._settings = settings

    def take(self, camera: Camera) -> None:
        """Take a calibration for the pictures from now on."""
        self._camera = camera

    def place(self, faces: Iterable[Face], width: int, height: int) -> tuple[Face, ...]:
        """
        Return faces with their places.

        :param width: of the picture that they are in, in pixels.
        """
        faces = tuple(faces)
        if not faces:
            return ()
        fitting = self._fitting(width, height)
        camera = fitting or self._stated(width, height)
        return tuple(replace(face, place=_place(face, camera, fitting is not None))
                     for face in faces)

    def _fitting(self, width: int, height: int) -> Camera | None:
        """Return the calibration for pictures of a size; without one, say so once a size."""
        camera = self._camera
        if camera is not None and min(camera.focal_px) > 0 and _same_ratio(
                camera.size, (width, height)):
            return _scaled(camera, width, height)
        key = None if camera is None else camera.size, (width, height)
        if self._told != key:
            self._told = key
            self._say(camera, width, height)
        return None

    def _say(self, camera: Camera | None, width: int, height: int) -> None:
        stated = (f'a field of view of {self._settings.field_of_view_deg:g} degrees is assumed '
                  '(attention.field_of_view_deg)')
        if camera is None:
            _log.info('no CameraInfo: %s', stated)
        elif min(camera.focal_px) > 0:
            self._counters.count(
                'camera_info', 'other_size', f'calibrated for {camera.size[0]}x{camera.size[1]}, '
                f'and pictures are {width}x{height}; allowed: the same ratio; {stated}')
        else:
            _log.info('the CameraInfo is that of no calibrated camera: %s', stated)

    def _stated(self, width: int, height: int) -> Camera:
        half_rad = math.radians(self._settings.field_of_view_deg) / 2
        focal_px = width / 2 / math.tan(half_rad)
        return Camera(0, (width, height), (focal_px, focal_px), (width / 2, height / 2))


def _same_ratio(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return min(*one, *other) > 0 and abs(one[0] * other[1] / (one[1] * other[0]) - 1) < _SAME_RATIO


def _scaled(camera: Camera, width: int, height: int) -> Camera:
    """Return the calibration of the same camera at another resolution."""
    across, down = width / camera.size[0], height / camera.size[1]
    return replace(
        camera, size=(width, height),
        focal_px=(camera.focal_px[0] * across, camera.focal_px[1] * down),
        centre_px=(camera.centre_px[0] * across, camera.centre_px[1] * down))


def _place(face: Face, camera: Camera, calibrated: bool) -> Place:
    box = face.box
    middle = (box.x + box.width / 2, box.y + box.height / 2)
    (x, y), *eyes = _rays([middle, *face.landmarks[:2]], camera)
    distance_m, relative = math.nan, math.nan
    if len(eyes) == 2:
        apart_rad = math.acos(max(-1.0, min(1.0, _cosine(*eyes))))
        yaw = min(_MOST_YAW, abs(face.pose.yaw)) if face.pose is not None else 0.0
        if apart_rad > 0:
            distance_m = _EYES_M * math.cos(yaw) / (2 * math.tan(apart_rad / 2))
            by_yaw = math.tan(yaw) * face.pose.stds[0] if face.pose is not None else 0.0
            relative = math.hypot(_PEOPLE, _SEEN, by_yaw)
    return Place(-math.atan(x), -math.atan2(y, math.hypot(1.0, x)), distance_m,
                 relative * distance_m, calibrated)


def _rays(points: Sequence[Point], camera: Camera) -> list[tuple[float, float]]:
    """Return x and y, at a depth of 1, of what is seen at some pixels."""
    import cv2

    (across, down), (x, y) = camera.focal_px, camera.centre_px
    seen: NDArray[np.float64] = np.array(points, np.float64).reshape(-1, 1, 2)
    if not camera.distortion:
        flat = (seen[:, 0] - (x, y)) / (across, down)
    else:
        matrix = np.array([[across, 0, x], [0, down, y], [0, 0, 1]])
        straighten = cv2.fisheye.undistortPoints if camera.fisheye else cv2.undistortPoints
        flat = np.asarray(straighten(
            seen, matrix, np.array(camera.distortion)), np.float64)[:, 0]
    return [(float(one[0]), float(one[1])) for one in flat]


def _cosine(one: Point, other: Point) -> float:
    """Return the cosine of the angle between two rays."""
    dot = 1 + one[0] * other[0] + one[1] * other[1]
    return dot / (math.hypot(1, *one) * math.hypot(1, *other))
