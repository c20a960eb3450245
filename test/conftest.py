"""Shared by all tests: a DDS domain of their own, and the data that lies beside the checkout."""

from __future__ import annotations

import importlib.util
import os
import random
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

# For what lives longer than a test, too.
os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
os.environ.setdefault('ROS_DOMAIN_ID', str(random.randint(1, 100)))

SHARED_DATA = Path(__file__).resolve().parents[2] / 'shared' / 'data'

#: Modules of the extras in setup.py: a machine for ROS need not have them all.
EXTRAS = {'av', 'cyclonedds', 'hypothesis', 'jinja2', 'jiwer', 'matplotlib', 'packaging',
          'playwright', 'pocketsphinx', 'psutil', 'pyarrow', 'ray', 'rerun', 'rosbags', 'scipy',
          'skimage', 'sounddevice', 'tensorboard', 'torchmetrics', 'vosk'}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs ROS 2 where there is none."""
    if importlib.util.find_spec('rclpy') is None:
        for item in items:
            if item.get_closest_marker('ros'):
                item.add_marker(pytest.mark.skip(reason='skipped: no rclpy'))


@pytest.fixture(autouse=True)
def _own_domain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep every test, and the processes it starts, off the network and apart from the others."""
    monkeypatch.setenv('ROS_DOMAIN_ID', str(random.randint(1, 100)))
    monkeypatch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    for name in ('ROS_LOCALHOST_ONLY', 'ROS_STATIC_PEERS', 'CYCLONEDDS_URI'):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def embedded_graph() -> None:
    """Skip where the embedded graph cannot open, for tests that start it in other processes."""
    if importlib.util.find_spec('cyclonedds') is None:
        pytest.skip('no cyclonedds')


@pytest.fixture(scope='session')
def shared_data() -> Path:
    """Folder of the shared data; skips where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip('no shared data')
    return SHARED_DATA


# --- nodes on a graph ------------------------------------------------------------------------


@pytest.fixture
def graph():
    """An embedded graph."""
    from maven_ros.graph.dds.dds_graph import DdsGraph

    with DdsGraph() as graph:
        yield graph


@pytest.fixture
def listen(graph):
    """Subscribe to a topic: returns a list that fills with (arrival in ns, message)."""
    from maven_ros.graph.interface import Qos, Reliability
    from maven_ros.graph.messages import from_cdr

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


# --- what is not installed -------------------------------------------------------------------


@pytest.hookimpl(hookwrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Iterator[None]:
    """Skip a file that needs an extra which is not installed, by the extra's name."""
    report = (yield).get_result()  # type: ignore[misc]
    _skip_without_extra(report, getattr(report, 'call', None))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[Any]) -> Iterator[None]:
    """Skip a test that needs an extra which is not installed, by the extra's name."""
    report = (yield).get_result()  # type: ignore[misc]
    _skip_without_extra(report, call)


def _skip_without_extra(report: Any, call: Any) -> None:
    if report.outcome != 'failed' or call is None or call.excinfo is None:
        return
    error = call.excinfo.value
    while error is not None:
        module = (getattr(error, 'name', None) or '').partition('.')[0]
        if isinstance(error, ModuleNotFoundError) and module in EXTRAS \
                and importlib.util.find_spec(module) is None:
            where = report.nodeid.partition('::')[0]
            report.outcome, report.longrepr = 'skipped', (where, 0, f'Skipped: no {module}')
        error = error.__cause__ or error.__context__
