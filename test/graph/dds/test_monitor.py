"""Cyclone's debug monitor tells the numbers of messages, and tells nobody but us."""

import socket
import subprocess
import sys
import threading
import time

import pytest
from waiting import eventually

from maven_ros.graph.dds.dds_graph import DdsGraph
from maven_ros.graph.dds.monitor import can_monitor, newest_of
from maven_ros.graph.dds.sockets import own_sockets
from maven_ros.graph.interface import INPUT

PUBLISHER = """
import sys, time
from maven_ros.graph.dds.dds_graph import DdsGraph
from maven_ros.graph.interface import STATE
from maven_ros.graph.messages import new
with DdsGraph() as graph:
    publisher = graph.advertise('/x', 'std_msgs/msg/Bool', STATE)
    while not publisher.subscription_count():
        time.sleep(0.01)
    for _ in range(3):
        publisher.publish(new('std_msgs/msg/Bool'))
    print('sent', flush=True)
    sys.stdin.read()
"""


def test_numbers_are_read_among_names_that_make_no_sense():
    assert newest_of(
        b'HTTP/1.1 200 OK\r\n\r\n01F4\r\n{"participants":[{"guid":"1:2:3:c1","name":"\xff\\"}]",'
        b'"writers":[{"guid":"1:2:3:102","topic":"rt/a","seq":9}]}],'
        b'"proxy_writers":[{"guid":"a:b:c:203","topic":"rt/"},{x","last_seq":4\r\n0100\r\n'
        b',"last_fragnum":4294967295,"local_readers":[{"guid":"1:2:3:107","last_nack":1}]},'
        b'{"guid":"a:b:c:303","last_seq":0},{"guid":"no","last_seq":1}\r\n0000\r\n\r\n') == {
            'a:b:c:203': 4, 'a:b:c:303': 0}


def test_what_breaks_off_says_nothing():
    assert newest_of(b'{"guid":"a:b:c:203","last_seq":4},{"guid":"a:b:c:303","la') == {}
    assert newest_of(b'') == {}


@pytest.fixture
def heard(embedded_graph, tmp_path):
    """Return a graph with a monitor, and another process that has published 3 messages there."""
    if not can_monitor():
        pytest.skip('this system keeps no port to ourselves')
    with DdsGraph() as graph:
        graph.subscribe('/x', 'std_msgs/msg/Bool', INPUT, print)
        other = subprocess.Popen([sys.executable, '-c', PUBLISHER],
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            other.stdout.readline()
            yield graph, other
        finally:
            other.communicate(timeout=20)


def test_the_number_of_the_newest_message_is_known_of_each_publisher(heard):
    graph, _ = heard

    def number():
        offers = graph.discovered.offered('rt/x', 'std_msgs::msg::dds_::Bool_').values()
        newest = graph._monitor.newest()
        return [newest.get(one.guid) for one in offers]

    eventually(lambda: number() == [3])


def test_nobody_else_gets_in_and_nothing_is_left_behind(heard):
    graph, _ = heard
    door = graph._monitor._door.getsockname()
    assert door[0] == '127.0.0.1'
    with socket.socket() as stranger:
        stranger.settimeout(0.3)
        with pytest.raises(TimeoutError):
            stranger.connect(door)
    eventually(graph._monitor.newest)
    before = len(own_sockets())
    for _ in range(50):
        assert graph._monitor.newest()
    assert len(own_sockets()) <= before
    began_s = time.monotonic()
    graph.close()
    assert time.monotonic() - began_s < 2
    assert graph._monitor.newest() == {}


def test_two_graphs_ask_it_in_turn(heard):
    graph, _ = heard
    with DdsGraph() as other:
        assert other._monitor is graph._monitor
        empty = []

        def ask():
            empty.extend(None for _ in range(30) if not graph._monitor.newest())

        threads = [threading.Thread(target=ask) for _ in range(3)]
        eventually(graph._monitor.newest)
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not empty
