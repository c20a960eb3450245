"""
Whisper: words of a hundred languages, from speech that the voice detector has cut out.

What is being said is decoded again and again as it grows, at places of the sound that depend on
it alone; words on which two decodings agree are published (LocalAgreement: Machacek et al.,
"Turning Whisper into Real-Time Transcription System", 2023). The decoding that ends in the pause
after it is final.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from maven_ros.counters import Counters
from maven_ros.errors import ResourceError
from maven_ros.languages import AUTO, primary
from maven_ros.records import NS, SAMPLE_RATE_HZ, VOICE_BLOCK, Samples, Utterance, Word
from maven_ros.senses.speech.endpointer import (
    BLOCK_S,
    PREROLL,
    SHORTEST,
    STAY,
    TAIL,
    Endpointer,
    Step,
)
from maven_ros.senses.speech.guards import speakable
from maven_ros.senses.speech.language_belief import LanguageBelief
from maven_ros.senses.speech.sound_run import SoundListener, SoundRun
from maven_ros.senses.speech.whisper_model import HeardWord, WhisperWeights, folder_of
from maven_ros.settings import SpeechSettings

_BEFORE_S = 10.0  # what was said this long before still tells what is meant ...
_BEFORE_SURE = 0.6  # ... if it was understood: mean probability of its words
_SETTLED_S = 1.0  # older words on which two decodings agree are not asked for again
_GROWTH = 0.35  # the longer speech is, the rarer its partial results: at least this share apart


@dataclass(frozen=True, slots=True)
class Decoding:
    """
    What one decoding made of the speech so far.

    :param blocks: how many it heard.
    :param words: with times from the beginning of the speech.
    :param weighed: how likely each language is.
    """

    blocks: int
    words: list[HeardWord]
    language: str
    weighed: dict[str, float]


class OpenSpeech:
    """
    Speech that is going on.

    :param start: its first sample, counted from where the run of sound began.
    :param blocks: its sound.
    :param voice: the probability of a voice in each.
    """

    def __init__(self, start: int, blocks: list[Samples], voice: list[float]) -> None:
        self.start, self.blocks, self.voice = start, blocks, voice
        self.last: Decoding | None = None
        self.shown: list[HeardWord] = []
        self.any_shown = False  # then another result must close it

    def voiced(self, blocks: int) -> list[bool]:
        """Tell of each of the first blocks whether somebody speaks in it."""
        return [one >= STAY for one in self.voice[:blocks]]


class WhisperRecogniser(SoundListener):
    """
    Recognise speech with a Whisper model of CTranslate2's.

    A word's confidence is the mean probability of its tokens, given those before, times that of
    the language.
    """

    name = 'whisper'

    def __init__(self, settings: SpeechSettings, counters: Counters) -> None:
        """
        Load the model, which takes about a second.

        :param counters: gets ``speech.invented``, words that nobody can have said, and
            ``speech.partial_left_out``.
        :raises ResourceError: a file of it is broken, or it does not know the language.
        """
        super().__init__()
        self._counters = counters
        self._weights = WhisperWeights(folder_of(settings), settings.threads)
        self._language = self._chosen(settings.language)
        self._partial_s, self._pause_s = settings.partial_s, settings.pause_s
        self._belief = LanguageBelief()
        self._said: Utterance | None = None  # the last final result
        self._listen_anew()

    def _chosen(self, tag: str) -> str:
        """Return the one language that is spoken; empty where it is found out."""
        known = self._weights.languages
        if tag == AUTO:
            return '' if len(known) > 1 else known[0]
        if primary(tag) not in known:
            raise ResourceError(f'speech.language: {tag!r} is none that the model knows; allowed: '
                                f'{AUTO} or {", ".join(known)}')
        return primary(tag)

    @property
    def speaking(self) -> bool:
        """Whether an utterance is going on."""
        return self._speech is not None

    @property
    def learnt(self) -> tuple[dict[str, float], Utterance | None]:
        """How likely each language is after what was said, and the last of that."""
        return self._belief.belief, self._said

    @learnt.setter
    def learnt(self, learnt: tuple[dict[str, float], Utterance | None]) -> None:
        """Forget all sound but know this."""
        self._listen_anew()
        belief, self._said = learnt
        self._belief.learn(belief)

    def finish(self) -> list[Utterance]:
        """Close what is being said: the sound ends here."""
        out = list(self._close(self._speech)) if self._speech is not None else []
        self._listen_anew()
        return out

    def reset(self) -> None:
        """Forget all sound so far, and the language."""
        self._belief, self._said = LanguageBelief(), None
        self._listen_anew()

    def close(self) -> None:
        """Let go of the model."""
        del self._weights

    def _listen_anew(self) -> None:
        self._run = SoundRun()
        self._endpointer = Endpointer(self._pause_s)
        self._recent: deque[tuple[Samples, float]] = deque(maxlen=PREROLL)
        self._position = 0  # samples heard
        self._speech: OpenSpeech | None = None
        self._due_s = 0.0   # length of speech at which it is decoded next

    def _listen(self, block: Samples, voice: float, hurry: bool) -> Iterator[Utterance]:
        self._position += len(block)
        step = self._endpointer.take(voice)
        speech = self._speech
        if speech is None:
            self._recent.append((block, voice))
            if step is Step.BEGIN:
                blocks, odds = map(list, zip(*self._recent, strict=True))
                self._open(blocks, odds)
            else:
                self._run.settle()
            return
        speech.blocks.append(block)
        speech.voice.append(voice)
        if step is Step.END:
            yield from self._close(speech)
        elif step is Step.CUT:
            yield from self._cut(speech)
        elif self._is_due():
            length_s = len(self._endpointer.voice) * BLOCK_S
            self._due_s = length_s + max(self._partial_s, _GROWTH * length_s)
            if hurry:
                self._counters.count('speech', 'partial_left_out', normal=True)
            else:
                yield from self._partial(speech)

    def _open(self, blocks: list[Samples], voice: list[float]) -> None:
        start = self._position - len(blocks) * VOICE_BLOCK
        self._speech = OpenSpeech(start, blocks, voice)
        self._recent.clear()
        self._due_s = self._partial_s

    def _is_due(self) -> bool:
        """Tell whether to decode: so often, and once as soon as a pause begins."""
        ends = self._endpointer
        if ends.voiced < SHORTEST:
            return False
        return ends.quiet == TAIL or (
            ends.quiet == 0 and len(ends.voice) * BLOCK_S >= self._due_s)

    def _partial(self, speech: OpenSpeech) -> Iterator[Utterance]:
        before, length_s = speech.last, len(speech.blocks) * BLOCK_S
        # A pause may be the end: what is decoded in it may be final, and is decoded anew.
        begun = None if self._endpointer.quiet else [
            one for one in speech.shown if one.end_s < length_s - _SETTLED_S]
        speech.last = now = self._decode(speech, len(speech.blocks), begun)
        agreed = [word for word, other in itertools.takewhile(
            lambda pair: pair[0].key == pair[1].key,
            zip(now.words, before.words if before else [], strict=False))]
        if [one.text for one in agreed] != [one.text for one in speech.shown]:
            speech.shown, speech.any_shown = agreed, True
            yield self._utterance(speech, now, agreed, is_final=False)

    def _close(self, speech: OpenSpeech) -> Iterator[Utterance]:
        self._speech = None
        if self._endpointer.voiced >= SHORTEST or speech.any_shown:
            yield from self._final(speech, len(speech.blocks))

    def _cut(self, speech: OpenSpeech) -> Iterator[Utterance]:
        """Close the first part of too long a speech, and go on with the rest."""
        preroll = len(speech.blocks) - len(self._endpointer.voice)
        at = preroll + self._endpointer.cut()
        yield from self._final(speech, at)
        self._open(speech.blocks[at:], speech.voice[at:])

    def _final(self, speech: OpenSpeech, blocks: int) -> Iterator[Utterance]:
        last = speech.last
        voiced = np.flatnonzero(speech.voiced(blocks))
        heard = int(voiced[-1]) + 1 if len(voiced) else 0
        if last is None or not heard + TAIL <= last.blocks <= blocks:  # it is not the pause's
            last = self._decode(speech, blocks)
        if not last.words and not speech.any_shown:
            return
        utterance = self._utterance(speech, last, last.words, is_final=True)
        if last.words:
            self._belief.learn(last.weighed)
            self._said = utterance
        yield utterance

    def _decode(
        self, speech: OpenSpeech, blocks: int, begun: Sequence[HeardWord] | None = None,
    ) -> Decoding:
        """
        Decode the first blocks of a speech.

        :param begun: words to go on from; None for a result that may be final.
        """
        voiced = speech.voiced(blocks)
        voiced_s = sum(voiced) * BLOCK_S
        sound = np.concatenate(speech.blocks[:blocks])
        encoded = self._weights.encode(sound)
        if self._language:
            weighed = {self._language: 1.0}
        else:
            all_of_it = self._weights.encode(sound, whole=True) if begun is None else encoded
            weighed = self._belief.weigh(self._weights.odds(all_of_it), voiced_s)
        language = max(weighed, key=weighed.__getitem__)
        if begun is None or speech.last is None or speech.last.language != language:
            begun = ()
        words = self._weights.decode(encoded, language, blocks * BLOCK_S,
                                     self._before(speech, language), begun)
        said = list(filter(None, (_within(word, voiced) for word in words)))
        said = said[:speakable(voiced_s)]
        if len(said) < len(words):
            self._counters.count(
                'speech', 'invented', f'{len(words) - len(said)} words where nobody spoke, or '
                'more than can be said in the time', n=len(words) - len(said), normal=True)
        return Decoding(blocks, said, language, weighed)

    def _before(self, speech: OpenSpeech, language: str) -> str:
        """Return what was just said, if it was understood, for the words that follow from it."""
        last = self._said
        if last is None or last.language != language or last.confidence < _BEFORE_SURE:
            return ''
        since_ns = self._run.at_ns(speech.start) - last.end_ns
        return last.text if 0 <= since_ns < _BEFORE_S * NS else ''

    def _utterance(
        self, speech: OpenSpeech, decoding: Decoding, heard: list[HeardWord], is_final: bool,
    ) -> Utterance:
        def at_ns(s: float) -> int:
            return self._run.at_ns(speech.start + round(s * SAMPLE_RATE_HZ))

        language, sure = decoding.language, decoding.weighed[decoding.language]
        words = tuple(Word(one.text, at_ns(one.start_s), at_ns(one.end_s),
                           one.probability * sure, language) for one in heard)
        end_s = decoding.blocks * BLOCK_S
        if is_final and heard:
            end_s = heard[-1].end_s
        return Utterance(at_ns(0.0), at_ns(end_s), words, is_final, self.name, language, sure)


def _within(word: HeardWord, voiced: list[bool]) -> HeardWord | None:
    """Return a word without the silence at its ends; None where nobody speaks in it."""
    first = max(int(word.start_s / BLOCK_S) - 1, 0)
    last = int(word.end_s / BLOCK_S) + 2
    spoken = [at for at in range(first, min(last, len(voiced))) if voiced[at]]
    if not spoken:
        return None
    start_s = max(word.start_s, spoken[0] * BLOCK_S)
    end_s = max(start_s, min(word.end_s, (spoken[-1] + 1) * BLOCK_S))
    return replace(word, start_s=start_s, end_s=end_s)
