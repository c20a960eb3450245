"""
The main job, end to end, in one command: a source, the affect node, a recorder and a live view.

Each is a process of its own on the embedded graph, just as on a robot; what is shown here is
what any subscriber hears.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from types import TracebackType

from maven_ros.cli.panel import LiveView
from maven_ros.devices.media import probe
from maven_ros.errors import ResourceError
from maven_ros.files import owner_only, readable
from maven_ros.graph.dds.domain import stay_on_this_machine
from maven_ros.graph.interface import STATE, Graph, Subscription
from maven_ros.graph.messages import from_cdr
from maven_ros.graph.topics import BEHAVIOUR_TOPIC, ROBOT_TYPES, hear_affect
from maven_ros.records import AffectState, Utterance
from maven_ros.report.timeline import draw_timeline
from maven_ros.resources import resource
from maven_ros.text import say

_READY_S = 60.0      # the node loads its models; on a cold disk that takes a while
_LAST_WORDS_S = 2.0  # after the end of a file: the last windows close, the last words are found
_KEPT = 36_000       # states that the picture shows at most: two hours at 5 Hz
_STOP_S = 3.0


@owner_only()
def run_demo(
    media: Path | None, camera: str | None, microphone: str | None, record: bool, out: Path,
    settings: Sequence[str], stop: threading.Event, rerun: bool = False,
    behaviour: bool = False,
) -> int:
    """
    Run the demo until its file ends or ``stop`` is set.

    :param media: a video or sound file; the shipped clip when no device is named either.
    :param camera: camera to use instead of a file.
    :param microphone: microphone to use instead of a file.
    :param record: record live devices into a bag and draw a picture, too; of a file always.
    :param out: folder under which this run gets one of its own.
    :param settings: flags that are passed on to the affect node.
    :param rerun: show it in Rerun as well; that stays after a file's end, until ``stop`` is set.
    :param behaviour: run the example behaviour as well.
    :returns: 0 when states were published.
    :raises ResourceError: when a part fails; its last words are in the message.
    """
    live = camera is not None or microphone is not None
    if live and media is not None:
        raise ResourceError(f'--media {media} and live devices: choose one of them')
    stay_on_this_machine(os.environ)
    path = media or resource('media/sample.mp4')
    if not live:
        probe(path)
    folder = _new_folder(out)
    bag = folder / 'bag' if record or not live else None
    from maven_ros.graph.dds.dds_graph import DdsGraph

    heard = DemoCounts()
    with DdsGraph(node_name='maven_ros_demo') as graph, Parts(folder) as parts:
        view = LiveView(str(media or 'the shipped clip') if not live else 'live devices')
        view.say('loading the models ...')
        parts.start('affect', 'run', *settings)
        if bag is not None:
            parts.start('recorder', 'record', '--out', str(bag))
        if behaviour:
            parts.start('behaviour', 'behaviour')
            heard.listen_to_behaviour(graph, view)
        if rerun:
            parts.start('view', 'view')
            view.say(_place_of_view(parts, stop))
        heard.listen(graph, view)
        with suppress(ImportError):  # now, for the end must not take long; its lack is said there
            import matplotlib.backends.backend_agg
            import matplotlib.figure  # noqa: F401
        _wait_until_ready(heard, parts, stop)
        if stop.is_set():
            say(f'stopped before anything was played; the logs are in {folder}', file=sys.stderr)
            return 1
        listeners = 1 + (bag is not None) + rerun
        names = _start_sources(parts, path, camera, microphone, listeners)
        with view:
            _watch(parts, names, view, stop, bag is not None)
            parts.stop('affect')     # it publishes what it still knows,
            time.sleep(0.2)          # which is on its way to us and to the recorder
        if rerun and not live and not stop.is_set():
            view.say('the view stays until Ctrl-C')
            while not stop.wait(0.1) and not parts.ended('view'):
                pass
        parts.stop_all()
        if bag is not None:
            parts.ended('recorder')  # raises when the bag could not be completed
    counted = {name: _counted(parts.said(name)) for name in ('affect', 'recorder')
               if name == 'affect' or bag is not None}
    return _conclude(heard, folder, bag, counted)


class DemoCounts:
    """What the demo has heard on the graph."""

    def __init__(self) -> None:
        self.states: deque[AffectState] = deque(maxlen=_KEPT)
        self.utterances: deque[Utterance] = deque(maxlen=_KEPT)
        self._subscriptions: list[Subscription] = []

    def listen(self, graph: Graph, view: LiveView) -> None:
        """Subscribe to what the affect node says, and show it."""
        def on_state(state: AffectState, latency_s: float) -> None:
            self.states.append(state)
            view.show_state(state, latency_s)

        def on_utterance(utterance: Utterance) -> None:
            self.utterances.append(utterance)
            view.show_utterance(utterance)

        self._subscriptions += hear_affect(graph, on_state, on_utterance)

    def listen_to_behaviour(self, graph: Graph, view: LiveView) -> None:
        """Show what the robot does."""
        msgtype = ROBOT_TYPES[BEHAVIOUR_TOPIC]
        self._subscriptions.append(graph.subscribe(
            BEHAVIOUR_TOPIC, msgtype, STATE,
            lambda received: view.show_behaviour(from_cdr(received.cdr, msgtype).data)))

    def ready(self) -> bool:
        """Tell whether the affect node is there."""
        return all(one.publisher_count() > 0 for one in self._subscriptions)


class Parts(AbstractContextManager['Parts']):
    """
    The processes of the demo, each with a log of its own; none outlives this.

    They get a session of their own, so that Ctrl-C reaches the demo alone, which then stops them
    in the right order.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop whatever still runs."""
        self.stop_all()

    def start(self, name: str, *arguments: str) -> None:
        """Start ``maven-ros ARGUMENTS`` under a name."""
        with (self._folder / f'{name}.log').open('wb') as log:
            self._running[name] = subprocess.Popen(
                [sys.executable, '-m', 'maven_ros', *arguments, '--end-with-stdin'],
                stdin=subprocess.PIPE,  # closes when this process ends, however that happens
                stdout=log, stderr=subprocess.STDOUT, start_new_session=True)

    def ended(self, name: str) -> bool:
        """
        Tell whether a part has ended, well.

        :raises ResourceError: when it has failed; with the end of its log.
        """
        code = self._running[name].poll()
        if code:
            raise ResourceError(f'{name} ended with code {code} (all logs: {self._folder}):\n'
                                f'{self._last_words(name)}')
        return code == 0

    def check(self, *names: str) -> None:
        """
        Check that parts still run.

        :raises ResourceError: when one has ended.
        """
        for name in names or self._running:
            if self.ended(name):
                raise ResourceError(f'{name} ended too early:\n{self._last_words(name)}')

    def said(self, name: str) -> list[str]:
        """Return the lines that a part has said so far."""
        return (self._folder / f'{name}.log').read_text(
            encoding='utf-8', errors='replace').splitlines()

    def stop(self, name: str) -> None:
        """Ask a part to end; kill it when it does not."""
        process = self._running[name]
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def stop_all(self) -> None:
        """Stop every part; the recorder last, so that it hears what the others still say."""
        for name in sorted(self._running, key=lambda name: name == 'recorder'):
            self.stop(name)

    def _last_words(self, name: str) -> str:
        return '\n'.join(self.said(name)[-8:]).strip() or '(it said nothing)'


def _new_folder(out: Path) -> Path:
    folder = out / time.strftime('demo-%Y%m%d-%H%M%S')
    number = 1
    while True:
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:  # another demo began in the same second
            number += 1
            folder = folder.with_name(f'{folder.name.partition("_")[0]}_{number}')
        except OSError as error:
            raise ResourceError(f'{folder}: cannot be made: {error.strerror}') from error


def _wait_until_ready(heard: DemoCounts, parts: Parts, stop: threading.Event) -> None:
    deadline = time.monotonic() + _READY_S
    while not heard.ready() and not stop.wait(0.1):
        parts.check()
        if time.monotonic() > deadline:
            raise ResourceError(f'the affect node was not ready after {_READY_S:.0f} s')


def _place_of_view(parts: Parts, stop: threading.Event) -> str:
    """Wait until the view has said where it is; return that, and that it took another port."""
    deadline = time.monotonic() + _READY_S
    while not stop.wait(0.1):
        parts.check('view')
        lines = [line for line in parts.said('view') if line.startswith(('view: ', 'port '))]
        if lines and lines[-1].startswith('view: '):
            return '\n'.join(lines)
        if time.monotonic() > deadline:
            raise ResourceError(f'the view was not ready after {_READY_S:.0f} s')
    return ''


def _start_sources(
    parts: Parts, path: Path, camera: str | None, microphone: str | None, listeners: int,
) -> list[str]:
    """Start the player or the devices; return the names of the parts."""
    if camera is None and microphone is None:
        # The node, the recorder and the view listen before anything is played.
        parts.start('player', 'play', str(path), '--subscribers', str(listeners))
        return ['player']
    names = []
    for name, device in (('camera', camera), ('microphone', microphone)):
        if device is not None:
            parts.start(name, name, '--device', device)
            names.append(name)
    return names


def _watch(
    parts: Parts, sources: list[str], view: LiveView, stop: threading.Event, recorded: bool,
) -> None:
    """Show what comes until the file has ended or the user has had enough."""
    while not stop.wait(0.1):
        parts.check('affect', *(['recorder'] if recorded else []))
        view.refresh()
        ended = [parts.ended(name) for name in sources]  # looks at each: one may have failed
        if all(ended):
            stop.wait(_LAST_WORDS_S)
            return


def _counted(log: list[str]) -> str:
    """Return what a part dropped, by cause; nothing where it never came to say so."""
    said = [line.partition('; ')[2] for line in log
            if 'published ' in line or line.startswith('recorded ')]
    return said[-1] if said else ''


def _conclude(
    heard: DemoCounts, folder: Path, bag: Path | None, counted: Mapping[str, str]
) -> int:
    """Write the picture, where there is a bag, and say where everything is."""
    if not heard.states:
        say(f'no state was published; the logs are in {folder}', file=sys.stderr)
        return 1
    untrained = heard.states[-1].model.startswith('untrained')
    say(f'{len(heard.states)} states by {heard.states[-1].model}'
        + (' (untrained: they show that everything works, and mean nothing)'
           if untrained else ''))
    for name, what in counted.items():
        if what:
            say(f'counted:  {what}' if name == 'affect' else f'{name}: {what}')
    if bag is not None:  # else nothing is to be kept of these people, a picture neither
        picture = folder / 'timeline.png'
        draw_timeline(list(heard.states), list(heard.utterances), picture)
        size = sum(file.stat().st_size for file in bag.iterdir())
        say(f'bag:      {bag} ({readable(size)})')
        say(f'timeline: {picture}')
    return 0
