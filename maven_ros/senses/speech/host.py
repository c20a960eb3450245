"""
Where a recogniser runs beside the rest: a thread, or a process of its own.

PocketSphinx's binding holds Python's global lock while it searches (30 ms for 200 ms of sound,
half a second at an utterance's end), so it gets a process; Vosk's lets go of it.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe
from typing import Protocol

import numpy as np

from maven_ros.errors import ResourceError
from maven_ros.records import Samples, Utterance
from maven_ros.senses.speech.recogniser import open_recogniser
from maven_ros.settings import SpeechSettings

NO_SOUND: Samples = np.zeros(0, np.float32)


@dataclass(frozen=True, slots=True)
class Request:
    """
    What a recogniser is asked to do; each gets one reply, in order.

    :param epoch: counts resets: a new one makes the recogniser forget first.
    :param samples: float32 (n,) at 16 kHz, to be accepted.
    :param finish: then close what is being said.
    """

    epoch: int
    samples: Samples
    start_ns: int
    finish: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of a request; ``samples`` is how many it took."""

    epoch: int
    samples: int
    utterances: list[Utterance]
    finished: bool


class Host(Protocol):
    """Runs ``serve`` elsewhere."""

    connection: Connection

    def close(self) -> str:
        """End it within a second and say how it ended."""


def serve(connection: Connection) -> None:
    """
    Recognise for whoever holds the other end, until that end is closed.

    The first message in is the settings; the first out is None, or the ResourceError.
    """
    with connection:
        try:
            settings: SpeechSettings = connection.recv()
            try:
                recogniser = open_recogniser(settings)
            except ResourceError as error:
                connection.send(error)
                return
            connection.send(None)
            epoch = 0
            while recogniser is not None:
                request: Request = connection.recv()
                if request.epoch != epoch:
                    epoch = request.epoch
                    recogniser.reset()
                found = recogniser.accept(request.samples, request.start_ns) \
                    if len(request.samples) else []
                if request.finish:
                    found += recogniser.finish()
                connection.send(Reply(epoch, len(request.samples), found, request.finish))
        except (EOFError, BrokenPipeError, ConnectionResetError):
            return  # the other end is closed, or its process is gone


class ThreadHost:
    """Serves in a thread of this process."""

    def __init__(self) -> None:
        self.connection, theirs = Pipe()
        self._thread = threading.Thread(
            target=serve, args=(theirs,), name='speech', daemon=True)
        self._thread.start()

    def close(self) -> str:
        """End it within a second and say how it ended."""
        self.connection.close()
        self._thread.join(1.0)
        return 'a thread that is still busy' if self._thread.is_alive() else 'a thread'


class ProcessHost:
    """
    Serves in a process of its own, which ends with this one, however that ends.

    It is a fresh interpreter that imports this module alone: safe beside threads and CUDA, and,
    unlike one of multiprocessing's, without a second run of the user's script.

    :param module: its ``main`` serves, over the socket whose number is its first argument.
    """

    def __init__(self, module: str = __name__) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            # Ctrl-C, and SIGTERM from systemd or timeout(1), reach the whole group: the child is
            # born deaf to them, and stays so. It ends when the connection does.
            before = signal.pthread_sigmask(
                signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
            try:
                self._process = subprocess.Popen(
                    [sys.executable, '-c', f'from {module} import main; main()',
                     str(theirs.fileno())],
                    pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL,
                    env={**os.environ, 'PYTHONPATH': os.pathsep.join(filter(None, sys.path))})
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)
        self.connection = Connection(ours.detach())

    def close(self) -> str:
        """End it within a second and say how it ended."""
        self.connection.close()
        try:
            self._process.wait(0.6)  # it may be in the middle of a search
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        return f'a process with exit code {self._process.returncode}'


def main() -> None:
    """Serve over the socket whose number is the first argument."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    serve(Connection(int(sys.argv[1])))
