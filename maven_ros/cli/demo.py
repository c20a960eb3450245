"""
The demo: a source, the affect node, a recorder and a panel of live states in one command.

Each part is a process on the embedded graph, as on a robot. The panel shows what any subscriber
receives.
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
from maven_ros.devices.media import Media, probe
from maven_ros.errors import MavenError, ResourceError
from maven_ros.files import owner_only, readable
from maven_ros.graph.dds.domain import stay_on_this_machine
from maven_ros.graph.interface import STATE, Graph, Subscription
from maven_ros.graph.messages import from_cdr
from maven_ros.graph.topics import (
    AUDIO_TOPIC,
    BEHAVIOUR_TOPIC,
    DIAGNOSTICS_TOPIC,
    IMAGE_TOPIC,
    OUTPUT_TYPES,
    ROBOT_TYPES,
    hear_affect,
)
from maven_ros.records import NS, AffectState, Utterance
from maven_ros.report.timeline import draw_timeline
from maven_ros.resources import resource
from maven_ros.text import say

_READY_S = 60.0      # the node loads its models, which is slow from a cold disk
_LAST_WORDS_S = 2.0  # after the end of a file, the last windows close and words are recognised
_KEPT = 36_000       # most states in the picture: two hours at 5 Hz
_STOP_S = 3.0
_JPEG_BYTES = 0.3    # a pixel: 0.31 on the shipped clip
_SAMPLE_BYTES = 2


@owner_only()
def run_demo(
    media: Path | None, camera: str | None, microphone: str | None, record: bool, out: Path,
    settings: Sequence[str], stop: threading.Event, rerun: bool = False,
    behaviour: bool = False,
) -> int:
    """
    Run the demo until its file ends or ``stop`` is set.

    :param media: a video or sound file; the shipped clip if no device is named either.
    :param camera: camera to use instead of a file.
    :param microphone: microphone to use instead of a file.
    :param record: whether to record live devices and draw a picture; files always are.
    :param out: folder in which a new folder for this run is created.
    :param settings: flags for the affect node.
    :param rerun: whether to open the view in Rerun; it stays after a file's end, until ``stop``
        is set.
    :param behaviour: whether to run the example behaviour.
    :returns: 0 if states were published.
    :raises ResourceError: if a part fails; the message holds the end of its log.
    :raises MavenError: if ``stop`` was set before the file's end.
    """
    live = camera is not None or microphone is not None
    if live and media is not None:
        raise ResourceError(f'--media {media} and live devices: choose one of them')
    stay_on_this_machine(os.environ)
    path = media or resource('media/sample.mp4')
    found = None if live else probe(path)
    folder = _new_folder(out)
    bag = folder / 'bag' if record or not live else None
    if bag is not None:
        say(f'recording to {bag}: {_size_of(found)}')
    from maven_ros.graph.dds.dds_graph import DdsGraph

    heard = DemoCounts()
    with DdsGraph(node_name='maven_ros_demo') as graph, Parts(folder) as parts:
        view = LiveView(str(media or 'the shipped clip') if not live else 'live devices')
        view.say('loading the models ...')
        parts.start('affect', 'run', *settings)
        if bag is not None:
            parts.start('recorder', 'record', '--jpeg', '--out', str(bag), *_recorded(behaviour))
        if behaviour:
            parts.start('behaviour', 'behaviour')
            heard.listen_to_behaviour(graph, view)
        if rerun:
            parts.start('view', 'view')
            view.say(_place_of_view(parts, stop))
        heard.listen(graph, view)
        with suppress(ImportError):  # imported early, because the end must be quick
            import matplotlib.backends.backend_agg
            import matplotlib.figure  # noqa: F401
        _wait_until_ready(heard, parts, stop)
        if stop.is_set():
            raise MavenError(f'stopped before anything was played; the logs are in {folder}')
        listeners = 1 + (bag is not None) + rerun
        names = _start_sources(parts, path, camera, microphone, listeners)
        with view:
            _watch(parts, names, view, stop, bag is not None)
            cut = stop.is_set() and not live
            parts.stop('affect')     # it publishes its last outputs,
            time.sleep(0.2)          # which need some time to arrive here and at the recorder
        if bag is not None:
            parts.stop('recorder')
            parts.ended('recorder')  # raises if the bag could not be completed
        counted = {name: _counted(parts.said(name)) for name in ('affect', 'recorder')
                   if name == 'affect' or bag is not None}
        code = _conclude(heard, folder, bag, counted)
        if cut:
            raise MavenError(f'stopped before the end of {path}; the recording ends there')
        if rerun and not live:
            view.say('the view stays until Ctrl-C')
            while not stop.wait(0.1) and not parts.ended('view'):
                pass
    return code


def _recorded(behaviour: bool) -> list[str]:
    """Return the topics of the demo."""
    return [IMAGE_TOPIC, AUDIO_TOPIC, *OUTPUT_TYPES, DIAGNOSTICS_TOPIC,
            *(ROBOT_TYPES if behaviour else ())]


def _size_of(media: Media | None) -> str:
    """Return about how large a recording of a file, or of live devices, becomes."""
    if media is None:
        per_s = _JPEG_BYTES * 640 * 480 * 30
        return f'about {readable(round(per_s))} a second with pictures of 640x480'
    per_s = (_JPEG_BYTES * media.width * media.height * media.frame_rate
             + _SAMPLE_BYTES * media.sample_rate_hz * media.channels)
    if not media.duration_ns:
        return f'about {readable(round(per_s))} a second'
    return f'about {readable(round(per_s * media.duration_ns / NS))}'


class DemoCounts:
    """The states and utterances that the demo has received."""

    def __init__(self) -> None:
        self.states: deque[AffectState] = deque(maxlen=_KEPT)
        self.utterances: deque[Utterance] = deque(maxlen=_KEPT)
        self._subscriptions: list[Subscription] = []

    def listen(self, graph: Graph, view: LiveView) -> None:
        """Subscribe to the affect node's outputs, and show them."""
        def on_state(state: AffectState, latency_s: float) -> None:
            self.states.append(state)
            view.show_state(state, latency_s)

        def on_utterance(utterance: Utterance) -> None:
            self.utterances.append(utterance)
            view.show_utterance(utterance)

        self._subscriptions += hear_affect(graph, on_state, on_utterance)

    def listen_to_behaviour(self, graph: Graph, view: LiveView) -> None:
        """Subscribe to the example behaviour, and show it."""
        msgtype = ROBOT_TYPES[BEHAVIOUR_TOPIC]
        self._subscriptions.append(graph.subscribe(
            BEHAVIOUR_TOPIC, msgtype, STATE,
            lambda received: view.show_behaviour(from_cdr(received.cdr, msgtype).data)))

    def ready(self) -> bool:
        """Tell whether the affect node publishes."""
        return all(one.publisher_count() > 0 for one in self._subscriptions)


class Parts(AbstractContextManager['Parts']):
    """
    The processes of the demo, each with its own log. None outlives this object.

    Each gets its own session, so that Ctrl-C reaches only the demo, which then stops them in the
    right order.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop all running parts."""
        self.stop_all()

    def start(self, name: str, *arguments: str) -> None:
        """Start ``maven-ros ARGUMENTS`` under a name."""
        with (self._folder / f'{name}.log').open('wb') as log:
            self._running[name] = subprocess.Popen(
                [sys.executable, '-m', 'maven_ros', *arguments, '--end-with-stdin'],
                stdin=subprocess.PIPE,  # closes at any end of this process
                stdout=log, stderr=subprocess.STDOUT, start_new_session=True)

    def ended(self, name: str) -> bool:
        """
        Tell whether a part has ended without an error.

        :raises ResourceError: if it has failed; holds the end of its log.
        """
        code = self._running[name].poll()
        if code:
            raise ResourceError(f'{name} ended with code {code} (all logs: {self._folder}):\n'
                                f'{self._last_words(name)}')
        return code == 0

    def check(self, *names: str) -> None:
        """
        Check that parts still run.

        :raises ResourceError: if one has ended.
        """
        for name in names or self._running:
            if self.ended(name):
                raise ResourceError(f'{name} ended too early:\n{self._last_words(name)}')

    def said(self, name: str) -> list[str]:
        """Return the lines in a part's log."""
        return (self._folder / f'{name}.log').read_text(
            encoding='utf-8', errors='replace').splitlines()

    def stop(self, name: str) -> None:
        """Terminate a part; kill it if it does not end."""
        process = self._running[name]
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def stop_all(self) -> None:
        """Stop every part; the recorder last, so that it records the others' last messages."""
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
    """Wait for the view; return its address, and whether it took another port."""
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
        # The player waits for the node, the recorder and the view.
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
    """Show states until the file ends or ``stop`` is set."""
    while not stop.wait(0.1):
        parts.check('affect', *(['recorder'] if recorded else []))
        view.refresh()
        ended = [parts.ended(name) for name in sources]  # checks each: one may have failed
        if all(ended):
            stop.wait(_LAST_WORDS_S)
            return


def _counted(log: list[str]) -> str:
    """Return a part's counts of drops by cause, from its log; empty if it logged none."""
    said = [line.partition('; ')[2] for line in log
            if 'published ' in line or line.startswith('recorded ')]
    return said[-1] if said else ''


def _conclude(
    heard: DemoCounts, folder: Path, bag: Path | None, counted: Mapping[str, str]
) -> int:
    """Draw the picture, if there is a bag, and print where the results are."""
    if not heard.states:
        say(f'no state was published; the logs are in {folder}', file=sys.stderr)
        return 1
    untrained = heard.states[-1].model.startswith('untrained')
    say(f'{len(heard.states)} states by {heard.states[-1].model}'
        + (' (untrained: they show that the node works, but have no meaning)'
           if untrained else ''))
    for name, what in counted.items():
        if what:
            say(f'counted:  {what}' if name == 'affect' else f'{name}: {what}')
    if bag is not None:  # otherwise nothing about these people may be kept, not even a picture
        picture = folder / 'timeline.png'
        draw_timeline(list(heard.states), list(heard.utterances), picture)
        size = sum(file.stat().st_size for file in bag.iterdir())
        say(f'bag:      {bag} ({readable(size)})')
        say(f'timeline: {picture}')
    return 0
