"""
Read SQLite bags of any name, including the journal of a recorder that was killed.

The newest messages are in ``NAME.db3-wal`` until SQLite moves them into the file, and
``NAME.db3-journal`` holds the former content of a half-written file. SQLite applies both to a
copy, so the recording does not change and may be on a read-only disk.
"""

from __future__ import annotations

import logging
import re
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import apsw
from rosbags.rosbag2.storage_sqlite3 import Sqlite3Reader

from maven_ros.errors import CannotWrite
from maven_ros.files import require_room
from maven_ros.graph.bag.connections import with_full_types
from maven_ros.text import shown

_JOURNALS = ('-wal', '-journal')

_log = logging.getLogger(__name__)


class SqliteReader(Sqlite3Reader):
    """Reads an SQLite file; ``broken`` says what of its journal could not be read."""

    def __init__(self, path: Any) -> None:
        super().__init__(path)
        self.broken = ''
        self._beside: TemporaryDirectory[str] | None = None

    def open(self) -> None:
        """Open the file; where it has a journal or a name like an address, beside a copy."""
        path = Path(str(self.path))
        try:
            if journals := [one for one in map(path.with_name, (
                    f'{path.name}{end}' for end in _JOURNALS)) if _holds_something(one)]:
                self._take_up(path, journals)
            elif re.search('[?#%]|//', str(path)) or shown(path) != str(path):
                # rosbags puts the path into an address as it is
                self.path = self._folder() / 'bag.db3'
                self.path.symlink_to(path.absolute())
            super().open()
        except BaseException:  # a signal, too, must not leave the folder
            self._clean()
            raise
        self.connections = with_full_types(self.connections)

    def close(self) -> None:
        """Close the file."""
        super().close()
        self._clean()

    def _take_up(self, path: Path, journals: list[Path]) -> None:
        """Read a copy into which SQLite has put the journal."""
        names = ', '.join(one.name for one in journals)
        try:
            folder = self._folder()
            require_room(folder, sum(one.stat().st_size for one in (path, *journals)), names)
            copy = folder / 'bag.db3'
            for one in (path, *journals):
                shutil.copyfile(one, folder / one.name.replace(path.name, copy.name))
            database = apsw.Connection(str(copy))
            try:
                database.execute('PRAGMA journal_mode = DELETE').fetchall()
            finally:
                database.close()
        except (apsw.Error, OSError, CannotWrite) as error:
            self.broken = f'{names}: cannot be read ({error}); what is in it is left out'
        else:
            self.path = copy
            _log.info('%s: was not closed by its recorder; %s is read, too', path, names)

    def _folder(self) -> Path:
        self._beside = TemporaryDirectory(prefix='maven_ros_')
        return Path(self._beside.name)

    def _clean(self) -> None:
        if self._beside:
            self._beside.cleanup()
            self._beside = None


def _holds_something(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0
