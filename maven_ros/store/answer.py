"""Request a file, or the rest of it, from a server, and check the answer."""

from __future__ import annotations

import errno
import http.client
import re
import socket
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import IO, Any

from maven_ros import __version__
from maven_ros.errors import ResourceError
from maven_ros.files import BLOCK_BYTES
from maven_ros.store.paced import PacedHttp, PacedHttps
from maven_ros.text import printable

Progress = Callable[[int, int | None], None]  # bytes so far, total bytes if known
_TRY_AGAIN = (408, 429, 500, 502, 503, 504)
# Errors of a missing network, for which another attempt is useless.
_OFFLINE = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN)
_RANGE = re.compile(r'bytes ([0-9]{1,15})-([0-9]{1,15})/([0-9]{1,15})')
_LENGTH = re.compile(r'[0-9]{1,15}')


class NotOnServer(ResourceError):
    """The server has no such file."""


class Trouble(Exception):
    """A failure of the connection after which another attempt may succeed."""


@dataclass(frozen=True)
class Wanted:
    """
    A file to download.

    :param size: required size in bytes, if known.
    :param sha256: required hash, if known.
    :param timeout_s: longest silence of the server, and longest time for the head of an answer.
    """

    url: str
    target: Path
    size: int | None
    sha256: str | None
    progress: Progress
    timeout_s: float

    @property
    def part(self) -> Path:
        """The path of the incomplete file."""
        return self.target.with_name(f'{self.target.name}.part')

    @property
    def have(self) -> int:
        """The bytes received so far."""
        return self.part.stat().st_size if self.part.exists() else 0


@dataclass(frozen=True)
class Answer:
    """
    A server's answer to a request for a file, or for the rest of it.

    :param starts_at: position in the file at which the body begins.
    :param total: size of the whole file in bytes, if known.
    :param headers: headers of every answer, redirects first.
    """

    body: http.client.HTTPResponse
    starts_at: int
    total: int | None
    headers: list[Message]

    @classmethod
    def of(cls, wanted: Wanted) -> Answer:
        """Request the missing part of a file."""
        headers = {'User-Agent': f'maven-ros/{__version__}', 'Accept-Encoding': 'identity'}
        if wanted.have:
            headers['Range'] = f'bytes={wanted.have}-'
        trail = _Trail()
        try:
            body = urllib.request.build_opener(trail, PacedHttp, PacedHttps).open(
                urllib.request.Request(wanted.url, headers=headers), timeout=wanted.timeout_s)
        except urllib.error.HTTPError as error:
            error.close()
            raise _refusal(wanted, error) from error
        except (OSError, http.client.HTTPException) as error:
            if _is_offline(error):
                raise ResourceError(
                    f'{wanted.url}: this machine is offline, or the server is unknown ({error}); '
                    'fetch on another machine, or from a mirror with --base-url'
                ) from error
            raise Trouble(printable(error) or type(error).__name__) from error
        starts_at, total = _extent(wanted, body)
        # Without a length from the server, an interruption would look like the end.
        total = wanted.size if total is None else total
        return cls(body, starts_at, total, [*trail.headers, body.headers])

    def read(self) -> bytes:
        """Return the next block; empty at the end, or if the connection was closed."""
        try:
            return self.body.read1(BLOCK_BYTES)  # read() would lose data before a timeout
        except (OSError, http.client.HTTPException) as error:
            raise Trouble(printable(error) or type(error).__name__) from error

    @property
    def declared_sha256(self) -> str | None:
        """
        The hash that the hub declares for its large files.

        It is in the hub's own answer. After a redirect, the ETag of another server may be
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
    """Keep the headers of redirects; refuse redirects from https to http or other schemes."""

    def __init__(self) -> None:
        self.headers: list[Message] = []

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any,
        newurl: str,
    ) -> urllib.request.Request | None:
        """Follow a redirect, and keep its headers."""
        scheme = urllib.parse.urlsplit(newurl).scheme
        where = f'{req.full_url}: redirects to {printable(newurl)}'
        if scheme not in ('http', 'https'):
            raise ResourceError(f'{where}; allowed: http, https')
        if req.type == 'https' and scheme != 'https':
            raise ResourceError(f'{where}, which is not encrypted')
        self.headers.append(headers)
        fp.close()  # urllib would read the body to its end, which need not come
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _extent(wanted: Wanted, body: http.client.HTTPResponse) -> tuple[int, int | None]:
    """
    Return the body's position in the file, and the file's length if stated.

    :raises ResourceError: if the answer does not fit the request.
    """
    name = 'Content-Range' if body.status == 206 else 'Content-Length'
    said = body.headers.get(name)
    if body.status == 206:
        if (match := _RANGE.fullmatch(said or '')) and int(match[1]) <= int(match[2]) < int(
                match[3]):
            return int(match[1]), int(match[3])
    elif body.status == 200 and (said is None or _LENGTH.fullmatch(said)):
        return 0, None if said is None else int(said)
    elif body.status != 200:
        raise ResourceError(f'{wanted.url}: answers {body.status} {printable(body.reason)}; '
                            'allowed: 200, 206')
    raise ResourceError(f'{wanted.url}: {name} {printable(repr(said)):.100} is not understood')


def _is_offline(error: Exception) -> bool:
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    return isinstance(reason, socket.gaierror) or (
        isinstance(reason, OSError) and reason.errno in _OFFLINE)


def _refusal(wanted: Wanted, error: urllib.error.HTTPError) -> Exception:
    said = f'{error.code} {printable(error.reason)}'
    if error.code == 404:
        return NotOnServer(f'{wanted.url}: {said}')
    if error.code == 416:  # the partial file is as long as the file, or longer
        wanted.part.unlink()
        return Trouble(f'{said}; begun again')
    if error.code in _TRY_AGAIN:
        return Trouble(said)
    return ResourceError(f'{wanted.url}: {said}')
