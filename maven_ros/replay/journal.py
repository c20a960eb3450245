"""
The files of a running replay, from which it can continue after any interruption.

Every output is appended to the *journal*. The *checkpoint* is replaced atomically. It holds the
length of the journal, the number of messages taken from the bag, and the state of the feed at the
same moment. A replay that continues cuts the journal to that length, so no output is lost,
repeated or different.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from maven_ros.closing import Closing
from maven_ros.errors import ResourceError
from maven_ros.freezing import decode, encode, plain_data

_ENTRY = struct.Struct('<BqI')  # kind, bag's time in ns, length of the content
_CHECKSUM = struct.Struct('<I')  # CRC-32 of the entry and its content
_DIGEST_BYTES = 32      # SHA-256 in front of a checkpoint's content


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """
    An output in the journal.

    :param kind: a number that the caller chooses.
    :param known_ns: the bag's time at which the output became known.
    """

    kind: int
    known_ns: int
    content: bytes


class Journal(Closing):
    """
    Entries in the order in which they became known. The open file is locked against others.

    :param path: the file; an existing one is continued, see :meth:`cut`.
    :raises ResourceError: if it cannot be written, or another process is writing it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = path.open('a+b')
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._file.close()
            raise ResourceError(f'{path}: another replay is writing it') from error
        except OSError as error:
            raise ResourceError(f'{path}: cannot be written: {error.strerror}') from error

    def cut(self, length: int) -> None:
        """
        Cut the file to a length in bytes.

        :raises ResourceError: if it is shorter, or cannot be written.
        """
        with self._writing():
            found = self._file.seek(0, os.SEEK_END)
            if found < length:
                raise ResourceError(f'{self.path}: {found} bytes; its checkpoint needs {length}')
            self._file.truncate(length)

    def append(self, entry: JournalEntry) -> None:
        """
        Add an entry.

        :raises ResourceError: if it cannot be written.
        """
        with self._writing():
            head = _ENTRY.pack(entry.kind, entry.known_ns, len(entry.content))
            checksum = zlib.crc32(entry.content, zlib.crc32(head))
            self._file.write(head + _CHECKSUM.pack(checksum) + entry.content)

    def secure(self) -> int:
        """
        Wait until all entries are on the disk.

        :returns: length of the file in bytes.
        :raises ResourceError: if it cannot be written.
        """
        with self._writing():
            self._file.flush()
            os.fsync(self._file.fileno())
        return self._file.tell()

    def close(self) -> None:
        """
        Close and unlock the file.

        :raises ResourceError: if its last entries cannot be written.
        """
        with self._writing():
            self._file.close()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ResourceError(f'{self.path}: cannot be written: {error.strerror}') from error


def read_journal(path: Path) -> Iterator[JournalEntry]:
    """
    Yield the entries of a journal that is closed or secured.

    :raises ResourceError: if it is damaged.
    """
    with path.open('rb') as file:
        size = os.fstat(file.fileno()).st_size
        while file.tell() < size:
            at = file.tell()
            head = file.read(_ENTRY.size).ljust(_ENTRY.size, b'\0')
            kind, known_ns, length = _ENTRY.unpack(head)
            checksum = file.read(_CHECKSUM.size)
            content = file.read(min(length, size))
            if _CHECKSUM.pack(zlib.crc32(content, zlib.crc32(head))) != checksum:
                raise ResourceError(f'{path}: is damaged at byte {at}: wrong checksum; '
                                    'remove its folder to replay again')
            yield JournalEntry(kind, known_ns, content)


@plain_data
@dataclass(frozen=True, slots=True)
class ReplayCheckpoint:
    """
    A saved state from which a replay can continue.

    :param identity: bag, settings, model and versions; they must be unchanged.
    :param journal_bytes: length of the journal.
    :param received_ns: time of arrival of the last message.
    :param skip: number of taken messages that arrived at that time.
    :param messages: number of all taken messages.
    :param wall_s: duration of the replay so far.
    :param state: the encoded state of the feed.
    """

    identity: dict[str, str]
    journal_bytes: int
    received_ns: int
    skip: int
    messages: int
    wall_s: float
    state: bytes

    def write(self, path: Path) -> None:
        """
        Write the file atomically.

        :raises ResourceError: if it cannot be written.
        """
        new = path.with_name(f'{path.name}.new')
        try:
            with new.open('wb') as file:
                content = encode(self)
                file.write(hashlib.sha256(content).digest() + content)
                file.flush()
                os.fsync(file.fileno())
            new.replace(path)
        except OSError as error:
            raise ResourceError(f'{path}: cannot be written: {error.strerror}') from error


def read_checkpoint(path: Path) -> ReplayCheckpoint | None:
    """
    Return the checkpoint in a file; None without a file.

    :raises ResourceError: if the file is damaged or not a checkpoint.
    """
    if not path.exists():
        return None
    whole = path.read_bytes()
    digest, content = whole[:_DIGEST_BYTES], whole[_DIGEST_BYTES:]
    if hashlib.sha256(content).digest() != digest:
        raise ResourceError(f'{path}: is damaged: wrong checksum; remove its folder to '
                            'replay again')
    found = decode(content)
    if not isinstance(found, ReplayCheckpoint):
        raise ResourceError(f'{path}: holds a {type(found).__name__}; allowed: a Checkpoint')
    return found
