"""Unpacks zip archives, and nothing beside the folder that they belong in."""

from __future__ import annotations

import shutil
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from maven_ros.errors import CannotWrite, ResourceError
from maven_ros.files import require_room


def unpack(archive: Path, folder: Path) -> None:
    """
    Unpack an archive; a single folder at its top is left out.

    :param folder: where to; it exists.
    :raises CannotWrite: it does not fit on the disk, or its files cannot be written.
    :raises ResourceError: it is damaged, or has a path that leads out of the folder or a link.
    """
    try:
        with zipfile.ZipFile(archive) as file:
            members = [one for one in file.infolist() if not one.is_dir()]
            for one in members:
                _refuse_odd(archive, one)
            require_room(folder, sum(one.file_size for one in members), archive.name)
            paths = [PurePosixPath(one.filename) for one in members]
            tops = {path.parts[0] if len(path.parts) > 1 else '' for path in paths}
            surplus = 1 if len(tops) == 1 and tops != {''} else 0
            for one, path in zip(members, paths, strict=True):
                target = folder.joinpath(*path.parts[surplus:])
                target.parent.mkdir(parents=True, exist_ok=True)
                with file.open(one) as source, target.open('wb') as out:
                    shutil.copyfileobj(source, out)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        raise ResourceError(f'{archive}: not a sound zip archive: {error}') from error
    except OSError as error:
        raise CannotWrite(f'{archive}: cannot be unpacked to {folder}: {error}') from error


def _refuse_odd(archive: Path, member: zipfile.ZipInfo) -> None:
    name = member.filename
    path = PurePosixPath(name)
    if path.is_absolute() or '..' in path.parts or '\\' in name or ':' in name:
        raise ResourceError(f'{archive}: {name!r} leads out of the folder; nothing was unpacked')
    if stat.S_ISLNK(member.external_attr >> 16):
        raise ResourceError(f'{archive}: {name!r} is a link; nothing was unpacked')
