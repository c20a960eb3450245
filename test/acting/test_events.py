"""Events: none without its cause in the states, and no chatter."""

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_states import HOP_NS, T0, state

from maven_ros.acting.events import Events
from maven_ros.acting.regions import read_regions
from maven_ros.affect import Affect
from maven_ros.records import (
    NS,
    Attention,
    Engagement,
    EventKind,
    HeadPose,
    Modality,
    VoiceAssigned,
)
from maven_ros.settings import EventSettings

REGIONS = read_regions()
SETTINGS = EventSettings()
GAP_NS, DWELL_NS = 2 * NS, round(SETTINGS.dwell_s * NS)
HAPPY, ANGRY, CALM = (0.6, 0.6), (-0.6, 0.6), (0.6, -0.6)
ENTERED, LEFT_IT = EventKind.REGION_ENTERED, EventKind.REGION_LEFT
ROSE, FELL = EventKind.ROSE, EventKind.FELL
STARTED, STOPPED = EventKind.SPEECH_STARTED, EventKind.SPEECH_STOPPED


def maker(**values):
    return Events(EventSettings(**values), REGIONS, 2.0)


def run(points, events=None, **fields):
    """Return the events of one person who is at these points, hop after hop."""
    events, fields = events or maker(), {'std': 0.1, **fields}
    return [event for hop, point in enumerate(points)
            for event in events.take([state(T0 + hop * HOP_NS, *point, **fields)])]


def told(events):
    return [(event.kind, event.region) if event.region else event.kind for event in events]


def test_a_turn_from_distress_to_laughter_is_told_in_order():
    events = run([ANGRY] * 10 + [HAPPY] * 10)
    assert told(events) == [EventKind.APPEARED, (ENTERED, 'distressed'),
                            (LEFT_IT, 'distressed'), (ENTERED, 'excited')]
    left, entered = events[2:]
    assert left.since_ns == entered.since_ns == T0 + 10 * HOP_NS
    assert left.stamp_ns == entered.stamp_ns == left.since_ns + DWELL_NS
    assert entered.before == Affect(*ANGRY) and entered.after == Affect(*HAPPY)
    assert entered.confidence == pytest.approx(1 - 0.1 * math.sqrt(3))
    assert entered.frame_id == 'camera' and entered.person_id == 'person_1'


def test_a_glimpse_of_another_region_is_not_told():
    events = run([ANGRY] * 10 + [HAPPY] * 2 + [ANGRY] * 10)
    assert told(events) == [EventKind.APPEARED, (ENTERED, 'distressed')]


@given(st.lists(st.floats(-0.049, 0.049), min_size=20, max_size=60))
def test_at_a_boundary_nothing_chatters(steps):
    """Between excited and distressed, to and fro by less than the margin."""
    events = [kind for kind in told(run([(step, 0.7) for step in steps], maker(dwell_s=0.0)))
              if kind is not EventKind.APPEARED]
    assert len(events) == 1 and events[0][0] is ENTERED


def test_sharp_rises_and_falls_are_told_once_with_their_ends():
    rise = [(0.1 * step, 0.0) for step in range(8)]
    events = run([(0.0, 0.0)] * 5 + rise + [(0.75, 0.0)] * 15 + [(0.1, 0.0)] * 5)
    sharp = [event for event in events if event.kind in (ROSE, FELL)]
    assert told(sharp) == [ROSE, FELL]
    assert sharp[0].before == Affect(0.0, 0.0) and sharp[0].since_ns == T0 + 5 * HOP_NS
    assert sharp[0].after.intensity == pytest.approx(0.4)
    assert sharp[1].before.intensity == 0.75 and sharp[1].after == Affect(0.1, 0.0)


def test_the_less_sure_the_states_the_more_it_takes():
    points = [(0.15, 0.35)] * 10 + [(-0.15, 0.35)] * 10 + [(0.15, 0.35)] * 10
    assert told(run(points, std=0.05)) == [
        EventKind.APPEARED, (ENTERED, 'excited'), (LEFT_IT, 'excited'), (ENTERED, 'distressed'),
        (LEFT_IT, 'distressed'), (ENTERED, 'excited')]
    assert told(run(points, std=0.2)) == [EventKind.APPEARED, (ENTERED, 'excited')]
    rise = [(0.2, 0.0)] * 5 + [(0.65, 0.0)] * 5
    assert ROSE in told(run(rise, std=0.15)) and ROSE not in told(run(rise, std=0.17))


def test_a_slow_rise_is_no_sharp_one():
    events = run([(0.02 * step, 0.0) for step in range(40)])
    assert not {ROSE, FELL} & {event.kind for event in events}


def test_who_is_no_longer_in_any_window_has_left_and_all_ends_with_them():
    events = maker()
    found = run([HAPPY] * 10, events, voice=True)
    for hop in range(10, 20):
        found += events.take([state(T0 + hop * HOP_NS, person_id='')])
    assert told(found) == [EventKind.APPEARED, (ENTERED, 'excited'), STARTED,
                           (LEFT_IT, 'excited'), STOPPED, EventKind.LEFT]
    assert found[-1].since_ns == T0 + 9 * HOP_NS
    assert found[-1].stamp_ns == found[-1].since_ns + NS
    assert math.isnan(found[-1].after.valence) and found[-1].before == Affect(*HAPPY)
    assert list(events.people) == ['']


def test_who_is_back_in_time_has_never_left():
    events = maker()
    found = run([HAPPY] * 10, events)
    found += events.take([state(T0 + 12 * HOP_NS, person_id='')])
    found += events.take([state(T0 + 14 * HOP_NS, *HAPPY)])
    assert told(found) == [EventKind.APPEARED, (ENTERED, 'excited')]


def test_of_whom_nothing_is_known_for_long_is_in_no_region():
    found = run([HAPPY] * 10 + [(math.nan, math.nan)] * 15 + [HAPPY] * 5)
    assert told(found) == [EventKind.APPEARED, (ENTERED, 'excited'), (LEFT_IT, 'excited'),
                           (ENTERED, 'excited')]
    assert found[2].stamp_ns - found[2].since_ns == GAP_NS
    assert math.isnan(found[2].after.valence)


def test_speech_begins_with_the_first_window_and_ended_where_the_first_silent_one_begins():
    events = maker()
    found = run([CALM] * 5, events)
    for hop in range(5, 30):
        voice = hop < 20
        found += events.take([state(T0 + hop * HOP_NS, *CALM, voice=voice)])
    started, stopped = (event for event in found if event.kind in (STARTED, STOPPED))
    assert started.kind is STARTED and started.since_ns == T0 + 5 * HOP_NS
    assert stopped.since_ns == T0 + 20 * HOP_NS - 2 * NS
    assert stopped.stamp_ns == T0 + 20 * HOP_NS + DWELL_NS


def test_attention_is_gained_and_lost_before_the_person_leaves():
    def attention(hop, engagement):
        return Attention(T0 + hop * HOP_NS, 'person_1', engagement, T0 + 3,
                         HeadPose(0.0, 0.0, 0.0, (0.1, 0.1, 0.1)), None)

    events, found = maker(), []
    for hop, level in enumerate((Engagement.ENGAGING, Engagement.ENGAGED, Engagement.DISENGAGING,
                                 Engagement.DISENGAGED, Engagement.ENGAGED)):
        found += events.take([state(T0 + hop * HOP_NS, *HAPPY)], [attention(hop, level)])
    found += events.end()
    gained, lost = EventKind.ATTENTION_GAINED, EventKind.ATTENTION_LOST
    assert told(found) == [EventKind.APPEARED, gained, (ENTERED, 'excited'), lost, gained,
                           (LEFT_IT, 'excited'), lost, EventKind.LEFT]
    assert found[1].since_ns == T0 + 3 and found[1].stamp_ns == T0 + HOP_NS
    assert found[1].text == 'person_1 attention gained' and found[1].after == Affect(*HAPPY)


def test_anothers_voice_is_no_speech_of_this_person():
    events = maker()
    for hop in range(10):
        one = state(T0 + hop * HOP_NS, *CALM, voice=True)
        found = events.take([replace(one, voice_assigned=VoiceAssigned.OTHER)])
        assert STARTED not in told(found)


def test_when_time_starts_over_everybody_leaves():
    events = maker()
    run([HAPPY] * 10, events)
    assert told(events.end()) == [(LEFT_IT, 'excited'), EventKind.LEFT]
    assert events.end() == [] and not events.people


# --- whatever comes --------------------------------------------------------------------------


POINTS = st.one_of(
    st.tuples(st.floats(-1, 1), st.floats(-1, 1)), st.just((math.nan, math.nan)),
    st.sampled_from([HAPPY, ANGRY, CALM, (0.0, 0.0), (0.32, 0.0), (0.0, 0.35)]))
#: Where somebody is (None: out of view), for how many hops, whether with a voice, how sure.
STAYS = st.lists(st.tuples(st.one_of(st.none(), POINTS), st.integers(1, 14), st.booleans(),
                           st.sampled_from([0.02, 0.1, 0.3])), min_size=1, max_size=12)


def windows(*people):
    """Yield the states of each window of some people's stays."""
    tracks = [[(point, voice, std) for point, hops, voice, std in stays for _ in range(hops)]
              for stays in people]
    for hop in range(max(map(len, tracks))):
        states = [state(T0 + hop * HOP_NS, *track[hop][0], person_id=f'person_{index}',
                        voice=track[hop][1], std=track[hop][2])
                  for index, track in enumerate(tracks)
                  if hop < len(track) and track[hop][0] is not None]
        yield states or [state(T0 + hop * HOP_NS, person_id='')]


@settings(max_examples=80, deadline=None)
@given(STAYS, STAYS)
def test_every_event_has_its_cause_and_none_comes_twice(first, second):
    events, seen, found = maker(), [], []
    for states in windows(first, second):
        seen += states
        fresh = events.take(states)
        assert all(event.stamp_ns == states[0].window_end_ns for event in fresh)
        found += fresh
    whole = len(found)
    found += events.end()
    for person_id in {event.person_id for event in found}:
        own = [state for state in seen if state.person_id == person_id]
        check_order([event for event in found if event.person_id == person_id])
        for event in found[:whole]:
            if event.person_id == person_id:
                check_cause(event, own)


def check_order(events):
    """What begins ends before it begins again; times do not go back."""
    assert [event.stamp_ns for event in events] == sorted(event.stamp_ns for event in events)
    assert all(event.since_ns <= event.stamp_ns for event in events)
    for begins, ends in ((EventKind.APPEARED, EventKind.LEFT), (ENTERED, LEFT_IT),
                         (STARTED, STOPPED)):
        own = [event for event in events if event.kind in (begins, ends)]
        assert [event.kind for event in own] == [begins, ends] * (len(own) // 2)
        for one, other in zip(own[::2], own[1::2], strict=True):
            assert one.region == other.region and one.since_ns <= other.since_ns


def check_cause(event, states):
    """Find in a person's states what an event is about."""
    known = [one for one in states if not math.isnan(one.affect.valence)]
    during = [one for one in states if event.since_ns <= one.window_end_ns <= event.stamp_ns]
    lasted_ns = event.stamp_ns - event.since_ns
    if event.kind is ENTERED:
        assert lasted_ns >= DWELL_NS
        assert all(REGIONS[event.region].holds(one.affect) for one in during)
        assert during[-1].affect == event.after
    elif event.kind is LEFT_IT and not math.isnan(event.after.valence):
        assert lasted_ns >= DWELL_NS
        assert all(REGIONS[event.region].outside(one.affect) > max(
            SETTINGS.margin, SETTINGS.margin_std * one.valence_std)
            for one in during if one in known)
    elif event.kind in (LEFT_IT, EventKind.LEFT) or (
            event.kind is STOPPED and event.stamp_ns > states[-1].window_end_ns):
        after = [one for one in known if event.since_ns < one.window_end_ns <= event.stamp_ns]
        assert not after and lasted_ns >= NS
    elif event.kind in (ROSE, FELL):
        sign = 1 if event.kind is ROSE else -1
        unsure = SETTINGS.sharp_std * math.hypot(during[0].valence_std, during[-1].valence_std)
        assert sign * (event.after.intensity - event.before.intensity) >= max(
            SETTINGS.sharp_change, unsure - 1e-9)
        assert lasted_ns <= SETTINGS.sharp_s * NS
        assert during[0].affect == event.before and during[-1].affect == event.after
    elif event.kind in (STARTED, STOPPED):
        noticed = [one for one in states
                   if event.stamp_ns - DWELL_NS <= one.window_end_ns <= event.stamp_ns]
        assert all(bool(one.modalities & Modality.AUDIO) is (event.kind is STARTED)
                   for one in noticed)
    else:
        assert event.kind is EventKind.APPEARED and during == [during[0]]
        assert not any(event.stamp_ns - NS < one.window_end_ns < event.stamp_ns
                       for one in states)


def after_a_gap(gap_ns, kinds, before, after, **fields):
    """Return what is told at the first state after a gap, and when what began then is told."""
    events = maker()
    begin = [event for hop, point in enumerate(before)
             for event in events.take([state(T0 + hop * HOP_NS, *point, std=0.1, **fields)])]
    again_ns = T0 + (len(before) - 1) * HOP_NS + gap_ns
    later = [event for hop, point in enumerate(after)
             for event in events.take([state(again_ns + hop * HOP_NS, *point, std=0.1, **fields)])]
    assert not [event for event in begin if event.kind in kinds]
    return [(event.stamp_ns - again_ns) for event in later if event.kind in kinds]


@pytest.mark.parametrize(('gap_ns', 'told_after_ns'), [
    (GAP_NS, 0), (GAP_NS + 1, DWELL_NS)])  # not seen for longer: nothing has lasted
def test_a_region_is_not_entered_by_time_that_nobody_saw(gap_ns, told_after_ns):
    assert after_a_gap(gap_ns, {ENTERED}, [HAPPY] * 2, [HAPPY] * 9) == [told_after_ns]


def test_speech_does_not_start_by_time_that_nobody_heard():
    assert after_a_gap(GAP_NS + 1, {STARTED}, [HAPPY] * 2, [HAPPY] * 9, voice=True) == [DWELL_NS]


def test_a_region_is_not_left_by_time_that_nobody_saw():
    inside, again_ns = [HAPPY] * 9, T0 + 10 * HOP_NS + GAP_NS + 1
    events = maker()
    run([*inside, ANGRY, ANGRY], events)
    left = [event for hop in range(9) for event in events.take(
        [state(again_ns + hop * HOP_NS, *ANGRY, std=0.1)]) if event.kind is LEFT_IT]
    assert [event.stamp_ns - again_ns for event in left] == [DWELL_NS]
