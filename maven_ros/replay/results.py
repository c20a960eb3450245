"""Write the results of a replay, its bag and tables, from its journal."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from maven_ros.errors import ResourceError
from maven_ros.graph.bag.bag_graph import BagGraph
from maven_ros.graph.convert import AFFECT_STATE
from maven_ros.graph.convert import UTTERANCE as UTTERANCE_TYPE
from maven_ros.graph.interface import STATE as STATE_QOS
from maven_ros.graph.messages import from_cdr
from maven_ros.graph.topics import (
    EVENT_TOPIC,
    OUTPUT_TYPES,
    STATE_SMOOTHED_TOPIC,
    STATE_TOPIC,
    UTTERANCE_TOPIC,
)
from maven_ros.replay.journal import read_journal
from maven_ros.replay.state_table import COLUMNS, row
from maven_ros.tables import write_tables

#: Entries of a replay's journal: messages in CDR, and times of windows (int64, float64).
STATE, UTTERANCE, TIMING, SMOOTHED, EVENT = 1, 2, 3, 4, 5
KINDS = {STATE_TOPIC: STATE, UTTERANCE_TOPIC: UTTERANCE, STATE_SMOOTHED_TOPIC: SMOOTHED,
         EVENT_TOPIC: EVENT}
KINDS |= {topic: kind for kind, topic in enumerate(
    (one for one in OUTPUT_TYPES if one not in KINDS), max(KINDS.values()) + 1)}
TIMING_COLUMNS = {'window_end_ns': 'int64', 'inference_ms': 'float64'}
#: The results of a replay, beside its summary.
NAMES = ('bag', 'states.parquet', 'states.csv', 'timing.csv')
#: A file that marks results in the folder of an unfinished replay as that replay's own.
_PLACING = 'placing'
_UNFINISHED = frozenset({*NAMES, _PLACING, 'journal', 'checkpoint', 'checkpoint.new'})


@dataclass
class Counted:
    """
    Counts of a replay's results, made while they are written.

    :param people: ids of all people.
    :param took_ms: computing time of each window.
    """

    windows: int = 0
    states: int = 0
    utterances: int = 0
    events: int = 0
    people: set[str] = field(default_factory=set)
    took_ms: list[float] = field(default_factory=list)

    def rows(self, journal: Path) -> Iterator[dict[str, Any]]:
        """Yield the rows of the states."""
        end_ns = None
        for entry in read_journal(journal):
            if entry.kind == STATE:
                found = row(from_cdr(entry.content, AFFECT_STATE), entry.known_ns)
                self.states += 1
                self.windows += found['window_end_ns'] != end_ns
                end_ns = found['window_end_ns']
                self.people.update(filter(None, (found['person_id'],)))
                yield found
            elif entry.kind == UTTERANCE:
                self.utterances += from_cdr(entry.content, UTTERANCE_TYPE).is_final
            elif entry.kind == EVENT:
                self.events += 1

    def timings(self, journal: Path) -> Iterator[dict[str, Any]]:
        """Yield the rows of the windows' computing times."""
        for entry in read_journal(journal):
            if entry.kind == TIMING:
                end_ns, took_ms = struct.unpack('<qd', entry.content)
                self.took_ms.append(took_ms)
                yield {'window_end_ns': end_ns, 'inference_ms': took_ms}

    @property
    def inference_ms(self) -> dict[str, float]:
        """Median, p95 and worst computing time of a window; empty without windows."""
        if not self.took_ms:
            return {}
        found = np.percentile(self.took_ms, (50, 95, 100)).round(3).tolist()
        return dict(zip(('median', 'p95', 'worst'), found, strict=True))


def write_results(out: Path, folder: Path, bag: Path, storage: str) -> Counted:
    """
    Write the results beside the unfinished replay, then put them in place.

    The journal must be on the disk and still open, so that no other replay writes there.

    :param folder: folder of the unfinished replay.
    :param bag: the replayed bag.
    :param storage: storage of the written bag.
    :raises ResourceError: if the results cannot be written, or their place is taken.
    """
    journal = folder / 'journal'
    new = [folder / name for name in NAMES]
    for path in new:  # remains of an earlier attempt
        remove(path)
    counted = Counted()
    _write_bag(journal, new[0], storage)
    write_tables(counted.rows(journal), COLUMNS, (new[1], new[2]))
    write_tables(counted.timings(journal), TIMING_COLUMNS, (new[3],))
    check_out(out, bag)
    try:
        (folder / _PLACING).touch()
        for path in new:
            remove(out / path.name)
            path.replace(out / path.name)
    except OSError as error:
        raise ResourceError(f'{out}: cannot be written: {error.strerror}') from error
    return counted


def check_out(out: Path, bag: Path) -> None:
    """
    Check that a replay may write into a folder.

    :param out: folder of the replay.
    :param bag: the bag to replay.
    :raises ResourceError: if the folder holds a finished replay, or other files under the
        results' names, or if the written bag would overlap with the replayed one.
    """
    target, source = (out / 'bag').resolve(), bag.resolve()
    if target == source or target in source.parents or source in target.parents:
        raise ResourceError(f'{out}: the result would be in {target}, and the bag is {source}; '
                            'allowed: a folder apart from the bag')
    if (out / 'summary.json').exists():
        raise ResourceError(f'{out}: holds a finished replay; allowed: a folder without one')
    unfinished = out / 'unfinished'
    left = {path.name for path in unfinished.iterdir()} if unfinished.is_dir() else set()
    foreign = [name for name in NAMES if (out / name).exists()] if _PLACING not in left else []
    if left - _UNFINISHED or (left and 'journal' not in left):
        foreign.append('unfinished')
    if foreign:
        raise ResourceError(f'{out}: holds {", ".join(foreign)} that no replay has written; '
                            'allowed: a folder without')


def _write_bag(journal: Path, path: Path, storage: str) -> None:
    with BagGraph(path, 'w', storage) as bag:
        publishers = {kind: bag.advertise(topic, OUTPUT_TYPES[topic], STATE_QOS)
                      for topic, kind in KINDS.items()}
        for entry in read_journal(journal):
            if entry.kind in publishers:
                publishers[entry.kind].publish_cdr(entry.content, entry.known_ns)


def remove(path: Path) -> None:
    """
    Remove a file or a folder, if it exists.

    :raises ResourceError: if it cannot be removed.
    """
    try:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise ResourceError(f'{path}: cannot be removed: {error.strerror}') from error
