"""Read the results of replays, and make the replays that a benchmark still needs."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from maven_ros.engine import Engine
from maven_ros.errors import ResourceError
from maven_ros.graph.bag.bag_graph import BagGraph
from maven_ros.graph.convert import utterance_record
from maven_ros.graph.messages import from_cdr
from maven_ros.graph.topics import UTTERANCE_TOPIC
from maven_ros.records import AffectState, Utterance, nanoseconds
from maven_ros.replay.excerpt import Excerpt
from maven_ros.replay.replay import Progress, ReplayOptions, default_out, replay
from maven_ros.replay.sources import Sources, find_sources
from maven_ros.replay.state_table import read_states
from maven_ros.replay.summary import Summary, differences, identify, read_summary
from maven_ros.settings import Settings
from maven_ros.tables import read_table
from maven_ros.text import shown


@dataclass(frozen=True)
class ReplayTask:
    """
    A replay to make.

    :param bag: the bag to read.
    :param out: folder of the result; a complete replay is kept, an interrupted one continues.
    :param without: modalities and pathways that are withheld from the model.
    :param sources: the topics; topics that are not named are found.
    """

    bag: Path
    out: Path
    settings: Settings
    without: tuple[str, ...] = ()
    sources: Sources = field(default_factory=Sources)

    @property
    def name(self) -> str:
        """The bag's path."""
        return str(self.bag)


@dataclass(frozen=True)
class Replayed:
    """
    The results of a replay.

    :param inference_ms: float64 (windows,), time from a message to its states.
    :param latency_ms: float64 (states,), time from a window's end until it closed, in the bag's
        time.
    """

    summary: Summary
    states: list[AffectState]
    utterances: list[Utterance]
    inference_ms: NDArray[np.float64]
    latency_ms: NDArray[np.float64]

    @property
    def origin_ns(self) -> int:
        """One hop before the first window's end, which is about the recording's beginning."""
        return self.states[0].window_end_ns - nanoseconds(self.hop_s) if self.states \
            else self.summary.start_ns

    @property
    def image_topic(self) -> str:
        """The topic of the pictures; empty without a camera."""
        return self.summary.topics.get('image', '')

    @property
    def hop_s(self) -> float:
        """The time from one window to the next."""
        return float(self.summary.settings['windows.hop_s'])


def read_replayed(folder: Path) -> Replayed:
    """
    Read the folder of a complete replay.

    :raises ResourceError: if there is none, or it is damaged.
    """
    summary = read_summary(folder)
    with BagGraph(folder / 'bag') as graph:  # the states are read from the table
        utterances = [utterance_record(from_cdr(one.cdr, one.msgtype))
                      for one in graph.read([graph.resolve(UTTERANCE_TOPIC)])]
    waited = read_table(folder / 'states.parquet', ['latency_ns'])
    return Replayed(
        summary, read_states(folder / 'states.parquet'), utterances,
        _timing(folder / 'timing.csv'),
        np.array(waited['latency_ns'], np.float64) / 1e6)


def _timing(path: Path) -> NDArray[np.float64]:
    try:
        lines = path.read_text(encoding='utf-8').splitlines()[1:]  # empty if no window closed
        return np.array([float(line.split(',')[1]) for line in lines], np.float64)
    except (OSError, ValueError, IndexError) as error:
        raise ResourceError(f'{path}: cannot be read: {error}') from error


def name_of(bag: Path) -> str:
    """Return a bag's name as text: that of its folder, or of its file without the suffix."""
    return shown(bag.stem if bag.is_file() else bag.resolve().name)


def is_complete(folder: Path) -> bool:
    """Tell whether a folder holds a complete replay."""
    return (folder / 'summary.json').is_file()


def folder_for(bag: Path, out: Path, without: tuple[str, ...]) -> Path:
    """
    Return the folder of a bag's replay, whether it exists or not.

    It is below ``out``, unless ``maven-ros replay`` has made a replay beside the bag.
    """
    beside = default_out(bag)
    if not without and is_complete(beside):
        return beside
    return out / 'replays' / '_without_'.join((name_of(bag), *without))


def run_replay(
    task: ReplayTask, progress: Progress | None = None, stop: threading.Event | None = None,
) -> None:
    """
    Make a replay, unless it is complete.

    :raises ResourceError: if the complete replay was made with other settings or from another
        bag; and as :func:`maven_ros.replay.replay.replay`.
    """
    if is_complete(task.out):
        return _check(task, read_summary(task.out))
    options = ReplayOptions(sources=task.sources, without=task.without)
    if replay(task.bag, task.settings, task.out, options, stop, progress) is None:
        raise ResourceError(f'{task.bag}: stopped')
    return None


def _check(task: ReplayTask, found: Summary) -> None:
    """Check that a complete replay is the one that the task would make now."""
    settings = task.settings.with_absolute_paths()
    engine = Engine(settings.model, settings.windows, settings.faces.rate_hz)
    with BagGraph(task.bag) as graph:
        sources = find_sources(
            graph, task.sources, settings.faces.ros4hri, settings.unused_inputs())
        part = Excerpt(task.bag.resolve(), sources, *graph.span_ns)
    wanted = identify(part, settings, task.without, engine)
    if differing := differences(found.identity, wanted):
        raise ResourceError(f'{task.out}: was made differently ({differing}); remove it, or use '
                            'the same settings')
