"""
Valence and arousal of named emotions: the means of Russell & Mehrabian (1977).

*Evidence for a three-factor theory of emotions*, Journal of Research in Personality 11, 273-294.
The point of *calm* is our choice, between their relaxed and neutral.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from maven_ros.errors import SettingsError

#: Valence and arousal, each in [-1, 1], by the name of the emotion.
VALENCE_AROUSAL = MappingProxyType({
    'neutral': (0.0, 0.0),
    'calm': (0.30, -0.40),
    'happy': (0.81, 0.51),
    'sad': (-0.63, -0.27),
    'angry': (-0.51, 0.59),
    'fearful': (-0.64, 0.60),
    'disgusted': (-0.60, 0.35),
    'surprised': (0.40, 0.67),
    'contempt': (-0.23, 0.31),
})


def valence_arousal(emotion: str) -> tuple[float, float]:
    """
    Return the point of an emotion.

    :param emotion: name in ``VALENCE_AROUSAL``.
    :returns: valence and arousal, each in [-1, 1].
    :raises SettingsError: if the name is unknown.
    """
    if emotion not in VALENCE_AROUSAL:
        raise SettingsError(f'emotion: {emotion!r} is not one of {", ".join(VALENCE_AROUSAL)}')
    return VALENCE_AROUSAL[emotion]


def points_of(emotions: Iterable[str]) -> NDArray[np.float32]:
    """Return the points of emotions, float32 (emotions, 2), as :func:`valence_arousal`."""
    return np.array([valence_arousal(emotion) for emotion in emotions], np.float32)
