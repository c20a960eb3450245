"""
The robot's own voice, told by what it plays.

Frames of 128 ms of what is heard are compared with those of what was played up to half a second
before. For each such delay the transfer from loudspeaker to microphone is estimated in each bin
(the cross spectrum by the power spectrum, over the last second); the delay whose estimate
explains most of what is heard is the echo's. What it explains of a frame is the robot's, the rest
is somebody else's: the echo dominates while its power is the greater. An estimate of few frames
explains them all, so sound is the robot's until it is shown not to be.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from maven_ros.freezing import Freezing
from maven_ros.records import NS, SAMPLE_RATE_HZ, VOICE_BLOCK, Mask, Samples
from maven_ros.senses.playback import Playback

#: Samples of a frame; one ends with each block.
_FRAME = 4 * VOICE_BLOCK
#: Blocks by which an echo may be behind: 0 to 0.51 s.
_DELAYS = 17
#: Samples of what was played that are compared with a frame.
PLAYED = _FRAME + (_DELAYS - 1) * VOICE_BLOCK
#: The bins in which voices have most of their power, 100 to 4000 Hz.
_BINS = slice(100 * _FRAME // SAMPLE_RATE_HZ + 1, 4000 * _FRAME // SAMPLE_RATE_HZ)
#: Share of the estimate that is kept from block to block: it forgets in about 1 s.
_KEPT = 0.97
#: Powers are smoothed over about 0.13 s,
_SMOOTH = 0.75
#: and an echo fades in the room by so much in a block: 60 dB in 0.6 s.
_FADES = 0.48
#: Blocks for which an echo goes on after the last one that it has dominated: 0.1 s.
_HANGOVER = 3
#: Power of a frame of silence, -70 dBFS or less in the mean.
_SILENT = 1e-7
_WINDOW = np.hanning(_FRAME).astype(np.float32)


class EchoDetector(Freezing):
    """Tells in which blocks the echo of what is played dominates what is heard."""

    def __init__(self) -> None:
        bins = _BINS.stop - _BINS.start
        self._heard = np.zeros(_FRAME, np.float32)
        self._cross = np.zeros((_DELAYS, bins), np.complex64)
        self._power = np.zeros((_DELAYS, bins), np.float32)
        self._echo, self._rest, self._faded = 0.0, 0.0, 0.0
        self._since = _HANGOVER + 1  # blocks since the echo has dominated
        self._block = np.zeros(0, np.float32)  # that is not whole yet

    def accept(self, start_ns: int, samples: Samples, playback: Playback) -> Mask:
        """
        Tell in which samples the echo dominates, by the block before theirs.

        What is told does not depend on how the stream was cut.

        :param samples: float32 (n,), heard from ``start_ns`` on.
        """
        echo = np.zeros(len(samples), np.bool_)
        at = 0
        while at < len(samples):
            part = samples[at:at + VOICE_BLOCK - len(self._block)]
            echo[at:at + len(part)] = self._since <= _HANGOVER
            self._block = np.concatenate([self._block, part])
            at += len(part)
            if len(self._block) == VOICE_BLOCK:
                begin_ns = start_ns + (at - PLAYED) * NS // SAMPLE_RATE_HZ
                self.judge(self._block, playback.read(begin_ns, PLAYED))
                self._block = self._block[:0]
        return echo

    def judge(self, heard: Samples, played: Samples) -> bool:
        """
        Tell whether the echo dominates.

        :param heard: float32 (VOICE_BLOCK,), the next block.
        :param played: float32 (PLAYED,), what was played up to the end of the block; the newest
            may be missing, as far as the echo is behind.
        """
        self._heard = np.concatenate([self._heard[VOICE_BLOCK:], heard])
        frames = sliding_window_view(played, _FRAME)[::-VOICE_BLOCK]  # the newest first
        loud = np.square(frames).mean(axis=1, keepdims=True) > _SILENT
        echo, rest = 0.0, 1.0
        if loud.any():
            echo, rest = self._explain(_spectra(self._heard), _spectra(frames * loud))
        self._echo += (1 - _SMOOTH) * (echo - self._echo)
        self._rest += (1 - _SMOOTH) * (rest - self._rest)
        self._faded = max(self._echo, _FADES * self._faded)
        self._since = 0 if self._faded > self._rest else self._since + 1
        return self._since <= _HANGOVER

    def _explain(
        self, heard: NDArray[np.complex64], played: NDArray[np.complex64],
    ) -> tuple[float, float]:
        """Return the power of the echo in a frame, and that of the rest."""
        self._cross *= _KEPT
        self._power *= _KEPT
        self._cross += heard * played.conj()
        self._power += np.abs(played) ** 2
        power = self._power + 1e-3 * self._power.mean(axis=1, keepdims=True) + 1e-12
        delay = int((np.abs(self._cross) ** 2 / power).sum(axis=1).argmax())
        echo = self._cross[delay] / power[delay] * played[delay]
        return float((np.abs(echo) ** 2).sum()), float((np.abs(heard - echo) ** 2).sum())


def _spectra(frames: Samples) -> NDArray[np.complex64]:
    spectra: NDArray[np.complex64] = np.fft.rfft(frames * _WINDOW)[..., _BINS].astype(np.complex64)
    return spectra
