"""Sound as recognisers take it: contiguous, in equal blocks of 16 bit, with its time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator

import numpy as np

from maven_ros.records import NS, SAMPLE_RATE_HZ, Samples, Utterance

TOLERANCE_NS = 20_000_000  # stamps jitter; a larger step is a gap in the sound, or an overlap
_PULL = 0.02               # share of a stamp's deviation that counts as the clock's drift
_SETTLE_NS = 5_000_000     # drift that is taken up between utterances


class SoundRun:
    """
    A run of contiguous 16 kHz sound, cut into blocks, and when each sample of it was heard.

    Equal blocks make what is recognised independent of how the sound was cut before.

    :param block_samples: length of a block.
    """

    def __init__(self, block_samples: int) -> None:
        self._block_bytes = 2 * block_samples
        self._start_ns: int | None = None
        self._samples = 0
        self._drift_ns = 0.0  # of the stamps against the counted samples
        self._rest = bytearray()

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

    def blocks(self, samples: Samples, start_ns: int) -> Iterator[bytes]:
        """
        Append sound and yield the blocks that it completes.

        :param samples: float32 (n,), finite; beyond [-1, 1] it is clipped.
        :param start_ns: its time, which counts at the beginning of the run.
        """
        if self._start_ns is None:
            self._start_ns = start_ns
        self._drift_ns += _PULL * (self._off_ns(start_ns) - self._drift_ns)
        self._samples += len(samples)
        self._rest += (np.clip(samples, -1.0, 1.0) * 32767).astype('<i2').tobytes()
        while len(self._rest) >= self._block_bytes:
            block = bytes(self._rest[:self._block_bytes])
            del self._rest[:self._block_bytes]
            yield block

    def rest(self) -> bytes:
        """Return what has not filled a block."""
        return bytes(self._rest)

    def at_ns(self, sample: int) -> int:
        """Return the time of a sample, counted from where the run began."""
        return (self._start_ns or 0) + sample * NS // SAMPLE_RATE_HZ


class SoundListener(ABC):
    """What recognisers share: sound comes in blocks, and a gap in it ends what is being said."""

    _run: SoundRun

    def accept(self, samples: Samples, start_ns: int) -> list[Utterance]:
        """
        Take sound that follows the last call's, unless ``start_ns`` says otherwise.

        :param samples: float32 (n,), 16 kHz mono.
        :returns: utterances that are new or have changed, in order.
        """
        out: list[Utterance] = []
        if not self._run.goes_on(start_ns):
            out += self.finish()
        for block in self._run.blocks(samples, start_ns):
            out += self._listen(block)
        return out

    @abstractmethod
    def finish(self) -> list[Utterance]:
        """Close what is being said: the sound ends here."""

    @abstractmethod
    def _listen(self, block: bytes) -> Iterable[Utterance]:
        """Take one block."""
