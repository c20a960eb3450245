"""An HTTP server that behaves as badly as a test asks it to, and models to put there."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler

from maven_ros.store.download import Patience
from maven_ros.store.manifest import ManifestEntry, RemoteFile

IMPATIENT = Patience(retries=2, delay_s=0.01, timeout_s=5)


@dataclass
class Page:
    """
    What the server has at a path, and how it behaves there.

    :param cuts: bytes after which each of the first requests is cut off.
    :param refusals: status codes that the first requests get.
    :param says_length: whether it sends a Content-Length.
    :param headers: sent with the first answer, also with a redirect.
    :param status: of the answer, instead of the right one.
    :param drip_s: that it waits after each byte.
    :param raw: bytes that it sends instead of an answer, and what it repeats for ever after them,
        waiting ``drip_s`` after each time.
    :param reason: said with a refusal.
    :param redirect: path that it sends the client to.
    """

    body: bytes = b''
    ranges: bool = True
    cuts: list[int] = field(default_factory=list)
    refusals: list[int] = field(default_factory=list)
    says_length: bool = True
    chunked: bool = False
    headers: dict[str, str] = field(default_factory=dict)
    redirect: str = ''
    silent_s: float = 0.0
    reason: str | None = None
    status: int = 0
    drip_s: float = 0.0
    raw: tuple[bytes, bytes] = (b'', b'')


@dataclass
class Request:
    path: str
    range: str | None
    status: int = 0
    sent: int = 0


class Site:
    """Pages by path, and what was asked for."""

    def __init__(self) -> None:
        self.pages: dict[str, Page] = {}
        self.requests: list[Request] = []
        self.url = ''

    def put(self, path: str, body: bytes = b'', **behaviour: object) -> Page:
        self.pages[path] = Page(body, **behaviour)
        return self.pages[path]

    def sent(self, path: str) -> int:
        return sum(one.sent for one in self.requests if one.path == path)


class Handler(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    site: Site

    def do_GET(self) -> None:
        self.close_connection = True
        request = Request(self.path, self.headers['Range'])
        self.site.requests.append(request)
        page = self.site.pages.get(self.path)
        if page is None:
            self._head(request, 404)
        elif any(page.raw):
            first, repeated = page.raw
            while self._write(request, first or repeated):
                first = b''
                time.sleep(page.drip_s)
        elif page.refusals:
            self._head(request, page.refusals.pop(0), reason=page.reason)
        elif page.redirect:
            self._head(request, 302, {**page.headers, 'Location': page.redirect})
        else:
            self._send(request, page)

    def _send(self, request: Request, page: Page) -> None:
        total, start, headers = len(page.body), 0, dict(page.headers)
        if request.range and page.ranges:
            start = int(request.range.removeprefix('bytes=').removesuffix('-'))
            headers['Content-Range'] = f'bytes {start}-{total - 1}/{total}'
        if start >= total > 0:
            self._head(request, 416)
            return
        if page.chunked:
            headers['Transfer-Encoding'] = 'chunked'
        elif page.says_length:
            headers['Content-Length'] = str(total - start)
        body = page.body[start:]
        if page.cuts:
            body = body[:page.cuts.pop(0)]
        self._head(request, page.status or (206 if start else 200), headers)
        if page.chunked:
            self._write(request, b'%x\r\n%s\r\n' % (len(body), body))
            if len(body) == total - start:
                self._write(request, b'0\r\n\r\n')
            return
        for one in range(len(body) if page.drip_s else 0):
            if not self._write(request, body[one:one + 1]):
                return
            time.sleep(page.drip_s)
        self._write(request, body if not page.drip_s else b'')
        time.sleep(page.silent_s)

    def _write(self, request: Request, data: bytes) -> bool:
        """Say whether the client is still there."""
        request.sent += len(data)  # first: the client may look as soon as it has them
        try:
            self.wfile.write(data)
            self.wfile.flush()
        except OSError:  # the client has hung up
            request.sent -= len(data)
            return False
        return True

    def _head(
        self, request: Request, status: int, headers: dict[str, str] | None = None,
        reason: str | None = None,
    ) -> None:
        request.status = status
        self.send_response(status, reason)
        for name, value in {'Connection': 'close', **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def pinned(path: str, data: bytes, **more: str) -> RemoteFile:
    return RemoteFile(path, len(data), sha256(data), **more)


def entry(*files: RemoteFile, **changes: str | None) -> ManifestEntry:
    values = {'name': 'tiny', 'kind': 'text encoder', 'purpose': 'tests', 'licence': 'MIT',
              'licence_means': 'free for any use', 'url': 'https://models.invalid/all', **changes}
    return ManifestEntry(files=files, **values)
