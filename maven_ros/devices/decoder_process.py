"""
The process in which files are decoded: both of its ends.

It is asked for one file after the other over its standard input, answers over its standard output
with messages of plain data, and ends with its parent. What a file does to it stays in it.
"""

from __future__ import annotations

import fcntl
import io
import logging
import os
import select
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from maven_ros.closing import Closing
from maven_ros.counters import Counters
from maven_ros.devices.decoding import decoded, look
from maven_ros.errors import InputError, MavenError, ResourceError, SettingsError
from maven_ros.freezing import decode, encode
from maven_ros.records import AudioChunk, Frame

#: A decoder that says nothing for so long, hangs.
SILENT_S = 60.0

_PIPE_BYTES = 1 << 20  # at Linux's 64 kB, passing pictures on costs twice the CPU
_SIZE = struct.Struct('=Q')
#: The errors that keep their class; any other of ours is one of the file.
_ERRORS = {SettingsError.__name__: SettingsError}


class DecoderProcess(Closing):
    """
    A child process that decodes files, one after the other.

    It takes 0.2 s to start.
    """

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, '-m', __name__], bufsize=0, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, start_new_session=True,  # Ctrl-C is the parent's to handle
            env={**os.environ, 'PYTHONPATH': os.pathsep.join(filter(None, sys.path))})
        assert isinstance(self._process.stdout, io.FileIO)
        self._answers = self._process.stdout
        if sys.platform == 'linux':
            with suppress(OSError):  # beyond the user's share: it is slower, then
                fcntl.fcntl(self._answers, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        self._poll = select.poll()
        self._poll.register(self._answers, select.POLLIN)

    def ask(self, path: Path, counters: Counters, how: Mapping[str, Any]) -> None:
        """
        Ask for a file, once all messages of the one before are received.

        :param counters: takes what the process counts.
        :param how: arguments of :func:`maven_ros.devices.decoding.decoded`, and which streams; or
            ``only_look``.
        """
        self._path, self._counters = path, counters
        assert self._process.stdin
        with suppress(BrokenPipeError):  # if it is dead already, that is told when it is heard
            _send(self._process.stdin, {'path': str(path), **how})

    def close(self) -> None:
        """End the process."""
        with self._process:  # closes both pipes, and waits
            self._process.kill()

    def receive(self) -> Any:
        """
        Return the next message: what it is, and what belongs to it.

        :raises ResourceError: what the process found wrong; when it died, or hangs.
        """
        while True:
            until = time.monotonic() + SILENT_S
            size, = _SIZE.unpack(self._read(_SIZE.size, until))
            message = decode(self._read(size, until))
            if message[0] == 'count':
                self._counters.count(*message[1:])
            elif message[0] == 'log':
                logging.getLogger(message[1]).log(message[2], '%s', message[3])
            elif message[0] == 'error':
                raise _ERRORS.get(message[1], ResourceError)(message[2])
            else:
                return message

    def _read(self, size: int, until: float) -> bytearray:
        data = bytearray(size)
        rest = memoryview(data)
        while rest:
            if not self._poll.poll(max(0.0, until - time.monotonic()) * 1000):
                raise ResourceError(f'{self._path}: its decoder hangs, {SILENT_S:g} s without a '
                                    'picture or sound; nothing more of this file is read')
            if not (got := self._answers.readinto(rest)):
                raise ResourceError(f'{self._path}: its decoder died ({self._death()}); nothing '
                                    'more of this file is read')
            rest = rest[got:]
        return data

    def _death(self) -> str:
        code = self._process.wait()
        return signal.Signals(-code).name if code < 0 else f'exit status {code}'


# --- in the child ----------------------------------------------------------------------------


def main() -> None:
    """Decode files, as asked over standard input."""
    answers = os.fdopen(os.dup(1), 'wb', 0)
    os.dup2(2, 1)  # libraries may print
    threading.Thread(target=_end_with_parent, daemon=True).start()
    log = logging.getLogger('maven_ros')
    log.setLevel(logging.INFO)
    log.propagate = False
    log.addHandler(_LogToParent(answers))
    try:
        while (request := _heard(sys.stdin.buffer)) is not None:
            _decode(answers, **request)
    except BrokenPipeError:  # the parent has had enough, or is gone
        os._exit(0)


def _heard(pipe: IO[bytes]) -> Any:
    """Return the parent's next request; None at its end."""
    size = pipe.read(_SIZE.size)
    length = _SIZE.unpack(size)[0] if len(size) == _SIZE.size else 1
    content = pipe.read(length)
    return decode(content) if len(content) == length else None


def _decode(
    answers: IO[bytes], path: str, video_stream: int, audio_stream: int, only_look: bool = False,
    **how: Any,
) -> None:
    try:
        media = look(Path(path), video_stream, audio_stream)
        records = () if only_look else decoded(media, counters=_CountsToParent(answers), **how)
        _send(answers, ('media', media.plain()))
        for record in records:
            _send(answers, _message(record))
        _send(answers, ('end',))
    except MavenError as error:
        _send(answers, ('error', type(error).__name__, str(error)))


def _message(record: Frame | AudioChunk) -> tuple[Any, ...]:
    if isinstance(record, AudioChunk):
        return ('sound', record.stamp_ns, record.samples, record.sample_rate_hz, record.sequence)
    try:
        return ('frame', record.stamp_ns, record.decode())
    except InputError as error:
        return ('frame', record.stamp_ns, (error.cause, str(error)))


class _CountsToParent(Counters):
    def __init__(self, answers: IO[bytes]) -> None:
        super().__init__()
        self._answers = answers

    def count(
        self, source: str, cause: str, detail: str = '', n: int = 1, normal: bool = False,
    ) -> None:
        _send(self._answers, ('count', source, cause, detail, n, normal))


class _LogToParent(logging.Handler):
    def __init__(self, answers: IO[bytes]) -> None:
        super().__init__()
        self._answers = answers

    def emit(self, record: logging.LogRecord) -> None:
        _send(self._answers, ('log', record.name, record.levelno, record.getMessage()))


def _end_with_parent() -> None:
    pipe = select.poll()
    pipe.register(0, 0)  # no event but its end
    pipe.poll()
    os._exit(0)


def _send(pipe: IO[bytes], message: Any) -> None:
    content = encode(message)
    for part in (_SIZE.pack(len(content)), content):
        rest = memoryview(part)
        while rest:
            rest = rest[pipe.write(rest):]


if __name__ == '__main__':
    main()
