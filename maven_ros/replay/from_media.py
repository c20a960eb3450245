"""Convert media files to bags, with the messages and times of the player."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maven_ros.counters import Counters
from maven_ros.devices.media import probe
from maven_ros.devices.player import Player, PlayerReport
from maven_ros.errors import MavenError, ResourceError, SettingsError
from maven_ros.files import owner_only, written_folder
from maven_ros.graph.bag.bag_graph import BagGraph
from maven_ros.records import NS

#: Time of a file's beginning in its bag: 2000-01-01, so that bags are reproducible.
START_NS = 946_684_800 * NS


@dataclass(frozen=True, slots=True)
class MediaBag:
    """A new bag and its content."""

    path: Path
    report: PlayerReport
    skipped: dict[str, int]


@owner_only()
def bags_from_media(
    files: Sequence[Path], out: Path, *, storage: str = 'mcap', compressed: bool = True,
    width: int = 0, loop: int = 1, stop: threading.Event | None = None,
    done: Callable[[MediaBag], None] | None = None, video_stream: int = 0, audio_stream: int = 0,
) -> list[MediaBag]:
    """
    Convert media files to bags with ``/camera/image_raw`` and ``/audio``, named as the files.

    :param out: folder of the bags.
    :param storage: mcap or sqlite3.
    :param compressed: whether to write JPEG pictures on ``/camera/image_raw/compressed``.
    :param width: largest width of pictures in pixels; 0 keeps their size.
    :param loop: number of times each file is played.
    :param stop: ends the conversion early when set; complete bags stay, and the current one is
        not written.
    :param done: called after each bag.
    :param video_stream: number of the stream, from 1; 0 for the file's default.
    :param audio_stream: number of the stream, from 1; 0 for the file's default.
    :raises ResourceError: for a file that cannot be read, two files of one name, or a bag that
        exists already.
    :raises MavenError: if ``stop`` was set.
    """
    if loop < 1:
        raise SettingsError(f'loop: {loop!r}; allowed: at least 1, for a bag must end')
    stop = stop or threading.Event()
    paths: dict[Path, Path] = {}
    for file in files:
        other = paths.setdefault(out / file.stem, file)
        if other is not file:
            raise ResourceError(f'{file}, {other}: both would be {out / file.stem}; allowed: '
                                'files of different names')
    bags: list[MediaBag] = []
    for path, file in paths.items():
        bags.append(_make(file, path, storage, stop, compressed=compressed, width=width,
                          loop=loop, video_stream=video_stream, audio_stream=audio_stream))
        if done:
            done(bags[-1])
    return bags


def _make(
    file: Path, path: Path, storage: str, stop: threading.Event, *, video_stream: int,
    audio_stream: int, **how: Any,
) -> MediaBag:
    # Check the file before anything is written.
    probe(file, video_stream=video_stream, audio_stream=audio_stream)
    counters = Counters()
    if path.exists():
        raise ResourceError(f'{path}: exists already; allowed: a path where nothing is yet')
    stopped = MavenError(f'{path}: stopped; nothing of it is written')
    if stop.is_set():
        raise stopped
    with written_folder(path) as beside:
        with BagGraph(beside, 'w', storage) as bag:
            bag.time_ns = START_NS
            report = _Recorder(
                bag, file, subscribers=0, counters=counters, video_stream=video_stream,
                audio_stream=audio_stream, **how).run(stop)
        if stop.is_set():
            raise stopped
    return MediaBag(path, report, counters.snapshot())


class _Recorder(Player):
    """A player that does not wait: the bag's time follows the media's time."""

    def __init__(self, bag: BagGraph, file: Path, **how: Any) -> None:
        super().__init__(bag, file, **how)
        self._bag = bag

    def _keep_time(self, started_ns: int, media_ns: int, stop: threading.Event) -> bool:
        self._bag.time_ns = START_NS + media_ns
        return not stop.is_set()
