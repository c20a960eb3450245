"""Writing bags: in files whose names are text, for a bag's metadata name them."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.rosbag2.storage_mcap import McapWriter
from rosbags.rosbag2.storage_sqlite3 import Sqlite3Writer

from maven_ros.files import shown


class _McapWriter(McapWriter):
    def __init__(self, path: Path, compression: Any) -> None:
        super().__init__(path, compression)
        self.path = self.path.rename(path / shown(self.path.name))


class _SqliteWriter(Sqlite3Writer):
    """Writes by a path: rosbags puts it into an address as it is."""

    def __init__(self, path: Path, compression: Any) -> None:
        self.path = path / f'{shown(path.name)}.db3'
        self.conn = sqlite3.connect(self.path.absolute())
        self.conn.executescript(self.SQLITE_SCHEMA)
        self.cursor = self.conn.cursor()


class BagWriter(Writer):
    """Writes the folder of a rosbag2, as Jazzy has it."""

    STORAGE_PLUGINS: Mapping[StoragePlugin, Any] = {
        StoragePlugin.SQLITE3: _SqliteWriter, StoragePlugin.MCAP: _McapWriter}
