"""The personal baseline: slow, bounded, off unless asked for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_states import HOP_NS, T0, state

from maven_ros.acting.baseline import Baselines
from maven_ros.records import NS
from maven_ros.settings import BaselineSettings

ON = BaselineSettings(enabled=True, settle_s=60.0, limit=0.3)


def run(baselines, valence, arousal, seconds, begin_ns=T0, person_id='person_1'):
    """Return the last of a person's states."""
    for hop in range(round(seconds * 5)):
        last = baselines.take(state(begin_ns + hop * HOP_NS, valence, arousal,
                                    person_id=person_id))
    return last


def test_it_is_off_by_default():
    one = state(T0, -0.2, 0.1)
    assert Baselines(BaselineSettings(), 2.0).take(one) is one
    assert one.baseline == (0.0, 0.0)


def test_a_sad_looking_face_at_rest_comes_to_be_neutral_slowly():
    baselines = Baselines(ON, 2.0)
    first = run(baselines, -0.2, 0.1, 1.0)
    assert first.affect.valence == pytest.approx(-0.2, abs=0.01)
    # After one time constant 63% of the way.
    later = run(baselines, -0.2, 0.1, 59.0, T0 + NS)
    assert later.baseline == pytest.approx((-0.2 * 0.632, 0.1 * 0.632), abs=0.002)
    assert later.affect.valence == pytest.approx(-0.2 - later.baseline[0])
    last = run(baselines, -0.2, 0.1, 600.0, T0 + 60 * NS)
    assert last.affect.valence == pytest.approx(0.0, abs=0.001)
    assert last.affect.arousal == pytest.approx(0.0, abs=0.001)


def test_it_is_bounded_and_an_outburst_moves_it_little():
    baselines = Baselines(ON, 2.0)
    assert run(baselines, 0.9, -0.9, 1000.0).baseline == pytest.approx((0.3, -0.3))
    baselines.reset()
    assert run(baselines, 1.0, 0.0, 6.0).baseline[0] < 0.3 * 0.1


def test_gaps_teach_nothing_and_reset_clears_it():
    baselines = Baselines(ON, 2.0)
    learnt = run(baselines, -0.2, 0.0, 30.0).baseline
    after = baselines.take(state(T0 + 500 * NS, -0.2, 0.0))
    assert after.baseline == learnt
    baselines.reset()
    assert baselines.take(state(T0 + 501 * NS, -0.2, 0.0)).baseline == (0.0, 0.0)


def test_each_has_their_own_and_nobody_has_none():
    baselines = Baselines(ON, 2.0)
    run(baselines, -0.2, 0.0, 60.0)
    assert run(baselines, 0.2, 0.0, 1.0, person_id='person_2').baseline[0] >= 0
    assert run(baselines, 0.2, 0.0, 60.0, person_id='').baseline == (0.0, 0.0)
    baselines.keep({'person_2'})
    assert run(baselines, -0.2, 0.0, 0.2, T0 + 90 * NS).baseline == (0.0, 0.0)


def test_a_state_without_evidence_stays_one():
    unknown = state(T0)
    assert Baselines(ON, 2.0).take(unknown) is unknown


@given(st.lists(st.tuples(st.floats(-1, 1), st.floats(-1, 1), st.integers(1, 20)), max_size=30))
def test_whatever_comes_it_stays_in_its_bounds(steps):
    baselines = Baselines(BaselineSettings(enabled=True, settle_s=10.0, limit=0.25), 2.0)
    end_ns = T0
    for valence, arousal, hops in steps:
        end_ns += hops * HOP_NS
        found = baselines.take(state(end_ns, valence, arousal))
        assert all(abs(one) <= 0.25 for one in found.baseline)
        assert abs(found.affect.valence) <= 1 and abs(found.affect.arousal) <= 1
