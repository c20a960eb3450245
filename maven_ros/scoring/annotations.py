"""
Annotations: valence and arousal by raters, from files or from a topic of the bag.

- ``NAME.txt`` or ``NAME.csv`` with the header ``valence,arousal`` has Aff-Wild2's format: line i
  after the header belongs to the bag's i-th picture in order of stamps, and has its stamp as time.
- With the header ``time_s,valence,arousal[,person_id]``, the time of a line is the stamp of the
  bag's first picture plus ``time_s``.
- A topic ``/affect/annotation`` of ``maven_ros/AffectState`` has the times of its stamps.

``NAME`` is the name of the bag. Aff-Wild2's ``NAME_left`` and ``NAME_right`` annotate the person
on that side of the picture. The value -5 (NaN on the topic) means *unlabelled*. Any other value
outside [-1, 1] is an error, so that a benchmark does not silently lose data.
"""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from maven_ros.errors import InputError, ResourceError
from maven_ros.graph.bag.bag_graph import BagGraph
from maven_ros.graph.convert import AFFECT_STATE, state_record
from maven_ros.graph.interface import STATE, Received
from maven_ros.graph.messages import from_cdr
from maven_ros.records import AffectState, nanoseconds
from maven_ros.text import shown

ANNOTATION_TOPIC = 'affect/annotation'
UNLABELLED = -5.0
SIDES = ('left', 'right')
#: If a file's lines and a bag's pictures differ in number: refuse the file, or take line i for
#: picture i as far as both go.
MISMATCHES = ('exclude', 'cut')

_FRAMES_HEADER = ['valence', 'arousal']
_TIMES_HEADER = ['time_s', 'valence', 'arousal']
_HEADERS = 'valence,arousal (a line a picture) or time_s,valence,arousal[,person_id]'
_OTHER_TRACKS = {'expression': 'neutral', 'action unit': 'au1'}  # first column of their headers
SUFFIXES = ('.txt', '.csv')
_FURTHEST_S = 1e9  # from the first picture; a stamp plus this fits into 64 bits of ns

#: Seconds (NaN if the file has one line per picture), valence, arousal.
_Row: TypeAlias = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Annotation:
    """
    The annotation of one person in one bag.

    :param person: a track id, ``'left'`` or ``'right'`` in the picture, or empty for the largest
        face.
    :param source: the file or topic that it comes from.
    :param times_ns: int64 (n,), ascending, on the bag's clock.
    :param affect: float64 (n, 2), valence and arousal in [-1, 1].
    :param unlabelled: number of further entries without a label.
    :param uneven: how many lines or pictures are left out, in words; empty if none is.
    """

    person: str
    source: str
    times_ns: NDArray[np.int64]
    affect: NDArray[np.float64]
    unlabelled: int
    uneven: str = ''


class AnnotationFolder:
    """
    A folder of annotation files, which are matched to bags by name.

    :param names: names of the bags to evaluate.
    :raises ResourceError: if the folder does not exist, or holds no annotation file.
    """

    def __init__(self, path: Path, names: Sequence[str]) -> None:
        if not path.is_dir():
            raise ResourceError(f'{path}: no such folder of annotations')
        files = sorted(one for one in path.iterdir() if one.suffix in SUFFIXES)
        if not files:
            raise ResourceError(f'{path}: holds no annotations; allowed: NAME.txt, NAME.csv')
        self._files: dict[str, list[tuple[Path, str]]] = {name: [] for name in names}
        #: Files whose name matches no bag.
        self.unmatched: list[Path] = []
        for file in files:
            whole = shown(file.stem)
            name, _, side = whole.rpartition('_')
            if whole in self._files:
                self._files[whole].append((file, ''))
            elif side in SIDES and name in self._files:
                self._files[name].append((file, side))
            else:
                self.unmatched.append(file)

    def of_bag(self, name: str) -> list[tuple[Path, str]]:
        """
        Return the files of a bag, each with the side of the picture that it annotates.

        :raises InputError: if there is none, or two annotate the same side.
        """
        files = self._files[name]
        if not files:
            raise InputError('no_annotation', f'{name}: no annotation file has this name; '
                                              f'allowed: {name}.txt, {name}.csv')
        sides = [side for _, side in files]
        if len(set(sides)) < len(sides):
            raise InputError('ambiguous_annotation',
                             f'{name}: annotated more than once, by '
                             f'{", ".join(file.name for file, _ in files)}; allowed: one file')
        return files


def read_file(
    path: Path, side: str, stamps_ns: NDArray[np.int64], mismatch: str = 'exclude',
) -> list[Annotation]:
    """
    Read one file.

    :param side: side of the picture, for people whom the file does not name; or empty.
    :param stamps_ns: int64, stamps of the bag's pictures, ascending.
    :param mismatch: what is done if lines and pictures differ in number, of :data:`MISMATCHES`.
    :returns: one annotation per person.
    :raises InputError: names the line, the value and the allowed values.
    """
    if not len(stamps_ns):
        raise InputError('no_pictures', f'{path.name}: the bag has no picture to count times from')
    people = parse_file(path)
    if math.isfinite(next(iter(people.values()))[0][0]):
        return [_annotation(path.name, person or side, np.array(
            [stamps_ns[0] + nanoseconds(row[0]) for row in own], np.int64), own)
            for person, own in people.items()]
    rows, uneven = people[''], ''
    count = min(len(rows), len(stamps_ns))
    if len(rows) != len(stamps_ns):
        uneven = f'{path.name}: {len(rows)} lines of values for {len(stamps_ns)} pictures'
        if mismatch == 'exclude':
            raise InputError('line_count', f'{uneven}; allowed: one per picture, or `evaluate '
                                           f'bags --mismatch cut` for the first {count}')
        uneven += f': the first {count} are used'
    return [_annotation(path.name, side, stamps_ns[:count], rows[:count], uneven)]


def parse_file(path: Path) -> dict[str, list[_Row]]:
    """
    Parse one file, without the bag that it is about.

    :returns: at least one row of seconds, valence and arousal for each person; seconds are NaN if
        the file has one line per picture. A person whom it does not name is ``''``.
    :raises InputError: names the line, the value and the allowed values.
    """
    rows = _read_rows(path)
    header = [cell.strip().lower() for cell in rows[0]] if rows else []
    people: dict[str, list[_Row]] = {}
    if header == _FRAMES_HEADER:
        for row in _frame_rows(path, rows[1:]):
            people.setdefault('', []).append(row)
    elif header[:3] == _TIMES_HEADER and header[3:] in ([], ['person_id']):
        for person, timed in _timed_rows(path, rows[1:]):
            people.setdefault(person, []).append(timed)
    else:
        raise InputError('missing_header', f'{path.name}: begins with {",".join(header)!r}; '
                                           f'allowed: {_HEADERS}')
    if not people:
        raise InputError('empty', f'{path.name}: holds no value; allowed: at least one line')
    return people


def read_frame_values(path: Path) -> NDArray[np.float32]:
    """
    Read an Aff-Wild2 file of valence and arousal, with one line per picture.

    :returns: float32 (lines, 2) in [-1, 1]; both values are NaN if either is unlabelled.
    :raises InputError: names the line, the value and the allowed values, or the track if the
        file belongs to another one.
    """
    rows = _read_rows(path)
    header = [cell.strip().lower() for cell in rows[0]] if rows else []
    if header != _FRAMES_HEADER:
        track = next((name for name, first in _OTHER_TRACKS.items() if header[:1] == [first]), '')
        is_of = f'is of the {track} track: it ' if track else ''
        raise InputError('other_track' if track else 'missing_header',
                         f'{path.name}: {is_of}begins with {",".join(header)!r}; allowed: '
                         f'{",".join(_FRAMES_HEADER)} (a line a picture)')
    values = np.array([row[1:] for row in _frame_rows(path, rows[1:])], np.float32).reshape(-1, 2)
    values[~np.isfinite(values).all(1)] = np.nan
    return values


def read_topic(bag: Path, topic: str = ANNOTATION_TOPIC) -> list[Annotation]:
    """
    Read the annotations that are stored in the bag itself.

    :returns: one annotation per person.
    :raises InputError: if there are none, or a value is outside [-1, 1].
    :raises ResourceError: if the bag cannot be read.
    """
    people: dict[str, list[AffectState]] = {}

    def heard(received: Received) -> None:
        state = state_record(from_cdr(received.cdr, received.msgtype))
        people.setdefault(state.person_id, []).append(state)

    with BagGraph(bag) as graph:
        topics = ', '.join(graph.topics()) or 'none'
        graph.subscribe(topic, AFFECT_STATE, STATE, heard)
        graph.play()
    if not people:
        raise InputError('no_annotation', f'{bag.name}: nothing on /{topic}; its topics: {topics}')
    found = []
    for person, states in people.items():
        states.sort(key=lambda state: state.window_end_ns)
        rows = []
        for state in states:
            where = f'{bag.name}: /{topic} at {state.window_end_ns} ns:'
            rows.append((math.nan, _checked(f'{where} valence', state.affect.valence),
                         _checked(f'{where} arousal', state.affect.arousal)))
        times_ns = np.array([state.window_end_ns for state in states], np.int64)
        found.append(_annotation(f'/{topic}', person, times_ns, rows))
    return found


def check_people(bag: str, annotations: Sequence[Annotation]) -> None:
    """
    Check that no person in a bag has two annotations, such as two files with the same person.

    :raises InputError: names the person and the sources.
    """
    for person, count in Counter(one.person for one in annotations).items():
        if count > 1:
            sources = ', '.join(one.source for one in annotations if one.person == person)
            raise InputError('ambiguous_annotation', f'{bag}: {person or "the largest face"} is '
                             f'annotated {count} times, in {sources}; allowed: once')


def _read_rows(path: Path) -> list[list[str]]:
    """Return the lines of a file, without empty lines at its end."""
    try:
        with path.open(encoding='utf-8-sig', newline='') as file:
            rows = list(csv.reader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError('unreadable', f'{path.name}: cannot be read: {error}') from error
    while rows and not any(cell.strip() for cell in rows[-1]):
        rows.pop()
    return rows


def _frame_rows(path: Path, rows: list[list[str]]) -> Iterator[_Row]:
    for line, row in enumerate(rows, 2):
        where = f'{path.name}: line {line}'
        if len(row) != 2:
            raise InputError('bad_line', f'{where}: {",".join(row)!r}; allowed: valence,arousal')
        yield math.nan, _value(where, 'valence', row[0]), _value(where, 'arousal', row[1])


def _timed_rows(path: Path, rows: list[list[str]]) -> Iterator[tuple[str, _Row]]:
    last_s: dict[str, float] = {}
    for line, row in enumerate(rows, 2):
        where = f'{path.name}: line {line}'
        if len(row) not in (3, 4):
            raise InputError('bad_line', f'{where}: {",".join(row)!r}; allowed: '
                                         'time_s,valence,arousal[,person_id]')
        person = row[3].strip() if len(row) == 4 else ''
        time_s = _number(where, 'time_s', row[0])
        least_s = last_s.get(person, -_FURTHEST_S)
        if not least_s < time_s < _FURTHEST_S:
            raise InputError('bad_time', f'{where}: time_s is {row[0]}; allowed: more than '
                                         f'{least_s:g}, less than {_FURTHEST_S:g}')
        last_s[person] = time_s
        yield person, (time_s, _value(where, 'valence', row[1]), _value(where, 'arousal', row[2]))


def _number(where: str, what: str, text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise InputError('bad_value', f'{where}: {what} is {text!r}; allowed: a number') from error


def _value(where: str, what: str, text: str) -> float:
    """Parse a value of a file, where -5 means unlabelled and NaN is an error."""
    value = _number(where, what, text)
    if math.isnan(value):
        raise InputError('bad_value', f'{where}: {what} is NaN; allowed: [-1, 1], or -5 for '
                                      'unlabelled')
    return math.nan if value == UNLABELLED else _checked(f'{where}: {what}', value)


def _checked(where: str, value: float) -> float:
    if not math.isnan(value) and not -1.0 <= value <= 1.0:
        raise InputError('bad_value', f'{where} is {value:g}; allowed: [-1, 1], or unlabelled '
                                      '(-5 in a file, NaN on the topic)')
    return value


def _annotation(
    source: str, person: str, times_ns: NDArray[np.int64], rows: Sequence[_Row],
    uneven: str = '',
) -> Annotation:
    """Keep the labelled entries; an entry needs both valence and arousal."""
    affect = np.array([row[1:] for row in rows], np.float64).reshape(-1, 2)
    labelled = np.isfinite(affect).all(1)
    return Annotation(person, source, times_ns[labelled], affect[labelled],
                      int((~labelled).sum()), uneven)
