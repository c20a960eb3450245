"""
What a replay leaves on the disk while it runs, so that it can go on after any end.

A *journal* grows by every output. A *checkpoint*, replaced as a whole, says how much of the
journal belongs to it, how many messages of the bag were taken, and what everything had gathered
by then. Going on cuts the journal there: so nothing is lost, doubled or different.
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

_ENTRY = struct.Struct('<BqI')  # kind, bag's time in ns, bytes that follow its checksum
_CHECKSUM = struct.Struct('<I')  # CRC-32 of both
_DIGEST_BYTES = 32      # SHA-256, before what a checkpoint holds


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """
    One thing that became known.

    :param kind: which kind; the journal's user decides.
    :param known_ns: the bag's time then.
    """

    kind: int
    known_ns: int
    content: bytes


class Journal(Closing):
    """
    Entries in the order in which they became known; nobody else writes it while it is open.

    :param path: its file; one that is there is gone on with, see :meth:`cut`.
    :raises ResourceError: when it cannot be written, or another process writes it.
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
        Keep so many bytes.

        :raises ResourceError: when it is shorter than that, or cannot be written.
        """
        with self._writing():
            found = self._file.seek(0, os.SEEK_END)
            if found < length:
                raise ResourceError(f'{self.path}: {found} bytes; its checkpoint needs {length}')
            self._file.truncate(length)

    def append(self, entry: JournalEntry) -> None:
        """
        Add an entry.

        :raises ResourceError: when it cannot be written.
        """
        with self._writing():
            head = _ENTRY.pack(entry.kind, entry.known_ns, len(entry.content))
            checksum = zlib.crc32(entry.content, zlib.crc32(head))
            self._file.write(head + _CHECKSUM.pack(checksum) + entry.content)

    def secure(self) -> int:
        """
        Wait until all is on the disk.

        :returns: its length in bytes.
        :raises ResourceError: when it cannot be written.
        """
        with self._writing():
            self._file.flush()
            os.fsync(self._file.fileno())
        return self._file.tell()

    def close(self) -> None:
        """
        Close the file, and leave it to others.

        :raises ResourceError: when its last entries cannot be written.
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
    Yield the entries of a journal that is closed, or secured.

    :raises ResourceError: where it is damaged.
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
                raise ResourceError(f'{path}: is damaged at byte {at}: its checksum does not fit; '
                                    'remove its folder to replay anew')
            yield JournalEntry(kind, known_ns, content)


@plain_data
@dataclass(frozen=True, slots=True)
class ReplayCheckpoint:
    """
    Where a replay may go on.

    :param identity: of bag, settings, model and versions; another's is of no use.
    :param journal_bytes: length of the journal then.
    :param received_ns: when the last message had arrived.
    :param skip: how many of the messages that arrived at that time were taken.
    :param messages: how many were taken in all.
    :param wall_s: how long it has taken.
    :param state: what the feed had gathered, encoded.
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
        Replace the one that is there, in one step.

        :raises ResourceError: when it cannot be written.
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
    Return the checkpoint in a file; None where there is none.

    :raises ResourceError: for a file that is none, or is damaged.
    """
    if not path.exists():
        return None
    whole = path.read_bytes()
    digest, content = whole[:_DIGEST_BYTES], whole[_DIGEST_BYTES:]
    if hashlib.sha256(content).digest() != digest:
        raise ResourceError(f'{path}: is damaged: its checksum does not fit; remove its folder to '
                            'replay anew')
    found = decode(content)
    if not isinstance(found, ReplayCheckpoint):
        raise ResourceError(f'{path}: holds a {type(found).__name__}; allowed: a Checkpoint')
    return found
