"""What a server answers to a request for a file, or for its rest; nonsense is refused."""

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
from maven_ros.text import printable

Progress = Callable[[int, int | None], None]  # bytes so far, bytes in all if known
_TRY_AGAIN = (408, 429, 500, 502, 503, 504)
# Of a network that is not there; another attempt finds none either.
_OFFLINE = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN)
_RANGE = re.compile(r'bytes ([0-9]{1,15})-([0-9]{1,15})/([0-9]{1,15})')
_LENGTH = re.compile(r'[0-9]{1,15}')


class NotOnServer(ResourceError):
    """The server has no such file."""


class Trouble(Exception):
    """The connection failed, in a way that another attempt may not."""


@dataclass(frozen=True)
class Wanted:
    """
    A file that is to come.

    :param size: bytes that it has to have, if known.
    :param sha256: that it has to have, if known.
    :param timeout_s: that its server may be silent.
    """

    url: str
    target: Path
    size: int | None
    sha256: str | None
    progress: Progress
    timeout_s: float

    @property
    def part(self) -> Path:
        """Where it is until it is whole."""
        return self.target.with_name(f'{self.target.name}.part')

    @property
    def have(self) -> int:
        """Bytes of it that have come."""
        return self.part.stat().st_size if self.part.exists() else 0


@dataclass(frozen=True)
class Answer:
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
    def of(cls, wanted: Wanted) -> Answer:
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
            if _is_offline(error):
                raise ResourceError(
                    f'{wanted.url}: this machine is offline, or finds no such server ({error}); '
                    'what is to be had can be fetched elsewhere, or from a mirror by --base-url'
                ) from error
            raise Trouble(printable(error) or type(error).__name__) from error
        starts_at, total = _extent(wanted, body)
        # Where the server does not say the length, a cut looks like the end.
        total = wanted.size if total is None else total
        return cls(body, starts_at, total, [*trail.headers, body.headers])

    def read(self) -> bytes:
        """Return the next block; nothing at the end or where the connection was cut."""
        try:
            return self.body.read1(BLOCK_BYTES)  # read() would lose what came before a timeout
        except (OSError, http.client.HTTPException) as error:
            raise Trouble(printable(error) or type(error).__name__) from error

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
    """Keeps the headers of redirects; refuses those from https to http, and to anything else."""

    def __init__(self) -> None:
        self.headers: list[Message] = []

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any,
        newurl: str,
    ) -> urllib.request.Request | None:
        """Follow, and remember the way."""
        scheme = urllib.parse.urlsplit(newurl).scheme
        where = f'{req.full_url}: redirects to {printable(newurl)}'
        if scheme not in ('http', 'https'):
            raise ResourceError(f'{where}; allowed: http, https')
        if req.type == 'https' and scheme != 'https':
            raise ResourceError(f'{where}, which is not encrypted')
        self.headers.append(headers)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _extent(wanted: Wanted, body: http.client.HTTPResponse) -> tuple[int, int | None]:
    """
    Return the body's first byte in the file, and the file's length, if said.

    :raises ResourceError: for what is no answer to the question.
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
    if error.code == 416:  # what is here is as long as the file, or longer
        wanted.part.unlink()
        return Trouble(f'{said}; begun again')
    if error.code in _TRY_AGAIN:
        return Trouble(said)
    return ResourceError(f'{wanted.url}: {said}')
