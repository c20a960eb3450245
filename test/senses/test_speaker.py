"""Whose voice it is, by made-up mouths whose motion is known."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from maven_ros.freezing import decode, encode
from maven_ros.records import NS, SAMPLE_RATE_HZ, VOICE_BLOCK, Box, Face, Window
from maven_ros.senses.speaker import ActiveSpeaker
from maven_ros.settings import SpeakerSettings

FRAME_NS, HOP_NS, LENGTH_NS = NS // 10, NS // 5, 2 * NS
STILL, MURMUR, TALK = 0, 2, 6  # how far a mouth opens, in pixels


def crop(person_id, index, opening):
    """Draw a face; its mouth opens and shuts by turns."""
    random = np.random.default_rng(sum(map(ord, person_id)))
    face = cv2.resize(random.integers(60, 200, (8, 8, 3), np.uint8), (48, 48),
                      interpolation=cv2.INTER_CUBIC)
    height = 1 + opening * (index % 2)
    return cv2.ellipse(face, (24, 39), (6, height), 0, 0, 360, (10, 10, 30), -1)


def windows(seconds, mouths, voice, start_ns=0, heard=None, step_ns=FRAME_NS):
    """
    Yield windows of people whose mouths open as told.

    :param mouths: person to a function of the time in seconds: how far it opens; None for away.
    :param voice: function of the time: whether somebody speaks.
    """
    faces = [
        Face(start_ns + stamp_ns, person_id, Box(0, 0, 48, 48), crop(person_id, index, opening))
        for index, stamp_ns in enumerate(range(0, round(seconds * NS), step_ns))
        for person_id, opens in mouths.items() if (opening := opens(stamp_ns / NS)) is not None]
    block_ns = VOICE_BLOCK * NS // SAMPLE_RATE_HZ
    for end_ns in range(HOP_NS, round(seconds * NS) + 1, HOP_NS):
        times_ns = range(end_ns - LENGTH_NS, end_ns, block_ns)
        voiced = np.array([one >= 0 and voice(one / NS) for one in times_ns])
        ears = np.array([one >= 0 and (heard is None or heard(one / NS)) for one in times_ns])
        begin_ns, until_ns = start_ns + end_ns - LENGTH_NS, start_ns + end_ns
        yield Window(
            begin_ns, until_ns, tuple(one for one in faces if begin_ns <= one.stamp_ns < until_ns),
            np.zeros(len(voiced) * VOICE_BLOCK, np.float32), np.repeat(ears, VOICE_BLOCK),
            voiced)


def decided(*args, settings=None, **kwargs):
    """Return who had the voice at the end of each window."""
    speaker = ActiveSpeaker(settings or SpeakerSettings())
    return [speaker.take(window) for window in windows(*args, **kwargs)]


def always(value):
    return lambda s: value


def test_the_voice_is_of_the_one_whose_mouth_moves_with_it():
    found = decided(4, {'a': always(TALK), 'b': always(STILL)}, always(True))
    first = found.index('a')
    assert 3 <= first <= 6 and set(found[:first]) == {''} and set(found[first:]) == {'a'}


@pytest.mark.parametrize('mouths', [
    {'a': always(STILL), 'b': always(STILL)},  # somebody outside the picture
    {'a': always(TALK), 'b': always(TALK)},
    {'a': always(MURMUR), 'b': always(TALK), 'c': always(TALK)},
])
def test_without_a_clear_margin_it_is_nobodys(mouths):
    assert set(decided(4, mouths, always(True))) == {''}


def test_a_mouth_that_moves_in_silence_too_does_not_speak():
    found = decided(6, {'a': always(TALK), 'b': always(STILL)}, lambda s: s >= 2)
    assert set(found) == {''}


def test_in_silence_the_voice_is_nobodys_again():
    found = decided(8, {'a': lambda s: TALK * (s < 3), 'b': always(STILL)}, lambda s: s < 3)
    assert found[14] == 'a' and set(found[25:]) == {''}


def test_turns_are_followed_and_the_voice_is_nobodys_in_between():
    mouths = {'a': lambda s: TALK * (s < 4), 'b': lambda s: TALK * (s >= 4)}
    found = decided(8, mouths, always(True))
    order = [one for index, one in enumerate(found) if index == 0 or one != found[index - 1]]
    assert order == ['', 'a', '', 'b'] and found.index('b') <= 32


def test_a_short_lapse_takes_nobody_the_voice():
    found = decided(6, {'a': lambda s: STILL if 3 <= s < 3.5 else TALK, 'b': always(STILL)},
                    always(True))
    assert set(found[10:]) == {'a'}


def test_somebody_who_just_came_might_speak_but_takes_nobody_the_voice():
    mouths = {'a': always(TALK), 'b': lambda s: STILL if s >= 0.6 else None}
    late = {'a': always(TALK), 'b': lambda s: STILL if s >= 3 else None}
    assert decided(4, mouths, always(True)).index('a') > decided(
        4, {'a': always(TALK)}, always(True)).index('a')
    assert set(decided(5, late, always(True))[10:]) == {'a'}


def test_who_leaves_loses_the_voice():
    found = decided(6, {'a': lambda s: TALK if s < 3 else None, 'b': always(STILL)}, always(True))
    assert found[14] == 'a' and set(found[18:]) == {''}


def test_what_was_not_heard_is_neither_voice_nor_silence():
    found = decided(6, {'a': always(TALK), 'b': always(STILL)}, lambda s: s >= 3,
                    heard=lambda s: s >= 3)  # the robot spoke before: a's mouth may have, too
    assert found[-1] == 'a'


@pytest.mark.parametrize(('step_ns', 'who'), [(NS // 30, 'a'), (NS // 2, '')])
def test_any_rate_of_frames_will_do_but_for_one_too_low_to_tell(step_ns, who):
    mouths = {'a': always(TALK), 'b': always(STILL)}
    found = decided(4, mouths, always(True), step_ns=step_ns)
    assert found[-1] == who


def test_the_settings_are_what_decides():
    mouths = {'a': always(TALK), 'b': always(MURMUR)}
    assert decided(4, mouths, always(True))[-1] == 'a'
    for changed in ({'margin': 9.0}, {'min_motion': 0.9}, {'dwell_s': 9.0}):
        assert set(decided(4, mouths, always(True), settings=SpeakerSettings(**changed))) == {''}


def test_another_goes_on_from_what_was_written_down_exactly_alike():
    mouths = {'a': lambda s: TALK * (s < 4), 'b': lambda s: TALK * (s >= 4)}
    both = [*windows(8, mouths, lambda s: not 2 < s < 3)]
    one, other = (ActiveSpeaker(SpeakerSettings()) for _ in range(2))
    for window in both[:17]:
        one.take(window)
    other.thaw(decode(encode(one.freeze())))
    assert [one.take(window) for window in both[17:]] == [
        other.take(window) for window in both[17:]]
    assert repr(one.freeze()) == repr(other.freeze())


def test_a_reset_forgets_everybody():
    speaker = ActiveSpeaker(SpeakerSettings())
    seen = [*windows(3, {'a': always(TALK), 'b': always(STILL)}, always(True))]
    assert [speaker.take(window) for window in seen][-1] == 'a'
    speaker.reset()
    earlier = [replace(one, start_ns=one.start_ns - NS) for one in seen[:1]]
    assert speaker.take(earlier[0]) == ''
