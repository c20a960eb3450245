"""The programs of ``ros2 run maven_ros``; each is a few lines around a node."""

from __future__ import annotations

import gc
import logging
import os
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maven_ros.declarations import declared, setting
from maven_ros.errors import MavenError
from maven_ros.graph.ros.ros_graph import RosGraph
from maven_ros.graph.ros.ros_node import RosNodeGraph, Spinning, open_context
from maven_ros.interrupts import Interrupts
from maven_ros.nodes.parameters import declare, given_to, initial_values
from maven_ros.resources import resource
from maven_ros.text import printable_lines, say
from maven_ros.view import DEFAULT_PORT

#: The sources' own name of the picture topic; launch files remap it to the camera's topic.
_IMAGE_TOPIC = 'image'

_log = logging.getLogger('maven_ros')


@dataclass(frozen=True)
class PlayerSettings:
    """Parameters of ``player_node``."""

    file: str = setting('', 'Media file; empty for the shipped clip.', path='file')
    rate: float = setting(1.0, 'Seconds of media per second; 0 for as fast as possible.',
                          minimum=0.0, maximum=1000.0)
    loop: int = setting(1, 'Number of times; 0 for endless.', minimum=0, maximum=2**31 - 1)
    width: int = setting(0, 'Largest width of pictures in pixels; 0 keeps their size.',
                         minimum=0, maximum=16384)
    compressed: bool = setting(False, 'Publish JPEG pictures on <image>/compressed.')
    subscribers: int = setting(
        1, 'Number of subscribers per topic to wait for; 0 starts at once.',
        minimum=0, maximum=1000)
    frame_id: str = setting('camera', 'Frame of the pictures.')


@dataclass(frozen=True)
class CameraSettings:
    """Parameters of ``camera_node``."""

    device: str = setting('0', 'Number, path or address of the camera.')
    width: int = setting(0, 'Requested width in pixels; 0 for the camera\'s default.',
                         minimum=0, maximum=16384)
    height: int = setting(0, 'Requested height in pixels; 0 for the camera\'s default.',
                          minimum=0, maximum=16384)
    fps: float = setting(0.0, 'Requested pictures per second; 0 for the camera\'s default.',
                         minimum=0.0, maximum=1000.0)
    compressed: bool = setting(False, 'Publish JPEG pictures on <image>/compressed.')
    wait: bool = setting(True, 'Wait for a camera that is missing at the start.')
    frame_id: str = setting('camera', 'Frame of the pictures.')


@dataclass(frozen=True)
class MicrophoneSettings:
    """Parameters of ``microphone_node``."""

    device: str = setting('default', 'Number or part of the name of the microphone.')
    sample_rate_hz: int = setting(0, 'Sample rate in Hz; 0 for the microphone\'s default.',
                                  minimum=0, maximum=384000)
    channels: int = setting(1, 'Number of channels.', minimum=1, maximum=255)
    wait: bool = setting(True, 'Wait for a microphone that is missing at the start.')
    frame_id: str = setting('microphone', 'Frame of the sound.')


@dataclass(frozen=True)
class BehaviourSettings:
    """Parameters of ``behaviour_node``."""

    table: str = setting('', 'YAML file of the decision table; empty for the shipped one.',
                         path='file')
    regions: str = setting('', 'YAML file of the events\' regions; empty for the shipped one.',
                           path='file')
    rate_hz: float = setting(5.0, 'Highest rate of publishing.', minimum=0.1, maximum=50.0)
    idle_s: float = setting(2.0, 'Time without messages after which the robot becomes idle.',
                            minimum=0.2, maximum=60.0)


@dataclass(frozen=True)
class ViewSettings:
    """Parameters of ``view_node``."""

    port: int = setting(DEFAULT_PORT, 'Port of the page on this machine; the next free one if it '
                        'is in use.', minimum=1, maximum=65535)
    save: str = setting('', 'File .rrd that records the view; empty records nothing.')


def main_affect(argv: list[str] | None = None) -> int:
    """
    Run ``affect_node`` until a signal ends it.

    :param argv: ROS's arguments; those of the process if omitted.
    :returns: 0 after a signal, 1 if it cannot start.
    """
    return _run('affect_node', argv, _affect)


def main_player(argv: list[str] | None = None) -> int:
    """Run ``player_node`` until its file ends; as :func:`main_affect`."""
    def play(graph: RosGraph, values: dict[str, Any], stop: threading.Event) -> None:
        from maven_ros.devices.player import Player

        path = values.pop('file') or resource('media/sample.mp4')
        report = Player(graph, path, image_topic=graph.resolve(_IMAGE_TOPIC),
                        counters=graph.counters, **values).run(stop)
        _log.info('played %d frames and %d chunks of sound', report.frames, report.chunks)

    return _run('player_node', argv, _plain('player_node', PlayerSettings(), play))


def main_camera(argv: list[str] | None = None) -> int:
    """Run ``camera_node`` until a signal ends it; as :func:`main_affect`."""
    def capture(graph: RosGraph, values: dict[str, Any], stop: threading.Event) -> None:
        from maven_ros.devices.camera import Camera

        Camera(graph, values.pop('device'), image_topic=graph.resolve(_IMAGE_TOPIC),
               counters=graph.counters, **values).run(stop)

    return _run('camera_node', argv, _plain('camera_node', CameraSettings(), capture))


def main_microphone(argv: list[str] | None = None) -> int:
    """Run ``microphone_node`` until a signal ends it; as :func:`main_affect`."""
    def capture(graph: RosGraph, values: dict[str, Any], stop: threading.Event) -> None:
        from maven_ros.devices.microphone import Microphone

        Microphone(graph, values.pop('device'), counters=graph.counters, **values).run(stop)

    return _run('microphone_node', argv, _plain('microphone_node', MicrophoneSettings(), capture))


def main_behaviour(argv: list[str] | None = None) -> int:
    """Run ``behaviour_node`` until a signal ends it; as :func:`main_affect`."""
    def behave(graph: RosGraph, values: dict[str, Any], stop: threading.Event) -> None:
        from maven_ros.acting.decisions import read_decisions
        from maven_ros.nodes.behaviour import Behaviour

        table = read_decisions(values.pop('table'), values.pop('regions'))
        Behaviour(graph, table, counters=graph.counters, **values).run(stop)

    return _run('behaviour_node', argv, _plain('behaviour_node', BehaviourSettings(), behave))


def main_view(argv: list[str] | None = None) -> int:
    """Run ``view_node`` until a signal ends it; as :func:`main_affect`."""
    def show(graph: RosGraph, values: dict[str, Any], stop: threading.Event) -> None:
        from maven_ros.view.live_view import run_view

        save = Path(values['save']) if values['save'] else None
        run_view(graph, graph.counters, stop, values['port'], save,
                 graph.resolve(_IMAGE_TOPIC))

    return _run('view_node', argv, _plain('view_node', ViewSettings(), show))


def _run(
    name: str, argv: list[str] | None, work: Callable[[Sequence[str], threading.Event], None],
) -> int:
    stop = Interrupts.on_signals(early=0)  # launch reports any other exit code as a crash
    try:
        work(sys.argv[1:] if argv is None else argv, stop)
    except MavenError as error:
        say(f'{name}: {error}', file=sys.stderr)
        return 1
    except SystemExit:  # a signal before anything was started
        return 0
    return 0


def _affect(arguments: Sequence[str], stop: threading.Event) -> None:
    context = open_context(arguments)
    from maven_ros.nodes.lifecycle import AffectLifecycleNode

    node = AffectLifecycleNode(context)
    with LogToRos(node):
        with Spinning(node):
            stop.wait()
        if not node.release(wait=False):
            _log.warning('ended while the models were being loaded')
            os._exit(0)
    node.destroy_node()
    context.try_shutdown()
    gc.freeze()  # otherwise Python's exit searches all objects of torch, several times


def _plain(
    name: str, defaults: Any,
    work: Callable[[RosGraph, dict[str, Any], threading.Event], None],
) -> Callable[[Sequence[str], threading.Event], None]:
    """Return a function that runs a plain node with its parameters."""
    def run(arguments: Sequence[str], stop: threading.Event) -> None:
        with RosNodeGraph(node_name=name, arguments=arguments) as graph, LogToRos(graph.node):
            known = list(declared(defaults))
            values = initial_values(known, given_to(graph.node))
            declare(graph.node, known, values)
            work(graph, values, stop)

    return run


class LogToRos(logging.Handler):
    """
    Pass this package's log records to a node's logger, for the console and ``/rosout``.

    It is a context manager. The node's level at the start, from ``--log-level``, is used.
    """

    def __init__(self, node: Any) -> None:
        super().__init__()
        logger = node.get_logger()
        self._level = int(logger.get_effective_level())  # ROS's numbers are Python's
        # ROS allows only one level for each line of code that logs.
        self._ways: list[tuple[int, Callable[[str], object]]] = [
            (logging.ERROR, lambda text: logger.error(text)),
            (logging.WARNING, lambda text: logger.warning(text)),
            (logging.INFO, lambda text: logger.info(text)),
            (logging.NOTSET, lambda text: logger.debug(text)),
        ]

    def emit(self, record: logging.LogRecord) -> None:
        """Pass on a record."""
        text = printable_lines(self.format(record))
        next(way for least, way in self._ways if record.levelno >= least)(text)

    def __enter__(self) -> LogToRos:
        """Start to pass on records."""
        self._before = _log.level, _log.propagate
        _log.addHandler(self)
        _log.setLevel(self._level)
        _log.propagate = False
        return self

    def __exit__(self, *_: object) -> None:
        """Restore the logger."""
        _log.removeHandler(self)
        level, _log.propagate = self._before
        _log.setLevel(level)
