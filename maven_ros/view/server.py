"""
Rerun's server and web viewer, on this machine only.

By default the viewer loads fonts and a list of examples from the internet and reports its usage,
and a viewer served from Python listens on all interfaces. Here it runs as a separate process,
bound to 127.0.0.1, with reports switched off. A proxy serves its page and forbids the browser all
other addresses.
"""

from __future__ import annotations

import ctypes
import functools
import http.client
import importlib.util
import json
import os
import signal
import socket
import subprocess
import tempfile
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from maven_ros.closing import Closing
from maven_ros.errors import ResourceError
from maven_ros.text import printable
from maven_ros.view import DEFAULT_PORT
from maven_ros.view.require import require_rerun

HOST = '127.0.0.1'

_PORTS = 100  # number of ports that are tried
_READY_S = 30.0
_STOP_S = 3.0
_MEMORY = '512MB'  # data kept for browsers that connect later; the oldest is dropped first
_PR_SET_PDEATHSIG = 1


class Viewer(Closing):
    """
    The web viewer and the server of its page.

    :param port: port of the page; the next free one if it is in use.
    :raises ResourceError: if Rerun is not installed or does not start, or no port is free.
    """

    def __init__(self, port: int = DEFAULT_PORT) -> None:
        require_rerun()
        self._folder = tempfile.TemporaryDirectory(prefix='maven_ros_view_')
        self._page: ThreadingHTTPServer | None = None
        data_port, viewer_port = _free_ports(2)
        self._process = self._start(data_port, viewer_port)
        try:
            for one in (data_port, viewer_port):
                self._wait_for(one)
            self._page = _open_page(port, data_port, viewer_port)
        except BaseException:  # also after a signal, the viewer must not keep running
            self.close()
            raise
        threading.Thread(target=self._page.serve_forever, name='page', daemon=True).start()
        #: Address for the data.
        self.data_url = f'rerun+http://{HOST}:{data_port}/proxy'
        self.port: int = self._page.server_address[1]
        #: Address of the page.
        self.url = (f'http://{HOST}:{self.port}/?hide_welcome_screen&theme=dark&'
                    f'url={urllib.parse.quote(self.data_url, safe="")}')

    def check(self) -> None:
        """
        Check that the viewer still runs.

        :raises ResourceError: if it has ended; holds the end of its log.
        """
        if self._process.poll() is not None:
            raise ResourceError(f"Rerun's viewer ended with code {self._process.returncode}:\n"
                                f'{self._last_words()}')

    def close(self) -> None:
        """Stop serving."""
        if self._page is not None:
            self._page.shutdown()
            self._page.server_close()
            self._page = None
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._folder.cleanup()

    def _start(self, data_port: int, viewer_port: int) -> subprocess.Popen[bytes]:
        folder = Path(self._folder.name)
        (folder / 'rerun').mkdir()
        (folder / 'rerun' / 'analytics.json').write_text(json.dumps({
            'analytics_enabled': False, 'analytics_id': '', 'metadata': {}}), encoding='utf-8')
        with (folder / 'log').open('wb') as log:
            return subprocess.Popen(
                [_program(), '--serve-web', '--bind', HOST, '--port', str(data_port),
                 '--web-viewer-port', str(viewer_port), '--server-memory-limit', _MEMORY],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                env={**os.environ, 'XDG_CONFIG_HOME': str(folder), 'NO_COLOR': '1'},
                start_new_session=True, preexec_fn=_end_with_parent)

    def _wait_for(self, port: int) -> None:
        deadline = time.monotonic() + _READY_S
        while True:
            self.check()
            with socket.socket() as probe:
                if probe.connect_ex((HOST, port)) == 0:
                    return
            if time.monotonic() > deadline:
                raise ResourceError(f"Rerun's viewer was not there after {_READY_S:.0f} s:\n"
                                    f'{self._last_words()}')
            time.sleep(0.05)

    def _last_words(self) -> str:
        text = (Path(self._folder.name) / 'log').read_text(encoding='utf-8', errors='replace')
        return '\n'.join(text.strip().splitlines()[-8:]) or '(it said nothing)'


class Page(BaseHTTPRequestHandler):
    """
    Serve the viewer's files, with headers that keep the browser on this machine.

    It answers only to local host names. Otherwise a foreign page could read the view
    through a name that it points to this machine (DNS rebinding). No other page may frame it.

    :param data_port: port of the viewer's data.
    :param viewer_port: port of the viewer's files.
    """

    protocol_version = 'HTTP/1.1'

    def __init__(self, data_port: int, viewer_port: int, *request: object) -> None:
        self._viewer_port = viewer_port
        self._policy = (
            "default-src 'none'; script-src 'self' 'unsafe-inline' 'wasm-unsafe-eval'; "
            "style-src 'unsafe-inline'; img-src 'self' data: blob:; font-src data:; "
            f"worker-src 'self' blob:; connect-src 'self' http://{HOST}:{data_port}; "
            "frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
        super().__init__(*request)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        """Answer with a file of the viewer."""
        port = self.connection.getsockname()[1]
        if self.headers.get('Host', '').lower() not in (f'{HOST}:{port}', f'localhost:{port}'):
            self.close_connection = True
            self.send_error(421, f'allowed: http://{HOST}:{port}')
            return
        viewer = http.client.HTTPConnection(HOST, self._viewer_port, timeout=_READY_S)
        try:
            viewer.request('GET', self.path, headers={'Accept-Encoding': 'identity'})
            answer = viewer.getresponse()
            body = answer.read()
        except http.client.InvalidURL:
            self.send_error(400, 'no path of the viewer')
            return
        except (OSError, http.client.HTTPException) as error:
            self.send_error(502, f"Rerun's viewer does not answer: {printable(error)}")
            return
        finally:
            viewer.close()
        self.send_response(answer.status)
        for name in ('Content-Type', 'Content-Encoding', 'rerun-final-length'):
            if value := answer.getheader(name):
                self.send_header(name, value)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def end_headers(self) -> None:
        """Add the protective headers to every answer, also to errors."""
        self.send_header('Content-Security-Policy', self._policy)
        self.send_header('X-Frame-Options', 'DENY')
        self.send_header('X-Content-Type-Options', 'nosniff')
        self.send_header('Cross-Origin-Resource-Policy', 'same-origin')
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing, because each file would be a line."""


def _program() -> Path:
    """Return Rerun's own program; ``python -m rerun_cli`` would leave it running when killed."""
    spec = importlib.util.find_spec('rerun_cli')
    program = Path(spec.origin).with_name('rerun') if spec and spec.origin else Path('rerun')
    if not program.is_file():
        raise ResourceError(f'{program}: is missing from rerun-sdk; pip install "maven_ros[view]"')
    return program


def _open_page(port: int, data_port: int, viewer_port: int) -> ThreadingHTTPServer:
    answer = functools.partial(Page, data_port, viewer_port)
    last = min(port + _PORTS, 65536)
    for one in range(port, last):
        try:
            return ThreadingHTTPServer((HOST, one), answer)
        except OSError:  # in use
            continue
    raise ResourceError(f'port: {port} to {last - 1} are in use; name another with --port')


def _free_ports(count: int) -> list[int]:
    held = [socket.socket() for _ in range(count)]
    try:
        for one in held:
            one.bind((HOST, 0))
        return [one.getsockname()[1] for one in held]
    finally:
        for one in held:
            one.close()


def _end_with_parent() -> None:
    """Make the kernel end the viewer if the view is killed."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
