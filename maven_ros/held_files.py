"""Check the files of a fetched model against its lock file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from maven_ros.errors import ResourceError
from maven_ros.files import read_json, sha256_of

LOCK = 'maven-ros-lock.json'


@dataclass(frozen=True, slots=True)
class Held:
    """The size and hash that a file must have."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Fault:
    """
    A fault of a file.

    :param kind: ``'missing'``, ``'changed'``, ``'extra'``, or ``'outdated'``, which means that
        the manifest names another file by now.
    """

    kind: str
    path: str
    detail: str = ''

    def __str__(self) -> str:
        return f'{self.kind}: {self.path}' + (f' ({self.detail})' if self.detail else '')


def compare(folder: Path, files: Sequence[Held]) -> list[Fault]:
    """Return the faults of a folder that should hold these files."""
    here = set(inside(folder))
    found = [fault for held in files for fault in _compare(folder, held, here)]
    return found + [Fault('extra', path)
                    for path in sorted(here - {held.path for held in files})]


def lacking(folder: Path, names: Iterable[str]) -> list[str]:
    """
    Return the files that a model's folder lacks, in words.

    :param names: paths in the folder; alternatives are separated by ``|``.
    """
    return [name.replace('|', ' or ') for name in names
            if not any((folder / one).is_file() for one in name.split('|'))]


def check_fetched(folder: Path) -> None:
    """
    Check that the files of a fetched model are unchanged. Folders without a lock pass.

    :raises ResourceError: names the first fault, and the command that fetches the model again.
    """
    path = folder / LOCK
    if not path.is_file():
        return
    content = read_json(path)
    try:
        files = [Held(**one) for one in content['files']]
        faults = [one for one in compare(folder, files) if one.kind != 'extra']
        name = content['name']
    except (TypeError, KeyError) as error:
        raise ResourceError(f'{path}: not a lock of maven-ros: {error!r}') from error
    if faults:
        raise ResourceError(
            f'{folder}: {faults[0]}; maven-ros models fetch {name} fetches it again')


def _compare(folder: Path, held: Held, here: set[str]) -> Iterator[Fault]:
    path = folder / held.path
    if held.path not in here:
        yield Fault('missing', held.path)
    elif path.stat().st_size != held.size:
        yield Fault('changed', held.path, f'{path.stat().st_size} bytes, not {held.size}')
    elif (digest := sha256_of(path)) != held.sha256:
        yield Fault('changed', held.path, f'sha256 is {digest}, not {held.sha256}')


def inside(folder: Path) -> list[str]:
    """Return the paths of all files below a folder, except its lock."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob('*')
                  if path.is_file() and path != folder / LOCK)
