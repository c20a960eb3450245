"""The programs that ``ros2 run maven_ros`` starts; each is a few lines around a node."""

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

#: The name under which the sources publish; a launch file remaps it to where the camera is.
_IMAGE_TOPIC = 'image'

_log = logging.getLogger('maven_ros')


@dataclass(frozen=True)
class PlayerSettings:
    """Parameters of ``player_node``."""

    file: str = setting('', 'Media file; empty for the shipped clip.', path='file')
    rate: float = setting(1.0, 'Media seconds a second; 0 as fast as possible.',
                          minimum=0.0, maximum=1000.0)
    loop: int = setting(1, 'How often; 0 for ever.', minimum=0, maximum=2**31 - 1)
    width: int = setting(0, 'Reduce pictures to so many pixels; 0 leaves them as they are.',
                         minimum=0, maximum=16384)
    compressed: bool = setting(False, 'Publish JPEG pictures, on <image>/compressed.')
    subscribers: int = setting(
        1, 'Start once each topic has so many subscribers; 0 starts at once.',
        minimum=0, maximum=1000)
    frame_id: str = setting('camera', 'Frame of the pictures.')


@dataclass(frozen=True)
class CameraSettings:
    """Parameters of ``camera_node``."""

    device: str = setting('0', 'Number, path or address of the camera.')
    width: int = setting(0, 'Pixels to ask for; 0 for its own choice.', minimum=0, maximum=16384)
    height: int = setting(0, 'Pixels to ask for; 0 for its own choice.', minimum=0, maximum=16384)
    fps: float = setting(0.0, 'Pictures a second to ask for; 0 for its own choice.',
                         minimum=0.0, maximum=1000.0)
    compressed: bool = setting(False, 'Publish JPEG pictures, on <image>/compressed.')
    wait: bool = setting(True, 'Wait for a camera that is missing at the start.')
    frame_id: str = setting('camera', 'Frame of the pictures.')


@dataclass(frozen=True)
class MicrophoneSettings:
    """Parameters of ``microphone_node``."""

    device: str = setting('default', 'Number or part of the name of the microphone.')
    sample_rate_hz: int = setting(0, 'Of the sound; 0 for its own choice.',
                                  minimum=0, maximum=384000)
    channels: int = setting(1, 'Of the sound.', minimum=1, maximum=255)
    wait: bool = setting(True, 'Wait for a microphone that is missing at the start.')
    frame_id: str = setting('microphone', 'Frame of the sound.')


@dataclass(frozen=True)
class BehaviourSettings:
    """Parameters of ``behaviour_node``."""

    table: str = setting('', 'What to do on which event; empty for the shipped table.',
                         path='file')
    regions: str = setting('', 'Regions that events tell of; empty for the shipped ones.',
                           path='file')
    rate_hz: float = setting(5.0, 'Publishes so often a second at most.',
                             minimum=0.1, maximum=50.0)
    idle_s: float = setting(2.0, 'So long without a state, it goes back to idle.',
                            minimum=0.2, maximum=60.0)


@dataclass(frozen=True)
class ViewSettings:
    """Parameters of ``view_node``."""

    port: int = setting(DEFAULT_PORT, 'Of the page on this machine; the next free one when it is '
                        'in use.', minimum=1, maximum=65535)
    save: str = setting('', 'File .rrd to record into as well; empty records nothing.')


def main_affect(argv: list[str] | None = None) -> int:
    """
    Run ``affect_node`` until a signal ends it.

    :param argv: ROS's arguments; those of the process when left out.
    :returns: 0 after a signal, 1 when it cannot start.
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
    stop = Interrupts.on_signals(early=0)  # launch calls all else a death
    try:
        work(sys.argv[1:] if argv is None else argv, stop)
    except MavenError as error:
        say(f'{name}: {error}', file=sys.stderr)
        return 1
    except SystemExit:  # a signal, before there was anything to end in order
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
            _log.warning('ended while its models were loaded')
            os._exit(0)
    node.destroy_node()
    context.try_shutdown()
    gc.freeze()  # or else Python, where it ends, looks through all of torch, more than once


def _plain(
    name: str, defaults: Any,
    work: Callable[[RosGraph, dict[str, Any], threading.Event], None],
) -> Callable[[Sequence[str], threading.Event], None]:
    """Return what runs a node that is no lifecycle node with its parameters."""
    def run(arguments: Sequence[str], stop: threading.Event) -> None:
        with RosNodeGraph(node_name=name, arguments=arguments) as graph, LogToRos(graph.node):
            known = list(declared(defaults))
            values = initial_values(known, given_to(graph.node))
            declare(graph.node, known, values)
            work(graph, values, stop)

    return run


class LogToRos(logging.Handler):
    """
    Hands what this package logs to a node's logger, and so to the console and ``/rosout``.

    A context manager; the node's level at its start, from ``--log-level``, decides what passes.
    """

    def __init__(self, node: Any) -> None:
        super().__init__()
        logger = node.get_logger()
        self._level = int(logger.get_effective_level())  # ROS's numbers are Python's
        # ROS lets each line of code log at one level alone.
        self._ways: list[tuple[int, Callable[[str], object]]] = [
            (logging.ERROR, lambda text: logger.error(text)),
            (logging.WARNING, lambda text: logger.warning(text)),
            (logging.INFO, lambda text: logger.info(text)),
            (logging.NOTSET, lambda text: logger.debug(text)),
        ]

    def emit(self, record: logging.LogRecord) -> None:
        """Hand over a record."""
        text = printable_lines(self.format(record))
        next(way for least, way in self._ways if record.levelno >= least)(text)

    def __enter__(self) -> LogToRos:
        """Begin."""
        self._before = _log.level, _log.propagate
        _log.addHandler(self)
        _log.setLevel(self._level)
        _log.propagate = False
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        _log.removeHandler(self)
        level, _log.propagate = self._before
        _log.setLevel(level)
