"""Shared by all tests: a part of the wire of their own, nodes on it, and what a machine lacks."""

from __future__ import annotations

import importlib.util
import os
import threading
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from inputs import SHARED_DATA
from wire import new_wire, on_wire

from maven_ros.text import shown

os.environ.update(new_wire())  # for what lives longer than a test

#: Modules of the extras in setup.py: a machine for ROS need not have them all.
EXTRAS = {'av', 'cyclonedds', 'faster_whisper', 'hypothesis', 'jinja2', 'jiwer', 'matplotlib',
          'packaging', 'playwright', 'psutil', 'pyarrow', 'ray', 'rerun', 'rosbags', 'scipy',
          'skimage', 'sounddevice', 'tensorboard', 'torchmetrics', 'vosk'}


@pytest.fixture(autouse=True)
def _own_wire(request: pytest.FixtureRequest) -> Iterator[None]:
    """Keep every test, and the processes it starts, off the network and apart from all others."""
    with on_wire(new_wire(tagged=request.node.get_closest_marker('ros') is None)):
        yield


@pytest.fixture
def embedded_graph() -> None:
    """Skip where the embedded graph cannot open, for tests that start it in other processes."""
    if importlib.util.find_spec('cyclonedds') is None:
        pytest.skip('no cyclonedds')


@pytest.fixture(scope='session')
def shared_data() -> Path:
    """Folder of the shared data; where it is absent, tests that ask for it are left out."""
    return SHARED_DATA


@pytest.fixture(scope='session')
def backbones(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Folder of a checkpoint on tiny encoders of transformers."""
    from tiny_encoders import save_checkpoint

    return save_checkpoint(tmp_path_factory.mktemp('backbones'))


@pytest.fixture(params=['ours', 'backbones'])
def make_engine(request: pytest.FixtureRequest, backbones: str) -> Callable[..., Any]:
    """Return a function that opens an engine for windows of a second, on either encoders."""
    from maven_ros.engine import Engine
    from maven_ros.settings import ModelSettings, WindowSettings

    def make(counters=None, **settings):
        path = backbones if request.param == 'backbones' else ''
        return Engine(ModelSettings(path=path, **settings), WindowSettings(length_s=1.0), 5.0,
                      counters)

    return make


@pytest.fixture(scope='session')
def whisper_base() -> Path:
    """Folder of Whisper's weights, as ``make test`` fetches them."""
    pytest.importorskip('faster_whisper')
    from maven_ros.senses.speech.whisper_model import folder_of
    from maven_ros.settings import SpeechSettings

    folder = folder_of(SpeechSettings())
    if not folder.is_dir():
        pytest.fail(f'{folder} is not there: make test fetches it, as does maven-ros models '
                    'fetch whisper-base')
    return folder


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


# --- what is not there -----------------------------------------------------------------------


def pytest_report_header() -> str:
    """Say whether there is shared data, for what asks for it is left out without a word."""
    return f'shared data: {SHARED_DATA}' + ('' if SHARED_DATA.is_dir() else ' (not there)')


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what needs shared data, or, but for one skip a file, ROS 2, where it is not."""
    left_out = [item for item in items if not SHARED_DATA.is_dir()
                and 'shared_data' in getattr(item, 'fixturenames', ())]
    if importlib.util.find_spec('rclpy') is None:
        needy = [item for item in items if item.get_closest_marker('ros')]
        for _, group in groupby(needy, lambda item: item.path):
            first, *others = group
            first.add_marker(pytest.mark.skip(reason=f'no rclpy, for {1 + len(others)} tests'))
            left_out += others
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in set(left_out)]


@pytest.hookimpl(hookwrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Iterator[None]:
    """Skip a file that needs an extra which is not installed, by the extra's name."""
    report = (yield).get_result()  # type: ignore[misc]
    _skip_without_extra(report, getattr(report, 'call', None))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[Any]) -> Iterator[None]:
    """Skip a test that needs an extra which is not installed; make its output text, for xdist."""
    report = (yield).get_result()  # type: ignore[misc]
    _skip_without_extra(report, call)
    report.sections = [(title, shown(text)) for title, text in report.sections]


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
