"""Who may reach what Cyclone opens, as the system tells it."""

import contextlib
import socket
import sys
from pathlib import Path

import pytest

from maven_ros.graph.dds import sockets
from maven_ros.graph.dds.dds_graph import DdsGraph
from maven_ros.graph.dds.domain import RECEIVE_BUFFER_BYTES

pytestmark = [
    pytest.mark.usefixtures('embedded_graph'),
    pytest.mark.skipif(sys.platform != 'linux', reason='as Linux lists them')]


def opened():
    """Return kind, address, interface and buffer of each socket that a graph opens."""
    before = sockets.own_sockets()
    found = []
    with DdsGraph():
        for _, one in sockets.lent([descriptor for name, descriptor
                                    in sockets.own_sockets().items() if name not in before]):
            interface = one.getsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, 16)
            found.append((one.type, one.getsockname()[0], interface.strip(b'\0'),
                          one.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)))
    return found


@pytest.fixture
def ties():
    """Skip where the kernel ties no socket to an interface."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        try:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b'lo\0')
        except OSError as error:
            pytest.skip(str(error))


@pytest.mark.usefixtures('ties')
def test_on_one_host_nothing_hears_the_network():
    assert {interface for _, address, interface, _ in opened()
            if address != '127.0.0.1'} == {b'lo'}


@pytest.mark.parametrize('variables', [
    {'ROS_AUTOMATIC_DISCOVERY_RANGE': 'SUBNET'}, {'ROS_STATIC_PEERS': '192.0.2.1'}])
def test_on_a_network_messages_are_heard_from_everywhere_and_nothing_else_is(
        monkeypatch, variables):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    found = opened()
    assert {interface for kind, address, interface, _ in found
            if kind == socket.SOCK_DGRAM and address == '0.0.0.0'} == {b''}
    assert {address for kind, address, _, _ in found
            if kind == socket.SOCK_STREAM} <= {'127.0.0.1'}


def test_a_kernel_that_ties_no_socket_is_no_failure(monkeypatch, caplog):
    class Old(socket.socket):
        def setsockopt(self, level, option, *value):
            if option == socket.SO_BINDTODEVICE:
                raise PermissionError(1, 'Operation not permitted')
            super().setsockopt(level, option, *value)

    caplog.set_level('INFO')
    monkeypatch.setattr(sockets.socket, 'socket', Old)
    with DdsGraph() as graph:
        assert graph.topics() == {}
    assert 'stays open to the network: [Errno 1] Operation not permitted' in caplog.text


def test_the_receive_buffer_is_as_large_as_the_system_grants(monkeypatch):
    limit = int(Path('/proc/sys/net/core/rmem_max').read_text())
    granted = 2 * min(limit, RECEIVE_BUFFER_BYTES)  # Linux doubles it
    assert {size for kind, _, _, size in opened() if kind == socket.SOCK_DGRAM} == {granted}
    monkeypatch.setenv('CYCLONEDDS_URI', '<CycloneDDS><Domain><Internal>'
                       '<SocketReceiveBufferSize max="100 kB"/></Internal></Domain></CycloneDDS>')
    assert {size for kind, _, _, size in opened() if kind == socket.SOCK_DGRAM} == {2 * 102_400}


def test_a_monitor_that_the_user_wants_or_not_is_left_to_them(monkeypatch):
    monkeypatch.setenv('CYCLONEDDS_URI', '<CycloneDDS><Domain><Internal>'
                       '<MonitorPort>-1</MonitorPort></Internal></Domain></CycloneDDS>')
    assert not [one for one in opened() if one[0] == socket.SOCK_STREAM]
    monkeypatch.setenv('CYCLONEDDS_URI', '<CycloneDDS><Domain><Internal>'
                       '<MonitorPort>0</MonitorPort></Internal></Domain></CycloneDDS>')
    assert [one[1] for one in opened() if one[0] == socket.SOCK_STREAM] == ['0.0.0.0']


def test_what_is_closed_meanwhile_is_passed_over():
    one = socket.socket()
    descriptor = one.detach()
    with contextlib.closing(socket.socket(fileno=descriptor)):
        assert [found for found, _ in sockets.lent([descriptor])] == [descriptor]
    assert list(sockets.lent([descriptor])) == []
