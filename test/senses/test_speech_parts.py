"""The small parts of the recognisers, with values derived by hand."""

import numpy as np
import pytest
from speaking import noise, pink

from maven_ros.records import NS
from maven_ros.senses.speech.sound_run import SoundRun
from maven_ros.senses.speech.sphinx_decoder import CepstralMean
from maven_ros.senses.speech.stability import Stability
from maven_ros.senses.speech.voicing import voiced_share


def test_blocks_are_equal_and_lose_nothing():
    run = SoundRun(block_samples=4)
    samples = np.array([0, 1, -1, 0.5, -0.5, 2], np.float32)
    blocks = [*run.blocks(samples[:3], 0), *run.blocks(samples[3:], 3 * 62_500)]
    assert np.frombuffer(blocks[0], '<i2').tolist() == [0, 32767, -32767, 16383]
    assert len(blocks) == 1
    assert np.frombuffer(run.rest(), '<i2').tolist() == [-16383, 32767]  # 2 is clipped


def test_times_count_samples_from_the_beginning_of_the_run():
    run = SoundRun(block_samples=160)
    assert run.goes_on(123)
    list(run.blocks(np.zeros(16000, np.float32), 5 * NS))
    assert run.at_ns(8000) == 5.5 * NS
    assert run.goes_on(6 * NS + 20_000_000)
    assert run.goes_on(6 * NS - 20_000_000)
    assert not run.goes_on(6 * NS + 20_000_001)
    assert not run.goes_on(5 * NS)


def test_a_word_settles_once_further_sound_leaves_it_as_it_was():
    stability = Stability(stood_ns=300)
    step = 10**8  # starts may move by so much
    assert stability.settled(['a'], [0], 0) == [False]
    assert stability.settled(['a', 'b'], [step, 5 * step], 200) == [False, False]
    assert stability.settled(['a', 'c'], [step, 5 * step], 300) == [True, False]
    assert stability.settled(['c'], [7 * step], 700) == [False]  # moved: another word


def test_the_mean_is_that_of_the_speech_alone():
    """The decoder mixes 500 frames of the mean it was given with 100 of the utterance's."""
    mean = CepstralMean()
    assert not mean.known
    voice = np.full(13, 60.0)
    mean.learn(mean.GUESS, (500 * mean.GUESS + 100 * voice) / 600, 100)
    assert mean.known
    assert mean.value == pytest.approx(voice)


def test_the_mean_forgets():
    mean = CepstralMean()
    for level in (10.0, 50.0):
        before, voice = mean.value, np.full(13, level)
        mean.learn(before, (500 * before + 300 * voice) / 800, 300)
    assert mean.value == pytest.approx(np.full(13, 30.0))  # 600 frames, of which 400 count
    before = mean.value
    mean.learn(before, (500 * before + 200 * np.full(13, 60.0)) / 700, 200)
    assert mean.value == pytest.approx(np.full(13, 40.0))  # 400 of 30 and 200 of 60


@pytest.mark.parametrize(('pitch_hz', 'expected'), [(85, 1), (120, 1), (220, 1), (390, 1)])
def test_a_tone_with_overtones_is_voiced(pitch_hz, expected):
    times = np.arange(16000) / 16000
    tone = sum(np.sin(2 * np.pi * pitch_hz * k * times) / k for k in range(1, 6))
    assert voiced_share((0.1 * tone).astype(np.float32)) == expected


@pytest.mark.parametrize('samples', [noise(1), pink(1), np.zeros(16000, np.float32), noise(0.02)])
def test_noise_and_silence_are_not_voiced(samples):
    assert voiced_share(samples) == 0


@pytest.mark.parametrize('ppm', [-300, 300])
def test_a_drifting_clock_breaks_no_run_and_is_followed_between_utterances(ppm):
    """At 300 ppm the stamps leave the counted samples by 20 ms after 67 s."""
    run = SoundRun(block_samples=512)
    step_ns = 512 * NS / 16000 * (1 + ppm / 1e6)
    for index in range(20_000):  # ten minutes
        start_ns = round(index * step_ns)
        assert run.goes_on(start_ns)
        list(run.blocks(np.zeros(512, np.float32), start_ns))
        if index % 100 == 99:  # three seconds of silence pass
            run.settle()
    assert abs(run.at_ns(20_000 * 512) - 20_000 * step_ns) < 10_000_000
    assert not run.goes_on(round(20_000 * step_ns) + 25_000_000)
