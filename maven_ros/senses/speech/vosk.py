"""Vosk: any language that there is a model folder for."""

from __future__ import annotations

import importlib.util
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np

from maven_ros.errors import ResourceError
from maven_ros.held_files import lacking
from maven_ros.languages import AUTO, is_tag
from maven_ros.records import SAMPLE_RATE_HZ, Samples, Utterance, Word, nanoseconds
from maven_ros.senses.speech.sound_run import SoundListener, SoundRun
from maven_ros.settings import SpeechSettings

MODEL_FILES = (
    'am/final.mdl', 'conf/mfcc.conf', 'conf/model.conf', 'graph/words.txt',
    'graph/HCLG.fst|graph/HCLr.fst')
_TAGS = {'cn': 'zh', 'vn': 'vi', 'kz': 'kk', 'ph': 'tl'}  # where a model's name has another


class VoskRecogniser(SoundListener):
    """
    Recognise the language of a Vosk model.

    Confidences are Vosk's own: posteriors of the lattice, for partial words that of the moment.
    """

    name = 'vosk'

    def __init__(self, settings: SpeechSettings) -> None:
        """
        Load the model.

        :raises ResourceError: it is broken.
        """
        super().__init__()
        folder = Path(settings.vosk_model)
        self._model = _load(folder)
        self._language = settings.language if settings.language != AUTO else language_of(folder)
        self._partial_samples = round(settings.partial_s * SAMPLE_RATE_HZ)
        self._listen_anew()

    @property
    def speaking(self) -> bool:
        """Whether an utterance is going on."""
        return self._start_ns is not None

    @property
    def learnt(self) -> None:
        """Nothing: what Vosk learns of a voice ends with the sound."""

    @learnt.setter
    def learnt(self, learnt: None) -> None:
        self._listen_anew()

    def finish(self) -> list[Utterance]:
        """Close what is being said: the sound ends here."""
        out = self._utterances(json.loads(self._recogniser.FinalResult()), is_final=True)
        self._listen_anew()
        return out

    def reset(self) -> None:
        """Forget all sound so far."""
        self._listen_anew()

    def close(self) -> None:
        """Let go of the model."""
        del self._recogniser, self._model

    def _listen_anew(self) -> None:
        import vosk

        # A new one rather than Reset(), after which times go on from the old sound's.
        self._recogniser: Any = vosk.KaldiRecognizer(self._model, SAMPLE_RATE_HZ)
        self._recogniser.SetWords(True)
        self._recogniser.SetPartialWords(True)
        self._run = SoundRun()
        self._heard = 0            # samples
        self._told = 0             # samples that the last partial result covered
        self._start_ns: int | None = None  # of the utterance going on

    def _listen(self, block: Samples, voice: float, hurry: bool) -> list[Utterance]:
        self._heard += len(block)
        pcm = (np.clip(block, -1.0, 1.0) * 32767).astype('<i2')
        if self._recogniser.AcceptWaveform(pcm.tobytes()):
            self._told = self._heard
            return self._utterances(json.loads(self._recogniser.Result()), is_final=True)
        if hurry or self._heard - self._told < self._partial_samples:
            return []
        self._told = self._heard
        return self._utterances(json.loads(self._recogniser.PartialResult()), is_final=False)

    def _utterances(self, result: dict[str, Any], is_final: bool) -> list[Utterance]:
        words = tuple(
            Word(word['word'], self._time_ns(word['start']), self._time_ns(word['end']),
                 min(max(word['conf'], 0.0), 1.0), self._language)
            for word in result.get('result' if is_final else 'partial_result', ()))
        if words and self._start_ns is None:
            self._start_ns = words[0].start_ns  # kept: later results replace this one by it
        if self._start_ns is None:
            return []
        start_ns, end_ns = self._start_ns, self._run.at_ns(self._heard)
        if is_final:
            end_ns = words[-1].end_ns if words else end_ns
            self._start_ns = None
            self._run.settle()
        return [Utterance(start_ns, end_ns, words, is_final, self.name, self._language,
                          1.0 if self._language else 0.0)]

    def _time_ns(self, s: float) -> int:
        return self._run.at_ns(0) + nanoseconds(s)


def check(settings: SpeechSettings) -> None:
    """
    Check all that can be without loading it.

    :raises ResourceError: the package or a file of the model is missing.
    """
    if importlib.util.find_spec('vosk') is None:
        raise ResourceError(
            "speech.recogniser: 'vosk' needs the package of that name; install "
            "maven_ros[vosk], or choose 'whisper' or 'none'")
    folder = Path(settings.vosk_model)
    missing = lacking(folder, MODEL_FILES)
    if missing:
        raise ResourceError(
            f'speech.vosk_model: {folder} lacks {", ".join(missing)}; a Vosk model folder has '
            'am, conf and graph right inside')


def language_of(folder: Path) -> str:
    """Return the language that a model is of, as its name says it; empty where it does not."""
    parts = folder.resolve().name.lower().replace('_', '-').split('-')
    rest = [part for part in parts if part not in ('vosk', 'model', 'small', 'big')]
    tag = '-'.join(itertools.takewhile(lambda part: part.isalpha() and len(part) < 5, rest[:2]))
    return _TAGS.get(tag, tag) if 'vosk' in parts and is_tag(tag) else ''


def _load(folder: Path) -> Any:
    """
    Load a model folder.

    :raises ResourceError: when Vosk cannot.
    """
    import vosk

    vosk.SetLogLevel(-1)
    try:
        return vosk.Model(str(folder))
    except Exception as error:  # the only type that the library raises
        raise ResourceError(
            f'speech.vosk_model: {folder} has all files, but Vosk cannot read one: it is '
            'damaged, or cut short by an unfinished download') from error
