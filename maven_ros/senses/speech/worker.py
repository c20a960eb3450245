"""Runs a recogniser so that recognition never stalls the rest."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from maven_ros.closing import Closing
from maven_ros.counters import Counters
from maven_ros.records import Utterance
from maven_ros.senses.audio import AudioSegment
from maven_ros.senses.speech.recogniser import Recogniser, open_recogniser
from maven_ros.senses.speech.threaded import ThreadedRecogniser
from maven_ros.settings import SpeechSettings


class SpeechStream(Protocol):
    """What the pipeline asks of whoever hosts recognition; :class:`SpeechWorker` explains."""

    @property
    def recognises(self) -> bool:
        """Whether there is a recogniser at all."""

    @property
    def lag_s(self) -> float:
        """Sound that was put and is not yet recognised, in seconds."""

    def put(self, segment: AudioSegment) -> None:
        """Take sound."""

    def poll(self) -> Iterable[Utterance]:
        """
        Return utterances that are new or have changed since the last call, in order.

        Of a stream that runs ahead, whoever reads them waits for them.
        """

    def reset(self) -> None:
        """Forget all sound."""

    def finish(self, timeout_s: float) -> Iterable[Utterance]:
        """Close what is being said; see :meth:`poll`."""

    def close(self) -> None:
        """End within a second."""


class SpeechWorker(Closing):
    """
    Takes sound at any pace and hands back what was said, when it is known.

    Recognition runs in a thread: Whisper and Vosk let go of Python's lock while they search. How
    far it is behind is measured in sound: ``lag_s``. With ``inline`` sound is recognised as it
    is put, so that what comes out depends on the sound alone.

    A context manager; use it from one thread.
    """

    def __init__(self, settings: SpeechSettings, counters: Counters, inline: bool = False) -> None:
        """
        Load the recogniser, which takes about a second.

        :param settings: which recogniser, and how.
        :param counters: gets ``speech.skipped`` (segments of sound), ``speech.failed``,
            ``speech.stopped``, ``speech.unfinished`` and what the recogniser counts.
        :param inline: recognise in ``put``, as replay does.
        :raises ResourceError: its package, model or language is missing.
        """
        recogniser = open_recogniser(settings, counters)
        self._host: InlineRecogniser | ThreadedRecogniser = (
            InlineRecogniser(recogniser) if inline or recogniser is None
            else ThreadedRecogniser(recogniser, settings.max_lag_s, counters))

    @property
    def recognises(self) -> bool:
        """Whether there is a recogniser at all."""
        return self._host.recognises

    @property
    def lag_s(self) -> float:
        """Sound that was put and is not yet recognised, in seconds."""
        return self._host.lag_s

    def put(self, segment: AudioSegment) -> None:
        """
        Take sound that follows the last call's, unless its ``start_ns`` says otherwise.

        Never waits (but for ``inline``): when recognition falls behind, partial results are left
        out; when more than ``max_lag_s`` is not recognised, what waits is skipped, and counted.
        """
        self._host.put(segment)

    def poll(self) -> list[Utterance]:
        """Return utterances that are new or have changed since the last call, in order."""
        return self._host.poll()

    def reset(self) -> None:
        """Forget all sound; nothing of it comes out any more."""
        self._host.reset()

    def finish(self, timeout_s: float) -> list[Utterance]:
        """
        Close what is being said: the sound ends here.

        :param timeout_s: wait at most so long; what is then missing is counted.
        :returns: what has been recognised since the last ``poll``.
        """
        return self._host.finish(timeout_s)

    def close(self) -> None:
        """End within a second."""
        self._host.close()


class InlineRecogniser:
    """A recogniser, or none, that answers at once."""

    lag_s = 0.0

    def __init__(self, recogniser: Recogniser | None) -> None:
        self._recogniser = recogniser
        self._found: list[Utterance] = []

    @property
    def recognises(self) -> bool:
        """Whether there is a recogniser at all."""
        return self._recogniser is not None

    def put(self, segment: AudioSegment) -> None:
        """Recognise."""
        if self._recogniser is not None:
            self._found += self._recogniser.accept(segment)

    def poll(self) -> list[Utterance]:
        """Return what was recognised since."""
        found, self._found = self._found, []
        return found

    def reset(self) -> None:
        """Forget all sound."""
        self._found.clear()
        if self._recogniser is not None:
            self._recogniser.reset()

    def finish(self, timeout_s: float) -> list[Utterance]:
        """Close what is being said."""
        if self._recogniser is not None:
            self._found += self._recogniser.finish()
        return self.poll()

    def close(self) -> None:
        """Let go of the recogniser."""
        if self._recogniser is not None:
            self._recogniser.close()
        self._recogniser = None
