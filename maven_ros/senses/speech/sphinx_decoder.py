"""PocketSphinx's decoder, one utterance at a time, with a cepstral mean that fits the voice."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from maven_ros.records import SAMPLE_RATE_HZ

FRAME_SAMPLES = SAMPLE_RATE_HZ // 100  # the decoder counts in frames of 10 ms
FRAME_BYTES = 2 * FRAME_SAMPLES

# Half the CPU that the defaults take, at about the same word error rate.
SEARCH = {'maxhmmpf': 3000, 'maxwpf': 5}

_ALTERNATE = re.compile(r'\(\d+\)$')  # the dictionary's second, third ... pronunciation


@dataclass(frozen=True, slots=True)
class DecodedSpeech:
    """
    A word or filler in an utterance's best path.

    :param text: as it is spelled; empty for silence and noise.
    :param start: first frame, counted from the utterance's beginning.
    :param end: the frame after the last.
    :param posterior: in [0, 1]; means something only after the utterance's end.
    """

    text: str
    start: int
    end: int
    posterior: float


class CepstralMean:
    """
    The running mean of the voice's cepstra, which the decoder subtracts.

    Recognition stands and falls with it: with the decoder's own, which starts at a fixed guess
    and adapts over some ten seconds, a clear voice comes out as other words altogether.
    """

    GUESS = np.array([40.0, 3.0, -1.0] + 10 * [0.0])  # the model's own
    GUESS_FRAMES = 500    # so many frames the decoder lets a mean that is set count
    MEMORY_FRAMES = 400   # of speech; older frames fade
    MOST_FRAMES = 300     # the decoder forgets within an utterance beyond 800 - GUESS_FRAMES

    def __init__(self) -> None:
        self._sum = np.zeros_like(self.GUESS)
        self._frames = 0.0

    @property
    def learnt(self) -> tuple[list[float], float]:
        """All that it has learnt, as plain data."""
        return self._sum.tolist(), self._frames

    @learnt.setter
    def learnt(self, value: tuple[list[float], float]) -> None:
        """Go on from what another has learnt."""
        self._sum, self._frames = np.array(value[0]), value[1]

    @property
    def known(self) -> bool:
        """Whether any speech was heard yet."""
        return self._frames > 0

    @property
    def value(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """The mean, (13,), or the model's guess."""
        return self._sum / self._frames if self.known else self.GUESS

    def learn(self, before: Any, after: Any, frames: int) -> None:
        """
        Take in an utterance.

        :param before: the mean that the decoder was given, (13,).
        :param after: the mean that it has now: that of ``before``, weighted as GUESS_FRAMES
            frames, and of the utterance's.
        :param frames: length of the utterance.
        """
        frames = min(frames, self.MOST_FRAMES)
        self._sum += after * (self.GUESS_FRAMES + frames) - before * self.GUESS_FRAMES
        self._frames += frames
        if self._frames > self.MEMORY_FRAMES:
            self._sum *= self.MEMORY_FRAMES / self._frames
            self._frames = self.MEMORY_FRAMES


class SphinxDecoder:
    """
    Search words in one utterance after the other.

    The very first speech is held back for ``PRIME_FRAMES`` and then run through twice: once to
    learn the voice's cepstral mean, once with it.
    """

    PRIME_FRAMES = 100

    def __init__(self) -> None:
        import pocketsphinx

        self._decoder = pocketsphinx.Decoder(
            samprate=SAMPLE_RATE_HZ, loglevel='FATAL', **SEARCH)
        self._mean = CepstralMean()
        self._given = self._mean.value
        self._bytes = 0
        self._searching = False
        self._held = bytearray()

    @property
    def voice(self) -> tuple[list[float], float]:
        """What was learnt of the voice, as plain data."""
        return self._mean.learnt

    @voice.setter
    def voice(self, learnt: tuple[list[float], float]) -> None:
        """Forget all but this voice."""
        self.forget()
        self._mean.learnt = learnt

    def begin(self, sound: bytes) -> None:
        """
        Begin an utterance.

        :param sound: its first samples, 16 bit; may be none.
        """
        if self._mean.known:
            self._start(sound)
        else:
            self._held += sound

    def feed(self, sound: bytes) -> None:
        """Take more of the utterance."""
        if self._searching:
            self._search(sound)
            return
        self._held += sound
        if len(self._held) >= self.PRIME_FRAMES * FRAME_BYTES:
            self._prime()

    def heard(self) -> list[DecodedSpeech]:
        """Return the best path through the utterance, so far or, after its end, finally."""
        return [
            DecodedSpeech(_spelling(segment.word), segment.start_frame, segment.end_frame + 1,
                  min(segment.prob, 1.0))
            for segment in self._decoder.seg() or ()
        ] if self._bytes else []

    def end(self) -> list[DecodedSpeech]:
        """End the utterance and return its best path, with posteriors."""
        if self._held:
            self._prime()
        self._stop()
        return self.heard()

    def forget(self) -> None:
        """Drop the utterance, and what was learnt about the voice."""
        self._held.clear()
        if self._searching:
            self._stop()
        self._decoder.reinit_feat()  # the noise that its front end subtracts
        self._mean = CepstralMean()
        self._bytes = 0

    def _prime(self) -> None:
        sound = bytes(self._held)
        self._held.clear()
        self._start(sound)
        self._stop()
        self._start(sound)

    def _start(self, sound: bytes) -> None:
        self._given = self._mean.value
        self._decoder.set_cmn(','.join(f'{value:.6g}' for value in self._given))
        self._decoder.start_utt()
        self._searching, self._bytes = True, 0
        self._search(sound)

    def _search(self, sound: bytes) -> None:
        if not sound:  # which the binding refuses
            return
        self._decoder.process_raw(sound)
        self._bytes += len(sound)

    def _stop(self) -> None:
        self._decoder.end_utt()
        self._searching = False
        after = np.array([float(value) for value in self._decoder.get_cmn(True).split(',')])
        self._mean.learn(self._given, after, self._bytes // FRAME_BYTES)


def _spelling(word: str) -> str:
    """Return a dictionary word without the number of its pronunciation; '' for a filler."""
    return '' if word[0] in '<[+' else _ALTERNATE.sub('', word)
