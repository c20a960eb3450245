"""Open bags on the disk, and translate the exceptions of rosbags and its storages."""

from __future__ import annotations

import contextlib
import errno
import sqlite3
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from maven_ros.errors import CannotWrite, GraphError, InputError, ResourceError
from maven_ros.graph.interface import Qos, Reliability
from maven_ros.graph.messages import hash_of_definition
from maven_ros.text import printable


@contextlib.contextmanager
def translated(path: Path, what: str) -> Iterator[None]:
    """
    Translate exceptions of rosbags and its storages.

    :raises CannotWrite: if there is no room.
    :raises ResourceError: for all others.
    """
    try:
        yield
    except _storage_errors() as error:
        kind = CannotWrite if _lacks_room(error) else ResourceError
        raise kind(f'{path}: {what}: {error}') from error


def _lacks_room(error: Exception) -> bool:
    """Tell whether a disk, a quota or the largest file that is allowed is full."""
    if isinstance(error, sqlite3.OperationalError):
        return str(error) in ('database or disk is full', 'disk I/O error')
    return isinstance(error, OSError) and error.errno in (
        errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def _storage_errors() -> tuple[type[Exception], ...]:
    import apsw
    from rosbags.rosbag2 import ReaderError, WriterError

    from maven_ros.graph.bag.folder import zstd

    # The built-in ones are what rosbags meets in a truncated or damaged file.
    return (ReaderError, WriterError, apsw.Error, sqlite3.Error,
            zstd.ZstdError, struct.error, OSError, EOFError, RuntimeError, AssertionError,
            ValueError, TypeError, LookupError, AttributeError, ArithmeticError, MemoryError)


def open_reader(path: Path) -> Any:
    """
    Open a bag for reading.

    :returns: a :class:`maven_ros.graph.bag.bag_reader.BagReader`.
    :raises ResourceError: when there is none, or it cannot be read.
    """
    from maven_ros.graph.bag.bag_reader import BagReader
    from maven_ros.graph.bag.folder import METADATA, READERS, files_in

    if not path.exists():
        raise ResourceError(f'{path}: no such bag; allowed: the folder of a rosbag2')
    if path.is_dir() and not (path / METADATA).exists() and not files_in(path):
        raise ResourceError(f'{path}: holds no {METADATA} and no {" or ".join(READERS)}; '
                            'allowed: the folder of a rosbag2, or one of its files')
    if path.is_file() and path.suffix not in READERS:
        raise ResourceError(f'{path}: no file of a bag; allowed: {", ".join(READERS)}, or the '
                            'folder of a rosbag2 (`maven-ros bag from-media` makes one of a '
                            'video)')
    with translated(path, 'cannot be read'):
        reader = BagReader(path)
        reader.open()
    try:
        _check_connections(path, reader)
    except ResourceError:
        reader.close()
        raise
    return reader


def _check_connections(path: Path, reader: Any) -> None:
    """Refuse a bag with unusable descriptions of topics, which rosbags does not check."""
    for one in reader.connections:
        for what, value, kind in (
                ('the name of a topic', one.topic, str), ('a type', one.msgtype, str),
                ('the hash of a type', '' if one.digest is None else one.digest, str),
                ('a definition', '' if one.msgdef.data is None else one.msgdef.data, str),
                ('a number of messages', one.msgcount, int)):
            if type(value) is not kind:
                allowed = 'text' if kind is str else 'a whole number'
                raise ResourceError(f'{path}: is damaged: {what} is {printable(repr(value)):.50}; '
                                    f'allowed: {allowed}')
    for name in ('start_time', 'end_time', 'message_count'):
        if type(value := getattr(reader, name)) is not int:
            raise ResourceError(f'{path}: is damaged: its {name} is {printable(repr(value)):.50}; '
                                'allowed: a whole number')
    if reader.message_count and reader.start_time > reader.end_time:
        raise ResourceError(f'{path}: is damaged: it begins at {reader.start_time} ns and ends at '
                            f'{reader.end_time} ns; allowed: an end that is later')


def open_writer(path: Path, storage: str) -> Any:
    """
    Open a bag for writing.

    :raises ResourceError: when something is there already, or it cannot be written.
    """
    from rosbags.rosbag2 import StoragePlugin

    from maven_ros.graph.bag.writer import BagWriter

    if path.exists():
        raise ResourceError(f'{path}: exists already; allowed: a path where nothing is yet')
    with translated(path, 'cannot be written'):
        writer = BagWriter(path, version=9, storage_plugin=StoragePlugin[storage.upper()])
        writer.open()
    return writer


def hash_in_bag(connection: Any) -> str:
    """Return the hash of a topic's type in a bag; empty where the bag does not tell."""
    from rosbags.interfaces import MessageDefinitionFormat

    digest = connection.digest or ''
    if digest.startswith('RIHS01_') or not connection.msgdef.data:
        return str(digest)
    try:
        return hash_of_definition(connection.msgdef.data, connection.msgtype,
                                  connection.msgdef.format == MessageDefinitionFormat.IDL)
    except InputError as error:
        raise GraphError(f'{connection.topic}: {error}') from error


def bag_qos(qos: Qos) -> Any:
    """Return a quality of service as bags describe it."""
    from rosbags import interfaces as bag

    endless = bag.QosTime(9223372036, 854775807)  # as ROS 2 writes infinity
    reliable = qos.reliability is Reliability.RELIABLE
    return bag.Qos(
        bag.QosHistory.KEEP_LAST, qos.depth,
        bag.QosReliability.RELIABLE if reliable else bag.QosReliability.BEST_EFFORT,
        bag.QosDurability.VOLATILE, endless, endless, bag.QosLiveliness.AUTOMATIC, endless,
        avoid_ros_namespace_conventions=False)
