"""
Download one file. It continues after interruptions, and gets its name when it is complete.

It uses the standard library: ``huggingface_hub`` checks no hash, has its own cache layout, and
half of the models are not on the hub.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from pathlib import Path

from maven_ros.errors import ResourceError
from maven_ros.files import BLOCK_BYTES, readable, require_room
from maven_ros.store.answer import Answer, Progress, Trouble, Wanted

_LITTLE_BYTES = 65536       # an attempt that receives less has failed
_MOST_UNTOLD = 100_000_000  # largest file of unknown size, such as a configuration


@dataclass(frozen=True, slots=True)
class Patience:
    """
    Limits for a bad connection.

    :param retries: attempts after the first that may fail in a row with almost no data.
    :param delay_s: delay before the first retry; it doubles with each retry.
    :param timeout_s: longest silence of a server, and longest time for the head of an answer; the
        rate of the body is checked over the same time.
    """

    retries: int = 4
    delay_s: float = 1.0
    timeout_s: float = 30.0


PATIENCE = Patience()


@dataclass(frozen=True, slots=True)
class Download:
    """
    A downloaded file.

    :param checked: source of the expected hash: ``'manifest'``, ``'server'`` or ``'nothing'``.
    :param commit: commit of the hub's repository, if the server states it.
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

    Received data stay in ``target.part``. A download continues only if a hash is known for the
    whole file and the server supports it.

    :param target: path of the file, in an existing folder.
    :param size: required size in bytes, if known.
    :param sha256: required hash, if known.
    :raises NotOnServer: if the server has no such file.
    :raises ResourceError: if the server refuses, the content is wrong, the disk is full, or all
        attempts have failed.
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
    """Write the body to its position; return the hash of the whole file."""
    digest = hashlib.sha256()
    continues = answer.starts_at > 0
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


def _refuse_size(wanted: Wanted, total: int | None) -> None:
    if wanted.size is not None and total != wanted.size:
        wanted.part.unlink(missing_ok=True)
        raise ResourceError(f'{wanted.url}: has {total} bytes there, and the manifest says '
                            f'{wanted.size}')
