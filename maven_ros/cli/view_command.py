"""The command ``maven-ros view``; :mod:`maven_ros.cli.main` adds it."""

from __future__ import annotations

import argparse
import threading
from pathlib import Path

from maven_ros.cli.arguments import Declare, add_graph, graph_of
from maven_ros.counters import Counters
from maven_ros.errors import SettingsError
from maven_ros.graph.topics import AUDIO_TOPIC, IMAGE_TOPIC
from maven_ros.view import DEFAULT_PORT


def add_command(declare: Declare) -> None:
    """Declare the command."""
    one = declare('view', _view, 'Show inputs and states in Rerun, live or from a bag.')
    add_graph(one)
    one.add_argument('bag', type=Path, nargs='?', help='bag with states, or with a replay beside '
                     'it; the live topics if omitted')
    one.add_argument('--annotations', type=Path, metavar='DIR',
                     help='folder of NAME.txt or NAME.csv for the bag')
    one.add_argument('--save', type=Path, metavar='FILE.rrd', help='also record the view; '
                     'otherwise nothing is recorded')
    one.add_argument('--port', type=int, default=DEFAULT_PORT, help='port of the page on this '
                     'machine (default %(default)s); the next free one if it is in use')
    one.add_argument('--image-topic', default='',
                     help='(default camera/image_raw; in a bag: found by type)')
    one.add_argument('--audio-topic', default='', help='(default audio; in a bag: found by type)')


def _view(arguments: argparse.Namespace, stop: threading.Event) -> None:
    if not 1 <= arguments.port <= 65535:
        raise SettingsError(f'--port: {arguments.port}; allowed: 1 to 65535')
    if arguments.bag is None:
        _view_graph(arguments, stop)
    else:
        from maven_ros.replay.sources import Sources
        from maven_ros.view.bag_view import view_bag

        sources = Sources(image=arguments.image_topic, audio=arguments.audio_topic)
        view_bag(arguments.bag, stop, arguments.annotations, sources, arguments.port,
                 arguments.save)


def _view_graph(arguments: argparse.Namespace, stop: threading.Event) -> None:
    from maven_ros.view.live_view import run_view

    if arguments.annotations is not None:
        raise SettingsError(f'--annotations {arguments.annotations}: needs a bag; name it')
    counters = Counters()
    with graph_of(arguments, counters) as graph:
        run_view(graph, counters, stop, arguments.port, arguments.save,
                 arguments.image_topic or IMAGE_TOPIC, arguments.audio_topic or AUDIO_TOPIC)
