"""The slow state: two time scales, its uncertainty, its evidence, and the group's."""

import math
from itertools import pairwise

import numpy as np
import pytest
from made_states import HOP_NS, T0, state

from maven_ros.acting.mood import MOST_PEOPLE, Moods, SlowAxis
from maven_ros.affect import PRIOR_STD, Z90
from maven_ros.records import NS, seconds
from maven_ros.settings import MoodSettings

QUICK = MoodSettings(period_s=0.1)


def run(points, moods=None, first=0, settings=QUICK, **fields):
    """Return the moods of a person whose windows have these points."""
    moods = moods or Moods(settings, 300.0)
    found = []
    for hop, (valence, arousal) in enumerate(points, first):
        found += [one for one in moods.take([state(
            T0 + hop * HOP_NS, valence, arousal, **fields)]) if not one.group]
    return found


def test_the_first_window_is_a_first_impression_and_unsure():
    (mood,) = run([(0.8, 0.4)], std=0.2)
    # prior 1/3, passing 0.25^2, the state's 0.2^2: the gain of the mood is 0.765
    gain = PRIOR_STD**2 / (PRIOR_STD**2 + 0.25**2 + 0.2**2)
    assert mood.affect.valence == pytest.approx(0.8 * gain, rel=0.01)
    assert mood.affect.arousal == pytest.approx(0.4 * gain, rel=0.01)
    assert mood.valence_std == pytest.approx(PRIOR_STD * math.sqrt(1 - gain), rel=0.01)
    assert (mood.evidence_s, mood.people, mood.since_ns) == (2.0, 1, T0 - 2 * NS)


def test_what_lasts_becomes_the_mood_and_what_passes_does_not():
    calm = [(0.0, 0.0)] * 1500
    before = run(calm)[-1]
    short = run([*calm, *[(0.8, 0.0)] * 25])[-1]  # a laugh of 5 s
    long = run([*calm, *[(0.8, 0.0)] * 900])[-1]  # 3 minutes of it
    assert abs(before.affect.valence) < 0.01
    assert 0.0 < short.affect.valence < 0.12
    assert 0.6 < long.affect.valence < 0.8
    assert before.valence_std < 0.15 < run(calm[:20])[-1].valence_std


def test_a_lasting_change_is_followed_with_settle_s():
    settings = MoodSettings(settle_s=60.0, period_s=0.1)
    moods = Moods(settings, 300.0)
    run([(0.0, 0.0)] * 3000, moods, std=0.05)
    found = run([(0.5, 0.0)] * 300, moods, 3000, std=0.05)
    # After one time constant, a filter of first order has gone 63% of the way.
    assert found[-1].affect.valence / 0.5 == pytest.approx(0.63, abs=0.12)


def test_overlapping_windows_do_not_make_it_surer():
    often = run([(0.5, 0.0)] * 300, std=0.3)[-1]
    moods = Moods(QUICK, 300.0)
    for hop in range(0, 300, 10):
        rare = moods.take([state(T0 + hop * HOP_NS, 0.5, 0.0, 0.3)])
    assert often.valence_std == pytest.approx(rare[0].valence_std, rel=0.02)
    assert often.evidence_s == pytest.approx(rare[0].evidence_s, rel=0.02)
    assert often.evidence_s < 60


def test_its_interval_holds_the_truth_as_often_as_it_says():
    settings, rng = QUICK, np.random.default_rng(5)
    wander = 2 * settings.passing_std**2 * settings.passing_s / settings.settle_s**2
    kept = math.exp(-2.0 / settings.passing_s)
    inside = total = 0
    for _ in range(60):
        axis = SlowAxis(passing_var=settings.passing_std**2)
        mood, passing = rng.normal(0, 0.3), 0.0
        for step in range(300):
            mood += rng.normal(0, math.sqrt(2.0 * wander))
            passing = kept * passing + rng.normal(
                0, settings.passing_std * math.sqrt(1 - kept**2))
            axis.wait(2.0, settings)
            axis.take(mood + passing + rng.normal(0, 0.2), 0.2)
            if step >= 50 and abs(mood) < 0.9:
                total += 1
                inside += abs(axis.mood - mood) <= Z90 * math.sqrt(axis.mood_var)
    assert inside / total == pytest.approx(0.90, abs=0.03)


def test_without_evidence_it_stays_and_becomes_unsure_up_to_the_prior():
    moods = Moods(QUICK, 3600.0)
    sure = run([(0.5, 0.2)] * 600, moods)[-1]
    absent = run([(math.nan, math.nan)] * 10, moods, 600)[-1]
    assert (absent.affect, absent.evidence_s) == (sure.affect, sure.evidence_s)
    after = run([(0.5, 0.2)], moods, 600 + 5 * 3000)[-1]
    assert after.evidence_s < 2.1 and after.valence_std > sure.valence_std
    axis = SlowAxis(mood=0.5, mood_var=0.01)
    axis.wait(1e6, QUICK)
    assert axis.mood == 0.5 and axis.mood_var == pytest.approx(PRIOR_STD**2)


def test_the_group_is_the_mean_of_the_people_in_view():
    moods = Moods(QUICK, 300.0)
    for hop in range(300):
        found = moods.take([state(T0 + hop * HOP_NS, 0.6, 0.2, person_id='a'),
                            state(T0 + hop * HOP_NS, -0.2, 0.0, person_id='b'),
                            state(T0 + hop * HOP_NS, -0.9, 0.9, person_id='')])
    a, b, nobody, group = found
    assert [one.person_id for one in found] == ['a', 'b', '', '']
    assert group.group and not nobody.group and group.people == 2
    assert group.affect.valence == pytest.approx((a.affect.valence + b.affect.valence) / 2)
    assert group.valence_std == pytest.approx(math.hypot(a.valence_std, b.valence_std) / 2)
    assert group.evidence_s == pytest.approx(a.evidence_s + b.evidence_s)
    (_, alone) = moods.take([state(T0 + 301 * HOP_NS, -0.9, 0.9, person_id='')])
    assert alone.group and alone.people == 1, 'a voice alone is a group of one'


def test_it_comes_once_a_period_and_not_before_any_evidence():
    moods = Moods(MoodSettings(period_s=1.0), 300.0)
    assert run([(math.nan, math.nan)] * 20, moods) == []
    found = run([(0.1, 0.1)] * 100, moods, 20)
    assert len(found) == 20
    assert {seconds(b.stamp_ns - a.stamp_ns) for a, b in pairwise(found)} == {1.0}


def test_who_left_is_forgotten_after_the_set_time_and_people_are_bounded():
    moods = Moods(QUICK, 60.0)
    run([(0.9, 0.0)] * 300, moods)
    soon = run([(-0.5, 0.0)], moods, 300 + 5 * 59)[-1]
    assert soon.since_ns < T0 and soon.affect.valence > 0.2
    late = run([(-0.5, 0.0)], moods, 300 + 5 * 59 + 5 * 61)[-1]
    assert late.since_ns > T0 and late.affect.valence < 0
    for number in range(500):
        moods.take([state(T0 + (1000 + number) * HOP_NS, 0.1, 0.1, person_id=f'p{number}')])
    assert len(moods._people) == MOST_PEOPLE and 'p499' in moods._people
