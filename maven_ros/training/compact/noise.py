"""
Evidence without information, as faulty detections produce it.

A face detector reports curtains, backs of heads and blurs; voice activity detection may accept
music and crowds; a recogniser returns words for any of them. The noise is made from the
corpora's own pieces, so it differs from them only in the missing affect.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from maven_ros.records import SAMPLE_RATE_HZ, Samples
from maven_ros.training.compact.pieces import SAMPLES, words_of

_CROWD = 6           # simultaneous voices
_BLOCK_PX = 8        # block of a shuffled face
_WORDS = (1, 12)     # fewest and most words


def noise_pictures(
    images: NDArray[np.uint8], count: int, random: np.random.Generator,
) -> NDArray[np.uint8]:
    """
    Make pictures without a face.

    The kinds alternate: noise of any grain; an enlarged patch of skin, hair or background; a face
    blurred beyond recognition; a face with shuffled blocks.

    :param images: uint8 (n, side, side), faces.
    :returns: uint8 (count, side, side).
    """
    kinds = (_grain, _patch, _blur, _shuffle)
    chosen = images[random.integers(len(images), size=count)]
    return np.stack([kinds[index % len(kinds)](image, random)
                     for index, image in enumerate(chosen)])


def _grain(image: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    grain = cv2.GaussianBlur(random.normal(size=image.shape), (0, 0), random.uniform(0.3, 8))
    shades = random.uniform(40, 215) + random.uniform(5, 60) * grain / grain.std()
    return np.asarray(shades.clip(0, 255), np.uint8)


def _patch(image: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    side = len(image)
    size = int(random.integers(side // 6, side // 3))
    x, y = random.choice([0, side - size], 2)  # a corner: no eyes, no mouth
    return np.asarray(cv2.resize(image[y:y + size, x:x + size], (side, side)), np.uint8)


def _blur(image: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), random.uniform(7, 14)), np.uint8)


def _shuffle(image: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    across = len(image) // _BLOCK_PX
    blocks = image.reshape(across, _BLOCK_PX, across, _BLOCK_PX).swapaxes(1, 2)
    shuffled = random.permutation(blocks.reshape(-1, _BLOCK_PX, _BLOCK_PX))
    rows = shuffled.reshape(across, across, _BLOCK_PX, _BLOCK_PX).swapaxes(1, 2)
    return np.asarray(rows.reshape(image.shape), np.uint8)


def noise_waveforms(
    clips: Sequence[Samples], count: int, random: np.random.Generator,
) -> list[Samples]:
    """
    Make sound without an intelligible voice.

    The kinds alternate: noise from white to brown; a crowd, played backwards; intermittent hums
    and tones; knocks.

    :param clips: voices, float32 (samples,) each.
    :returns: float32, each as long as a window.
    """
    kinds = (_colour, _crowd, _tones, _knocks)
    made = (kinds[index % len(kinds)](clips, random) for index in range(count))
    return [(random.uniform(0.02, 0.5) * one / max(1e-9, np.abs(one).max())).astype(np.float32)
            for one in made]


def _colour(clips: Sequence[Samples], random: np.random.Generator) -> NDArray[np.float64]:
    hz = np.fft.rfftfreq(SAMPLES, 1 / SAMPLE_RATE_HZ).clip(min=20)
    spectrum = np.fft.rfft(random.normal(size=SAMPLES)) * hz ** -random.uniform(0, 1)
    return np.asarray(np.fft.irfft(spectrum, SAMPLES))


def _crowd(clips: Sequence[Samples], random: np.random.Generator) -> NDArray[np.float64]:
    mixed = np.zeros(SAMPLES)
    for index in random.integers(len(clips), size=_CROWD):
        backwards = np.resize(clips[index][::-1], SAMPLES)
        mixed += np.roll(backwards, int(random.integers(SAMPLES))) * random.uniform(0.3, 1)
    return mixed


def _tones(clips: Sequence[Samples], random: np.random.Generator) -> NDArray[np.float64]:
    times_s = np.arange(SAMPLES) / SAMPLE_RATE_HZ
    mixed = np.zeros(SAMPLES)
    for _ in range(int(random.integers(1, 4))):
        first_hz, harmonics = random.uniform(50, 800), np.arange(1, 6)[:, None]
        waves = np.sin(2 * np.pi * first_hz * harmonics * times_s) / harmonics
        beat = 1 + np.sin(2 * np.pi * (random.uniform(0.2, 4) * times_s + random.random()))
        mixed += waves.sum(0) * beat
    return mixed + 0.02 * random.normal(size=SAMPLES)


def _knocks(clips: Sequence[Samples], random: np.random.Generator) -> NDArray[np.float64]:
    mixed = 0.01 * random.normal(size=SAMPLES)
    for begin in random.integers(SAMPLES - 1600, size=int(random.integers(2, 12))):
        decay = np.exp(-np.arange(1600) / random.uniform(30, 400))
        mixed[begin:begin + 1600] += random.normal(size=1600) * decay
    return mixed


def noise_texts(texts: Sequence[str], count: int, random: np.random.Generator) -> list[str]:
    """
    Make texts of random words from different sentences.

    :param texts: source sentences.
    """
    every = [word for text in texts for word in words_of(text)]
    lengths = random.integers(_WORDS[0], _WORDS[1] + 1, count)
    return [' '.join(every[index] for index in random.integers(len(every), size=length))
            for length in lengths]
