"""
Write result sets, and keep what an earlier evaluation in the same folder holds.

An evaluation is replaced only by one that has all of it: its bags, scores and ablations, by the
same annotations. So a mistyped name costs no result.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from maven_ros.errors import ResourceError
from maven_ros.files import read_object
from maven_ros.replay.replayed import name_of
from maven_ros.report.benchmark import FULL, BenchmarkPlan
from maven_ros.report.outcome import Outcome
from maven_ros.scoring.resultset import SCORES
from maven_ros.text import shown


@dataclass(frozen=True)
class Held:
    """
    What one result set holds.

    :param bags: paths of the replayed bags, by name.
    :param scored: names of the bags with a score.
    :param annotations: the folder or the topic of the annotations.
    """

    bags: Mapping[str, str]
    scored: frozenset[str]
    annotations: str

    def beyond(self, other: Held) -> list[str]:
        """Return what this set holds and the other does not, in words."""
        lost = [f'bag {path}' for name, path in self.bags.items() if other.bags.get(name) != path]
        if self.scored and self.annotations != other.annotations:
            return [*lost, f'scores by {self.annotations}']
        return lost + [f'scores of {name}' for name in sorted(self.scored - other.scored)
                       if name in other.bags]


def check_out(plan: BenchmarkPlan) -> None:
    """
    Check before the replays that a plan may write into its folder.

    :raises ResourceError: if the folder holds an evaluation of anything that is not planned.
    """
    bags = {name_of(bag): shown(bag) for bag in plan.bags}
    planned = Held(bags, frozenset(bags), plan.annotated_in)
    _check(plan.out, {FULL: planned, **{f'without {one}': planned for one in plan.without}})


def write_sets(outcome: Outcome) -> None:
    """
    Write every result set of an outcome.

    :raises ResourceError: if a set cannot be written, or the folder holds results that the
        outcome lacks; they stay as they are.
    """
    out = outcome.plan.out
    _check(out, {found.name: Held(
        found.made_of['bags'], frozenset(name for name, one in scores.bags.items() if one.covered),
        found.made_of['annotations']) for found, scores in outcome.sets})
    for found, scores in outcome.sets:
        found.write(out if found.name == FULL else out / found.name.replace(' ', '_'), scores)


def _check(out: Path, new: Mapping[str, Held]) -> None:
    lost = []
    for name, held in _held_in(out).items():
        if name not in new:
            lost.append(f'the ablation {name!r}')
        else:
            lost += [f'{what}{"" if name == FULL else f" {name}"}'
                     for what in held.beyond(new[name])]
    if lost:
        raise ResourceError(f'{out}: holds an evaluation that this one does not replace, because '
                            f'it has more ({"; ".join(lost)}); name another folder with --out, '
                            'or remove this one')


def _held_in(out: Path) -> dict[str, Held]:
    found = {}
    for path in (out / SCORES, *sorted(out.glob(f'without_*/{SCORES}'))):
        if path.is_file():
            content = read_object(path)
            try:
                found[content['name']] = Held(
                    dict(content['made_of']['bags']),
                    frozenset(name for name, one in content['bags'].items() if one['covered']),
                    content['made_of']['annotations'])
            except (LookupError, TypeError, AttributeError, ValueError) as error:
                raise ResourceError(f'{path}: was written by another version of maven_ros; name '
                                    'another folder with --out, or remove this one') from error
    return found
