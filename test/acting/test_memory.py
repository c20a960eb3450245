"""What the last minutes held: exact figures, bounds, and who is forgotten."""

import math

import pytest
from made_states import HOP_NS, T0, state, utterance

from maven_ros.acting.memory import NO_REGION, Memory
from maven_ros.acting.stage import Acting
from maven_ros.errors import InputError
from maven_ros.records import (
    NS,
    AffectEvent,
    AffectTurn,
    EventKind,
    SmoothedState,
    VoiceAssigned,
)
from maven_ros.settings import Settings

SETTINGS = Settings().with_values({'memory.keep_s': 60.0, 'memory.forget_s': 20.0})


def see(memory, hops, valence, arousal=0.0, person_id='a', first=0, std=0.2):
    """Feed states that are their own smoothed states; valence may be a function of the hop."""
    for hop in range(first, first + hops):
        point = valence(hop) if callable(valence) else valence
        one = state(T0 + hop * HOP_NS, point, arousal, std, person_id)
        memory.take(one)
        memory.take(SmoothedState(one))


def leave(memory, hop, person_id='a'):
    memory.take(AffectEvent(
        T0 + hop * HOP_NS, EventKind.LEFT, person_id, T0 + hop * HOP_NS,
        state(T0).affect, state(T0).affect, 0.5))


def test_mean_trend_and_shares_are_those_of_the_states():
    memory = Memory(SETTINGS)
    see(memory, 150, lambda hop: 0.4 if hop < 50 else 0.1)  # a third excited, then neutral
    (found,) = memory.recall('a').people
    assert found.present and found.evidence_s == pytest.approx(25.0, abs=1.0)
    assert found.affect.valence == pytest.approx(0.2, abs=0.01)
    assert found.affect.arousal == 0.0
    assert found.regions == pytest.approx({'neutral': 2 / 3, 'excited': 1 / 3}, abs=0.02)
    assert sum(found.regions.values()) == pytest.approx(1.0)
    # Errors of 0.2 that last for a window of 2 s: 25 s hold twelve and a half of them.
    assert found.valence_std == pytest.approx(0.2 / math.sqrt(found.evidence_s / 2), rel=1e-6)
    assert 0 < found.confidence < 1
    assert found.trend[0] < 0 and found.trend[1] == pytest.approx(0.0, abs=1e-9)


def test_a_steady_change_is_its_trend_per_minute():
    memory = Memory(SETTINGS)
    see(memory, 250, lambda hop: -0.5 + hop / 300)  # 1/60 a second
    (found,) = memory.recall('a', 40.0).people
    assert found.trend == pytest.approx((1.0, 0.0), abs=1e-6)
    assert 0 < found.trend_std[0] < 0.5
    assert found.end_ns - found.start_ns == pytest.approx(40 * NS, abs=NS)
    (short,) = memory.recall('a', 1.0).people
    assert math.isnan(short.trend[0]) and math.isnan(short.trend_std[1])


def test_a_point_outside_all_regions_counts_as_none():
    memory = Memory(SETTINGS)
    see(memory, 50, 0.25)
    assert memory.recall('a').people[0].regions == {NO_REGION: 1.0}


def test_events_and_turns_of_the_time_come_with_the_person_and_undecided_ones_apart():
    acting, memory = Acting(SETTINGS), Memory(SETTINGS)
    for hop in range(200):
        end_ns = T0 + hop * HOP_NS
        two = hop >= 100
        states = [state(end_ns, 0.7, 0.3, 0.1, 'a', voice=not two,
                        voice_assigned=VoiceAssigned.UNDECIDED)]
        states += [state(end_ns, -0.5, 0.3, 0.1, 'b',
                         voice_assigned=VoiceAssigned.UNDECIDED)] * two
        outputs = acting.take(states)
        if hop in (50, 150):
            outputs += acting.hear(utterance(f'said at {hop}', end_ns - 2 * NS, end_ns - NS))
        for one in [*states, *outputs]:
            memory.take(one)
    a, b = memory.recall().people
    assert [turn.text for turn in a.turns] == ['said at 50'] and b.turns == ()
    assert [turn.text for turn in memory.recall().undecided] == ['said at 150']
    assert isinstance(a.turns[0], AffectTurn) and a.mood.person_id == 'a'
    assert [event.kind for event in a.events][:2] == [EventKind.APPEARED,
                                                      EventKind.REGION_ENTERED]
    assert {event.person_id for event in b.events} == {'b'}
    assert memory.recall('a').undecided == (), 'they are nobody\'s'
    assert memory.recall('a', 5.0).people[0].turns == ()


def test_a_line_is_given_back_in_place_of_what_it_stands_for():
    memory = Memory(SETTINGS)
    see(memory, 5, 0.5)
    memory.take(AffectEvent(T0 + NS, EventKind.ROSE, 'a', T0, state(T0).affect,
                            state(T0).affect, 0.5), 'its message')
    assert memory.recall('a').people[0].events == ('its message',)


def test_a_person_without_evidence_is_there_and_nothing_is_made_up():
    memory = Memory(SETTINGS)
    see(memory, 20, math.nan)
    (found,) = memory.recall('a').people
    assert found.present and found.evidence_s == 0 and found.regions == {}
    assert math.isnan(found.affect.valence) and math.isnan(found.confidence)
    assert found.mood is None


def test_who_left_is_remembered_as_absent_then_forgotten():
    memory = Memory(SETTINGS)
    see(memory, 50, 0.5)
    leave(memory, 55)
    see(memory, 100, -0.2, person_id='b', first=50)
    gone, there = memory.recall().people
    assert not gone.present and there.present
    assert gone.events[-1].kind is EventKind.LEFT
    see(memory, 10, -0.2, person_id='b', first=150)  # 20 s after a's last window
    with pytest.raises(InputError, match=(
            r"person_id: 'a' is not known; known: b; people who left are forgotten after 20 s "
            r'\(memory\.forget_s\)')):
        memory.recall('a')
    assert [one.person_id for one in memory.recall().people] == ['b']


def test_a_voice_with_nobody_in_view_is_present_only_while_it_is_heard():
    memory = Memory(SETTINGS)
    see(memory, 50, 0.5, person_id='')
    assert memory.recall().people[0].present
    see(memory, 10, 0.5, person_id='b', first=50)
    assert [one.present for one in memory.recall().people] == [False, True]
    see(memory, 100, 0.5, person_id='b', first=60)
    assert [one.person_id for one in memory.recall().people] == ['b']


@pytest.mark.parametrize('back', [-1.0, math.nan, math.inf])
def test_a_time_that_makes_no_sense_is_refused(back):
    memory = Memory(SETTINGS)
    see(memory, 5, 0.5)
    with pytest.raises(InputError, match=f'seconds: {back:g}; allowed: 0 for all that is '
                                         'remembered, and above'):
        memory.recall('', back)


def test_nobody_is_known_at_first_and_everything_is_forgotten_when_time_starts_over():
    memory = Memory(SETTINGS)
    assert memory.recall().people == ()
    with pytest.raises(InputError, match='known: nobody'):
        memory.recall('a')
    see(memory, 50, 0.5)
    see(memory, 5, 0.1, person_id='b', first=10)
    assert [one.person_id for one in memory.recall().people] == ['b']


def test_everything_is_bounded():
    memory = Memory(SETTINGS)
    event = AffectEvent(0, EventKind.ROSE, 'a', 0, state(T0).affect, state(T0).affect, 0.5)
    for hop in range(0, 1000):
        see(memory, 1, 0.5, first=hop)
        for _ in range(3):
            memory.take(AffectEvent(T0 + hop * HOP_NS, *[
                getattr(event, name) for name in ('kind', 'person_id', 'since_ns', 'before',
                                                  'after', 'confidence')]))
    (found,) = memory.recall('a', 1e30).people
    assert found.end_ns - found.start_ns <= 60 * NS and len(found.events) == 100
    for number in range(300):
        see(memory, 1, 0.5, person_id=f'p{number}', first=1000 + number // 10)
    assert len(memory.recall().people) <= 64 + 10, 'those of the newest window come on top'
