"""
Sound on the sample clock: any chunks in, 16 kHz mono on one steady time line out.

Stamps of chunks jitter; samples do not. The first chunk sets the clock, counted samples carry it
on, and stamps that leave it by more than a sample pull it gently, so that a drifting device stays
in step. A stamp that leaves the clock by more than the tolerance is a gap (filled with silence
that counts as not heard) or an overlap (cut off). Either way it is counted.

Samples lie on a grid of whole 1/16000 s of the stamps' time: with which chunk somebody began to
listen makes no difference to the samples that both have heard.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from maven_ros import rules
from maven_ros.counters import Counters
from maven_ros.freezing import Freezing
from maven_ros.records import (
    NS,
    SAMPLE_RATE_HZ,
    VOICE_BLOCK,
    AudioChunk,
    Mask,
    RobotSpeaking,
    Samples,
    nanoseconds,
)
from maven_ros.senses.echo_detector import EchoDetector
from maven_ros.senses.playback import Playback
from maven_ros.senses.resample import Resampler, cut, meeting, mono
from maven_ros.senses.voice_activity import VoiceBlocks
from maven_ros.settings import AudioSettings

#: Share of a stamp's deviation by which the clock follows: drift is tracked, jitter averaged out.
_PULL = 0.02
#: Arrival times jitter far more than stamps: their tolerance is so many times wider.
_UNSTAMPED_SLACK = 10
#: The robot's own voice is told by arrival; further than this off, that is another clock.
_SAME_CLOCK_NS = 10 * NS
_ALWAYS_NS = -2**63
_MOST_LOST = 100_000
#: A chunk that a later one has overtaken is behind it by fewer.
_REMEMBERED = 64
#: A detector of voices that is made anew first listens to so much of the sound before.
_PRIME_BLOCKS = 156


@dataclass(frozen=True, slots=True)
class AudioSegment:
    """
    New sound on the sample clock, contiguous with the one before.

    :param samples: float32 (n * VOICE_BLOCK,) at 16 kHz.
    :param voice: float32 (n,), the probability of a voice in each block.
    """

    start_ns: int
    samples: Samples = field(repr=False)
    voice: Samples = field(repr=False)


@dataclass(frozen=True, slots=True)
class WindowSound:
    """
    What was heard in an interval.

    :param waveform: float32 (n,) at 16 kHz; 0 where nothing was heard.
    :param heard: bool (n,), False where no sound arrived or the robot itself was heard.
    :param voiced: bool (n // VOICE_BLOCK,), voice activity, with its lead and hangover, on time
        to within a block.
    """

    waveform: Samples
    heard: Mask
    voiced: Mask


class AudioSense(Freezing):
    """
    A ring of the newest sound, its voice activity, and the clock that both lie on.

    :param history_s: how much is kept for :meth:`read`.
    """

    _fixed: ClassVar[frozenset[str]] = frozenset(
        {'_settings', '_counters', '_capacity', '_blocks', '_resampler', '_playback', '_echo'})

    def __init__(self, settings: AudioSettings, history_s: float, counters: Counters) -> None:
        self._settings = settings
        self._counters = counters
        self._capacity = int(history_s * SAMPLE_RATE_HZ)
        self._robot: deque[tuple[int, int | None]] = deque(maxlen=64)  # [from, until) it spoke
        self.reset()

    def change(self, settings: AudioSettings) -> None:
        """Go on with other tolerances and thresholds."""
        self._settings = settings

    def reset(self) -> None:
        """Forget all sound and the clock; the next chunk sets it anew."""
        speaking = self._robot_speaks()
        self._robot.clear()
        if speaking:  # in the new time, too, from its beginning
            self._robot.append((_ALWAYS_NS, None))
        self._playback, self._echo = Playback(), EchoDetector()
        self._sequence: int | None = None  # of the last chunk,
        self._stamp_ns: int | None = None  # and its stamp
        self._clock = 'none'
        self._forget_sound()

    def _forget_sound(self) -> None:
        self._epoch_ns: int | None = None  # time of sample 0
        self._count = 0                    # samples so far; the ring holds the newest of them
        self._heard_from = 0               # those before this one stand for sound that was missed
        self._samples = np.zeros(0, np.float32)
        self._heard = np.zeros(0, np.bool_)
        self._echoed = np.zeros(0, np.bool_)  # what the robot plays dominates these
        self._blocks = VoiceBlocks()       # the first one begins with sample 0
        self._voice = np.zeros(0, np.float32)  # the probability of one in the newest blocks
        self._resampler = Resampler(SAMPLE_RATE_HZ)
        self._lost: deque[int] = deque(maxlen=_REMEMBERED)  # numbers of chunks that are missing

    def finish(self) -> list[AudioSegment]:
        """
        Put the sound that is still in the resampler on the time line; nothing may follow.

        :returns: it, as :meth:`add` does.
        """
        if self._epoch_ns is None:
            return []
        segments = [self._append(self._flush(), None)]
        segments.append(AudioSegment(self._judged_ns, *self._blocks.finish()))
        return [segment for segment in segments if len(segment.samples)]

    def thaw(self, state: dict[str, Any]) -> None:
        """Go on; the detector of voices starts anew, on the newest sound."""
        super().thaw({name: value for name, value in state.items()
                      if name not in ('resampler', 'playback', 'echo')})
        self._playback.thaw(state['playback'])
        self._echo.thaw(state['echo'])
        rate_hz, position, recent = state['resampler']
        self._resampler = Resampler(rate_hz, position, self._count, recent)
        rest = self._count % VOICE_BLOCK
        whole = min((len(self._samples) - rest) // VOICE_BLOCK, _PRIME_BLOCKS)
        first = len(self._samples) - rest - whole * VOICE_BLOCK
        self._blocks = VoiceBlocks()
        self._blocks.accept(self._samples[first:], self._heard[first:])

    def freeze(self) -> dict[str, Any]:
        """Return what was gathered."""
        resampler = self._resampler
        return {**super().freeze(),
                'resampler': (resampler.rate_hz, resampler.position, resampler.recent),
                'playback': self._playback.freeze(), 'echo': self._echo.freeze()}

    @property
    def watermark_ns(self) -> int | None:
        """Time up to which sound has arrived; None before any."""
        return None if self._epoch_ns is None else self._time(self._count)

    @property
    def clock(self) -> str:
        """What the time of the sound rests on: ``stamps``, ``arrival`` or ``none`` so far."""
        return self._clock

    def robot_speaking(self, event: RobotSpeaking) -> None:
        """Note that the robot began or stopped to speak; its sound is not heard meanwhile."""
        stamp_ns, watermark_ns = event.stamp_ns, self.watermark_ns
        if watermark_ns is not None and abs(stamp_ns - watermark_ns) > _SAME_CLOCK_NS:
            stamp_ns = watermark_ns
        speaking = self._robot_speaks()
        if event.speaking and not speaking:
            self._robot.append((stamp_ns, None))
        elif speaking and not event.speaking:
            tail_ns = nanoseconds(self._settings.robot_tail_s)
            self._robot[-1] = (self._robot[-1][0], stamp_ns + tail_ns)

    def _robot_speaks(self) -> bool:
        return bool(self._robot) and self._robot[-1][1] is None

    def play(self, chunk: AudioChunk) -> None:
        """
        Note what the robot plays; where its echo dominates the sound, that is not heard.

        :raises InputError: for samples that are not finite.
        """
        if not self._playback.add(chunk):
            self._counters.count('robot_audio', 'jump_back', f'chunk at {chunk.stamp_ns} ns is '
                                 'more than a minute before the end of what is to be played')

    def robot_spoke(self, start_ns: int, end_ns: int) -> bool:
        """Tell whether the robot spoke at any time in [start, end), or was heard in half."""
        if any(from_ns < end_ns and (until_ns is None or start_ns < until_ns)
               for from_ns, until_ns in self._robot):
            return True
        echoed = self._cut(self._echoed, start_ns, end_ns)
        return bool(echoed.any()) and 2 * int(echoed.sum()) >= len(echoed)

    def add(self, chunk: AudioChunk, sealed_ns: int | None = None) -> list[AudioSegment]:
        """
        Take a chunk.

        :param chunk: of any rate and number of channels; both may change.
        :param sealed_ns: windows up to here are closed; sound from before it is not heard by
            later ones either, but is still returned, for words have times of their own.
        :returns: the new sound on the sample clock, for the recogniser; the robot's own voice in
            it is silenced.
        :raises InputError: for samples that are not finite, or lack the channel.
        """
        samples = mono(chunk.samples, self._settings.channel)
        if not self._is_new(chunk):
            return []
        lost = self._lost_chunks(chunk)
        self._clock = 'stamps' if chunk.stamped else 'arrival'
        if self._epoch_ns is not None and chunk.sample_rate_hz != self._resampler.rate_hz:
            self._counters.count(
                'audio', 'rate_changed',
                f'from {self._resampler.rate_hz} to {chunk.sample_rate_hz} Hz')
        segments = list(self._join(chunk, samples, sealed_ns, lost > 0))
        return [segment for segment in segments if len(segment.samples)]

    def read(self, start_ns: int, end_ns: int) -> WindowSound:
        """Return what was heard in [start, end); the waveform's length follows from it alone."""
        heard = self._cut(self._heard, start_ns, end_ns)
        return WindowSound(self._cut(self._samples, start_ns, end_ns), heard,
                           self._voice_in(self._number(start_ns), heard))

    # --- inside ------------------------------------------------------------------------------

    def _cut(self, ring: NDArray[Any], start_ns: int, end_ns: int) -> NDArray[Any]:
        """Return what a ring of samples holds of [start, end), 0 elsewhere."""
        return cut(ring, self._count - len(ring), self._number(start_ns),
                   rules.window_samples(end_ns - start_ns))

    def _number(self, time_ns: int) -> int:
        """Return the number of the sample at a time; 0 before any sound."""
        return (0 if self._epoch_ns is None else
                round((time_ns - self._epoch_ns) * SAMPLE_RATE_HZ / NS))

    @property
    def _judged_ns(self) -> int:
        """Time up to which blocks are whole."""
        return self._time(self._count - self._count % VOICE_BLOCK)

    def _time(self, sample: int) -> int:
        assert self._epoch_ns is not None
        return self._epoch_ns + sample * NS // SAMPLE_RATE_HZ

    def _is_new(self, chunk: AudioChunk) -> bool:
        """
        Tell a chunk from one that came before, or that a later one has overtaken.

        Stamps that jitter may cross, but not by half a chunk.
        """
        last_ns = self._stamp_ns
        crossed_ns = (chunk.end_ns - chunk.stamp_ns) // 2
        if last_ns is None or not chunk.stamped or (
                chunk.stamp_ns != last_ns and chunk.stamp_ns > last_ns - crossed_ns):
            self._stamp_ns = chunk.stamp_ns
            return True
        cause = 'duplicate' if chunk.stamp_ns == last_ns else 'out_of_order'
        if chunk.sequence is not None and chunk.sequence in self._lost:  # late, not lost
            self._lost.remove(chunk.sequence)
            self._counters.count('audio', 'lost_chunks', n=-1, normal=True)
        self._counters.refuse('audio', cause, f'chunk at {chunk.stamp_ns} ns came after '
                                              f'{last_ns} ns')
        return False

    def _lost_chunks(self, chunk: AudioChunk) -> int:
        """Return how many chunks the sequence shows to be missing; count those that are lost."""
        last, self._sequence = self._sequence, chunk.sequence
        if last is None or chunk.sequence is None:
            return 0
        missing = chunk.sequence - last - 1
        if not 0 < missing < _MOST_LOST:  # beyond that the source counts anew
            return 0
        lost = missing - chunk.refused  # those are counted already
        if lost > 0:
            self._lost.extend(range(max(last + 1, chunk.sequence - _REMEMBERED), chunk.sequence))
            self._counters.count('audio', 'lost_chunks',
                                 f'sequence went from {last} to {chunk.sequence}', n=lost)
        return missing

    def _join(
        self, chunk: AudioChunk, samples: Samples, sealed_ns: int | None, follows_gap: bool,
    ) -> Iterator[AudioSegment]:
        """
        Put a chunk where it belongs on the clock: after what is there, a gap, or cut short.

        :param samples: float32 (n,), the chunk's sound as mono.
        """
        rate_hz = chunk.sample_rate_hz
        if self._epoch_ns is None:
            yield from self._begin_at(chunk, sealed_ns)
            if self._robot_speaks() and self._robot[-1][0] > chunk.end_ns + _SAME_CLOCK_NS:
                self._robot[-1] = (_ALWAYS_NS, None)
        assert self._epoch_ns is not None
        off_ns = chunk.stamp_ns - self._expected_ns()
        tolerance_ns = int(self._settings.gap_tolerance_ms * 1e6)
        if not chunk.stamped:
            tolerance_ns *= _UNSTAMPED_SLACK
        elif follows_gap and off_ns > 0:
            tolerance_ns = 0
        if abs(off_ns) <= tolerance_ns:
            if abs(off_ns) > NS // rate_hz:
                self._epoch_ns += int(off_ns * _PULL)
        elif off_ns > 0:
            yield from self._fill_gap(off_ns, chunk, sealed_ns)
        else:
            samples = samples[min(len(samples), -off_ns * rate_hz // NS):]
            self._counters.count(
                'audio', 'overlap', f'chunk at {chunk.stamp_ns} ns begins {-off_ns / 1e6:.0f} ms '
                                    'before the end of the last')
        if rate_hz != self._resampler.rate_hz:
            yield self._append(self._flush(), sealed_ns)
            yield from self._go_on_at(
                rate_hz, round(self._resampler.position * rate_hz / self._resampler.rate_hz),
                sealed_ns)
        yield self._append(self._resampler.accept(samples), sealed_ns)

    def _expected_ns(self) -> int:
        """Return the time at which the next input sample is due."""
        assert self._epoch_ns is not None
        return self._epoch_ns + self._resampler.position * NS // self._resampler.rate_hz

    def _begin_at(self, chunk: AudioChunk, sealed_ns: int | None) -> Iterator[AudioSegment]:
        """Go on with a chunk that has nothing right before it; the first one sets the clock."""
        rate_hz = chunk.sample_rate_hz
        if self._epoch_ns is None:
            apart_ns = meeting(rate_hz)[0] * NS // rate_hz
            self._epoch_ns = chunk.stamp_ns // apart_ns * apart_ns
        position = round((chunk.stamp_ns - self._epoch_ns) * rate_hz / NS)
        self._heard_from = -(-position * SAMPLE_RATE_HZ // rate_hz)
        yield from self._go_on_at(rate_hz, position, sealed_ns)

    def _go_on_at(
        self, rate_hz: int, position: int, sealed_ns: int | None,
    ) -> Iterator[AudioSegment]:
        """Go on at an input sample, counted from the epoch."""
        self._resampler = Resampler(rate_hz, position, self._count)
        missing = self._resampler.first - self._count
        yield self._append(np.zeros(missing, np.float32), sealed_ns)

    def _flush(self) -> Samples:
        return self._resampler.accept(np.zeros(0, np.float32), last=True)

    def _fill_gap(
        self, gap_ns: int, chunk: AudioChunk, sealed_ns: int | None,
    ) -> Iterator[AudioSegment]:
        self._counters.count('audio', 'gap', f'{gap_ns / 1e6:.0f} ms of sound missing before '
                                             f'{chunk.stamp_ns} ns')
        yield self._append(self._flush(), sealed_ns)
        missing = round((chunk.stamp_ns - self._time(self._count)) * SAMPLE_RATE_HZ / NS)
        if missing > self._capacity:  # nothing that is kept would survive: begin again
            yield AudioSegment(self._judged_ns, *self._blocks.finish())
            self._forget_sound()  # time goes on
        yield from self._begin_at(chunk, sealed_ns)

    def _append(self, samples: Samples, sealed_ns: int | None) -> AudioSegment:
        """Write to the ring; return what the recogniser may hear of it."""
        begin, judged_ns = self._time(self._count), self._judged_ns
        own = self._robot_mask(begin, len(samples))
        if own.any():
            self._counters.count('audio', 'robot_speaking', n=int(own.sum()), normal=True)
        echo = self._echo_mask(begin, samples) & ~own
        if echo.any():
            self._counters.count('audio', 'robot_audio', n=int(echo.sum()), normal=True)
        own |= echo
        samples = np.where(own, np.float32(0.0), samples)
        arrived = np.arange(self._count, self._count + len(samples)) >= self._heard_from
        audible = ~own & arrived
        if sealed_ns is not None and begin < sealed_ns:
            late = min(len(samples), (sealed_ns - begin) * SAMPLE_RATE_HZ // NS)
            audible[:late] = False
            if count := int(arrived[:late].sum()):
                self._counters.count('audio', 'late', f'{count / SAMPLE_RATE_HZ:.3f} s arrived '
                                                      'after their window had closed')
        kept = np.where(audible, samples, np.float32(0.0))
        self._samples = np.concatenate([self._samples, kept])[-self._capacity:]
        self._heard = np.concatenate([self._heard, audible])[-self._capacity:]
        self._echoed = np.concatenate([self._echoed, echo])[-self._capacity:]
        self._count += len(samples)
        whole, voice = self._blocks.accept(samples, arrived)
        self._voice = np.concatenate([self._voice, voice])[-(self._capacity // VOICE_BLOCK):]
        return AudioSegment(judged_ns, whole, voice)

    def _echo_mask(self, begin_ns: int, samples: Samples) -> Mask:
        if not self._playback.begun:
            return np.zeros(len(samples), np.bool_)
        return self._echo.accept(begin_ns, samples, self._playback)

    def _robot_mask(self, begin_ns: int, length: int) -> Mask:
        """Tell which of ``length`` samples from ``begin_ns`` on fall into the robot's speech."""
        mask = np.zeros(length, np.bool_)
        for from_ns, until_ns in self._robot:
            first = max(0, (from_ns - begin_ns) * SAMPLE_RATE_HZ // NS)
            last = length if until_ns is None else (until_ns - begin_ns) * SAMPLE_RATE_HZ // NS
            mask[first:max(0, last)] = True
        return mask

    def _voice_in(self, first: int, heard: Mask) -> Mask:
        """
        Tell in which blocks there is a voice, of those that lie wholly in an interval.

        What comes after the interval does not count: it may not have arrived.

        :param first: the interval's first sample.
        :param heard: bool (n,), which of its samples were heard; a voice is heard from end to end.
        """
        settings, judged = self._settings, self._count // VOICE_BLOCK
        verdicts = np.zeros(len(heard) // VOICE_BLOCK, np.bool_)
        begin, oldest = -(-first // VOICE_BLOCK), judged - len(self._voice)
        known, end = max(begin, oldest), min((first + len(heard)) // VOICE_BLOCK, judged)
        if known < end:
            before = max(oldest, known - rules.voice_blocks(settings.voice_hangover_s))
            voiced = rules.voiced(
                self._voice[before - oldest:end - oldest], settings.voice_threshold,
                settings.voice_lead_s, settings.voice_hangover_s)
            whole = heard[known * VOICE_BLOCK - first:end * VOICE_BLOCK - first]
            verdicts[known - begin:end - begin] = (
                voiced[known - before:] & whole.reshape(-1, VOICE_BLOCK).all(axis=1))
        return verdicts
