"""The stage as a whole: smoothed states, then events, and all of it frozen and thawed."""

import numpy as np
import pytest
from made_states import HOP_NS, T0, state, utterance

from maven_ros.acting.stage import Acting
from maven_ros.errors import SettingsError
from maven_ros.freezing import decode, encode
from maven_ros.records import (
    NS,
    AffectEvent,
    AffectMood,
    AffectSummary,
    AffectTurn,
    EventKind,
    SmoothedState,
)
from maven_ros.settings import Settings

LEARNS = Settings().with_values({'baseline.enabled': True, 'baseline.settle_s': 10.0})


def windows(hops, first=0):
    """Yield windows of two people, of whom one is away now and then."""
    points = np.random.default_rng(1).uniform(-0.9, 0.9, (first + hops, 4)).round(3).tolist()
    for hop in range(first, first + hops):
        end_ns, (valence, arousal, other, another) = T0 + hop * HOP_NS, points[hop]
        states = [state(end_ns, valence, arousal, 0.1, voice=hop % 40 < 20)]
        if hop % 30 < 17:
            states.append(state(end_ns, other, another, 0.3, 'person_2'))
        yield states


def run(acting, some):
    return [one for states in some for one in acting.take(states)]


def test_each_window_gives_its_states_smoothed_then_its_events():
    acting = Acting(Settings())
    for states in windows(60):
        found = acting.take(states)
        smoothed = found[:len(states)]
        assert all(isinstance(one, SmoothedState) for one in smoothed)
        assert [one.state.person_id for one in smoothed] == [one.person_id for one in states]
        assert all(isinstance(one, AffectEvent | AffectMood | AffectSummary)
                   for one in found[len(states):])


def test_another_stage_goes_on_exactly_alike_from_what_was_written_down():
    one, other = Acting(LEARNS), Acting(LEARNS)
    run(one, windows(100))
    one.hear(utterance('I wait', T0 + 95 * HOP_NS, T0 + 105 * HOP_NS))
    other.thaw(decode(encode(one.freeze())))
    then = run(one, windows(100, 100))
    assert repr(run(other, windows(100, 100))) == repr(then)
    assert [turn.text for turn in then if isinstance(turn, AffectTurn)] == ['I wait']
    assert {event.kind for event in then if isinstance(event, AffectEvent)} >= {
        EventKind.APPEARED, EventKind.LEFT, EventKind.SPEECH_STARTED}


def test_a_reset_lets_everybody_leave_and_all_starts_anew():
    acting, fresh = Acting(LEARNS), Acting(LEARNS)
    run(acting, windows(50))
    ended = acting.reset()
    assert {event.person_id for event in ended if event.kind is EventKind.LEFT} == {
        'person_1', 'person_2'}
    assert acting.reset() == []
    assert repr(run(acting, windows(50))) == repr(run(fresh, windows(50)))


def test_events_see_what_is_left_when_the_baseline_is_subtracted():
    still = [[state(T0 + hop * HOP_NS, -0.35, 0.1, 0.05)] for hop in range(600)]
    with_it, without = run(Acting(LEARNS), still), run(Acting(Settings()), still)
    left = [one for one in with_it if isinstance(one, AffectEvent)
            and one.kind is EventKind.REGION_LEFT]
    assert [one.region for one in left] == ['distressed'] and not any(
        one.kind is EventKind.REGION_LEFT for one in without if isinstance(one, AffectEvent))


@pytest.mark.parametrize('changes', [
    {'smoothing.process_noise': 1.0}, {'smoothing.gap_s': 0.1}, {'events.dwell_s': 0.0},
    {'events.leave_s': 0.0}, {'events.sharp_s': 0.5}, {'events.sharp_change': 0.1},
    {'baseline.enabled': True}])
def test_a_change_counts_from_the_next_window_and_forgets_nobody(changes):
    acting, as_it_was = Acting(Settings()), Acting(Settings())
    run(acting, windows(35))
    run(as_it_was, windows(35))
    acting.change(Settings().with_values(changes))
    found = run(acting, windows(30, 35))
    assert repr(found) != repr(run(as_it_was, windows(30, 35)))
    assert not any(one.person_id == 'person_1' for one in found if isinstance(one, AffectEvent)
                   and one.kind is EventKind.APPEARED)


def test_a_turn_has_the_baseline_subtracted_and_waits_no_longer_than_the_end():
    acting = Acting(LEARNS)
    found = run(acting, ([state(T0 + hop * HOP_NS, -0.5, 0.1, 0.05, voice=True)]
                         for hop in range(100)))
    last = found[-1].state
    assert acting.hear(utterance('too early', T0, T0 + 100 * HOP_NS, is_final=False)) == []
    assert acting.hear(utterance('it ends here', T0 + 95 * HOP_NS, T0 + 120 * HOP_NS)) == []
    one, summary, *events = acting.reset()
    assert "while saying 'it ends here'" in summary.text
    assert isinstance(one, AffectTurn) and one.text == 'it ends here'
    assert one.affect.valence == pytest.approx(-0.5 - last.baseline[0], abs=0.01)
    assert all(isinstance(event, AffectEvent) for event in events) and acting.reset() == []


@pytest.mark.parametrize('settings', [LEARNS, Settings()])
def test_windows_without_evidence_become_neither_mood_nor_turn(settings):
    """They became -1 where the baseline was subtracted from NaN, and clipped."""
    acting = Acting(settings)
    found = run(acting, ([state(T0 + hop * HOP_NS, person_id='person_1')] for hop in range(20)))
    assert not any(isinstance(one, AffectMood) for one in found)
    run(acting, ([state(T0 + hop * HOP_NS, 0.4, 0.2, voice=True)] for hop in range(20, 30)))
    run(acting, ([state(T0 + hop * HOP_NS)] for hop in range(30, 40)))
    one, *_ = acting.hear(utterance('half of it is seen', T0 + 4 * NS, T0 + 7 * NS))
    assert one.affect.valence == pytest.approx(0.4, abs=0.05)


def test_baselines_alone_are_reset_while_all_else_goes_on():
    acting = Acting(LEARNS)
    run(acting, windows(50))
    acting.reset_baselines()
    found = run(acting, windows(1, 50))
    assert found[0].state.baseline == (0.0, 0.0)
    assert not any(one.kind is EventKind.APPEARED for one in found
                   if isinstance(one, AffectEvent))


def test_regions_that_cannot_be_used_are_refused(tmp_path):
    path = tmp_path / 'regions.yaml'
    path.write_text('a: {intensity: [0, 1]}\nb: {intensity: [0, 1]}')
    settings = Settings().with_values({'events.regions': str(path)})
    with pytest.raises(SettingsError, match=r'regions\.yaml: a and b overlap'):
        Acting(settings)
