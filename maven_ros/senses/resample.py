"""Sound of any rate and number of channels as 16 kHz mono."""

from __future__ import annotations

import numpy as np

from maven_ros.records import SAMPLE_RATE_HZ, Samples


class Resampler:
    """
    Mono mix and rate conversion of one unbroken stream; outputs are aligned to its first input.

    :param rate_hz: samples a second of the input, any.
    """

    def __init__(self, rate_hz: int) -> None:
        self.rate_hz = rate_hz
        self._stream = None
        if rate_hz != SAMPLE_RATE_HZ:
            import soxr

            self._stream = soxr.ResampleStream(rate_hz, SAMPLE_RATE_HZ, 1, dtype='float32')

    def accept(self, samples: Samples, last: bool = False) -> Samples:
        """
        Convert float32 (n, channels) to float32 (m,) at 16 kHz; a little may come later.

        :param last: True to get what is still inside; nothing may follow.
        """
        mono: Samples = np.clip(samples, -1.0, 1.0).mean(axis=1, dtype=np.float32)
        if self._stream is None:
            return mono
        out: Samples = self._stream.resample_chunk(mono, last=last)
        return out.reshape(-1)
