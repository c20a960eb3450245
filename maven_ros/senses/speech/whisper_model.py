"""
Whisper's weights, and one decoding of them.

Loading, features, tokens and alignment are faster-whisper's. Its ``transcribe`` is not used: it
encodes 30 s however short speech is. With less than 15 s, Whisper begins to loop. Here the sound
and some silence after it are encoded, and the rest of the 15 s is the encoding of silence, which
is always the same.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from maven_ros.errors import ResourceError
from maven_ros.held_files import check_fetched, lacking
from maven_ros.records import SAMPLE_RATE_HZ, Samples
from maven_ros.resources import models_folder
from maven_ros.senses.speech.guards import unlooped
from maven_ros.settings import SpeechSettings

DEFAULT, WEIGHTS = 'whisper-base', 'model.bin'
MODEL_FILES = (
    WEIGHTS, 'config.json', 'tokenizer.json', 'vocabulary.txt|vocabulary.json')
PADDED_S = 15
_AFTER_S, _LEAST_S = 0.5, 3.0  # of silence that is encoded with the sound, and of both
_HOP = 160                    # samples of a column of the features
_BURSTS_HZ = 2.5              # of the sound before the silence that is kept
_TOKENS_A_SECOND, _TOKENS_MORE = 12, 8  # of most languages; where there are more, it goes on
_MOST_TOKENS, _MOST_BEFORE = 220, 60  # of 448 that fit: of a text, and of the one before
_NO_SPEECH, _UNSURE = 0.6, -1.0  # as OpenAI has them: nobody spoke, if it is unsure of the text
_BEFORE, _AFTER = '"\'“¿([{-', '"\'.。,，!！?？:：”)]}、'  # punctuation that belongs to a word


@dataclass(frozen=True, slots=True)
class HeardWord:
    """
    A word of a decoding.

    :param text: as Whisper writes it, with its punctuation.
    :param start_s: from the beginning of what was decoded.
    :param probability: the mean over its tokens.
    :param tokens: what it was written with.
    """

    text: str
    start_s: float
    end_s: float
    probability: float
    tokens: tuple[int, ...]

    @property
    def key(self) -> str:
        """What two decodings have to agree on: letters and digits."""
        return ''.join(filter(str.isalnum, self.text.casefold()))


class WhisperWeights:
    """
    A Whisper model of CTranslate2's, in 8 bit, on the processor.

    :param threads: of the processor; what comes out does not depend on them.
    :raises ResourceError: the folder's files are not what it takes.
    """

    def __init__(self, folder: Path, threads: int) -> None:
        from faster_whisper import WhisperModel

        try:
            self._model = WhisperModel(str(folder), device='cpu', compute_type='int8',
                                       cpu_threads=threads, local_files_only=True)
        except Exception as error:  # CTranslate2 and tokenizers raise RuntimeError and bare ones
            raise ResourceError(f'speech.whisper_model: {folder} has all files, but one cannot be '
                                f'read: {error}') from error
        self._tokenizers: dict[str, Any] = {}
        self._silence = self._encode(_bursts(), PADDED_S)

    @property
    def languages(self) -> list[str]:
        """IETF tags of the languages that it knows."""
        return [_ietf(code) for code in self._model.supported_languages]

    def encode(self, samples: Samples, whole: bool = False) -> Any:
        """
        Encode sound, for the other methods.

        :param samples: float32 (n,), 16 kHz, of 15 s at most.
        :param whole: encode the silence after it, too; it takes three times as long, and tells
            the language better.
        """
        from ctranslate2 import StorageView

        length_s = PADDED_S if whole else max(len(samples) / SAMPLE_RATE_HZ + _AFTER_S, _LEAST_S)
        encoded = self._encode(samples, min(length_s, PADDED_S))
        return StorageView.from_array(np.concatenate(
            [encoded, self._silence[:, encoded.shape[1]:]], axis=1))

    def _encode(self, samples: Samples, length_s: float) -> np.ndarray:
        """Encode sound, and silence up to a length: (1, n, width), 20 ms each."""
        columns = int(length_s * SAMPLE_RATE_HZ) // _HOP // 2 * 2
        padded = np.zeros(max(columns * _HOP, len(samples)), np.float32)
        padded[:len(samples)] = samples
        features = self._model.feature_extractor(padded)[:, :columns]
        return np.array(self._model.encode(np.ascontiguousarray(features)))

    def odds(self, encoded: Any) -> dict[str, float]:
        """Return how likely the sound is in each language, by IETF tag."""
        if not self._model.model.is_multilingual:
            return {'en': 1.0}
        return {_ietf(token[2:-2]): odd
                for token, odd in self._model.model.detect_language(encoded)[0]}

    def decode(
        self, encoded: Any, language: str, length_s: float, before: str = '',
        begun: Sequence[HeardWord] = (),
    ) -> list[HeardWord]:
        """
        Return what is said.

        :param language: one of :attr:`languages`.
        :param length_s: of the sound, without what it was padded with.
        :param before: what was said before.
        :param begun: how the text begins; it is not asked for again.
        """
        tokenizer = self._tokenizer(language)
        prompt = self._model.get_prompt(
            tokenizer, tokenizer.encode(f' {before}')[-_MOST_BEFORE:] if before else [],
            without_timestamps=True)
        ids = self._generate(encoded, tokenizer, prompt, length_s,
                             [token for word in begun for token in word.tokens])
        if not ids:
            return []
        aligned = self._model.find_alignment(
            tokenizer, [ids], encoded, max(int(length_s * SAMPLE_RATE_HZ) // _HOP, 2))[0]
        from faster_whisper.transcribe import merge_punctuations

        merge_punctuations(aligned, _BEFORE, _AFTER)
        words = [HeardWord(one['word'].strip(), float(one['start']), float(one['end']),
                           min(max(float(one['probability']), 0.0), 1.0), tuple(one['tokens']))
                 for one in aligned if one['word'].strip()]
        return words[:unlooped([one.key for one in words])]

    def _tokenizer(self, language: str) -> Any:
        if language not in self._tokenizers:
            from faster_whisper.tokenizer import Tokenizer

            self._tokenizers[language] = Tokenizer(
                self._model.hf_tokenizer, self._model.model.is_multilingual, task='transcribe',
                language=_of_ietf(language))
        return self._tokenizers[language]

    def _generate(
        self, encoded: Any, tokenizer: Any, prompt: list[int], length_s: float, ids: list[int],
    ) -> list[int]:
        """Return a text that begins with some tokens: none where nobody speaks, and no loops."""
        some = math.ceil(_TOKENS_A_SECOND * length_s) + _TOKENS_MORE
        while len(ids) < _MOST_TOKENS:
            result = self._model.model.generate(
                encoded, [prompt + ids], beam_size=1, return_scores=True,
                return_no_speech_prob=True, max_length=len(prompt) + len(ids) + some)[0]
            more = result.sequences_ids[0][len(ids):]  # it begins with what it is to go on from
            if not ids and result.no_speech_prob > _NO_SPEECH and result.scores[0] < _UNSURE:
                return []
            ids += more
            words = tokenizer.decode(ids).casefold().split()
            if len(more) < some or unlooped(words) < len(words):
                break
        return ids


def _bursts() -> Samples:
    """
    Return two seconds of noise that swells like syllables.

    The silence after it is encoded as that after speech is. Without anything before it, silence
    has another encoding, and Whisper says the sentence twice.
    """
    at_s = np.arange(2 * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    swell = np.sin(2 * np.pi * _BURSTS_HZ * at_s).clip(0)
    return (0.02 * swell * np.random.default_rng(0).standard_normal(len(at_s))).astype(np.float32)


def _ietf(code: str) -> str:
    """Return the IETF tag of one of Whisper's codes."""
    return 'jv' if code == 'jw' else code  # of Javanese; all others are the same


def _of_ietf(language: str) -> str:
    """Return Whisper's code of a language."""
    return 'jw' if language == 'jv' else language


def folder_of(settings: SpeechSettings) -> Path:
    """Return the folder of the model that the settings mean; it may not be there."""
    return Path(settings.whisper_model) if settings.whisper_model else models_folder() / DEFAULT


def check(settings: SpeechSettings) -> None:
    """
    Check all that can be without loading it.

    :raises ResourceError: the package or a file of the model is missing, or was changed since it
        was fetched.
    """
    if importlib.util.find_spec('faster_whisper') is None:
        raise ResourceError(
            "speech.recogniser: 'whisper' needs the package faster-whisper; install "
            "maven_ros[whisper], or choose 'vosk' or 'none'")
    folder = folder_of(settings)
    if not folder.is_dir():
        return  # the node runs without words
    missing = lacking(folder, MODEL_FILES)
    if missing:
        raise ResourceError(
            f'speech.whisper_model: {folder} lacks {", ".join(missing)}; allowed: a Whisper '
            'model of CTranslate2, as maven-ros models fetch whisper-base brings')
    check_fetched(folder)
