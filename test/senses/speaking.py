"""Sound for tests of recognisers: real speech, espeak-ng's, and noises that are none."""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import wave

import numpy as np
import pytest
import soxr
from inputs import ROOT
from listening import chunks_of

from maven_ros.counters import Counters
from maven_ros.records import NS
from maven_ros.senses.audio import AudioSense
from maven_ros.settings import AudioSettings

START_NS = 1_700_000_000 * NS  # stamps of real clocks are as large
CHUNK = 512


def sentences():
    """Return what is said in the sample."""
    text = (ROOT / 'media' / 'sample.txt').read_text()
    return [plain(line) for line in text.splitlines() if line.strip()]


def plain(text):
    """Return words as they are compared: lower case, without punctuation."""
    return re.sub(r"[^\w' ]", '', text.lower())


def sound_of(path):
    """Decode a file's sound to 16 kHz mono."""
    import av

    with av.open(str(path)) as container:
        resampler = av.AudioResampler('flt', 'mono', 16000)
        frames = [out for frame in container.decode(audio=0) for out in resampler.resample(frame)]
        frames += resampler.resample(None)
    return np.concatenate([frame.to_ndarray()[0] for frame in frames])


def say(text, voice='en-us+f3'):
    """Speak by espeak-ng, at 16 kHz."""
    if shutil.which('espeak-ng') is None and 'CI' not in os.environ:
        pytest.skip('no espeak-ng')
    spoken = subprocess.run(['espeak-ng', '-v', voice, '-s', '130', '--stdout', text],
                            capture_output=True, check=True).stdout
    with wave.open(io.BytesIO(spoken)) as header:
        rate = header.getframerate()
    samples = np.frombuffer(spoken[44:], '<i2').astype(np.float32) / 32768
    return soxr.resample(samples, rate, 16000)


def silence(seconds):
    return np.zeros(round(seconds * 16000), np.float32)


def noise(seconds, level=0.1, seed=0):
    samples = np.random.default_rng(seed).standard_normal(round(seconds * 16000))
    return (level * samples).astype(np.float32)


def pink(seconds, level=0.1):
    spectrum = np.fft.rfft(noise(seconds))
    samples = np.fft.irfft(spectrum / np.sqrt(np.arange(len(spectrum)) + 1))
    return (level * samples / samples.std()).astype(np.float32)


def segments(samples, size=CHUNK, start_ns=START_NS):
    """Yield sound as recognisers are given it, from chunks as devices give it."""
    sense = AudioSense(AudioSettings(), 10.0, Counters())
    for chunk in chunks_of(samples, start_ns, size):
        yield from sense.add(chunk)


def accept(recogniser, samples, size=CHUNK, start_ns=START_NS):
    """Return every utterance so far."""
    return [one for segment in segments(samples, size, start_ns)
            for one in recogniser.accept(segment)]


def recognise(recogniser, samples, size=CHUNK, start_ns=START_NS):
    """Return every utterance, partial and final, to the end of the sound."""
    return accept(recogniser, samples, size, start_ns) + recogniser.finish()


def finals(utterances):
    return [one for one in utterances if one.is_final]


def text_of(utterances):
    return plain(' '.join(one.text for one in finals(utterances) if one.words))
