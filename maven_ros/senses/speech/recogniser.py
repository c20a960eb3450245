"""What recognisers have in common, and how one is opened."""

from __future__ import annotations

from typing import Any, Protocol

from maven_ros.counters import Counters
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


def will_recognise(settings: SpeechSettings, counters: Counters) -> bool:
    """
    Tell whether words are recognised: where they are wanted, and the weights are there.

    :param counters: gets ``speech.no_model`` where Whisper's were never fetched.
    """
    if settings.recogniser != 'whisper':
        return settings.recogniser != 'none'
    from maven_ros.senses.speech.whisper_model import folder_of

    if folder_of(settings).is_dir():
        return True
    counters.count('speech', 'no_model', f'no words: {folder_of(settings)} is not there; '
                                         'maven-ros models fetch whisper-base brings it')
    return False


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

    :param counters: of what it drops.
    :returns: None where there is none; see :func:`will_recognise`.
    :raises ResourceError: its package, model or language is missing; says what would help.
    """
    _check(settings)
    if not will_recognise(settings, counters):
        return None
    if settings.recogniser == 'whisper':
        from maven_ros.senses.speech.whisper import WhisperRecogniser

        return WhisperRecogniser(settings, counters)
    from maven_ros.senses.speech.vosk import VoskRecogniser

    return VoskRecogniser(settings)


def _check(settings: SpeechSettings) -> None:
    """
    Check what can be without loading anything.

    :raises ResourceError: a package or a file of the model is missing or was changed.
    """
    if settings.recogniser == 'whisper':
        from maven_ros.senses.speech import whisper_model

        whisper_model.check(settings)
    elif settings.recogniser == 'vosk':
        from maven_ros.senses.speech import vosk

        vosk.check(settings)
