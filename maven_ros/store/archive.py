"""Unpacks zip archives, and nothing beside the folder that they belong in, and no bombs."""

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
_MOST_TIMES = 20          # as large as the archive; models, which are numbers, pack to a half
_SPARED_BYTES = 10_000_000  # small archives of text pack better, and fill no disk
_LONGEST_PART = 255       # bytes of a name that file systems take
# Others are rare, and LZMA takes as much memory as the archive asks for.
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# What zipfile and zlib meet in damaged archives.
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError, LookupError,
           OverflowError)


def unpack(archive: Path, folder: Path) -> None:
    """
    Unpack an archive; a single folder at its top is left out.

    :param folder: where to; it exists. Nothing that is there is replaced.
    :raises CannotWrite: it does not fit on the disk, or its files cannot be written.
    :raises ResourceError: it is damaged or empty, unpacks to far more than it is, or has a path
        that leads out of the folder or is taken, or a link.
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
    """Return why a member cannot be unpacked; nothing where it can."""
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
                            'what it is; nothing was unpacked')


def _refuse_taken(archive: Path, folder: Path, targets: list[Path]) -> None:
    """Refuse what would replace a file, the archive itself among them, or another member."""
    seen: set[Path] = set()
    for target in targets:
        above = {one for one in target.parents if folder in one.parents}
        if target.exists() or target in seen or seen & above or any(map(Path.is_file, above)):
            name = printable(target.relative_to(folder))
            raise ResourceError(f'{archive}: {name}: is there already; nothing was unpacked')
        seen.add(target)
    if clash := seen & {one for target in targets for one in target.parents}:
        raise ResourceError(f'{archive}: {printable(min(clash).relative_to(folder))}: is a file '
                            'and a folder; nothing was unpacked')
