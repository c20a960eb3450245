"""
Write bags so that a kill or a full disk loses only data that were not yet secured.

The names of files must be text, because a bag's metadata contain them.
"""

from __future__ import annotations

import io
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.rosbag2.storage_mcap import McapWriter
from rosbags.rosbag2.storage_sqlite3 import Sqlite3Writer

from maven_ros.files import owner_only
from maven_ros.text import shown

_CHUNK_BYTES = 1 << 20  # rosbags ends a chunk beyond so many


class _WholeFile(io.FileIO):
    """A file without a buffer, which after an error would hold what cannot be written."""

    def write(self, data: Any) -> int:
        """Write all of the data."""
        left = memoryview(data)
        while left:
            left = left[super().write(left):]
        return len(data)


class _McapWriter(McapWriter):
    undone = 0  # what could not be written waits in memory

    def __init__(self, path: Path, compression: Any) -> None:
        super().__init__(path, compression)
        self.bio.close()
        self.path = self.path.rename(path / shown(self.path.name))
        self.bio: Any = _WholeFile(self.path, 'r+')
        self.bio.seek(0, io.SEEK_END)

    def close_chunk(self) -> None:
        """Write the chunk that is begun; if that fails, it waits, and the file is as before."""
        begin = self.bio.tell()
        try:
            super().close_chunk()
        except OSError:
            self.bio.truncate(self.bio.seek(begin))
            raise

    def write(self, connection: Any, timestamp: int, data: bytes | memoryview) -> None:
        """Write a message, unless an earlier chunk still cannot be written."""
        if self.chunk.bio.tell() > _CHUNK_BYTES:
            self.close_chunk()
        with suppress(OSError):  # the chunk waits with this message; the next call will tell
            super().write(connection, timestamp, data)

    def secure(self) -> None:
        """Write the chunk that is begun, so that a kill leaves it."""
        if self.chunk.msgs:
            self.close_chunk()


class _SqliteWriter(Sqlite3Writer):
    """Writes by a path: rosbags puts it into an address as it is."""

    def __init__(self, path: Path, compression: Any) -> None:
        self.path = path / f'{shown(path.name)}.db3'
        self.conn = sqlite3.connect(self.path.absolute())
        self.conn.executescript(self.SQLITE_SCHEMA)
        self.cursor = self.conn.cursor()
        #: Messages that were written, and that SQLite undid when the disk was full.
        self.undone = 0
        self._begun = 0  # those that it still may undo

    def add_msgtype(self, connection: Any) -> None:
        """Add a type permanently; SQLite may later undo messages, but not types."""
        self._add(super().add_msgtype, connection)

    def add_connection(self, connection: Any, offered_qos_profiles: str) -> None:
        """Add a topic permanently."""
        self._add(super().add_connection, connection, offered_qos_profiles)

    def _add(self, add: Callable[..., None], *values: Any) -> None:
        self.secure()
        try:
            add(*values)
            self.secure()
        except sqlite3.Error:
            self.conn.rollback()
            raise

    def write(self, connection: Any, timestamp: int, data: bytes | memoryview) -> None:
        """Write a message."""
        with self._counted():
            super().write(connection, timestamp, data)
            self._begun += 1

    def secure(self) -> None:
        """Commit: SQLite undoes all that is not."""
        with self._counted():
            self.conn.commit()
            self._begun = 0

    @contextmanager
    def _counted(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error:
            if not self.conn.in_transaction:
                self.undone += self._begun
                self._begun = 0
            raise

    def held(self) -> list[tuple[int, int, int, int]]:
        """Return how many messages of each topic there are, and the first and the last time."""
        return self.conn.execute('SELECT topic_id, count(*), min(timestamp), max(timestamp) '
                                 'FROM messages GROUP BY topic_id').fetchall()


class BagWriter(Writer):
    """Writes the folder of a rosbag2, as Jazzy has it."""

    STORAGE_PLUGINS: Mapping[StoragePlugin, Any] = {
        StoragePlugin.SQLITE3: _SqliteWriter, StoragePlugin.MCAP: _McapWriter}

    def open(self) -> None:
        """Make the folder and its files, for their owner."""
        with owner_only():
            super().open()

    @property
    def undone(self) -> int:
        """How many written messages the storage undid when the disk was full."""
        storage: Any = self.storage
        return int(storage.undone)

    def secure(self) -> None:
        """Secure all written data against a kill."""
        storage: Any = self.storage
        storage.secure()

    def close(self) -> None:
        """Complete the bag; its metadata describe what is on the disk, even after a full disk."""
        storage: Any = self.storage
        if isinstance(storage, _SqliteWriter) and any(self.counts.values()):
            held = storage.held()
            self.counts = {**dict.fromkeys(self.counts, 0), **{one[0]: one[1] for one in held}}
            self.min_timestamp = min((one[2] for one in held), default=self.min_timestamp)
            self.max_timestamp = max((one[3] for one in held), default=self.max_timestamp)
        with owner_only():
            super().close()
