"""Receive the answers of HTTP servers, and refuse servers that send too slowly."""

from __future__ import annotations

import functools
import http.client
import io
import socket
import time
import urllib.request
from typing import Any

from maven_ros.errors import ResourceError

_SLOWEST_BYTES_S = 1000  # slower bodies are refused


class PacedReader(io.RawIOBase):
    """
    What a server sends, as it comes; the socket's timeout ends a silence, and this a drip.

    :param sock: with a timeout, within which all of the head must come; the rate of the body is
        checked over the same time.
    :param url: for messages.
    """

    def __init__(self, sock: socket.socket, url: str) -> None:
        self._socket: Any = sock.makefile('rb', buffering=0)
        self._limit_s = sock.gettimeout() or 0.0
        self._url = url
        self._in_head = True
        self._waited_s, self._came = 0.0, 0

    def end_head(self) -> None:
        """Check the rate from here on."""
        self._in_head = False
        self._waited_s, self._came = 0.0, 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """
        Receive what is there, or wait for it.

        :raises ResourceError: if too little has come for the time that was waited.
        """
        began_s = time.monotonic()
        came: int = self._socket.readinto(buffer)
        self._waited_s += time.monotonic() - began_s
        self._came += came
        if came and self._waited_s >= self._limit_s:
            self._check()
        return came

    def _check(self) -> None:
        sent = f'{self._url}: sent {self._came} bytes'
        if self._in_head:
            raise ResourceError(f'{sent} of the head of its answer in {self._waited_s:.3g} s; '
                                f'allowed: all of it in {self._limit_s:g} s')
        if self._came < self._waited_s * _SLOWEST_BYTES_S:
            raise ResourceError(
                f'{sent} in {self._waited_s:.3g} s; allowed: {_SLOWEST_BYTES_S} bytes a second. '
                'What came is kept for the next fetch')
        self._waited_s, self._came = 0.0, 0

    def close(self) -> None:
        """Close the connection's last file."""
        self._socket.close()
        super().close()


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, url: str, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        self.fp.close()
        self._paced = PacedReader(sock, url)
        self.fp = io.BufferedReader(self._paced)

    def begin(self) -> None:
        """Read the head."""
        super().begin()
        self._paced.end_head()


class _Paced(urllib.request.AbstractHTTPHandler):
    def do_open(
        self, http_class: Any, req: urllib.request.Request, **options: Any,
    ) -> http.client.HTTPResponse:
        """Send a request, and read the head of the answer."""
        def connection(*args: Any, **more: Any) -> http.client.HTTPConnection:
            made: http.client.HTTPConnection = http_class(*args, **more)
            made.response_class = functools.partial(  # type: ignore[assignment]
                _Response, url=req.full_url)
            return made

        return super().do_open(connection, req, **options)


class PacedHttp(_Paced, urllib.request.HTTPHandler):
    """For :func:`urllib.request.build_opener`."""


class PacedHttps(_Paced, urllib.request.HTTPSHandler):
    """For :func:`urllib.request.build_opener`."""
