"""The value type: polar and Cartesian, octants, confidence."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maven_ros.affect import PRIOR_STD, Affect, confidence

unit = st.floats(-1, 1)


@given(unit, unit)
def test_polar_and_cartesian_agree_both_ways(valence, arousal):
    point = Affect(valence, arousal)
    back = Affect.from_polar(point.intensity, point.angle)
    assert back.valence == pytest.approx(valence, abs=1e-12)
    assert back.arousal == pytest.approx(arousal, abs=1e-12)
    assert 0 <= point.intensity <= math.sqrt(2) and -math.pi <= point.angle <= math.pi


@pytest.mark.parametrize(('valence', 'arousal', 'angle', 'name'), [
    (1, 0, 0, 'pleased'), (0.5, 0.5, math.pi / 4, 'excited'), (0, 1, math.pi / 2, 'aroused'),
    (-0.4, 0.4, 3 * math.pi / 4, 'distressed'), (-1, 0, math.pi, 'displeased'),
    (-0.5, -0.5, -3 * math.pi / 4, 'depressed'), (0, -1, -math.pi / 2, 'sleepy'),
    (0.5, -0.5, -math.pi / 4, 'relaxed'),
])
def test_angles_and_octants_run_anticlockwise_from_pleasant(valence, arousal, angle, name):
    point = Affect(valence, arousal)
    assert point.angle == pytest.approx(angle)
    assert point.octant == name


def test_the_middle_is_neutral_and_nan_is_unknown():
    assert Affect(0.05, 0.05).octant == 'neutral'
    assert Affect(math.nan, math.nan).octant == 'unknown'


def test_confidence_runs_from_certain_to_the_prior():
    assert confidence(0.0, 0.0) == 1.0
    assert confidence(PRIOR_STD, PRIOR_STD) == pytest.approx(0.0)
    assert confidence(3.0, 3.0) == 0.0
    assert confidence(PRIOR_STD / 2, PRIOR_STD / 2) == pytest.approx(0.5)
    assert math.isnan(confidence(math.nan, 0.1))
