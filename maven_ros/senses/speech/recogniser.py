"""What recognisers have in common, and how one is opened."""

from __future__ import annotations

from typing import Any, Protocol

from maven_ros.records import Samples, Utterance
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
    def voice(self) -> Any:
        """What it has learnt of the voice, as plain data; None where it learns nothing."""

    @voice.setter
    def voice(self, learnt: Any) -> None:
        """Forget all sound but know this voice: between utterances, after :meth:`finish`."""

    def accept(self, samples: Samples, start_ns: int) -> list[Utterance]:
        """
        Take sound that follows the last call's, unless ``start_ns`` says otherwise.

        A step of more than 20 ms, either way, ends the utterance and begins anew.

        :param samples: float32 (n,) in [-1, 1], 16 kHz mono, finite.
        :param start_ns: time of the first sample.
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


def open_recogniser(settings: SpeechSettings) -> Recogniser | None:
    """
    Load the recogniser that the settings name.

    :returns: None where that is none.
    :raises ResourceError: its package, model or language is missing; says what would help.
    """
    if settings.recogniser == 'pocketsphinx':
        from maven_ros.senses.speech.pocketsphinx import PocketSphinxRecogniser

        return PocketSphinxRecogniser(settings)
    if settings.recogniser == 'vosk':
        from maven_ros.senses.speech.vosk import VoskRecogniser

        return VoskRecogniser(settings)
    return None
