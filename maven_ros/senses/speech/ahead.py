"""A recogniser that runs ahead of whoever reads its answers: for replays."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from maven_ros.closing import Closing
from maven_ros.counters import Counters
from maven_ros.records import Utterance
from maven_ros.senses.audio import AudioSegment
from maven_ros.senses.speech.recogniser import Recogniser, open_recogniser
from maven_ros.settings import SpeechSettings

_Answer = TypeVar('_Answer')


class AheadRecogniser(Closing):
    """
    Recognises in a thread of its own; an answer is waited for when it is read, and not before.

    What comes out, and where, is what a recogniser that answers at once would have said: it
    depends on the sound alone, not on who is faster.

    :param recogniser: is closed with this; None recognises nothing.
    """

    lag_s = 0.0

    @classmethod
    def open(cls, settings: SpeechSettings, counters: Counters) -> AheadRecogniser:
        """
        Open the recogniser that the settings name.

        :raises ResourceError: as :func:`open_recogniser`.
        """
        return cls(open_recogniser(settings, counters))

    def __init__(self, recogniser: Recogniser | None) -> None:
        self._recogniser = recogniser
        self._thread = ThreadPoolExecutor(1, 'speech')
        self._asked: list[Future[list[Utterance]]] = []  # since the last poll
        self._newest: Future[Any] | None = None

    @property
    def recognises(self) -> bool:
        """Whether there is a recogniser at all."""
        return self._recogniser is not None

    @property
    def busy(self) -> bool:
        """Whether there are answers that would have to be waited for."""
        return self._newest is not None and not self._newest.done()

    @property
    def speaking(self) -> bool:
        """Whether an utterance is going on, once all sound is recognised."""
        return bool(self._wait_for(lambda recogniser: recogniser.speaking))

    @property
    def learnt(self) -> Any:
        """What the recogniser has learnt by now, as plain data."""
        return self._wait_for(lambda recogniser: recogniser.learnt)

    @learnt.setter
    def learnt(self, learnt: Any) -> None:
        """Forget all sound but know this."""
        self._wait_for(lambda recogniser: setattr(recogniser, 'learnt', learnt))

    def put(self, segment: AudioSegment) -> None:
        """Take sound."""
        self._ask(lambda recogniser: recogniser.accept(segment))

    def poll(self) -> Iterable[Utterance]:
        """Return what was said in the sound since the last call; who reads it waits for it."""
        asked, self._asked = self._asked, []
        return (utterance for one in asked for utterance in one.result()) if asked else ()

    def reset(self) -> None:
        """Forget all sound, and answers that were not polled."""
        self._asked.clear()
        self._ask(_reset)

    def finish(self, timeout_s: float) -> Iterable[Utterance]:
        """Close what is being said; see :meth:`poll`."""
        self._ask(lambda recogniser: recogniser.finish())
        return self.poll()

    def close(self) -> None:
        """End as soon as the sound at hand is recognised."""
        self._thread.shutdown(cancel_futures=True)
        recogniser, self._recogniser = self._recogniser, None
        if recogniser is not None:
            recogniser.close()

    def _ask(self, call: Callable[[Recogniser], list[Utterance]]) -> None:
        if self._recogniser is not None:
            self._newest = future = self._thread.submit(call, self._recogniser)
            self._asked.append(future)

    def _wait_for(self, call: Callable[[Recogniser], _Answer]) -> _Answer | None:
        if self._recogniser is None:
            return None
        return self._thread.submit(call, self._recogniser).result()


def _reset(recogniser: Recogniser) -> list[Utterance]:
    recogniser.reset()
    return []
