"""Unpack zip archives. Files outside the target folder and decompression bombs are refused."""

from __future__ import annotations

import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from maven_ros.errors import CannotWrite, ResourceError
from maven_ros.files import BLOCK_BYTES, readable, require_room
from maven_ros.text import printable

_MOST_FILES = 10_000
_MOST_TIMES = 20          # largest ratio of unpacked to packed size; models compress to a half
_SPARED_BYTES = 10_000_000  # no ratio for small archives: text compresses better
_LONGEST_PART = 255       # longest name in bytes that file systems accept
# Other methods are rare, and LZMA uses as much memory as the archive requests.
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# Exceptions of zipfile and zlib for damaged archives.
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError, LookupError,
           OverflowError)


def unpack(archive: Path, folder: Path) -> None:
    """
    Unpack an archive. A single top folder in it is left out.

    :param folder: existing target folder. Files in it are not replaced.
    :raises CannotWrite: if the disk is too small, or files cannot be written.
    :raises ResourceError: if the archive is damaged, empty or a bomb, holds a link, or has a path
        that exists already or leads out of the folder.
    """
    with _damage_said(archive), zipfile.ZipFile(archive) as file:
        members = [one for one in file.infolist() if not one.is_dir()]
        for one in members:
            if fault := _fault(one):
                raise ResourceError(f'{archive}: {printable(repr(one.filename)):.300} {fault}; '
                                    'nothing was unpacked')
        _refuse_bomb(archive, members)
        paths = [PurePosixPath(one.filename) for one in members]
        tops = {path.parts[0] if len(path.parts) > 1 else '' for path in paths}
        surplus = 1 if len(tops) == 1 and tops != {''} else 0
        targets = [folder.joinpath(*path.parts[surplus:]) for path in paths]
        _refuse_taken(archive, folder, targets)
        require_room(folder, sum(one.file_size for one in members), archive.name)
        for one, target in zip(members, targets, strict=True):
            _write(file, one, target)


def _write(file: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path) -> None:
    with file.open(member) as source:
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open('xb') as out:
                while block := source.read(BLOCK_BYTES):
                    out.write(block)
        except OSError as error:
            raise CannotWrite(f'{file.filename}: cannot be unpacked to {target.parent}: {error}'
                              ) from error


@contextmanager
def _damage_said(archive: Path) -> Iterator[None]:
    try:
        yield
    except _DAMAGE as error:
        raise ResourceError(f'{archive}: not a sound zip archive: {error}') from error
    except OSError as error:
        raise ResourceError(f'{archive}: cannot be read: {error}') from error


def _fault(member: zipfile.ZipInfo) -> str:
    """Return why a member cannot be unpacked; empty if it can."""
    name = member.filename
    path = PurePosixPath(name)
    if path.is_absolute() or '..' in path.parts or '\\' in name or ':' in name:
        return 'leads out of the folder'
    if not path.parts or not name.isprintable() or any(
            len(part.encode()) > _LONGEST_PART for part in path.parts):
        return 'is no name of a file'
    if stat.S_ISLNK(member.external_attr >> 16):
        return 'is a link'
    if member.compress_type not in _METHODS:
        return f'is packed by method {member.compress_type}; allowed: stored, deflated'
    return ''


def _refuse_bomb(archive: Path, members: list[zipfile.ZipInfo]) -> None:
    if not members:
        raise ResourceError(f'{archive}: holds no file')
    if len(members) > _MOST_FILES:
        raise ResourceError(f'{archive}: holds {len(members)} files; allowed: up to {_MOST_FILES}')
    size, most = sum(one.file_size for one in members), archive.stat().st_size * _MOST_TIMES
    if size > max(most, _SPARED_BYTES):
        raise ResourceError(f'{archive}: unpacks to {readable(size)}, over {_MOST_TIMES} times '
                            'its size; nothing was unpacked')


def _refuse_taken(archive: Path, folder: Path, targets: list[Path]) -> None:
    """Refuse members that would replace a file (also the archive itself) or another member."""
    seen: set[Path] = set()
    for target in targets:
        above = {one for one in target.parents if folder in one.parents}
        if target.exists() or target in seen or seen & above or any(map(Path.is_file, above)):
            name = printable(target.relative_to(folder))
            raise ResourceError(f'{archive}: {name}: exists already; nothing was unpacked')
        seen.add(target)
    if clash := seen & {one for target in targets for one in target.parents}:
        raise ResourceError(f'{archive}: {printable(min(clash).relative_to(folder))}: is a file '
                            'and a folder; nothing was unpacked')
