"""Speech without words: vowels and hisses at a pitch, which a voice detector takes for a voice."""

from __future__ import annotations

import numpy as np

from maven_ros.records import SAMPLE_RATE_HZ, Samples

#: Formants of a, i, e, o and u of a man, in Hz (Peterson & Barney, 1952).
_VOWELS_HZ = np.array([(730, 1090, 2440), (270, 2290, 3010), (530, 1840, 2480), (570, 840, 2410),
                       (300, 870, 2240)], np.float64)
_GAIN, _WIDTH_HZ = (1.0, 0.6, 0.3), (60.0, 90.0, 150.0)  # of each formant
_HISS = 0.15   # share of a syllable before its vowel ...
_GLIDE = 0.6   # ... which goes over into the next one from here on


def babble(
    seconds: float, pitch_hz: float, rate_hz: float, brightness: float,
    random: np.random.Generator,
) -> Samples:
    """
    Make a voice.

    :param rate_hz: syllables a second.
    :param brightness: in [-1, 1], how much there is of the higher overtones.
    :returns: float32 (samples,) in [-1, 1], 16 kHz mono.
    """
    times_s = np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    inside, syllable = np.modf(times_s * rate_hz)
    at = syllable.astype(np.int64)
    vowels = _VOWELS_HZ[random.integers(len(_VOWELS_HZ), size=at[-1] + 2)]
    gone = np.clip((inside - _GLIDE) / (1 - _GLIDE), 0, 1)[:, None]
    formants_hz = vowels[at] * (1 - gone) + vowels[at + 1] * gone
    sways = 1 + 0.15 * np.sin(2 * np.pi * 0.4 * times_s + 1) + 0.02 * np.sin(10 * np.pi * times_s)
    sung_hz = pitch_hz * sways
    phase = 2 * np.pi * np.cumsum(sung_hz) / SAMPLE_RATE_HZ
    voice = np.zeros(len(times_s))
    for overtone in range(1, int(SAMPLE_RATE_HZ / 2 / sung_hz.max())):
        off = (overtone * sung_hz[:, None] - formants_hz) / _WIDTH_HZ
        gain = (_GAIN / (1 + off ** 2)).sum(1) / overtone ** (0.4 * (1 - brightness))
        voice += gain * np.sin(overtone * phase)
    vowel = np.where(inside > _HISS, np.sqrt(np.sin(np.pi * inside)), 0) * voice
    hiss = np.where(inside <= _HISS, np.diff(random.normal(size=len(times_s) + 1)), 0)
    mixed: Samples = (vowel / np.abs(voice).max() + 0.08 * hiss).astype(np.float32)
    return np.clip(mixed, -1, 1)
