"""cv_bridge, ROS's own converter of pictures, where it can be used."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import logging
import subprocess
import sys
from typing import Any

_log = logging.getLogger(__name__)

#: What it is asked for: bgr8 needs no conversion, and uyvy, yuyv and those of two planes it lacks.
ENCODINGS = frozenset({
    'rgb8', 'bgra8', 'rgba8', 'mono8', 'bgr16', 'rgb16', 'bgra16', 'rgba16', 'mono16',
    'yuv422', 'yuv422_yuy2', 'bayer_rggb8', 'bayer_bggr8', 'bayer_gbrg8', 'bayer_grbg8',
    'bayer_rggb16', 'bayer_bggr16', 'bayer_gbrg16', 'bayer_grbg16'})
_TRIAL = 'from cv_bridge import CvBridge; CvBridge().encoding_to_dtype_with_channels("bgr8")'


@functools.cache
def cv_bridge() -> Any:
    """
    Return a ``CvBridge``; None where it is not installed, or does not import cleanly.

    It is tried in a process of its own first, once: compiled for another numpy than the one that
    is here (apt's, for numpy 1), it can bring down what imports it.
    """
    if importlib.util.find_spec('cv_bridge') is None:
        return None
    trial = subprocess.run([sys.executable, '-c', _TRIAL], capture_output=True, text=True)
    if trial.returncode:
        said = trial.stderr.strip().splitlines() or [f'it exits with {trial.returncode}']
        _log.info('cv_bridge does not import cleanly (%s); rosbags-image converts pictures',
                  said[-1])
        return None
    return importlib.import_module('cv_bridge').CvBridge()


def reads(message: Any) -> bool:
    """
    Return whether cv_bridge is to convert a ``sensor_msgs/Image``.

    Big-endian ones it takes apart with a method that numpy 2 has no more.
    """
    return (message.encoding in ENCODINGS and not message.is_bigendian
            and cv_bridge() is not None)
