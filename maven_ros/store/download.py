"""
Downloads one file: continued after a cut, hashed as it comes, in place only when it is whole.

By the standard library: ``huggingface_hub`` checks no hash and keeps a cache layout of its own,
and half of what we fetch is not on the hub.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from pathlib import Path

from maven_ros.errors import ResourceError
from maven_ros.files import BLOCK_BYTES, readable, require_room
from maven_ros.store.answer import Answer, Progress, Trouble, Wanted

_SLOWEST_BYTES_S = 1000     # slower is a server that wants to hold us up
_LITTLE_BYTES = 65536       # an attempt that brings less has failed
_MOST_UNTOLD = 100_000_000  # bytes of a file whose size nobody says, such as a configuration


@dataclass(frozen=True, slots=True)
class Patience:
    """
    How long to put up with a bad connection.

    :param retries: attempts after the first that may fail in a row and bring next to nothing.
    :param delay_s: before the first of them; each further one waits twice as long.
    :param timeout_s: that a server may be silent; in each such time it has to send a little.
    """

    retries: int = 4
    delay_s: float = 1.0
    timeout_s: float = 30.0


PATIENCE = Patience()


@dataclass(frozen=True, slots=True)
class Download:
    """
    What came.

    :param checked: what the hash was checked against: ``'manifest'``, ``'server'`` or
        ``'nothing'``.
    :param commit: of the hub's repository that the file is of, if the server said.
    """

    size: int
    sha256: str
    checked: str
    commit: str | None


def download(
    url: str, target: Path, *, size: int | None = None, sha256: str | None = None,
    progress: Progress = lambda done, total: None, patience: Patience = PATIENCE,
) -> Download:
    """
    Download a file, or the rest of it.

    What has come so far stays in ``target.part``. It is continued only when a hash can vouch for
    the whole, and only by a server that can.

    :param target: where it goes, in a folder that exists.
    :param size: bytes that it has to have, if known.
    :param sha256: that it has to have, if known.
    :raises NotOnServer: there is no such file.
    :raises ResourceError: the server refuses, the content is another, the disk is full, or the
        patience is at its end.
    """
    wanted = Wanted(url, target, size, sha256, progress, patience.timeout_s)
    failures, most = 0, wanted.have
    while True:
        try:
            return _attempt(wanted)
        except Trouble as trouble:
            failures = 1 if wanted.have >= most + _LITTLE_BYTES else failures + 1
            most = max(most, wanted.have)
            if failures > patience.retries:
                raise ResourceError(
                    f'{url}: {trouble}; gave up after {failures} attempts without progress. '
                    f'{wanted.have} bytes are kept for the next one') from trouble
            time.sleep(patience.delay_s * 2 ** (failures - 1))


def _attempt(wanted: Wanted) -> Download:
    answer = Answer.of(wanted)
    with answer.body:
        vouched = wanted.sha256 or answer.declared_sha256
        if answer.starts_at and (not vouched or answer.starts_at != wanted.have):
            wanted.part.unlink(missing_ok=True)
            raise Trouble('the rest that it sent does not fit what is here')
        _refuse_size(wanted, answer.total)
        require_room(wanted.part.parent, (answer.total or 0) - answer.starts_at, wanted.url)
        try:
            digest = _receive(wanted, answer)
        except Trouble:
            if not vouched:
                wanted.part.unlink()
            raise
    if vouched and digest != vouched:
        wanted.part.unlink()
        who = 'the manifest says' if wanted.sha256 else 'the server itself declares'
        raise ResourceError(
            f'{wanted.url}: sha256 is {digest}, and {who} {vouched}; what came was removed')
    size = wanted.have
    wanted.part.replace(wanted.target)
    checked = 'manifest' if wanted.sha256 else 'server' if vouched else 'nothing'
    return Download(size, digest, checked, answer.commit)


def _receive(wanted: Wanted, answer: Answer) -> str:
    """Write the body where it belongs; return the hash of the whole."""
    digest = hashlib.sha256()
    continues = answer.starts_at > 0
    pace = _Pace(wanted)
    try:
        with wanted.part.open('r+b' if continues else 'wb') as file:
            while continues and (block := file.read(BLOCK_BYTES)):
                digest.update(block)
            done = file.tell()
            wanted.progress(done, answer.total)
            while block := answer.read():
                file.write(block)
                digest.update(block)
                done += len(block)
                wanted.progress(done, answer.total)
                pace.check(len(block))
                if done > (_MOST_UNTOLD if answer.total is None else answer.total):
                    break
    except OSError as error:
        raise ResourceError(f'{wanted.part}: cannot be written: {error}') from error
    if answer.total is not None and done < answer.total:
        raise Trouble(f'the connection was cut after {done} of {answer.total} bytes')
    if answer.total is not None and done > answer.total:
        wanted.part.unlink()
        raise ResourceError(f'{wanted.url}: sends more than its {answer.total} bytes')
    if answer.total is None and done > _MOST_UNTOLD:
        wanted.part.unlink()
        raise ResourceError(f'{wanted.url}: sends more than {readable(_MOST_UNTOLD)}, and neither '
                            'it nor the manifest says its size')
    return digest.hexdigest()


class _Pace:
    """Refuses a server that drips: each byte would end a silence, and the last never come."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._began_s, self._came = time.monotonic(), 0

    def check(self, came: int) -> None:
        """
        Note what came.

        :raises ResourceError: when that is too little for the time it took.
        """
        self._came += came
        waited_s = time.monotonic() - self._began_s
        if waited_s < self._wanted.timeout_s:
            return
        if self._came < waited_s * _SLOWEST_BYTES_S:
            raise ResourceError(
                f'{self._wanted.url}: sent {self._came} bytes in {waited_s:.3g} s; allowed: '
                f'{_SLOWEST_BYTES_S} bytes a second. What came is kept for the next fetch')
        self._began_s, self._came = time.monotonic(), 0


def _refuse_size(wanted: Wanted, total: int | None) -> None:
    if wanted.size is not None and total != wanted.size:
        wanted.part.unlink(missing_ok=True)
        raise ResourceError(f'{wanted.url}: has {total} bytes there, and the manifest says '
                            f'{wanted.size}')
