"""What the robot plays, on one time line at 16 kHz."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from maven_ros.freezing import Freezing
from maven_ros.records import NS, SAMPLE_RATE_HZ, AudioChunk, Samples
from maven_ros.senses.resample import Resampler, cut, mono

#: A chunk that comes so much later than the one before has ended goes on with it.
_LATE_NS = 60_000_000
#: Stamps that jitter by more pull the time line gently, so that it stays in step.
_JITTER_NS = 10_000_000
_PULL = 0.02
#: A sentence may be given at once and be played for so long; further off, time has jumped.
_APART_NS = 60 * NS
_MOST = 120 * SAMPLE_RATE_HZ


class Playback(Freezing):
    """
    Chunks of any rate, which sound one after the other.

    A chunk whose time comes before the last one has ended is played after it, as a loudspeaker
    does: a voice may be given faster than it speaks.
    """

    _fixed: ClassVar[frozenset[str]] = frozenset({'_resampler'})

    def __init__(self) -> None:
        self._begin(0, SAMPLE_RATE_HZ)
        #: Whether anything was played.
        self.begun = False

    def add(self, chunk: AudioChunk) -> bool:
        """
        Take a chunk.

        :returns: False if its time is so far off that what was to be played is forgotten.
        :raises InputError: for samples that are not finite.
        """
        samples = mono(chunk.samples)
        off_ns = chunk.stamp_ns - self._end_ns
        jumped = self.begun and abs(off_ns) > _APART_NS
        if jumped or not self.begun:
            self._begin(chunk.stamp_ns, chunk.sample_rate_hz)
        elif off_ns > _LATE_NS or chunk.sample_rate_hz != self._resampler.rate_hz:
            self._go_on(max(0, off_ns), chunk.sample_rate_hz)
        elif abs(off_ns) > _JITTER_NS and off_ns > -_LATE_NS:
            self._start_ns += int(off_ns * _PULL)
        self._append(self._resampler.accept(samples))
        self.begun = True
        return not (jumped and off_ns < 0)

    def read(self, start_ns: int, length: int) -> Samples:
        """Return ``length`` samples from a time on, 0 where nothing is played; forget the rest."""
        first = round((start_ns - self._start_ns) * SAMPLE_RATE_HZ / NS)
        found = cut(self._samples, 0, first, length)
        if first > SAMPLE_RATE_HZ:  # a second: streams lag behind one another
            self._forget(first - SAMPLE_RATE_HZ // 2)
        return found

    def freeze(self) -> dict[str, Any]:
        """Return what was gathered."""
        resampler = self._resampler
        return {**super().freeze(),
                'resampler': (resampler.rate_hz, resampler.position, resampler.recent)}

    def thaw(self, state: dict[str, Any]) -> None:
        """Go on."""
        super().thaw({name: value for name, value in state.items() if name != 'resampler'})
        rate_hz, position, recent = state['resampler']
        self._resampler = Resampler(rate_hz, position, self._given, recent)

    # --- inside ------------------------------------------------------------------------------

    @property
    def _end_ns(self) -> int:
        """Time at which all that was given has been played, but for what the resampler holds."""
        resampler = self._resampler
        ahead = resampler.position * SAMPLE_RATE_HZ // resampler.rate_hz - self._given
        return self._start_ns + (len(self._samples) + ahead) * NS // SAMPLE_RATE_HZ

    def _begin(self, start_ns: int, rate_hz: int) -> None:
        self._start_ns = start_ns  # time of the first sample that is kept
        self._samples = np.zeros(0, np.float32)
        self._given = 0  # samples out of this resampler
        self._resampler = Resampler(rate_hz)

    def _go_on(self, pause_ns: int, rate_hz: int) -> None:
        """Go on after a pause, at any rate."""
        end_ns = self._end_ns + pause_ns
        self._append(self._resampler.accept(np.zeros(0, np.float32), last=True))
        missing = round((end_ns - self._start_ns) * SAMPLE_RATE_HZ / NS) - len(self._samples)
        self._append(np.zeros(max(0, missing), np.float32))
        self._given, self._resampler = 0, Resampler(rate_hz)

    def _append(self, samples: Samples) -> None:
        self._given += len(samples)
        self._samples = np.concatenate([self._samples, samples])
        if len(self._samples) > _MOST:
            self._forget(len(self._samples) - _MOST)

    def _forget(self, count: int) -> None:
        """Forget the first samples; time goes on where none are left."""
        count = min(count, len(self._samples))
        self._samples = self._samples[count:]
        self._start_ns += count * NS // SAMPLE_RATE_HZ
