"""
Read the folder of a rosbag2 from its files, with the help of ``metadata.yaml``.

A recorder that was killed leaves no metadata, or empty ones, and people rename, copy and cut
files. So topics, counts and times are read from the files. The metadata name the files and are
compared with them: files or messages that are declared but missing are reported at the end, like
a break.
"""

from __future__ import annotations

import heapq
import logging
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path, PurePath
from tempfile import TemporaryDirectory
from typing import Any

from rosbags.interfaces import (
    Connection,
    ConnectionExtRosbag2,
    MessageDefinition,
    MessageDefinitionFormat,
)
from rosbags.rosbag2 import ReaderError
from rosbags.rosbag2 import reader as rosbag2
from rosbags.rosbag2.metadata import ReaderMetadata

from maven_ros.errors import SettingsError
from maven_ros.graph.bag.connections import joined, with_full_types
from maven_ros.graph.bag.mcap import WholePartReader
from maven_ros.graph.bag.sqlite import SqliteReader
from maven_ros.yaml_files import read_yaml

METADATA = 'metadata.yaml'
READERS: Mapping[str, Any] = {'.mcap': WholePartReader, '.db3': SqliteReader}

_log = logging.getLogger(__name__)
zstd: Any = vars(rosbag2)['zstd']  # Python's own or a backport, as rosbags chose
_ZSTD_MAGIC = b'\x28\xb5\x2f\xfd'  # no CDR begins so
_PART = re.compile(r'(.*?)_?(\d*)')  # NAME_0, NAME_1, ...: the parts of one recording
_NOTHING = ReaderMetadata(0, 2**63 - 1, 0, 0, None, None, None, None)


def files_in(folder: Path) -> list[Path]:
    """Return the files of a bag in a folder, in the order of their numbers."""
    return sorted((one for one in folder.iterdir()
                   if _suffix(one) in READERS and not one.name.startswith('.')),
                  key=lambda one: (_part(one)[0], _part(one)[1], one.name))


class FolderReader:
    """
    Read all files of one recording.

    After opening, ``broken`` names what the metadata declare but the files do not hold.
    """

    def __init__(self, path: Any) -> None:
        self.path = Path(str(path))
        self.connections: list[Any] = []
        self.metadata = _NOTHING
        self.storages: list[Any] = []
        self.broken = ''
        self._stack = ExitStack()

    def open(self) -> None:
        """Open all files."""
        said = self._said()
        paths = self._paths(said)
        with self._stack:
            self.storages = [self._open(path) for path in paths]
            # Written numbers may lie; who reads in the order of time needs the files' own.
            self.storages.sort(key=lambda one: one.metadata.start_time)
            self.connections = self._with_declared(joined(self.storages, self), said)
            self._stack = self._stack.pop_all()
        self._sum_up(said)

    def close(self) -> None:
        """Close all files."""
        self.connections, self.storages, self.metadata = [], [], _NOTHING
        self._stack.close()

    def messages(
        self, connections: Sequence[Any], start: int | None = None, stop: int | None = None,
    ) -> Iterator[tuple[Any, int, bytes]]:
        """Yield connection, time and CDR of messages in the order of time."""
        for together in _overlapping(self.storages):
            yield from heapq.merge(
                *(_messages(one, connections, start, stop) for one in together),
                key=lambda found: found[1])

    # --- what metadata say -----------------------------------------------------------------

    def _said(self) -> Mapping[str, Any]:
        """Return the metadata; empty if they are missing or cannot be read."""
        path = self.path / METADATA
        if not path.exists():
            _log.warning('%s: has no %s; its files are read by their names', self.path, METADATA)
            return {}
        try:
            said = read_yaml(path)
            found = said['rosbag2_bagfile_information'] if said else None
        except (SettingsError, LookupError, TypeError) as error:
            found = error
        if isinstance(found, Mapping):
            return found
        _log.warning('%s: %s is empty or no description of a bag (%s); its files are read by '
                     'their names', self.path, METADATA, found)
        return {}

    def _paths(self, said: Mapping[str, Any]) -> list[Path]:
        """Return the files that are to be read."""
        there = files_in(self.path)
        names = [PurePath(str(name)).name for name in _listed(said, 'relative_file_paths')]
        known = [self.path / name for name in names]
        missing = [one.name for one in known if not one.exists()]
        if not names:
            known = self._parts(there)
        elif missing:
            others = [one for one in there if one not in known]
            if not others:
                raise ReaderError(f'{", ".join(missing)}: {METADATA} names them, and they are '
                                  'missing')
            _log.warning('%s: %s names %s, not there; read are %s', self.path, METADATA,
                         ', '.join(missing), ', '.join(one.name for one in others))
            known = self._parts(there)
        else:
            more = [one for one in there if one not in known and _follows(one, known)]
            if more:
                _log.warning('%s: %s does not name %s, and they are read, too', self.path,
                             METADATA, ', '.join(one.name for one in more))
            known += more
        return known

    def _parts(self, there: Sequence[Path]) -> list[Path]:
        """Return the files, if they are parts of one recording."""
        if not there:
            raise ReaderError(f'it holds no file of a bag; allowed: {", ".join(READERS)}')
        if len({(_part(one)[0], _suffix(one)) for one in there}) > 1:
            raise ReaderError(
                f'{", ".join(one.name for one in there)}: are several recordings, and no '
                f'{METADATA} tells which is meant; allowed: NAME_0, NAME_1, ... of one, or one '
                'of the files alone')
        numbers = [_part(one)[1] for one in there]
        lost = sorted({*range(max(numbers) + 1)} - {*numbers})
        if len(there) > 1 and lost:
            _log.warning('%s: %d parts of %s are not there, such as number %d', self.path,
                         len(lost), _part(there[0])[0], lost[0])
        return list(there)

    # --- what the files hold ---------------------------------------------------------------

    def _open(self, path: Path) -> Any:
        if path.suffix == '.zstd':
            folder = self._stack.enter_context(TemporaryDirectory(prefix='maven_ros_'))
            unpacked = Path(folder, path.stem)
            with path.open('rb') as packed, zstd.open(packed, 'rb') as source, \
                    unpacked.open('wb') as target:
                shutil.copyfileobj(source, target)
            path = unpacked
        if path.suffix not in READERS:
            raise ReaderError(f'{path.name}: is no file of a bag; allowed: {", ".join(READERS)}')
        storage = READERS[path.suffix](path)
        storage.open()
        self._stack.callback(storage.close)
        return storage

    def _with_declared(self, found: Sequence[Any], said: Mapping[str, Any]) -> list[Any]:
        """Return connections with what only the metadata have: type hashes, silent topics."""
        declared, known = _declared(said, self), {one.topic for one in found}
        digests = {(one.topic, one.msgtype): one.digest for one in declared}
        return [
            *(one._replace(digest=one.digest or digests.get((one.topic, one.msgtype), ''))
              for one in found),
            *(one._replace(id=len(found) + 1 + index)
              for index, one in enumerate(declared) if one.topic not in known)]

    def _sum_up(self, said: Mapping[str, Any]) -> None:
        held = [one.metadata for one in self.storages if one.metadata.message_count]
        count = sum(one.message_count for one in held)
        start = min((one.start_time for one in held), default=_NOTHING.start_time)
        end = max((one.end_time for one in held), default=0)
        self.metadata = _NOTHING._replace(
            duration=max(0, end - start), start_time=start, end_time=end, message_count=count,
            ros_distro=said.get('ros_distro'))
        declared = said.get('message_count', count)
        if not any(one.broken for one in self.storages) and declared != count:
            text = f'{METADATA} declares {declared} messages, and its files hold {count}'
            if isinstance(declared, int) and declared > count:
                self.broken = text
            _log.warning('%s: %s', self.path, text)


def _suffix(path: Path) -> str:
    return Path(path.stem).suffix if path.suffix == '.zstd' else path.suffix


def _part(path: Path) -> tuple[str, int]:
    """Return the name of a file's recording, and the number of its part, or -1."""
    stem = path.name.removesuffix('.zstd').rpartition('.')[0]
    found = _PART.fullmatch(stem)
    return (found[1], int(found[2] or -1)) if found else (stem, -1)


def _follows(path: Path, known: Sequence[Path]) -> bool:
    """Tell whether a file is a later part of a recording, which began before the other ended."""
    return any(_part(path)[0] == _part(one)[0] and _suffix(path) == _suffix(one)
               for one in known) and _part(path)[1] > max(_part(one)[1] for one in known) >= 0


def _listed(said: Mapping[str, Any], name: str) -> list[Any]:
    found = said.get(name)
    return found if isinstance(found, list) else []


def _declared(said: Mapping[str, Any], owner: Any) -> list[Any]:
    """Return the topics that the metadata declare, without messages."""
    found = []
    for one in _listed(said, 'topics_with_message_count'):
        about = one.get('topic_metadata') if isinstance(one, Mapping) else None
        if isinstance(about, Mapping) and about.get('name') and about.get('type'):
            found.append(Connection(
                0, str(about['name']), str(about['type']),
                MessageDefinition(MessageDefinitionFormat.NONE, ''),
                str(about.get('type_description_hash') or ''), 0,
                ConnectionExtRosbag2(str(about.get('serialization_format') or 'cdr'), []), owner))
    return with_full_types(found)


def _overlapping(storages: Sequence[Any]) -> Iterator[list[Any]]:
    """Yield groups of files: only those whose times overlap are read at once."""
    group: list[Any] = []
    for one in storages:
        if group and one.metadata.start_time >= max(each.metadata.end_time for each in group):
            yield group
            group = []
        group.append(one)
    yield group


def _messages(
    storage: Any, connections: Sequence[Any], start: int | None, stop: int | None,
) -> Iterator[tuple[Any, int, bytes]]:
    wanted = {(one.topic, one.msgtype): one for one in connections}
    found = {one.id: wanted[key] for one in storage.connections
             if (key := (one.topic, one.msgtype)) in wanted}
    if not found:
        return
    for one, stamp_ns, data in storage.messages(
            [one for one in storage.connections if one.id in found], start, stop):
        if data[:4] == _ZSTD_MAGIC:
            data = zstd.decompress(data)
        yield found[one.id], stamp_ns, data
