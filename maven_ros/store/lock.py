"""
The lock file of a fetched model: the sources of its downloads, and the hash of every file.

``verify`` compares a model with it. The lock must also agree with hashes in the manifest.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from maven_ros.errors import ResourceError
from maven_ros.files import read_json, sha256_of, write_json
from maven_ros.held_files import LOCK, Fault, Held, compare, inside
from maven_ros.store.manifest import ManifestEntry


@dataclass(frozen=True, slots=True)
class LockedSource:
    """
    A downloaded file, which may have been converted or unpacked since.

    :param checked: source of the expected hash: ``'manifest'``, ``'server'`` or ``'nothing'``.
    """

    path: str
    url: str
    size: int
    sha256: str
    checked: str


@dataclass(frozen=True, slots=True)
class Lock:
    """
    The downloads and files of a model folder.

    :param revision: the manifest's revision of the hub's repository; None for other servers.
    :param commit: the commit of that revision when it was fetched.
    """

    name: str
    licence: str
    revision: str | None = None
    commit: str | None = None
    sources: tuple[LockedSource, ...] = ()
    files: tuple[Held, ...] = ()

    def with_source(self, source: LockedSource, commit: str | None) -> Lock:
        """Return a lock with one more download."""
        others = tuple(one for one in self.sources if one.path != source.path)
        return replace(self, sources=(*others, source), commit=self.commit or commit)

    def with_files(self, folder: Path) -> Lock:
        """Return a lock with the present files of a folder."""
        return replace(self, files=tuple(
            Held(path, (folder / path).stat().st_size, sha256_of(folder / path))
            for path in inside(folder)))

    def write(self, folder: Path) -> None:
        """Write the lock into a folder."""
        write_json(folder / LOCK, asdict(self))

    @classmethod
    def read(cls, folder: Path) -> Lock | None:
        """
        Return a folder's lock; None without one.

        :raises ResourceError: if the file is not a lock.
        """
        path = folder / LOCK
        if not path.exists():
            return None
        try:
            values = read_json(path)
            values['sources'] = tuple(LockedSource(**one) for one in values['sources'])
            values['files'] = tuple(Held(**one) for one in values['files'])
            lock = cls(**values)
            texts = [lock.name, lock.licence, *(source.path for source in lock.sources),
                     *(held.path for held in lock.files)]
            if not all(isinstance(text, str) for text in texts):
                raise TypeError('name, licence and path must be text')
            return lock
        except (ResourceError, TypeError, KeyError) as error:
            raise ResourceError(f'{path}: not a lock of maven-ros: {error!r}') from error

    def faults(self, folder: Path, entry: ManifestEntry | None) -> list[Fault]:
        """
        Compare a folder with this lock, and this lock with the manifest's entry.

        :param entry: None if the model is not in the manifest.
        """
        found = compare(folder, self.files)
        return found + list(self._outdated(entry) if entry else ())

    def _outdated(self, entry: ManifestEntry) -> Iterator[Fault]:
        came = {source.path: source for source in self.sources}
        for file in entry.files:
            source = came.get(file.path) or came.get(file.otherwise or '')
            if source is None:
                yield Fault('outdated', file.path, 'the manifest names it, and it was not fetched')
            elif file.sha256 and source.path == file.path and source.sha256 != file.sha256:
                yield Fault('outdated', file.path, f'sha256 was {source.sha256} when it was '
                            f'fetched, and the manifest says {file.sha256}')
