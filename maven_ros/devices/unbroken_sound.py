"""Decoded sound as chunks: the samples of frames, joined where they follow each other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from maven_ros.errors import InputError
from maven_ros.records import NS, AudioChunk, Samples

if TYPE_CHECKING:
    import av

CHUNK_S = 0.032  # 512 samples at 16 kHz
GAP_TOLERANCE_NS = 10_000_000  # Matroska rounds to 1 ms; a lost AAC packet is 21 ms or more
OVERLAP_TOLERANCE_NS = 200_000_000  # FFmpeg's stamps go back where pieces of FLAC were joined


class SoundRun:
    """Unbroken sound of one rate and layout, cut into chunks that are stamped by counting."""

    def __init__(self, start_ns: int, rate_hz: int, channels: int) -> None:
        self._start_ns = start_ns
        self._rate_hz = rate_hz
        self._cut = 0
        self._pending: Samples = np.zeros((0, channels), np.float32)

    def continues(self, stamp_ns: int, rate_hz: int, channels: int) -> bool:
        """Whether samples with these properties follow on directly."""
        same = rate_hz == self._rate_hz and channels == self._pending.shape[1]
        end_ns = self._time_ns(self._cut + len(self._pending))
        return same and -OVERLAP_TOLERANCE_NS <= stamp_ns - end_ns <= GAP_TOLERANCE_NS

    def add(self, samples: Samples) -> None:
        """Append samples, float32 (n, channels)."""
        self._pending = np.concatenate((self._pending, samples))

    def cut(self, sequence: Iterator[int], last: bool = False) -> Iterator[AudioChunk]:
        """Yield the whole chunks so far, and what is left too if it is the ``last`` call."""
        length = round(self._rate_hz * CHUNK_S)
        while len(self._pending) >= (1 if last else length):
            samples, self._pending = self._pending[:length], self._pending[length:]
            stamp_ns = self._time_ns(self._cut)
            self._cut += len(samples)
            yield AudioChunk(stamp_ns, samples, self._rate_hz, next(sequence))

    def _time_ns(self, samples: int) -> int:
        return self._start_ns + samples * NS // self._rate_hz


def samples_of(frame: av.AudioFrame) -> Samples:
    """
    Return float32 (samples, channels) in [-1, 1], whatever the sample format.

    :raises InputError: for samples that are not finite.
    """
    data = _raw_samples(frame)
    if np.issubdtype(data.dtype, np.integer):
        limits = np.iinfo(data.dtype)
        half = (limits.max - limits.min + 1) // 2
        return ((data.astype(np.float64) - (limits.min + half)) / half).astype(np.float32)
    if not np.isfinite(data).all():
        raise InputError(
            'not_finite', f'sound at {float(frame.time or 0):.3f} s holds NaN or infinite samples')
    # Lossy codecs overshoot full scale.
    clipped: Samples = np.clip(data, -1, 1).astype(np.float32)
    return clipped


def _raw_samples(frame: av.AudioFrame) -> NDArray[Any]:
    """
    Return the samples as they are stored, of shape (samples, channels).

    PyAV's ``planes`` and ``to_ndarray`` look for a null pointer after the last plane. From eight
    channels on FFmpeg sets none, and they read beyond: here the channels are counted.
    """
    from av.audio.plane import AudioPlane

    channels = frame.layout.nb_channels
    planes, width = (channels, 1) if frame.format.is_planar else (1, channels)
    kind = {'u': 'u', 's': 'i'}.get(frame.format.name[0], 'f')
    return np.concatenate([
        np.frombuffer(memoryview(AudioPlane(frame, plane)), f'{kind}{frame.format.bytes}',
                      frame.samples * width).reshape(-1, width)
        for plane in range(planes)], axis=1)
