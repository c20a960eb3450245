"""Voice activity: speech told from silence and from most other sounds."""

from __future__ import annotations

import numpy as np

from maven_ros.records import SAMPLE_RATE_HZ, VOICE_FRAME, Samples


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
