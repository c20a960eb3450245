"""The view of a bag: its recorded inputs, its states, and annotations."""

from __future__ import annotations

import heapq
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

from maven_ros.affect import Affect
from maven_ros.counters import Counters
from maven_ros.errors import MavenError, ResourceError
from maven_ros.graph.bag.bag_graph import BagGraph
from maven_ros.graph.interface import Received
from maven_ros.graph.topics import STATE_TOPIC
from maven_ros.replay.pictures import picture_stamps
from maven_ros.replay.replay import default_out
from maven_ros.replay.replayed import is_complete, name_of
from maven_ros.replay.sources import Sources, find_sources, sound_info
from maven_ros.scoring.annotations import Annotation, AnnotationFolder, read_file
from maven_ros.text import say
from maven_ros.view import DEFAULT_PORT
from maven_ros.view.reader import TYPES, Reader
from maven_ros.view.recording import Recording
from maven_ros.view.screen import Screen

_POLL_S = 0.2


def view_bag(
    bag: Path, stop: threading.Event, annotations: Path | None = None,
    sources: Sources | None = None, port: int = DEFAULT_PORT, save: Path | None = None,
) -> None:
    """
    Show a bag with its states until ``stop`` is set.

    What is saved is complete, or not there.

    :param bag: folder of a rosbag2, or one of its files. The states are in the bag, or in the
        replay beside it.
    :param annotations: folder of NAME.txt or NAME.csv, as for ``maven-ros evaluate bags``.
    :raises ResourceError: if there are no states; and as :class:`Recording`.
    :raises GraphError: as :func:`maven_ros.replay.sources.find_sources`.
    :raises InputError: for annotations that cannot be used.
    :raises MavenError: if ``stop`` was set before everything was drawn.
    """
    stop.is_set()  # from now on a signal ends it in order
    with ExitStack() as stack:
        graph = stack.enter_context(BagGraph(bag))
        found = find_sources(graph, sources or Sources())
        believed = stack.enter_context(BagGraph(_states_of(bag, graph)))
        rated = _annotations(bag, annotations, found.image)
        recording = stack.enter_context(Recording(False, port, save))
        counters = Counters()
        _draw(recording.screen, counters, graph, found, believed, rated, stop)
        if stop.is_set():
            recording.close()
            if save is not None:
                save.unlink(missing_ok=True)
            raise MavenError(f'{bag}: stopped before everything was drawn'
                             + (f'; {save} is not written' if save else ''))
        recording.flush()
        for name, count in counters.snapshot().items():
            say(f'{name}: {count}')
        recording.announce()
        while not stop.wait(_POLL_S):
            recording.check()


def _states_of(bag: Path, graph: BagGraph) -> Path:
    """Return the bag with the states: the replay's bag, or the bag itself."""
    beside = default_out(bag)
    if is_complete(beside):
        return beside / 'bag'
    if graph.resolve(STATE_TOPIC) in graph.topics():
        return bag
    raise ResourceError(f'{bag}: holds no states, and was not replayed into {beside}; first: '
                        f'maven-ros replay {bag}')


def _annotations(bag: Path, folder: Path | None, image_topic: str) -> list[Annotation]:
    if folder is None:
        return []
    name = name_of(bag)
    files = AnnotationFolder(folder, [name]).of_bag(name)
    stamps_ns = picture_stamps(bag, image_topic)
    return [one for file, side in files for one in read_file(file, side, stamps_ns)]


def _draw(
    screen: Screen, counters: Counters, graph: BagGraph, sources: Sources, believed: BagGraph,
    rated: Sequence[Annotation], stop: threading.Event,
) -> None:
    """Draw everything in order of time."""
    recorded = [topic for role, topic in asdict(sources).items()
                if topic and role in ('image', 'audio', 'audio_info')]
    told = [topic for topic in map(believed.resolve, TYPES) if topic in believed.topics()]
    streams: list[Iterator[Received]] = [graph.read(recorded), believed.read(told)]
    reader = Reader(graph, screen, counters)
    reader.describe(sound_info(graph, sources))
    for received in heapq.merge(*streams, key=lambda one: one.received_ns):
        if stop.is_set():
            return
        reader.take(received)
    for one in rated:
        for stamp_ns, (valence, arousal) in zip(one.times_ns, one.affect, strict=True):
            screen.show_annotation(int(stamp_ns), one.person, Affect(valence, arousal))
