"""The robot's own voice, told by what it plays: delays, rooms, levels, noise, double talk."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from inputs import SAMPLE
from listening import chunks_of
from speaking import pink, sound_of
from windows_rig import Rig

from maven_ros.counters import Counters
from maven_ros.errors import InputError
from maven_ros.freezing import decode, encode
from maven_ros.records import NS, SAMPLE_RATE_HZ, AudioChunk, RobotSound
from maven_ros.rules import voiced_s
from maven_ros.senses.audio import AudioSense
from maven_ros.settings import AudioSettings

START = 1_700_000_000 * NS
LEAST_S = AudioSettings().min_voiced_s
LENGTH = 8 * SAMPLE_RATE_HZ
chunks = partial(chunks_of, start_ns=START)


@pytest.fixture(scope='module')
def speech():
    return sound_of(SAMPLE)[:LENGTH]


@pytest.fixture(scope='module')
def alone(speech):
    """A sense that has heard the speech, and of no robot."""
    return heard(chunks(speech), [])


def room(played, delay_s, fades_s, gain):
    """Return what a microphone hears of a loudspeaker: late, and with a fading echo."""
    length = round(fades_s * SAMPLE_RATE_HZ)
    answer = np.random.default_rng(0).normal(0, 1, length) * 10 ** (-3 * np.linspace(0, 1, length))
    answer *= 0.6 / np.sqrt((answer ** 2).sum())
    answer[0] = 1.0
    late = np.zeros(round(delay_s * SAMPLE_RATE_HZ))
    heard = np.concatenate([late, np.convolve(played, answer)])[:len(played)]
    return (gain * heard).astype(np.float32)


def heard(microphone, played, counters=None, audio=None, late_ns=0):
    """Return a sense that has heard both, in order of time, what is played later by so much."""
    audio = audio or AudioSense(AudioSettings(), 30.0, counters or Counters())
    todo = [(one.stamp_ns + late_ns, 0, one) for one in played]
    todo += [(one.end_ns, 1, one) for one in microphone]
    for _, role, chunk in sorted(todo, key=lambda one: one[:2]):
        audio.add(chunk) if role else audio.play(chunk)
    return audio


def windows(audio, seconds=8):
    """Return the seconds of voice in each window."""
    starts_ns = [START + at * NS // 5 for at in range((seconds - 2) * 5)]
    return np.array([voiced_s(audio.read(one, one + 2 * NS).voiced) for one in starts_ns])


def level(samples):
    return np.sqrt(np.mean(samples ** 2))


@pytest.mark.parametrize(('delay_s', 'fades_s', 'snr_db'), [
    (0.0, 0.1, 30), (0.0, 0.4, 5), (0.13, 0.6, 30), (0.13, 0.4, 5), (0.5, 0.6, 30)])
def test_the_echo_of_what_the_robot_plays_is_no_voice(
        speech, alone, delay_s, fades_s, snr_db):
    echo = room(speech, delay_s, fades_s, 0.5)
    noise = pink(8.0, 1.0)
    microphone = echo + noise * level(echo) / level(noise) * 10 ** (-snr_db / 20)
    counters = Counters()
    audio = heard(chunks(microphone), chunks(speech), counters)
    assert windows(audio).max() < LEAST_S
    assert counters.get('audio', 'robot_audio') > 2 * SAMPLE_RATE_HZ
    assert windows(alone).max() > 1.0  # it is one where nobody tells


@pytest.mark.parametrize('faster_ppm', [-200, 200])
def test_the_clocks_of_loudspeaker_and_microphone_may_drift(speech, faster_ppm):
    at = np.arange(LENGTH)
    echo = np.interp(at * (1 + faster_ppm * 1e-6), at, room(speech, 0.13, 0.6, 0.5))
    assert windows(heard(chunks(echo.astype(np.float32)), chunks(speech))).max() < LEAST_S


@pytest.mark.parametrize('louder_db', [6, 12])
def test_a_person_who_is_louder_than_the_robot_counts(speech, alone, louder_db):
    robot = np.roll(speech, LENGTH // 3)
    echo = room(robot, 0.1, 0.4, 10 ** (-louder_db / 20))
    audio = heard(chunks(speech + echo), chunks(robot))
    assert windows(audio).sum() > 0.7 * windows(alone).sum()


def test_a_person_counts_in_the_robots_pauses(speech):
    turn = np.arange(LENGTH) // (2 * SAMPLE_RATE_HZ) % 2
    robot, person = speech * (turn == 0), speech * (turn == 1)
    audio = heard(chunks(room(robot, 0.1, 0.3, 1.0) + person), chunks(robot))
    for start_s in range(0, 8, 4):
        said = [audio.read(START + (start_s + at) * NS, START + (start_s + at + 2) * NS)
                for at in (0, 2)]
        assert voiced_s(said[0].voiced) < LEAST_S < voiced_s(said[1].voiced)


def test_what_is_not_in_the_sound_takes_nothing_away(speech, alone):
    """The robot's loudspeaker is elsewhere, or its microphone takes its voice out."""
    audio = heard(chunks(speech), chunks(np.roll(speech, LENGTH // 3)))
    assert windows(audio).sum() > 0.8 * windows(alone).sum()


def test_a_sentence_that_is_given_at_once_is_played_one_chunk_after_the_other(speech):
    played = [replace(one, stamp_ns=START) for one in chunks(speech, size=8000)]
    assert windows(heard(chunks(room(speech, 0.2, 0.3, 0.5)), played)).max() < LEAST_S


def test_what_is_played_may_be_told_as_late_as_its_echo(speech):
    microphone = chunks(room(speech, 0.13, 0.3, 0.5))
    assert windows(heard(microphone, chunks(speech), late_ns=NS // 8)).max() < LEAST_S


@pytest.mark.parametrize('rate_hz', [22050, 48000])
def test_what_is_played_may_have_another_rate(speech, rate_hz):
    import soxr

    played = chunks(soxr.resample(speech, SAMPLE_RATE_HZ, rate_hz), size=1024, rate_hz=rate_hz)
    assert windows(heard(chunks(room(speech, 0.1, 0.3, 0.5)), played)).max() < LEAST_S


def test_stamps_that_jitter_and_chunks_of_any_size_make_little_difference(speech):
    jitter = np.random.default_rng(1).normal(0, 4e6, LENGTH)
    played = [replace(one, stamp_ns=one.stamp_ns + int(off))
              for one, off in zip(chunks(speech, size=700), jitter, strict=False)]
    microphone = [replace(one, stamp_ns=one.stamp_ns + int(off)) for one, off in zip(
        chunks(room(speech, 0.1, 0.3, 0.5), size=1111), jitter[1000:], strict=False)]
    assert windows(heard(microphone, played)).max() < LEAST_S


def test_how_the_sound_is_cut_makes_no_difference(speech):
    microphone = room(speech, 0.1, 0.3, 0.5) + np.roll(speech, 30000)
    whole, torn = (heard(chunks(microphone, size=size), chunks(speech, size=32000))
                   for size in (512, 333))
    for at in range(7):
        one, other = (audio.read(START + at * NS, START + (at + 1) * NS).heard
                      for audio in (whole, torn))
        assert (one == other).all()


def test_words_that_the_robot_was_heard_to_speak_are_its_own(speech):
    robot = speech.copy()
    robot[LENGTH // 2:] = 0
    echo = room(robot, 0.05, 0.2, 0.5)
    audio = heard(chunks(echo), chunks(robot))
    own = [bool(audio.read(START + at * NS // 10, START + (at + 5) * NS // 10).heard.mean() < 0.5)
           for at in range(70)]
    told = [audio.robot_spoke(START + at * NS // 10, START + (at + 5) * NS // 10)
            for at in range(70)]
    assert any(told) and not all(told) and np.mean(np.array(own) == told) > 0.95


def test_it_goes_on_in_another_process_as_if_nothing_had_been(speech):
    microphone, played = chunks(room(speech, 0.1, 0.3, 0.5)), chunks(speech, size=1000)
    whole = heard(microphone, played)
    first = heard(microphone[:200], played[:103])
    second = AudioSense(AudioSettings(), 30.0, Counters())
    second.thaw(decode(encode(first.freeze())))
    heard(microphone[200:], played[103:], audio=second)
    one, other = (audio.read(START, START + 7 * NS).heard for audio in (whole, second))
    assert (one == other).all()


def test_playback_that_cannot_be_used_is_told():
    audio = AudioSense(AudioSettings(), 5.0, Counters())
    chunk = AudioChunk(START, np.full((10, 1), np.nan, np.float32), 16000)
    with pytest.raises(InputError, match='samples hold NaN or infinity'):
        audio.play(chunk)
    rig = Rig()
    rig.feed(RobotSound(chunk))
    assert rig.count('robot_audio.not_finite') == 1


def test_playback_that_begins_anew_is_counted():
    counters = Counters()
    audio = AudioSense(AudioSettings(), 5.0, counters)
    for start_s in (100, 200, 10):
        audio.play(AudioChunk(start_s * NS, np.zeros((1600, 1), np.float32), 16000))
    assert counters.snapshot() == {'robot_audio.jump_back': 1}
