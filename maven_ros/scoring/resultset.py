"""
Result sets: annotations and estimates frame by frame, with their scores.

A folder holds ``frames.parquet`` and ``frames.csv``, with the same row per annotated frame, and
``scores.json``. Two sets can be compared later, frame by frame.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maven_ros.errors import ResourceError
from maven_ros.files import owner_only, read_json, written
from maven_ros.scoring.alignment import Missing, Pairs
from maven_ros.scoring.scores import DRAWS, Scores, score
from maven_ros.tables import read_table, write_tables
from maven_ros.text import all_shown

FRAMES, SCORES = 'frames', 'scores.json'
COLUMNS = {
    'bag': 'string', 'person': 'string', 'time_ns': 'int64',
    'annotated_valence': 'float64', 'annotated_arousal': 'float64',
    'valence': 'float64', 'arousal': 'float64', 'valence_std': 'float64',
    'arousal_std': 'float64', 'evidence': 'uint8', 'missing': 'string',
}


@dataclass(frozen=True)
class Excluded:
    """A person who could not be scored, with the reason."""

    bag: str
    source: str
    reason: str


@dataclass(frozen=True)
class ResultSet:
    """
    The frames of all bags, and their origin.

    :param name: ``full``, or the name of the ablation.
    :param pairs: one entry per person and bag.
    :param excluded: annotations that are not scored, with the reason.
    :param lossy: bags that were not replayed completely, with the reason.
    :param unmatched: names of annotation files that match no bag.
    :param evidence: share of windows by the evidence in them: ``overall``, per bag (``bags``),
        and per person of a bag (``people``).
    :param about: origin of the results: models, offset, hop and so on.
    :param made_of: the paths of the replayed bags by name (``bags``), and the folder or the topic
        of the ``annotations``.
    """

    name: str
    pairs: Sequence[Pairs]
    excluded: Sequence[Excluded] = ()
    lossy: Sequence[Excluded] = ()
    unmatched: Sequence[str] = ()
    evidence: dict[str, Any] = field(default_factory=dict)
    about: dict[str, Any] = field(default_factory=dict)
    made_of: dict[str, Any] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether every bag was replayed and every annotation scored."""
        annotated = bool(self.pairs)
        return not self.excluded and not self.lossy and (
            not annotated or any(one.covered.any() for one in self.pairs))

    def scores(self, draws: int = DRAWS, seed: int = 0) -> SetScores:
        """Score all frames together, each bag, and each person of a bag."""
        bags = sorted({one.bag for one in self.pairs})
        return SetScores(
            overall=score(self.pairs, draws, seed),
            bags={bag: score([one for one in self.pairs if one.bag == bag], draws, seed)
                  for bag in bags},
            people={(one.bag, one.person): score([one], draws, seed) for one in self.pairs})

    @owner_only()
    def write(self, folder: Path, scores: SetScores) -> None:
        """
        Write the rows and the scores.

        :raises ResourceError: if they cannot be written, or pyarrow is missing.
        """
        content = {
            'name': self.name, 'about': self.about, 'made_of': self.made_of,
            'complete': self.complete,
            'excluded': [asdict(one) for one in self.excluded],
            'lossy': [asdict(one) for one in self.lossy],
            'unmatched': [*self.unmatched], 'evidence': self.evidence,
            'overall': as_json(scores.overall),
            'bags': {bag: as_json(one) for bag, one in scores.bags.items()},
            'people': [{'bag': bag, 'person': person, **as_json(one)}
                       for (bag, person), one in scores.people.items()]}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / SCORES).unlink(missing_ok=True)  # written last: the set is then complete
            with written(folder / f'{FRAMES}.parquet') as parquet, \
                    written(folder / f'{FRAMES}.csv') as csv:
                write_tables((row for one in self.pairs for row in _rows(one)), COLUMNS,
                             (parquet, csv))
        except OSError as error:
            raise ResourceError(f'{folder}: cannot be written: {error.strerror}') from error
        with written(folder / SCORES) as beside:
            beside.write_text(json.dumps(all_shown(content), indent=1), encoding='utf-8')


@dataclass(frozen=True)
class SetScores:
    """Scores of all frames together, of each bag, and of each (bag, person)."""

    overall: Scores
    bags: dict[str, Scores]
    people: dict[tuple[str, str], Scores]


def read_result_set(folder: Path) -> ResultSet:
    """
    Read a set that :meth:`ResultSet.write` wrote.

    :raises ResourceError: if there is none, it is damaged, or pyarrow is missing.
    """
    path = folder / f'{FRAMES}.parquet'
    if not path.is_file():
        raise ResourceError(f'{folder}: holds no {path.name}; allowed: the --out of `maven-ros '
                            'evaluate bags`, or the folder of an ablation in it')
    table = read_table(path, COLUMNS)
    people: dict[tuple[str, str], list[int]] = {}
    for index, key in enumerate(zip(table['bag'], table['person'], strict=True)):
        people.setdefault(key, []).append(index)
    try:
        content = read_json(folder / SCORES)
        excluded, lossy = ([Excluded(**one) for one in content[kind]]
                           for kind in ('excluded', 'lossy'))
        unlabelled = {(one['bag'], one['person']): one['unlabelled'] for one in content['people']}
        return ResultSet(
            content['name'], [_pairs(*key, table, index, unlabelled[key])
                              for key, index in people.items()],
            excluded, lossy, content['unmatched'], content['evidence'], content['about'])
    except (ResourceError, ValueError, LookupError, TypeError) as error:
        raise ResourceError(f'{folder}: is not a result set: {error}') from error


def as_json(scores: Scores) -> dict[str, Any]:
    """Return scores for JSON; an undefined score is null, with the reason beside it."""
    return {
        'frames': scores.frames, 'unlabelled': scores.unlabelled, 'covered': scores.covered,
        'missing': scores.missing, 'coverage': _known(scores.coverage),
        'resampling': scores.resampling,
        'scores': {name: {
            'value': _known(one.value), 'low': _known(one.low), 'high': _known(one.high),
            **({'undefined': one.why} if one.why else {})}
            for name, one in scores.scores.items()}}


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _rows(pairs: Pairs) -> Iterator[dict[str, Any]]:
    columns = [pairs.times_ns, *pairs.annotated.T, *pairs.estimated.T, *pairs.spread.T,
               pairs.evidence]
    causes = [Missing(cause).name.lower() for cause in pairs.missing.tolist()]
    for values in zip(*(column.tolist() for column in columns), causes, strict=True):
        yield dict(zip(COLUMNS, (pairs.bag, pairs.person, *values), strict=True))


def _pairs(
    bag: str, person: str, table: dict[str, list[Any]], index: list[int], unlabelled: int,
) -> Pairs:
    def columns(*names: str) -> NDArray[np.float64]:
        return np.array([[table[name][row] for name in names] for row in index], np.float64)

    return Pairs(
        bag, person, np.array([table['time_ns'][row] for row in index], np.int64),
        columns('annotated_valence', 'annotated_arousal'), columns('valence', 'arousal'),
        columns('valence_std', 'arousal_std'),
        np.array([table['evidence'][row] for row in index], np.uint8),
        np.array([Missing[table['missing'][row].upper()] for row in index], np.uint8),
        unlabelled)
