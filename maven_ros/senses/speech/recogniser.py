"""What recognisers have in common, and how one is opened."""

from __future__ import annotations

from typing import Any, Protocol

from maven_ros.counters import Counters
from maven_ros.outside import find_class
from maven_ros.records import Utterance
from maven_ros.senses.audio import AudioSegment
from maven_ros.settings import SpeechSettings


class Recogniser(Protocol):
    """
    Turns sound into utterances, at once: what comes out depends on the sound alone.

    An utterance is known by its ``start_ns``: a later one with the same start replaces it, until
    one that is final.
    """

    name: str

    @property
    def speaking(self) -> bool:
        """Whether an utterance is going on."""

    @property
    def learnt(self) -> Any:
        """What it has learnt from what was said, as plain data; None where it learns nothing."""

    @learnt.setter
    def learnt(self, learnt: Any) -> None:
        """Forget all sound but know this: between utterances, after :meth:`finish`."""

    def accept(self, segment: AudioSegment, hurry: bool = False) -> list[Utterance]:
        """
        Take sound that follows the last call's, unless its ``start_ns`` says otherwise.

        A step of more than 20 ms, either way, ends the utterance and begins anew.

        :param hurry: leave out partial results, to catch up.
        :returns: utterances that are new or have changed, in order.
        """

    def finish(self) -> list[Utterance]:
        """
        Close what is being said: the sound ends here.

        :returns: the utterance, final, where there was one.
        """

    def reset(self) -> None:
        """Forget all sound so far, as if just opened."""

    def close(self) -> None:
        """Let go of the model; nothing else may be called after."""


def recognised_by(settings: SpeechSettings) -> str:
    """Return what tells one recogniser from another, its weights included."""
    if settings.recogniser != 'whisper':
        return settings.recogniser
    from maven_ros.senses.speech.whisper_model import WEIGHTS, folder_of

    weights = folder_of(settings) / WEIGHTS
    size = f'{weights.stat().st_size} bytes' if weights.is_file() else 'not there'
    return f'whisper by {weights.resolve()}, {size}'


def open_recogniser(settings: SpeechSettings, counters: Counters) -> Recogniser | None:
    """
    Load the recogniser that the settings name.

    :param counters: of what it drops; gets ``speech.no_model`` where Whisper's weights were never
        fetched.
    :returns: None where no words are wanted, and without those weights.
    :raises SettingsError: names a class of another package that cannot be imported, or what the
        class lacks.
    :raises ResourceError: its package, model or language is missing, or a file of the model was
        changed; says what would help.
    """
    if settings.recogniser == 'none':
        return None
    if settings.recogniser == 'vosk':
        from maven_ros.senses.speech import vosk

        vosk.check(settings)
        return vosk.VoskRecogniser(settings)
    if settings.recogniser != 'whisper':
        found = find_class('speech.recogniser', settings.recogniser,
                           ('accept', 'finish', 'reset', 'close'))
        recogniser: Recogniser = found(settings, counters)
        return recogniser
    from maven_ros.senses.speech import whisper_model

    whisper_model.check(settings)
    folder = whisper_model.folder_of(settings)
    if not folder.is_dir():
        counters.count('speech', 'no_model', f'no words: {folder} is not there; '
                                             'maven-ros models fetch whisper-base brings it')
        return None
    from maven_ros.senses.speech.whisper import WhisperRecogniser

    return WhisperRecogniser(settings, counters)
