"""A recogniser in a process of its own, for one that holds Python's global lock."""

from __future__ import annotations

import logging
import sys
from multiprocessing.connection import Connection
from typing import Any

from maven_ros.errors import MavenError, ResourceError
from maven_ros.records import Samples, Utterance
from maven_ros.senses.speech.host import ProcessHost
from maven_ros.senses.speech.recogniser import open_recogniser
from maven_ros.settings import SpeechSettings


class RecogniserElsewhere:
    """
    A :class:`Recogniser` whose every call is made there, and waited for.

    :raises ResourceError: when it cannot be opened; from any call, when the process is gone.
    """

    def __init__(self, settings: SpeechSettings) -> None:
        self.name = settings.recogniser
        self._host = ProcessHost(__name__)
        try:
            self._host.connection.send(settings)
            self._answer()
        except MavenError:
            self._host.close()
            raise

    @property
    def speaking(self) -> bool:
        """Whether an utterance is going on."""
        return bool(self._call('__getattribute__', 'speaking'))

    @property
    def voice(self) -> Any:
        """What it has learnt of the voice, as plain data."""
        return self._call('__getattribute__', 'voice')

    @voice.setter
    def voice(self, learnt: Any) -> None:
        self._call('__setattr__', 'voice', learnt)

    def accept(self, samples: Samples, start_ns: int) -> list[Utterance]:
        """Take sound."""
        found: list[Utterance] = self._call('accept', samples, start_ns)
        return found

    def finish(self) -> list[Utterance]:
        """Close what is being said."""
        found: list[Utterance] = self._call('finish')
        return found

    def reset(self) -> None:
        """Forget all sound so far."""
        self._call('reset')

    def close(self) -> None:
        """End the process within a second."""
        self._host.close()

    def _call(self, name: str, *arguments: Any) -> Any:
        try:
            self._host.connection.send((name, arguments))
        except OSError as error:
            raise self._gone() from error
        return self._answer()

    def _answer(self) -> Any:
        try:
            answer = self._host.connection.recv()
        except (EOFError, OSError) as error:
            raise self._gone() from error
        if isinstance(answer, MavenError):
            raise answer
        return answer

    def _gone(self) -> ResourceError:
        return ResourceError(f'speech.recogniser: ended in the middle ({self._host.close()})')


def main() -> None:
    """Recognise for whoever holds the other end of the socket that the first argument names."""
    logging.disable()  # what is dropped is counted, and told, by who asks
    with Connection(int(sys.argv[1])) as connection:
        try:
            recogniser = open_recogniser(connection.recv())
            connection.send(None)
            while True:
                name, arguments = connection.recv()
                connection.send(getattr(recogniser, name)(*arguments))
        except MavenError as error:
            connection.send(error)
        except (EOFError, BrokenPipeError, ConnectionResetError):
            return  # nobody asks any more
