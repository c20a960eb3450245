"""Sound as recognisers take it: contiguous, in equal blocks, with its time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable

from maven_ros.records import NS, SAMPLE_RATE_HZ, VOICE_BLOCK, Samples, Utterance
from maven_ros.senses.audio import AudioSegment

TOLERANCE_NS = 20_000_000  # stamps jitter; a larger step is a gap in the sound, or an overlap
_PULL = 0.02               # share of a stamp's deviation that counts as the clock's drift
_SETTLE_NS = 5_000_000     # drift that is taken up between utterances


class SoundRun:
    """A run of contiguous 16 kHz sound, and when each sample of it was heard."""

    def __init__(self) -> None:
        self._start_ns: int | None = None
        self._samples = 0
        self._drift_ns = 0.0  # of the stamps against the counted samples

    def goes_on(self, start_ns: int) -> bool:
        """Say whether sound from ``start_ns`` continues the run; true of the first."""
        return (self._start_ns is None
                or abs(self._off_ns(start_ns) - self._drift_ns) <= TOLERANCE_NS)

    def settle(self) -> None:
        """Take up the drift of the clock; not within an utterance, whose start must stay."""
        if self._start_ns is not None and abs(self._drift_ns) >= _SETTLE_NS:
            self._start_ns += round(self._drift_ns)
            self._drift_ns = 0.0

    def _off_ns(self, start_ns: int) -> int:
        return start_ns - self.at_ns(self._samples)

    def append(self, start_ns: int, samples: int) -> None:
        """
        Note that the run goes on.

        :param start_ns: the time of what is appended, which counts at the beginning of the run.
        :param samples: how many.
        """
        if self._start_ns is None:
            self._start_ns = start_ns
        self._drift_ns += _PULL * (self._off_ns(start_ns) - self._drift_ns)
        self._samples += samples

    def at_ns(self, sample: int) -> int:
        """Return the time of a sample, counted from where the run began."""
        return (self._start_ns or 0) + sample * NS // SAMPLE_RATE_HZ


class SoundListener(ABC):
    """What recognisers share: sound comes in blocks, and a gap in it ends what is being said."""

    def __init__(self) -> None:
        self._run = SoundRun()

    def accept(self, segment: AudioSegment, hurry: bool = False) -> list[Utterance]:
        """
        Take sound that follows the last call's, unless its ``start_ns`` says otherwise.

        :param hurry: leave out partial results.
        :returns: utterances that are new or have changed, in order.
        """
        out: list[Utterance] = []
        if not self._run.goes_on(segment.start_ns):
            out += self.finish()
        self._run.append(segment.start_ns, len(segment.samples))
        for block, voice in zip(segment.samples.reshape(-1, VOICE_BLOCK), segment.voice,
                                strict=True):
            out += self._listen(block, float(voice), hurry)
        return out

    @abstractmethod
    def finish(self) -> list[Utterance]:
        """Close what is being said: the sound ends here."""

    @abstractmethod
    def _listen(self, block: Samples, voice: float, hurry: bool) -> Iterable[Utterance]:
        """
        Take one block.

        :param block: float32 (VOICE_BLOCK,).
        :param voice: the probability of a voice in it.
        """
