import pytest

from maven_ros.errors import SettingsError
from maven_ros.training.targets import VALENCE_AROUSAL, valence_arousal


def test_points_are_the_published_ones():
    assert valence_arousal('happy') == (0.81, 0.51)
    assert valence_arousal('neutral') == (0, 0)
    assert len(VALENCE_AROUSAL) == 9
    assert all(-1 <= number <= 1 for point in VALENCE_AROUSAL.values() for number in point)


def test_an_unknown_emotion_is_refused():
    with pytest.raises(SettingsError, match="emotion: 'glad' is not one of neutral, calm, happy"):
        valence_arousal('glad')
