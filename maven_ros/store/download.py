"""
Downloads one file: continued after a cut, hashed as it comes, in place only when it is whole.

By the standard library: ``huggingface_hub`` checks no hash and keeps a cache layout of its own,
and half of what we fetch is not on the hub.
"""

from __future__ import annotations

import hashlib
import http.client
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import IO, Any

from maven_ros import __version__
from maven_ros.errors import ResourceError
from maven_ros.files import BLOCK_BYTES, require_room
from maven_ros.text import printable

Progress = Callable[[int, int | None], None]  # bytes so far, bytes in all if known
_TRY_AGAIN = (408, 429, 500, 502, 503, 504)


class NotOnServer(ResourceError):
    """The server has no such file."""


class _Trouble(Exception):
    """The connection failed, in a way that another attempt may not."""


@dataclass(frozen=True, slots=True)
class Patience:
    """
    How long to put up with a bad connection.

    :param retries: attempts after the first that may fail in a row without a byte of progress.
    :param delay_s: before the first of them; each further one waits twice as long.
    :param timeout_s: that a server may be silent.
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


@dataclass(frozen=True)
class _Wanted:
    url: str
    target: Path
    size: int | None
    sha256: str | None
    progress: Progress
    timeout_s: float

    @property
    def part(self) -> Path:
        return self.target.with_name(f'{self.target.name}.part')

    @property
    def have(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0


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
    wanted = _Wanted(url, target, size, sha256, progress, patience.timeout_s)
    failures, most = 0, wanted.have
    while True:
        try:
            return _attempt(wanted)
        except _Trouble as trouble:
            failures = 1 if wanted.have > most else failures + 1
            most = max(most, wanted.have)
            if failures > patience.retries:
                raise ResourceError(
                    f'{url}: {trouble}; gave up after {failures} attempts without progress. '
                    f'{wanted.have} bytes are kept for the next one') from trouble
            time.sleep(patience.delay_s * 2 ** (failures - 1))


def _attempt(wanted: _Wanted) -> Download:
    answer = _Answer.of(wanted)
    with answer.body:
        vouched = wanted.sha256 or answer.declared_sha256
        if answer.starts_at and (not vouched or answer.starts_at != wanted.have):
            wanted.part.unlink()
            raise _Trouble('the rest that it sent does not fit what is here')
        _refuse_size(wanted, answer.total)
        require_room(wanted.part.parent, (answer.total or 0) - answer.starts_at, wanted.url)
        try:
            digest = _receive(wanted, answer)
        except _Trouble:
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


def _receive(wanted: _Wanted, answer: _Answer) -> str:
    """Write the body where it belongs; return the hash of the whole."""
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
                if answer.total is not None and done > answer.total:
                    break
    except OSError as error:
        raise ResourceError(f'{wanted.part}: cannot be written: {error}') from error
    if answer.total is not None and done < answer.total:
        raise _Trouble(f'the connection was cut after {done} of {answer.total} bytes')
    if answer.total is not None and done > answer.total:
        wanted.part.unlink()
        raise ResourceError(f'{wanted.url}: sends more than its {answer.total} bytes')
    return digest.hexdigest()


def _refuse_size(wanted: _Wanted, total: int | None) -> None:
    if wanted.size is not None and total != wanted.size:
        wanted.part.unlink(missing_ok=True)
        raise ResourceError(f'{wanted.url}: has {total} bytes there, and the manifest says '
                            f'{wanted.size}')


# --- HTTP ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Answer:
    """
    What a server answers to a request for a file, or for its rest.

    :param starts_at: byte of the file with which the body begins.
    :param total: bytes of the whole file, if known.
    :param headers: of every answer on the way, redirects first.
    """

    body: http.client.HTTPResponse
    starts_at: int
    total: int | None
    headers: list[Message]

    @classmethod
    def of(cls, wanted: _Wanted) -> _Answer:
        """Ask for what is missing."""
        headers = {'User-Agent': f'maven-ros/{__version__}', 'Accept-Encoding': 'identity'}
        if wanted.have:
            headers['Range'] = f'bytes={wanted.have}-'
        trail = _Trail()
        try:
            body = urllib.request.build_opener(trail).open(
                urllib.request.Request(wanted.url, headers=headers), timeout=wanted.timeout_s)
        except urllib.error.HTTPError as error:
            error.close()
            raise _refusal(wanted, error) from error
        except (OSError, http.client.HTTPException) as error:
            raise _Trouble(str(error) or type(error).__name__) from error
        starts_at, total = _extent(body.status, body.headers)
        # Where the server does not say the length, a cut looks like the end.
        total = wanted.size if total is None else total
        return cls(body, starts_at, total, [*trail.headers, body.headers])

    def read(self) -> bytes:
        """Return the next block; nothing at the end or where the connection was cut."""
        try:
            return self.body.read1(BLOCK_BYTES)  # read() would lose what came before a timeout
        except (OSError, http.client.HTTPException) as error:
            raise _Trouble(str(error) or type(error).__name__) from error

    @property
    def declared_sha256(self) -> str | None:
        """
        The hash that the hub declares for its large files.

        It stands in the hub's own answer. Behind a redirect, another server's ETag may be
        anything.
        """
        linked = [one['X-Linked-ETag'] for one in self.headers if 'X-Linked-ETag' in one]
        tag = (linked or [self.headers[0].get('ETag', '')])[0].strip('"').lower()
        return tag if re.fullmatch(r'[0-9a-f]{64}', tag) else None

    @property
    def commit(self) -> str | None:
        """The commit of the hub's repository."""
        for one in self.headers:
            if re.fullmatch(r'[0-9a-f]{40}', one.get('X-Repo-Commit', '')):
                return str(one['X-Repo-Commit'])
        return None


class _Trail(urllib.request.HTTPRedirectHandler):
    """Keeps the headers of redirects, and refuses those that lead from https to http."""

    def __init__(self) -> None:
        self.headers: list[Message] = []

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any,
        newurl: str,
    ) -> urllib.request.Request | None:
        """Follow, and remember the way."""
        if req.type == 'https' and not newurl.startswith('https:'):
            raise ResourceError(f'{req.full_url}: redirects to {newurl}, which is not encrypted')
        self.headers.append(headers)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _extent(status: int, headers: Message) -> tuple[int, int | None]:
    """Return the body's first byte in the file, and the file's length, if said."""
    if status == 206:
        if match := re.fullmatch(r'bytes (\d+)-\d+/(\d+)', headers.get('Content-Range', '')):
            return int(match[1]), int(match[2])
        raise _Trouble(f'Content-Range {headers.get("Content-Range")!r} is not understood')
    length = headers.get('Content-Length', '')
    return 0, int(length) if length.isdigit() else None


def _refusal(wanted: _Wanted, error: urllib.error.HTTPError) -> Exception:
    said = f'{error.code} {printable(error.reason)}'
    if error.code == 404:
        return NotOnServer(f'{wanted.url}: {said}')
    if error.code == 416:  # what is here is as long as the file, or longer
        wanted.part.unlink()
        return _Trouble(f'{said}; begun again')
    if error.code in _TRY_AGAIN:
        return _Trouble(said)
    return ResourceError(f'{wanted.url}: {said}')
