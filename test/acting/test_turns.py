"""One state for each utterance: whose it is, from which windows, and how sure."""

import math

import pytest
from made_states import HOP_NS, T0, state, utterance

from maven_ros.acting.turns import Turns
from maven_ros.affect import Affect
from maven_ros.records import (
    NS,
    AffectTurn,
    Alone,
    Modality,
    Speaker,
    VoiceAssigned,
)

SELF, OTHER, UNDECIDED = VoiceAssigned.SELF, VoiceAssigned.OTHER, VoiceAssigned.UNDECIDED


def at(seconds):
    return T0 + round(seconds * NS)


def hear(first_s, last_s, *people, turns=None, attending=None):
    """Feed windows that end from the first time to the last; people make states of a time."""
    turns = turns or Turns()
    found = []
    for hop in range(round(first_s * 5), round(last_s * 5) + 1):
        found += turns.take([person(T0 + hop * HOP_NS) for person in people], attending or {})
    return turns, found


def she(valence=0.5, arousal=0.25, std=0.2, voice=True, **changes):
    return lambda end_ns: state(end_ns, valence, arousal, std, voice=voice, **changes)


def in_a_group(person_id, valence, voice):
    own = voice is SELF
    return she(valence, voice=own, person_id=person_id, voice_assigned=voice)


def test_attention_is_the_share_of_the_time_in_which_the_head_was_seen():
    turns, _ = hear(0, 4.0, she(), attending={'person_1': True})
    hear(4.2, 6.0, she(), turns=turns, attending={'person_1': False})
    hear(6.2, 8.0, she(), turns=turns)
    (mixed,) = turns.hear(utterance('look at this', at(2.0), at(6.0)))
    (seen,) = turns.hear(utterance('look', at(2.0), at(4.0)))
    assert 0.3 < mixed.attending < 0.7 and seen.attending == 1.0
    alone, _ = hear(0, 4.0, she())
    (unseen,) = alone.hear(utterance('hello', at(1.0), at(3.0)))
    assert math.isnan(unseen.attending)


def test_a_turn_is_known_once_it_is_final_and_its_window_is_judged():
    said = utterance('I am so happy', at(3.0), at(5.1))
    turns, before = hear(0, 5.0, she())
    assert before == [] and turns.hear(said) == []
    _, (late,) = hear(5.2, 5.2, she(), turns=turns)
    turns, _ = hear(0, 7.0, she())
    (known,) = turns.hear(said)
    assert repr(known) == repr(late), 'it depends on the order'
    assert isinstance(late, AffectTurn)
    assert (late.start_ns, late.end_ns) == (at(3.0), at(5.1))
    assert (late.speaker, late.person_id) == (Speaker.ALONE, 'person_1')
    assert (late.text, late.language) == ('I am so happy', 'en')
    assert late.speech_confidence == pytest.approx(0.8)
    assert late.modalities == Modality.VIDEO | Modality.AUDIO
    assert (late.frame_id, late.model) == ('camera', 'test')


def test_it_reaches_from_the_first_word_to_the_last():
    said = utterance('I am so happy', at(3.0), at(5.0))
    wider = type(said)(at(2.0), at(6.0), said.words, True, 'test', 'en')
    turns, _ = hear(0, 8.0, she())
    (turn,) = turns.hear(wider)
    assert (turn.start_ns, turn.end_ns) == (at(3.0), at(5.0))


def test_windows_count_by_the_time_they_share_and_no_later_ones_do():
    def changing(end_ns):
        return state(end_ns, 0.8 if end_ns <= at(4.0) else -0.8, 0.0, voice=True)

    turns, _ = hear(0, 9.0, changing)
    (turn,) = turns.hear(utterance('a b', at(3.0), at(4.0)))
    assert turn.affect.valence == pytest.approx(0.8), 'windows after the last word count'
    # Windows that end at 3.2 to 4.0 share 0.2 to 1.0 s; at 4.2 to 5.0, 1.0 s and -0.8 each.
    (turn,) = turns.hear(utterance('a b', at(3.0), at(5.0)))
    first, then = sum((0.2, 0.4, 0.6, 0.8, 1.0)), sum((1.2, 1.4, 1.6, 1.8, 2.0))
    assert turn.affect.valence == pytest.approx(0.8 * (first - then) / (first + then))


def test_a_long_utterance_is_surer_and_a_short_one_never_more_than_a_window():
    turns, _ = hear(0, 20.0, she(std=0.2))
    (short,) = turns.hear(utterance('yes', at(3.0), at(3.4)))
    (long,) = turns.hear(utterance('no no no', at(3.0), at(11.0)))
    assert short.valence_std == pytest.approx(0.2)
    assert long.valence_std == pytest.approx(0.2 / 2)  # four whole windows
    assert long.confidence > short.confidence


@pytest.mark.parametrize('people, speaker, person_id, valence', [
    ([she(0.5)], Speaker.ALONE, 'person_1', 0.5),
    ([she(0.5, person_id='')], Speaker.UNSEEN, '', 0.5),
    ([in_a_group('a', 0.5, OTHER), in_a_group('b', -0.5, SELF)], Speaker.SEEN, 'b', -0.5),
    ([in_a_group('a', 0.5, UNDECIDED), in_a_group('b', -0.5, UNDECIDED)],
     Speaker.UNDECIDED, '', math.nan),
    ([she(0.5, voice=False)], Speaker.UNDECIDED, '', math.nan),
])
def test_whose_it_is(people, speaker, person_id, valence):
    turns, _ = hear(0, 6.0, *people)
    (turn,) = turns.hear(utterance('who is it', at(3.0), at(5.0)))
    assert (turn.speaker, turn.person_id) == (speaker, person_id)
    assert turn.affect.valence == pytest.approx(valence, nan_ok=True)
    assert math.isnan(turn.confidence) is math.isnan(valence)


def test_a_voice_that_moves_from_one_to_another_half_way_is_undecided():
    def one(end_ns):
        return in_a_group('a', 0.5, SELF if end_ns <= at(4.2) else OTHER)(end_ns)

    def other(end_ns):
        return in_a_group('b', -0.5, OTHER if end_ns <= at(4.2) else UNDECIDED)(end_ns)

    turns, _ = hear(0, 8.0, one, other)
    (mostly,) = turns.hear(utterance('a b c', at(1.0), at(4.4)))
    assert (mostly.speaker, mostly.person_id) == (Speaker.SEEN, 'a')
    (undecided,) = turns.hear(utterance('a b c', at(3.6), at(7.6)))
    assert undecided.speaker is Speaker.UNDECIDED


def test_words_of_a_text_evidence_alone_have_a_speaker_and_each_modality_its_own_reading():
    alone = Alone(video=Affect(-0.4, 0.2), text=Affect(0.3, 0.1))
    turns, _ = hear(0, 6.0, lambda end_ns: state(
        end_ns, 0.1, 0.1, modalities=Modality.VIDEO | Modality.TEXT,
        alone=alone if end_ns >= at(4.0) else Alone(video=Affect(-0.4, 0.2))))
    (turn,) = turns.hear(utterance('very nice', at(3.0), at(5.0)))
    assert turn.speaker is Speaker.ALONE and turn.modalities & Modality.TEXT
    assert turn.alone.video.valence == pytest.approx(-0.4)
    assert turn.alone.text.valence == pytest.approx(0.3)
    assert turn.alone.audio is None


@pytest.mark.parametrize('said', [
    utterance('not yet', T0, T0 + NS, is_final=False), utterance('', T0, T0 + NS)])
def test_partial_and_empty_utterances_are_no_turns(said):
    turns, _ = hear(0, 6.0, she())
    assert turns.hear(said) == [] and turns.end() == []


def test_windows_and_utterances_are_bounded():
    turns, _ = hear(0, 200.0, she())
    assert len(turns._windows) == 301
    ahead = [turn for number in range(40) for turn in turns.hear(
        utterance(f'number {number}', at(900 + number), at(901 + number)))]
    assert [turn.text for turn in ahead] == [f'number {number}' for number in range(24)]
    assert all(turn.speaker is Speaker.UNDECIDED for turn in ahead)
    assert len(turns.end()) == 16 and turns.end() == []


def test_an_utterance_before_any_window_waits_for_one():
    turns = Turns()
    assert turns.hear(utterance('hello', T0, T0 + NS)) == []
    _, (turn,) = hear(0.2, 1.4, she(), turns=turns)
    assert turn.speaker is Speaker.ALONE
