"""What discovery tells is read once, and kept."""

import pytest
from waiting import eventually

from maven_ros.graph.dds import discovered
from maven_ros.graph.dds.dds_graph import DdsGraph
from maven_ros.graph.interface import STATE

BOOL = 'std_msgs/msg/Bool'

pytestmark = pytest.mark.usefixtures('embedded_graph')


def test_each_publisher_is_read_once_however_often_topics_are_asked_for(monkeypatch):
    read, offer = [], discovered._offer
    monkeypatch.setattr(discovered, '_offer', lambda one: read.append(one) or offer(one))
    with DdsGraph() as other, DdsGraph() as graph:
        read.clear()
        for number in range(30):
            other.advertise(f'/topic_{number}', BOOL, STATE)
        eventually(lambda: len(graph.topics()) == 30 and len(read) == 60)  # by each graph
        for _ in range(100):
            graph.topics()
            assert graph.publisher_count('/topic_7') == 1
        assert len(read) == 60


def test_who_has_gone_is_kept_nowhere_though_nobody_asks():
    with DdsGraph() as graph, DdsGraph() as other:
        other.advertise('/here', BOOL, STATE)
        for _ in range(50):
            other.advertise('/passing', BOOL, STATE).close()
            other.subscribe('/passing', BOOL, STATE, print).close()
        eventually(lambda: len(graph.discovered._offers) == 1)
        eventually(lambda: not [topic for topic, _ in graph.discovered._asked.values()
                                if topic.startswith('rt/')])
        eventually(lambda: not any(reader.read(100) for reader in graph.discovered._readers))
        assert graph.topics() == {'/here': BOOL}


def test_an_endpoint_that_cannot_be_read_hides_no_other(monkeypatch):
    with DdsGraph() as graph, DdsGraph() as other:
        take, failed = type(graph.discovered._readers[0]).take, []

        def take_and_fail_once(self, number):
            taken = take(self, number)
            if not failed and [one for one in taken if one.topic_name == 'rt/b']:
                failed.append(True)
                raise Exception('Callfunc endpoint constructor errored.')
            return taken

        monkeypatch.setattr(type(graph.discovered._readers[0]), 'take', take_and_fail_once)
        for name in ('/a', '/b', '/c'):
            other.advertise(name, BOOL, STATE)
        # One of the two graphs misses one topic, and nobody misses more.
        eventually(lambda: len(other.topics()) + len(graph.topics()) == 5)
        assert failed


def test_a_closed_graph_knows_nobody():
    with DdsGraph() as graph:
        graph.advertise('/x', BOOL, STATE)
        assert graph.topics() == {'/x': BOOL}
    assert graph.topics() == {}
    assert graph.publisher_count('/x') == 0
