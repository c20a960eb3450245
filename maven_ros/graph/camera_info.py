"""Read the calibration of a camera, ``sensor_msgs/CameraInfo``."""

from __future__ import annotations

from typing import Any

import numpy as np

from maven_ros.errors import InputError
from maven_ros.graph.messages import time_ns
from maven_ros.records import Camera

CAMERA_INFO = 'sensor_msgs/msg/CameraInfo'
#: Numbers of coefficients by lens model, as OpenCV has them; ROS leaves the name out for none.
_LENSES = {'plumb_bob': (4, 5), 'rational_polynomial': (8, 12, 14), 'equidistant': (4,)}


def read_camera_info(message: Any) -> Camera:
    """
    Read a calibration; one whose focal length is 0 is that of a camera without any.

    :raises InputError: ``bad_payload`` for values that no camera has, and unknown lenses.
    """
    k, d = np.asarray(message.k, np.float64), np.asarray(message.d, np.float64)
    if not (np.isfinite(k).all() and np.isfinite(d).all() and min(k[0], k[4]) >= 0):
        raise InputError('bad_payload', f'CameraInfo: k {k.tolist()}, d {d.tolist()}; allowed: '
                                        'finite numbers, and focal lengths of at least 0')
    if d.any() and len(d) not in _LENSES.get(message.distortion_model, ()):
        raise InputError('bad_payload', f'CameraInfo: {len(d)} coefficients of '
                         f'{message.distortion_model!r}; allowed: ' + ', '.join(
                             f'{" or ".join(map(str, counts))} of {name}'
                             for name, counts in _LENSES.items()))
    return Camera(
        time_ns(message.header.stamp), (int(message.width), int(message.height)),
        (float(k[0]), float(k[4])), (float(k[2]), float(k[5])),
        tuple(d.tolist()) if d.any() else (), message.distortion_model == 'equidistant')
