"""Small things about files: their hash, room for more, and that they are there whole."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from maven_ros.errors import CannotWrite, ResourceError

BLOCK_BYTES = 1 << 20
#: What Python makes of a byte of a file's name that is no UTF-8, and other halves of pairs.
_NO_TEXT = re.compile('[\ud800-\udfff]')


def shown(name: object) -> str:
    """
    Return a file's name, or any text with one in it, as text that every file and message holds.

    :returns: the same, but a byte that is no UTF-8 as its number: different names stay so.
    """
    return _NO_TEXT.sub(
        lambda found: f'\\x{ord(found[0]) & 0xff:02x}' if '\udc80' <= found[0] <= '\udcff'
        else f'\\u{ord(found[0]):04x}', str(name))


@contextmanager
def owner_only() -> Iterator[None]:
    """
    Let only their owner read the files (0600) and open the folders (0700) that are made meanwhile.

    Recordings of people, and what is made of them, are nobody else's. What is there already stays
    as it is. It holds for the whole process.
    """
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


def sha256_of(path: Path) -> str:
    """
    Return the SHA-256 of a file, in hexadecimal.

    :raises ResourceError: it cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with path.open('rb') as file:
            while block := file.read(BLOCK_BYTES):
                digest.update(block)
    except OSError as error:
        raise ResourceError(f'{path}: cannot be read: {error}') from error
    return digest.hexdigest()


def require_room(folder: Path, size: int, what: str) -> None:
    """
    Refuse what does not fit.

    :param folder: on the disk in question; it exists.
    :param size: bytes that are still to be written.
    :raises CannotWrite: says how much is free and how much is needed.
    """
    free = shutil.disk_usage(folder).free
    if size > free:
        raise CannotWrite(f'{what}: needs {readable(size)} on the disk of {folder}, and '
                          f'{readable(free)} are free')


@contextmanager
def written(path: Path) -> Iterator[Path]:
    """
    Write a file as a whole: a kill leaves the old one or the new one.

    :returns: a context manager that gives the path to write to, in a folder that is made.
    :raises CannotWrite: when it cannot be written; nothing is left of it then.
    """
    from safetensors import SafetensorError  # it says so in its own way

    beside = path.with_name(f'{path.name}.part')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield beside
        beside.replace(path)
    except (OSError, SafetensorError) as error:
        raise CannotWrite(f'{path}: cannot be written: {error}; make room, and run the same '
                          'command again: what is done is kept') from error
    finally:  # a signal, too, must leave no half of a file
        with suppress(OSError):
            beside.unlink()


def readable(size: int) -> str:
    """Return a number of bytes as people say it, such as ``'41.2 MB'``."""
    if size < 1000:
        return f'{size} B'
    power = min((len(str(size)) - 1) // 3, 4)
    return f'{size / 1000 ** power:.1f} {" kMGT"[power]}B'


def write_json(path: Path, content: Any) -> None:
    """Write JSON, as :func:`written` does."""
    with written(path) as beside:
        beside.write_text(json.dumps(content, indent=2) + '\n', 'utf-8')


def read_json(path: Path) -> Any:
    """
    Read JSON.

    :raises ResourceError: when it cannot be read, or is none.
    """
    try:
        return json.loads(path.read_text('utf-8'))
    except (OSError, ValueError) as error:
        raise ResourceError(f'{path}: cannot be read: {error}') from error
