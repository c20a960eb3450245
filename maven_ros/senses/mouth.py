"""How much a mouth moves between two crops of a face, whatever the head does meanwhile."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from maven_ros.records import Pixels

#: A face in shades of grey, float32 (_SIDE_PX, _SIDE_PX), of mean 0 and standard deviation 1.
Grey: TypeAlias = NDArray[np.float32]

_SIDE_PX = 48
_BLUR_PX = 1.0  # standard deviation: what is finer is the camera's noise
#: Rows and columns of the mouth, chin included, in a crop as senses/crops.py cuts it.
_TOP, _BOTTOM, _LEFT, _RIGHT = 31, 46, 11, 37
_STEPS, _CLOSE_ENOUGH = 15, 1e-3
_FLAT = 1e-3  # grey levels' standard deviation of a crop that shows nothing


def shades(crop: Pixels) -> Grey | None:
    """
    Return a crop as :func:`mouth_motion` compares it; None for one without any contrast.

    :param crop: uint8 (side, side, 3) BGR.
    """
    import cv2

    size = (_SIDE_PX, _SIDE_PX)
    grey = cv2.cvtColor(cv2.resize(crop, size, interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2GRAY)
    smooth = cv2.GaussianBlur(np.asarray(grey, np.float32), (0, 0), _BLUR_PX)
    spread = float(smooth.std())
    return np.asarray((smooth - smooth.mean()) / spread, np.float32) if spread > _FLAT else None


def mouth_motion(before: Grey, now: Grey) -> float:
    """
    Return how far the region of the mouth has changed beyond what an affine motion explains.

    The head's motion, the jitter of the crop and a turn are such motions (fitted by Evangelidis
    and Psarakis' ECC, 2008); lips, teeth and chin that move against each other are none.

    :returns: mean absolute change, in standard deviations of the face's grey: at ten frames a
        second about 0.01 for a photograph that is moved about, 0.02 for a steady smile, and 0.1
        in speech.
    """
    import cv2

    mouth = np.ascontiguousarray(before[_TOP:_BOTTOM, _LEFT:_RIGHT])
    still = np.array([[1, 0, _LEFT], [0, 1, _TOP]], np.float32)
    until = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, _STEPS, _CLOSE_ENOUGH)
    try:
        _, motion = cv2.findTransformECC(
            mouth, now, still.copy(), cv2.MOTION_AFFINE, until, np.ones(now.shape, np.uint8), 1)
    except cv2.error:  # nothing to hold on to, or too far apart: compared where it was
        motion = still
    moved = cv2.warpAffine(
        now, motion, mouth.shape[::-1], flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE)
    return float(np.abs(mouth - moved).mean())
