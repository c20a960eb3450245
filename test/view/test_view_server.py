"""Rerun's viewer as we serve it: on this machine alone, and gone when we are."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time

import psutil
import pytest

from maven_ros.errors import ResourceError
from maven_ros.view import require
from maven_ros.view.recording import check_save
from maven_ros.view.server import HOST, Viewer, _open_page

pytest.importorskip('rerun')


@pytest.fixture(scope='module')
def viewer():
    with socket.socket() as held:
        held.bind((HOST, 0))
        port = held.getsockname()[1]
        held.listen()
        with Viewer(port) as viewer:
            yield port, viewer


def port_of(data_url):
    return int(data_url.strip().removesuffix('/proxy').rpartition(':')[2])


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


def test_a_port_in_use_gives_way_to_the_next_free_one(viewer):
    asked, served = viewer
    assert asked < served.port <= asked + 100
    assert f'http://127.0.0.1:{served.port}/' in served.url


def test_the_page_is_the_viewer_and_forbids_every_address_but_these(viewer):
    _, served = viewer
    page = http.client.HTTPConnection(HOST, served.port, timeout=20)
    page.request('GET', '/')
    answer = page.getresponse()
    assert answer.status == 200 and b'Rerun' in answer.read()
    policy = answer.getheader('Content-Security-Policy')
    addresses = [one for one in policy.replace(';', ' ').split() if '://' in one]
    assert addresses == [served.data_url.replace('rerun+', '').removesuffix('/proxy')]
    assert "default-src 'none'" in policy


@pytest.mark.parametrize('host', ['evil.example', 'evil.example:{port}', '127.0.0.1.evil:{port}',
                                  '127.0.0.1', 'localhost:1', '[::1]:{port}', '', None])
def test_it_answers_to_its_own_names_alone(viewer, host):
    _, served = viewer
    page = http.client.HTTPConnection(HOST, served.port, timeout=20)
    page.putrequest('GET', '/', skip_host=True)
    if host is not None:
        page.putheader('Host', host.format(port=served.port))
    page.endheaders()
    answer = page.getresponse()
    assert answer.status == 421 and b'<title>Rerun' not in answer.read()
    assert answer.getheader('X-Frame-Options') == 'DENY'


@pytest.mark.parametrize('host', ['127.0.0.1:{port}', 'localhost:{port}', 'LocalHost:{port}'])
def test_no_other_page_may_frame_it(viewer, host):
    _, served = viewer
    page = http.client.HTTPConnection(HOST, served.port, timeout=20)
    page.request('GET', '/', headers={'Host': host.format(port=served.port)})
    answer = page.getresponse()
    assert answer.status == 200 and answer.read()
    assert "frame-ancestors 'none'" in answer.getheader('Content-Security-Policy')
    assert answer.getheader('X-Frame-Options') == 'DENY'


def test_a_path_that_is_none_is_refused(viewer):
    _, served = viewer
    with socket.create_connection((HOST, served.port)) as raw:
        raw.sendall(b'GET /a\x0bb HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nConnection: close\r\n\r\n'
                    % served.port)
        assert raw.makefile('rb').readline().startswith(b'HTTP/1.1 400')


def test_nothing_of_it_can_be_reached_from_outside(viewer):
    ours = [psutil.Process(), *psutil.Process().children(recursive=True)]
    heard = {one.laddr.ip for process in ours for one in process.net_connections('tcp')
             if one.status == psutil.CONN_LISTEN}
    assert heard == {HOST}


def test_no_free_port_is_an_error_that_names_them():
    with socket.socket() as held:
        held.bind((HOST, 65535))
        held.listen()
        with pytest.raises(ResourceError, match='port: 65535 to 65535 are in use'):
            _open_page(65535, 1, 2)


def test_a_view_that_is_killed_takes_the_viewer_along():
    code = ('import time; from maven_ros.view.server import Viewer\n'
            'viewer = Viewer(19300); print(viewer.data_url, flush=True); time.sleep(60)')
    view = subprocess.Popen([sys.executable, '-c', code], stdout=subprocess.PIPE, text=True)
    port = port_of(view.stdout.readline())
    assert listens(port)
    os.kill(view.pid, signal.SIGKILL)
    view.wait()
    for _ in range(100):
        if not listens(port):
            return
        time.sleep(0.1)
    pytest.fail('the viewer lives on')


def test_a_view_that_is_closed_leaves_nothing_behind():
    before = psutil.Process().children(recursive=True)  # other tests'
    with Viewer(19300) as viewer:
        ports = [port_of(viewer.data_url), viewer.port]
        assert all(map(listens, ports))
    assert not any(map(listens, ports))
    assert set(psutil.Process().children(recursive=True)) <= set(before)


def test_without_rerun_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, 'rerun', None)
    with pytest.raises(ResourceError, match=r'rerun: not installed .*"maven_ros\[view\]"'):
        require.require_rerun()


def test_a_file_to_record_into_is_checked(tmp_path):
    with pytest.raises(ResourceError, match=r'x\.mcap: does not end in \.rrd'):
        check_save(tmp_path / 'x.mcap')
    (tmp_path / 'x.rrd').touch()
    with pytest.raises(ResourceError, match=r'x\.rrd: exists already'):
        check_save(tmp_path / 'x.rrd')
    with pytest.raises(ResourceError, match=r'nowhere: is not a writable folder'):
        check_save(tmp_path / 'nowhere' / 'x.rrd')
