"""Sound of any rate and number of channels as 16 kHz mono."""

from __future__ import annotations

from math import gcd
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from maven_ros.errors import InputError
from maven_ros.records import SAMPLE_RATE_HZ, VOICE_BLOCK, Samples

#: A channel is silent that is 40 dB below the loudest.
_SILENT = 0.01
_NONE: Samples = np.zeros(0, np.float32)

_Kept = TypeVar('_Kept', bound=np.generic)


def meeting(rate_hz: int) -> tuple[int, int]:
    """
    Return how many samples of a rate, and of 16 kHz, lie between times that both grids share.

    Those of 16 kHz are whole blocks of voice activity.
    """
    blocks = SAMPLE_RATE_HZ // gcd(rate_hz * VOICE_BLOCK, SAMPLE_RATE_HZ)
    outputs = blocks * VOICE_BLOCK
    return rate_hz * outputs // SAMPLE_RATE_HZ, outputs


def mono(samples: Samples, channel: int = 0) -> Samples:
    """
    Return one channel, or the mean of those that are not silent, limited to [-1, 1].

    A channel without a microphone is silent: in the mean it would take away half of the level.

    :param samples: float32 (n, channels).
    :param channel: from 1 on; 0 for the mean.
    :returns: float32 (n,).
    :raises InputError: for samples that are not finite; ``no_channel`` when it is not there.
    """
    if not np.isfinite(samples).all():
        raise InputError('not_finite', 'samples hold NaN or infinity; allowed: finite values')
    channels = samples.shape[1]
    if channel > channels:
        raise InputError('no_channel', f'audio.channel: {channel}, of sound with {channels} '
                                       f'channels; allowed: 0 (all) to {channels}')
    limited = np.clip(samples, -1.0, 1.0)
    if channel:
        return limited[:, channel - 1]
    if channels > 1 and len(limited):
        levels = np.sqrt(np.mean(np.square(limited), axis=0))
        limited = limited[:, levels >= _SILENT * levels.max(initial=0.0)]
    mean: Samples = limited.mean(axis=1, dtype=np.float32)
    return mean


def cut(kept: NDArray[_Kept], oldest: int, first: int, length: int) -> NDArray[_Kept]:
    """
    Return a stretch of a run of samples, 0 where they are not kept.

    :param kept: (n,), the samples that are kept.
    :param oldest: number of the first of them.
    :param first: number of the first sample of the stretch.
    :param length: of the stretch.
    """
    found = np.zeros(length, kept.dtype)
    begin, end = max(first, oldest), min(first + length, oldest + len(kept))
    if begin < end:
        found[begin - first:end - first] = kept[begin - oldest:end - oldest]
    return found


class Resampler:
    """
    Rate conversion of one unbroken stream of mono sound.

    Inputs and outputs are numbered from a time that both grids share. An output's value does not
    depend on where the stream was begun, to within 3e-7 once the filter has run in.

    :param rate_hz: samples a second of the input, any.
    :param position: number of the next input.
    :param given: number of the next output.
    :param before: inputs that went before, float32 (n,); silence where it is not known.
    """

    def __init__(
        self, rate_hz: int, position: int = 0, given: int = 0, before: Samples = _NONE,
    ) -> None:
        self.rate_hz = rate_hz
        self.position = position
        #: The newest inputs: as many as the filter may still hold, and as it reaches back.
        self.recent = _NONE
        self._stream = None
        if rate_hz != SAMPLE_RATE_HZ:
            import soxr

            self._stream = soxr.ResampleStream(rate_hz, SAMPLE_RATE_HZ, 1, dtype='float32')
        inputs, outputs = meeting(rate_hz)
        begin = (position - len(before)) // inputs  # the stream begins at the last such time
        #: Number of the first output that there will be.
        self.first = max(given, begin * outputs)
        self._skip = self.first - begin * outputs
        silence = np.zeros(position - len(before) - begin * inputs, np.float32)
        self._ready = self._convert(np.concatenate([silence, before]))
        self._note(before)

    def accept(self, samples: Samples, last: bool = False) -> Samples:
        """
        Convert float32 (n,) to float32 (m,) at 16 kHz; a little may come later.

        :param last: True to get what is still inside; nothing may follow.
        """
        self.position += len(samples)
        self._note(samples)
        ready, self._ready = self._ready, _NONE
        return np.concatenate([ready, self._convert(samples, last)])

    def _note(self, samples: Samples) -> None:
        most = self.rate_hz // 5 + 2048  # measured: up to 80 ms, or 950 samples, are held
        self.recent = np.concatenate([self.recent, samples])[-most:]

    def _convert(self, samples: Samples, last: bool = False) -> Samples:
        out = samples
        if self._stream is not None:
            out = self._stream.resample_chunk(samples, last=last).reshape(-1)
        skipped = min(self._skip, len(out))
        self._skip -= skipped
        return out[skipped:]
