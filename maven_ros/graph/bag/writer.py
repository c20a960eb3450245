"""
Write bags so that a kill or a full disk loses only data that were not yet secured.

The names of files must be text, because a bag's metadata contain them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.rosbag2.storage_mcap import McapWriter
from rosbags.rosbag2.storage_sqlite3 import Sqlite3Writer

from maven_ros.files import owner_only
from maven_ros.text import shown


class _McapWriter(McapWriter):
    def __init__(self, path: Path, compression: Any) -> None:
        super().__init__(path, compression)
        self.path = self.path.rename(path / shown(self.path.name))

    def secure(self) -> None:
        """Write the chunk that is begun, so that a kill leaves it."""
        if self.chunk.msgs:
            self.close_chunk()
        self.bio.flush()


class _SqliteWriter(Sqlite3Writer):
    """Writes by a path: rosbags puts it into an address as it is."""

    def __init__(self, path: Path, compression: Any) -> None:
        self.path = path / f'{shown(path.name)}.db3'
        self.conn = sqlite3.connect(self.path.absolute())
        self.conn.executescript(self.SQLITE_SCHEMA)
        self.cursor = self.conn.cursor()

    def add_connection(self, connection: Any, offered_qos_profiles: str) -> None:
        """Add a topic permanently; SQLite may later undo messages, but not topics."""
        super().add_connection(connection, offered_qos_profiles)
        self.secure()

    def secure(self) -> None:
        """Commit: SQLite undoes all that is not."""
        self.conn.commit()

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
