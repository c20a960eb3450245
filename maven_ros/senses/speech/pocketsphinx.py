"""
PocketSphinx: words from endpointed sound, with the English model that its wheel carries.

The voice detector says where speech begins and ends. Speech that goes on is closed every two or
three seconds, at a pause or between words: only a closed utterance has word posteriors, and it
keeps the last pass, which runs at the close, short.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from maven_ros.errors import ResourceError
from maven_ros.records import SAMPLE_RATE_HZ, VOICE_BLOCK, Utterance, Word
from maven_ros.senses.speech.sound_run import SoundListener, SoundRun
from maven_ros.senses.speech.sphinx_decoder import (
    FRAME_BYTES,
    FRAME_SAMPLES,
    DecodedSpeech,
    SphinxDecoder,
)
from maven_ros.senses.speech.stability import Stability
from maven_ros.senses.speech.voicing import voiced_share
from maven_ros.senses.voice_activity import VoiceBlocks
from maven_ros.settings import SpeechSettings

BEGIN, STAY = 0.5, 0.35   # probability of a voice with which speech begins, and goes on
PAUSE_BLOCKS = 10         # without one, that end it
FEWEST_BLOCKS = 3         # with one, without which nobody spoke
PREROLL_SAMPLES = 8 * VOICE_BLOCK  # the detector starts late on soft consonants
PAUSE_FRAMES = 150      # speech is cut at a pause between words once it is so long, ...
CUT_FRAMES = 240        # ... between any two words here ...
LONGEST_FRAMES = 280    # ... and anywhere here: see CepstralMean.MOST_FRAMES
SETTLED_FRAMES = 30     # a word that ends closer to the sound's end may yet change
SHORTEST_FRAMES = 60    # of what a cut closes
RECENT_BYTES = 2 * SAMPLE_RATE_HZ      # one second: more than the pre-roll


@dataclass(slots=True)
class HeardSpeech:
    """
    Speech that is going on.

    :param start: its first sample, counted from where the run of sound began.
    :param sound: all of it, 16 bit.
    :param told: bytes of it that the last partial result covered.
    :param shown: whether there was any result: if so, another must close it.
    """

    start: int
    sound: bytearray
    told: int = 0
    shown: bool = False

    @property
    def frames(self) -> int:
        """Whole frames of it."""
        return len(self.sound) // FRAME_BYTES

    def voiced_share(self) -> float:
        """Share of it that is voiced, in [0, 1]."""
        return voiced_share(np.frombuffer(self.sound, '<i2').astype(np.float32))


class PocketSphinxRecogniser(SoundListener):
    """
    Recognise English with PocketSphinx.

    A word's confidence is the share of such words that proved right when it was measured, on
    200 clips of RAVDESS (1,185 final words). For a final word that follows from its posterior
    among the utterance's alternatives, which understates: of posteriors from 0.1 to 0.5, 56%
    were right. A partial word has no posterior yet: ``SETTLED`` is for one that stayed the same
    over 0.3 s of further sound, ``FRESH`` for others. Where hardly any of the utterance is
    voiced, all go down to 0: it is a noise.
    """

    name = 'pocketsphinx'
    FRESH, SETTLED = 0.45, 0.7
    POSTERIOR = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0)      # of a final word ...
    RIGHT = (0.30, 0.48, 0.56, 0.65, 0.77, 0.82, 0.95)   # ... and the share that was right
    VOICED = (0.1, 0.15)  # no confidence below, all of it above: see voiced_share

    def __init__(self, settings: SpeechSettings) -> None:
        """
        Load the model.

        :raises ResourceError: the package is missing, or has no model of the language.
        """
        if importlib.util.find_spec('pocketsphinx') is None:
            raise ResourceError(
                "speech.recogniser: 'pocketsphinx' needs the package of that name; install "
                "maven_ros[pocketsphinx], or choose 'vosk' or 'none'")
        if settings.language.lower() not in ('en-us', 'en'):
            raise ResourceError(
                f"speech.language: {settings.language!r} is not available with 'pocketsphinx'; "
                "available: 'en-us' (with 'vosk', the language of the model)")
        self._partial_bytes = 2 * round(settings.partial_s * SAMPLE_RATE_HZ)
        self._decoder = SphinxDecoder()
        self._listen_anew()

    @property
    def speaking(self) -> bool:
        """Whether an utterance is going on."""
        return self._speech is not None

    @property
    def voice(self) -> Any:
        """What the decoder has learnt of the voice."""
        return self._decoder.voice

    @voice.setter
    def voice(self, learnt: Any) -> None:
        """Forget all sound but know this voice."""
        self._listen_anew()
        self._decoder.voice = learnt

    def finish(self) -> list[Utterance]:
        """Close what is being said: the sound ends here."""
        out = []
        if self._speech is not None:
            self._take(self._speech, self._run.rest())
            out = list(self._close(self._speech))
        self._listen_anew()
        return out

    def reset(self) -> None:
        """Forget all sound so far, and the voice."""
        self._decoder.forget()
        self._listen_anew()

    def close(self) -> None:
        """End; nothing is held open."""
        self.reset()

    def _listen_anew(self) -> None:
        self._detector = VoiceBlocks()
        self._quiet = 0              # blocks without a voice since the last one with it
        self._voiced = 0             # blocks with a voice since speech began
        self._run = SoundRun(VOICE_BLOCK)
        self._recent = bytearray()
        self._position = 0           # samples that the detector has heard
        self._free = 0               # sound before this sample belongs to closed speech
        self._speech: HeardSpeech | None = None
        self._stability = Stability()

    def _listen(self, frame: bytes) -> Iterator[Utterance]:
        self._position += len(frame) // 2
        self._recent += frame
        del self._recent[:-RECENT_BYTES]
        samples = np.frombuffer(frame, '<i2') / np.float32(32767)
        [voice] = self._detector.accept(samples)[1]
        self._quiet = 0 if voice >= STAY else self._quiet + 1
        self._voiced += voice >= STAY
        speech = self._speech
        if speech is None:
            if voice >= BEGIN:
                self._voiced = 1
                self._begin()
            else:
                self._run.settle()
            return
        self._take(speech, frame)
        if self._quiet >= PAUSE_BLOCKS:
            yield from self._close(speech)
        elif (len(speech.sound) - speech.told >= self._partial_bytes
              or speech.frames >= LONGEST_FRAMES):
            speech.told = len(speech.sound)
            if not (speech.frames >= PAUSE_FRAMES and (yield from self._cut(speech))):
                yield from self._partial(speech)

    def _begin(self) -> None:
        oldest = self._position - len(self._recent) // 2
        start = max(self._position - VOICE_BLOCK - PREROLL_SAMPLES, self._free, oldest)
        self._open(start, self._recent[2 * (start - oldest):])

    def _open(self, start: int, sound: bytearray) -> None:
        self._speech = HeardSpeech(start, sound)
        self._decoder.begin(bytes(sound))

    def _take(self, speech: HeardSpeech, sound: bytes) -> None:
        speech.sound += sound
        self._decoder.feed(sound)

    def _partial(self, speech: HeardSpeech) -> Iterator[Utterance]:
        heard = [one for one in self._decoder.heard() if one.text]
        now = speech.start + len(speech.sound) // 2
        starts_ns = [self._at_ns(speech, one.start) for one in heard]
        settled = self._stability.settled(
            [one.text for one in heard], starts_ns, self._run.at_ns(now))
        confidences = [self.SETTLED if one else self.FRESH for one in settled]
        yield from self._utterance(speech, heard, confidences, now, is_final=False)

    def _cut(self, speech: HeardSpeech) -> Generator[Utterance, None, bool]:
        """Close speech at the last settled edge and go on behind it, if there is one."""
        frames, pauses_only = speech.frames, speech.frames < CUT_FRAMES
        if not _edge(self._decoder.heard(), frames, pauses_only) and frames < LONGEST_FRAMES:
            return False
        heard = self._decoder.end()  # its last pass may see other edges
        edge = _edge(heard, frames, pauses_only) or _edge(heard, frames) or frames
        end = speech.start + edge * FRAME_SAMPLES
        closed = [one for one in heard if one.end <= edge]
        yield from self._final(speech, closed, end)
        self._open(end, speech.sound[edge * FRAME_BYTES:])
        return True

    def _close(self, speech: HeardSpeech) -> Iterator[Utterance]:
        self._speech = None
        self._free = speech.start + len(speech.sound) // 2
        yield from self._final(speech, self._decoder.end(), self._free)

    def _final(
        self, speech: HeardSpeech, heard: list[DecodedSpeech], end: int,
    ) -> Iterator[Utterance]:
        words = [one for one in heard if one.text]
        confidences = [float(np.interp(one.posterior, self.POSTERIOR, self.RIGHT))
                       for one in words]
        yield from self._utterance(speech, words, confidences, end, is_final=True)

    def _utterance(
        self, speech: HeardSpeech, heard: list[DecodedSpeech], confidences: list[float], end: int,
        is_final: bool,
    ) -> Iterator[Utterance]:
        if not (heard and self._voiced >= FEWEST_BLOCKS) and not speech.shown:
            return
        speech.shown = True
        trust = float(np.interp(speech.voiced_share(), self.VOICED, (0.0, 1.0)))
        words = tuple(
            Word(one.text, self._at_ns(speech, one.start), self._at_ns(speech, one.end),
                 confidence * trust)
            for one, confidence in zip(heard, confidences, strict=True))
        yield Utterance(
            self._at_ns(speech, 0), self._run.at_ns(end), words, is_final, self.name)

    def _at_ns(self, speech: HeardSpeech, frame: int) -> int:
        return self._run.at_ns(speech.start + frame * FRAME_SAMPLES)


def _edge(heard: list[DecodedSpeech], frames: int, pauses_only: bool = False) -> int | None:
    """Return the frame of the last edge that more sound will hardly move, if there is one."""
    edges = [one.end for one in heard
             if SHORTEST_FRAMES <= one.end <= frames - SETTLED_FRAMES
             and not (pauses_only and one.text)]
    return edges[-1] if edges else None
