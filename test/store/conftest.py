"""A server on this machine, and a folder for what is fetched from it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest
from modelserver import Handler, Site


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    for name in ('http_proxy', 'HTTP_PROXY', 'all_proxy', 'ALL_PROXY', 'HF_ENDPOINT'):
        monkeypatch.delenv(name, raising=False)
    site = Site()
    server = ThreadingHTTPServer(('127.0.0.1', 0), type('Bound', (Handler,), {'site': site}))
    server.daemon_threads = True
    site.url = f'http://127.0.0.1:{server.server_port}'
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield site
    server.shutdown()
    server.server_close()


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of fetched models."""
    folder = tmp_path / 'models'
    monkeypatch.setenv('MAVEN_ROS_MODELS', str(folder))
    return folder
