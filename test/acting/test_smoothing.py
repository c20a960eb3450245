"""Smoothing: less error, an honest standard deviation, and nothing made up."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_states import HOP_NS, T0, state

from maven_ros.acting.smoothing import Smoother
from maven_ros.records import NS
from maven_ros.settings import SmoothingSettings

WINDOW, STEPS = 10, 4000  # hops a window


def smoothed(valences, stds, hops=None, noise=0.04, gap_s=2.0):
    """Smooth one axis; returns means and standard deviations."""
    smoother = Smoother(SmoothingSettings(process_noise=noise, gap_s=gap_s))
    hops = range(len(valences)) if hops is None else hops
    found = [smoother.take(state(T0 + int(hop) * HOP_NS, value, 0.0, std))
             for value, std, hop in zip(valences, stds, hops, strict=True)]
    return (np.array([one.affect.valence for one in found]),
            np.array([one.valence_std for one in found]))


def walk(seed, noise=0.04):
    """Return a truth that wanders as the filter supposes, in [-1, 1]."""
    steps = np.random.default_rng(seed).normal(0, math.sqrt(noise / 5), STEPS)
    folded = (np.cumsum(steps) + 1) % 4
    return np.where(folded > 2, 4 - folded, folded) - 1


def errors(seed, stds):
    """Return what windows get wrong that share what they hold: means over them of fresh noise."""
    stds = np.broadcast_to(stds, STEPS + WINDOW)
    fresh = np.random.default_rng(seed).normal(0, stds * math.sqrt(WINDOW))
    total = np.concatenate([[0], np.cumsum(fresh)])
    return ((total[WINDOW:] - total[:-WINDOW]) / WINDOW)[1:]


def rms(values):
    return float(np.sqrt(np.mean(np.square(values))))


@pytest.mark.parametrize('std', [0.1, 0.2, 0.3])
def test_the_error_falls_and_the_interval_still_holds_ninety_per_cent(std):
    truth, error = walk(1), errors(2, std)
    means, stds = smoothed(truth + error, np.full(STEPS, std))
    assert rms(means - truth) < rms(error) * {0.1: 0.99, 0.2: 0.9, 0.3: 0.8}[std]
    assert np.mean(np.abs(means - truth) < 1.645 * stds) == pytest.approx(0.9, abs=0.02)
    assert stds[50:].max() < std


def test_it_beats_a_moving_average_of_its_lag_or_less():
    truth, error = walk(3), errors(4, 0.3)
    means, _ = smoothed(truth + error, np.full(STEPS, 0.3))
    average = np.convolve(truth + error, np.ones(3) / 3)[:STEPS]  # lags by one hop
    assert lag(truth, means) <= lag(truth, average) == 1
    assert rms(means - truth) < 0.85 * rms(average - truth)


def lag(truth, values):
    """Return by how many hops values have to be brought forward to be nearest the truth."""
    return min(range(20), key=lambda hops: rms(truth[:STEPS - hops] - values[hops:]))


def test_windows_that_share_their_evidence_do_not_count_as_many():
    """Ten windows of one and the same evidence would be taken for ten measurements."""
    _, stds = smoothed(np.zeros(11), np.full(11, 0.3), noise=0.0001)
    _, apart = smoothed(np.zeros(2), np.full(2, 0.3), hops=[0, 10], noise=0.0001)
    assert 0.19 < stds[-1] <= 0.25  # two windows' worth: 0.3 / sqrt 2, and not 0.3 / sqrt 11
    assert stds[-1] == pytest.approx(apart[-1], abs=0.03)


def test_the_surer_a_state_the_more_it_moves_what_is_believed():
    sure, _ = smoothed([0.0, 0.5], [0.3, 0.05])
    unsure, _ = smoothed([0.0, 0.5], [0.3, 0.5])
    assert sure[-1] > 0.45 and unsure[-1] < 0.2


def test_noise_that_comes_and_goes_leaves_the_interval_honest():
    spread = np.repeat(np.where(np.arange(-(-(STEPS + WINDOW) // 25)) % 2, 0.4, 0.1), 25)
    spread = spread[:STEPS + WINDOW]
    truth, error = walk(5), errors(6, spread)
    own = np.sqrt(np.convolve(spread**2, np.ones(WINDOW) / WINDOW)[WINDOW:][:STEPS])
    means, stds = smoothed(truth + error, own)
    assert rms(means - truth) < rms(error)
    assert np.mean(np.abs(means - truth) < 1.645 * stds) == pytest.approx(0.9, abs=0.03)


def test_irregular_steps_are_taken_as_long_as_they_are():
    random = np.random.default_rng(7)
    hops = np.cumsum(random.integers(1, 6, STEPS // 4))
    hops = hops[hops < STEPS]
    truth, error = walk(8), errors(9, 0.3)
    means, stds = smoothed((truth + error)[hops], np.full(len(hops), 0.3), hops)
    assert rms(means - truth[hops]) < 0.9 * rms(error[hops])
    assert np.mean(np.abs(means - truth[hops]) < 1.645 * stds) == pytest.approx(0.9, abs=0.03)


def test_without_evidence_nothing_is_made_up_and_less_is_known_after():
    smoother = Smoother(SmoothingSettings())
    for hop in range(20):
        last = smoother.take(state(T0 + hop * HOP_NS, 0.5, 0.5))
    gap = state(T0 + 20 * HOP_NS)
    assert smoother.take(gap) is gap
    after = smoother.take(state(T0 + 25 * HOP_NS, 0.5, 0.5))
    assert last.valence_std < after.valence_std < 0.2


def test_a_state_that_does_not_say_how_sure_it_is_spoils_nothing():
    smoother = Smoother(SmoothingSettings())
    smoother.take(state(T0, 0.5, 0.5))
    odd = state(T0 + HOP_NS, 0.5, 0.5, math.nan)
    assert smoother.take(odd) is odd
    assert smoother.take(state(T0 + 2 * HOP_NS, 0.5, 0.5)).valence_std < 0.2


def test_after_a_long_gap_and_after_a_step_back_smoothing_starts_anew():
    for then_ns in (T0 + 3 * NS, T0 - NS):
        smoother = Smoother(SmoothingSettings(gap_s=2.0))
        smoother.take(state(T0, -0.8, 0.3))
        first = state(then_ns, 0.6, -0.1, 0.25)
        assert smoother.take(first) == first


def test_people_are_smoothed_apart_and_the_rest_of_a_state_stays():
    together, alone = Smoother(SmoothingSettings()), Smoother(SmoothingSettings())
    for hop in range(5):
        other = state(T0 + hop * HOP_NS, -0.9, 0.9, person_id='person_2')
        one = state(T0 + hop * HOP_NS, 0.1 * hop, 0.2)
        together.take(other)
        found = together.take(one)
        assert found == alone.take(one)
        assert replace(found, affect=one.affect, valence_std=0.2, arousal_std=0.2) == one


VALUES = st.floats(-1, 1)
STDS = st.one_of(st.floats(0.01, 1.0), st.just(0.0))


@given(st.lists(st.tuples(VALUES, VALUES, STDS, st.integers(1, 12)), min_size=1, max_size=30))
def test_whatever_comes_what_goes_out_is_a_point_with_a_spread(steps):
    smoother, end_ns = Smoother(SmoothingSettings()), T0
    for valence, arousal, std, hops in steps:
        end_ns += hops * HOP_NS
        found = smoother.take(state(end_ns, valence, arousal, std))
        assert -1 <= found.affect.valence <= 1 and -1 <= found.affect.arousal <= 1
        assert 0 < found.valence_std <= max(std, 0.001) + 1e-9
        assert 0 < found.arousal_std < math.inf
