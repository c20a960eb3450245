import os
import random
import threading

import pytest

from maven_ros.graph.dds.dds_graph import DdsGraph
from maven_ros.graph.interface import Qos, Reliability
from maven_ros.graph.messages import from_cdr

os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
os.environ.setdefault('ROS_DOMAIN_ID', str(random.randint(1, 100)))


@pytest.fixture
def graph():
    with DdsGraph() as graph:
        yield graph


@pytest.fixture
def listen(graph):
    """Subscribe to a topic: returns a list that fills with (arrival in ns, message)."""

    def subscribe(topic, msgtype, enough=None):
        heard = Heard()
        graph.subscribe(
            topic, msgtype, Qos(Reliability.RELIABLE, 1000),
            lambda received: heard.add(received.received_ns, from_cdr(received.cdr, msgtype)))
        return heard

    return subscribe


class Heard(list):
    """What was heard, and a way to wait for it."""

    def __init__(self):
        super().__init__()
        self._changed = threading.Condition()

    def add(self, received_ns, message):
        with self._changed:
            self.append((received_ns, message))
            self._changed.notify_all()

    def wait_for(self, count, timeout_s=10.0):
        with self._changed:
            return self._changed.wait_for(lambda: len(self) >= count, timeout_s)

    @property
    def messages(self):
        return [message for _, message in self]


@pytest.fixture
def running():
    """Run a node on a thread: ``running(node)`` returns (its stop event, its result)."""
    started = []

    def run(node):
        run = Running(node)
        started.append(run)
        return run

    yield run
    for one in started:
        one.stop()


class Running:
    """A node that runs on a thread."""

    def __init__(self, node):
        self._stop = threading.Event()
        self._result = None
        self._error = None
        self._node = node
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self):
        try:
            self._result = self._node.run(self._stop)
        except Exception as error:
            self._error = error

    def stop(self, within_s=2.0):
        """Stop the node; it must end in time."""
        self._stop.set()
        return self.result(within_s)

    def result(self, within_s):
        self._thread.join(within_s)
        assert not self._thread.is_alive()
        if self._error:
            error, self._error = self._error, None
            raise error
        return self._result
