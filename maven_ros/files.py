"""Helpers for files: hashes, free space, atomic writing, and JSON."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from maven_ros.errors import CannotWrite, ResourceError
from maven_ros.text import all_shown

BLOCK_BYTES = 1 << 20
_MOST_JSON_BYTES = 100_000_000  # the largest vocabularies have 20 MB
_DEEPEST_JSON = 100
_LONGEST_NUMBER = 100  # digits


@contextmanager
def owner_only() -> Iterator[None]:
    """
    Make new files readable (0600) and new folders accessible (0700) for their owner only.

    It is used for recordings of people and all results from them. Existing files keep their
    permissions. The setting applies to the whole process.
    """
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


def sha256_of(path: Path) -> str:
    """
    Return the SHA-256 of a file, in hexadecimal.

    :raises ResourceError: if the file cannot be read.
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
    Check that a disk has enough free space.

    :param folder: an existing folder on that disk.
    :param size: bytes that are still to be written.
    :param what: what will be written, for the message.
    :raises CannotWrite: says how much is free and how much is needed.
    """
    free = shutil.disk_usage(folder).free
    if size > free:
        raise CannotWrite(f'{what}: needs {readable(size)} on the disk of {folder}, and '
                          f'{readable(free)} are free')


@contextmanager
def written(path: Path) -> Iterator[Path]:
    """
    Write a file atomically: after a kill, either the old or the new file is there.

    :returns: a context manager that gives the path to write to; its folder is created.
    :raises CannotWrite: if the file cannot be written; no part of it remains.
    """
    from safetensors import SafetensorError  # raised in place of OSError

    beside = path.with_name(f'{path.name}.part')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield beside
        beside.replace(path)
    except (OSError, SafetensorError) as error:
        raise CannotWrite(f'{path}: cannot be written: {error}; make room, and run the same '
                          'command again: what is done is kept') from error
    finally:  # also after a signal, no partial file must remain
        with suppress(OSError):
            beside.unlink()


@contextmanager
def written_folder(path: Path) -> Iterator[Path]:
    """
    Write a folder atomically: it gets its name once it is complete.

    :param path: a path where nothing is yet, or an empty folder.
    :returns: a context manager that gives the folder to write, of the same name, not there yet.
    :raises CannotWrite: if the folder cannot be written; no part of it remains.
    """
    beside = path.with_name(f'.{path.name}.part')
    try:
        if beside.exists():  # the remains of a kill
            shutil.rmtree(beside)
        beside.mkdir(parents=True)
        yield beside / path.name
        (beside / path.name).rename(path)
    except OSError as error:
        raise CannotWrite(f'{path}: cannot be written: {error}') from error
    finally:  # also after a signal
        shutil.rmtree(beside, ignore_errors=True)


def readable(size: int) -> str:
    """Return a number of bytes in words, such as ``'41.2 MB'``."""
    if size < 1000:
        return f'{size} B'
    power = min((len(str(size)) - 1) // 3, 4)
    return f'{size / 1000 ** power:.1f} {" kMGT"[power]}B'


def write_json(path: Path, content: Any) -> None:
    """Write JSON atomically, by :func:`written`."""
    with written(path) as beside:
        beside.write_text(json.dumps(all_shown(content), indent=2) + '\n', 'utf-8')


def read_json(path: Path) -> Any:
    """
    Read a JSON file in bounded time and memory.

    :raises ResourceError: if the file cannot be read, or :func:`parse_json` refuses it.
    """
    try:
        with path.open('rb') as file:
            text = file.read(_MOST_JSON_BYTES + 1)
        if len(text) > _MOST_JSON_BYTES:
            raise ValueError(f'it is larger than {readable(_MOST_JSON_BYTES)}')
        return parse_json(text)
    except (OSError, ValueError) as error:
        raise ResourceError(f'{path}: cannot be read: {error}') from error


def read_object(path: Path) -> dict[str, Any]:
    """
    Read a JSON object, as :func:`read_json`.

    :raises ResourceError: also if the file holds anything else.
    """
    values = read_json(path)
    if not isinstance(values, dict):
        raise ResourceError(f'{path}: not a JSON object but {type(values).__name__}')
    return values


def parse_json(text: str | bytes) -> Any:
    """
    Parse JSON from an untrusted source.

    :raises ValueError: if it is not JSON, is nested too deep, or holds a number with too many
        digits or a lone surrogate.
    """
    deep = f'it is nested more than {_DEEPEST_JSON} deep'
    try:
        value = json.loads(text, parse_int=_whole)
    except RecursionError:
        raise ValueError(deep) from None
    layer = [value]
    for _ in range(_DEEPEST_JSON):
        layer = [inner for outer in layer for inner in _parts(outer)]
        if not layer:
            return value
    raise ValueError(deep)


def _whole(digits: str) -> int:
    if len(digits) > _LONGEST_NUMBER:
        raise ValueError(f'a number of {len(digits)} digits; allowed: up to {_LONGEST_NUMBER}')
    return int(digits)


def _parts(outer: Any) -> Iterator[Any]:
    """Yield the parts of a mapping or list; refuse text that cannot be encoded."""
    if isinstance(outer, dict):
        yield from outer
        yield from outer.values()
    elif isinstance(outer, list):
        yield from outer
    elif isinstance(outer, str):
        outer.encode()  # a UnicodeEncodeError is a ValueError
