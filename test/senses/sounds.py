"""Sounds of places where nobody speaks, made: 16 kHz, float32, at a level in dBFS."""

import numpy as np
from speaking import noise, pink

SECONDS = 6.0
TIMES_S = np.arange(round(SECONDS * 16000)) / 16000


def at_level(samples, dbfs):
    """Bring sound to a root mean square, in decibels below a full scale of 1."""
    samples = samples - samples.mean()
    return (samples * 10 ** (dbfs / 20) / np.sqrt(np.mean(samples ** 2))).astype(np.float32)


def mains(hz):
    """The hum of a transformer, with its overtones."""
    return sum(np.sin(2 * np.pi * hz * k * TIMES_S + k) / k for k in range(1, 13))


def fan():
    """Air that is moved, and the blades that pass at 93 Hz."""
    air = np.convolve(noise(SECONDS), np.ones(12) / 12, 'same')
    blades = sum(np.sin(2 * np.pi * 93 * k * TIMES_S) / k ** 2 for k in range(1, 6))
    return air / air.std() * (1 + 0.2 * np.sin(2 * np.pi * 31 * TIMES_S)) + blades


def servo():
    """A whine that follows the joint: 300 to 1,500 Hz and back, in 1.5 s, with overtones."""
    hz = 900 - 600 * np.cos(2 * np.pi * TIMES_S / 1.5)
    phase = 2 * np.pi * np.cumsum(hz) / 16000
    return sum(np.sin(k * phase) / k for k in range(1, 5)) + 0.1 * noise(SECONDS, 1.0)


def notes(*chords, seconds):
    """Chords one after another, as of an organ: half tones above 220 Hz."""
    out = np.zeros_like(TIMES_S)
    number_at, since_s = np.divmod(TIMES_S, seconds)
    fade = np.minimum(1, np.minimum(since_s, seconds - since_s) / 0.02)
    for number in range(int(number_at[-1]) + 1):
        held = number_at == number
        for tone in chords[number % len(chords)]:
            hz = 220 * 2 ** (tone / 12)
            out += held * fade * sum(np.sin(2 * np.pi * hz * k * TIMES_S) / k ** 2
                                     for k in range(1, 6))
    return out


def melody(seed):
    """Notes of an organ, one after another, at random."""
    random = np.random.default_rng(seed)
    tones = [(int(tone),) for tone in random.integers(-7, 20, 24)]
    return notes(*tones, seconds=random.uniform(0.2, 0.7))


def knocks(every_s, lasts_s, jitter_s):
    """Short bursts of noise that die away: hands, keys."""
    random = np.random.default_rng(1)
    out = np.zeros_like(TIMES_S)
    for at_s in np.arange(0.1, SECONDS - 0.1, every_s):
        since_s = TIMES_S - at_s - random.uniform(0, jitter_s)
        out += random.uniform(0.5, 1) * (since_s >= 0) * np.exp(-np.maximum(since_s, 0) / lasts_s)
    return out * noise(SECONDS, 1.0) + 1e-4 * noise(SECONDS, 1.0)


LEVELS = (-20, -30, -40, -80)
STEADY = {
    **{f'hum of {hz} Hz': mains(hz) for hz in (50, 60, 120)}, 'fan': fan(),
    'white noise': noise(SECONDS), 'pink noise': pink(SECONDS), 'servo': servo(),
    'chords': notes((0, 4, 7, 12), (5, 9, 12, 17), (7, 11, 14, 19), seconds=1.5),
    'melody': notes((0,), (4,), (7,), (5,), (9,), (12,), (11,), (7,), seconds=0.4)}
#: Name to sound.
WITHOUT_SPEECH = {
    **{f'{name} at {level} dBFS': at_level(samples, level)
       for name, samples in STEADY.items() for level in LEVELS},
    **{f'melody {seed}': at_level(melody(seed), -30) for seed in (9, 13, 15)},
    'claps': at_level(knocks(0.5, 0.015, 0.1), -25),
    'typing': at_level(knocks(0.15, 0.004, 0.08), -35)}
