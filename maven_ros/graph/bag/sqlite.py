"""Reading SQLite bags of any name."""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rosbags.rosbag2.storage_sqlite3 import Sqlite3Reader

from maven_ros.files import shown
from maven_ros.graph.bag.connections import with_full_types


class SqliteReader(Sqlite3Reader):
    """Reads an SQLite file; rosbags puts its path into an address as it is."""

    def __init__(self, path: Any) -> None:
        super().__init__(path)
        self._beside: TemporaryDirectory[str] | None = None

    def open(self) -> None:
        """Open the file; one whose path would be another address by a name of our own."""
        path = Path(str(self.path))
        if re.search('[?#%]|//', str(path)) or shown(path) != str(path):
            self._beside = TemporaryDirectory(prefix='maven_ros_')
            link = Path(self._beside.name, 'bag.db3')
            link.symlink_to(path.absolute())
            self.path = link
        try:
            super().open()
        except BaseException:  # a signal, too, must not leave the folder
            self._clean()
            raise
        self.connections = with_full_types(self.connections)

    def close(self) -> None:
        """Close the file."""
        super().close()
        self._clean()

    def _clean(self) -> None:
        if self._beside:
            self._beside.cleanup()
            self._beside = None
