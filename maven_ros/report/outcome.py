"""The outcome of a benchmark: replays compared with annotations, and scored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from maven_ros.errors import MavenError, ResourceError
from maven_ros.replay.replayed import Replayed, ReplayTask, name_of, read_replayed
from maven_ros.report.bag_annotations import annotation_files, readers
from maven_ros.report.benchmark import FULL, BenchmarkPlan, described
from maven_ros.report.breakdown import evidence_shares
from maven_ros.scoring.alignment import Believed, align, believed, check_order, states_of
from maven_ros.scoring.annotations import Annotation, AnnotationFolder, check_people
from maven_ros.scoring.compare import Comparison, compare
from maven_ros.scoring.offset import OffsetSearch, search_offset
from maven_ros.scoring.resultset import Excluded, ResultSet, SetScores
from maven_ros.text import shown


@dataclass(frozen=True)
class Case:
    """
    One bag of a benchmark.

    :param replayed: replay of the full model; None if it failed.
    :param annotations: usable annotations; empty if there are none, or all are excluded.
    :param error: error of the replay.
    """

    name: str
    bag: Path
    replayed: Replayed | None
    annotations: tuple[Annotation, ...] = ()
    error: str = ''


@dataclass(frozen=True)
class Outcome:
    """
    The outcome of a benchmark.

    :param sets: result sets with their scores: the full model first, then each ablation.
    :param comparisons: comparison of the full model with each ablation; None if they share no
        frame.
    :param failed: replays without a result, with the error.
    :param excluded: annotations that are not scored, with the reason.
    :param lossy: bags that are broken or lost data, with the reason.
    :param unmatched: names of annotation files that match no bag.
    :param search: the search for the raters' offset, if requested.
    """

    plan: BenchmarkPlan
    cases: list[Case]
    sets: list[tuple[ResultSet, SetScores]]
    comparisons: list[Comparison | None]
    failed: list[Excluded]
    excluded: list[Excluded]
    lossy: list[Excluded]
    unmatched: list[str]
    search: OffsetSearch | None

    @property
    def uneven(self) -> list[str]:
        """Annotations with more or fewer lines than their bag has pictures, in words."""
        return [one.uneven for case in self.cases for one in case.annotations if one.uneven]

    @property
    def complete(self) -> bool:
        """Whether every bag was replayed and every annotation scored."""
        return self.sets[0][0].complete and not self.failed and not self.excluded


@dataclass
class _Gathered:
    """Annotations, and problems with them, as they are collected."""

    failed: list[Excluded] = field(default_factory=list)
    excluded: list[Excluded] = field(default_factory=list)
    lossy: list[Excluded] = field(default_factory=list)
    unmatched: list[str] = field(default_factory=list)


def score_replays(plan: BenchmarkPlan, errors: dict[ReplayTask, str]) -> Outcome:
    """
    Score the finished replays of a plan; :func:`maven_ros.report.kept.write_sets` writes them.

    :param errors: errors of the replays that failed.
    :raises MavenError: if nothing can be scored.
    """
    gathered = _Gathered()
    files = annotation_files(plan)
    gathered.unmatched += [file.name for file in files.unmatched] if files else []
    cases = [_case(plan, task, errors, files, gathered)
             for task in plan.tasks() if not task.without]
    held = {case.name: _held(case.annotations, case.replayed) for case in cases}
    search = search_offset(_tracks(cases, held), plan.offset_search_s) \
        if plan.offset_search_s else None
    offset_s = search.best_s if search else 0.0
    sets = [_result_set(FULL, plan, cases, held, {case.bag: case.replayed for case in cases},
                        offset_s, gathered)]
    for name in plan.without:
        ablated = {task.bag: _ablated(task, errors, gathered) for task in plan.tasks()
                   if task.without == (name,)}
        held = {case.name: _held(case.annotations, ablated[case.bag]) for case in cases}
        sets.append(_result_set(f'without {name}', plan, cases, held, ablated, offset_s,
                                gathered))
    full = sets[0][0]
    return Outcome(
        plan, cases, sets, [_compared(full, one, plan) for one, _ in sets[1:]], gathered.failed,
        gathered.excluded, gathered.lossy, gathered.unmatched, search)


def _case(
    plan: BenchmarkPlan, task: ReplayTask, errors: dict[ReplayTask, str],
    files: AnnotationFolder | None, gathered: _Gathered,
) -> Case:
    name = name_of(task.bag)
    error, replayed = errors.get(task, ''), None
    if not error:
        try:
            replayed = read_replayed(task.out)
        except MavenError as damaged:
            error = str(damaged)
    if replayed is None:
        gathered.failed.append(Excluded(name, str(task.bag), error))
        return Case(name, task.bag, None, error=error)
    gathered.lossy += [Excluded(name, str(task.bag), flaw) for flaw in replayed.summary.flaws]
    annotations: list[Annotation] = []
    source = plan.annotated_in  # until the reader names the file
    try:
        for source, read in readers(task.bag, files, replayed.image_topic, plan.mismatch):
            try:
                for one in read():
                    if len(one.times_ns):
                        annotations.append(one)
                    else:
                        gathered.excluded.append(Excluded(
                            name, source, _all_unlabelled(name, one)))
            except MavenError as refused:
                gathered.excluded.append(Excluded(name, source, str(refused)))
        if annotations:
            source = ', '.join(dict.fromkeys(one.source for one in annotations))
            check_order(name, replayed.states)
            check_people(name, annotations)
    except MavenError as refused:
        gathered.excluded.append(Excluded(name, source, str(refused)))
        annotations = []
    return Case(name, task.bag, replayed, tuple(annotations))


def _all_unlabelled(bag: str, one: Annotation) -> str:
    whose = f' of {one.person}' if one.person else ''
    return f'{bag}: all {one.unlabelled} values{whose} in {one.source} are unlabelled'


def _ablated(
    task: ReplayTask, errors: dict[ReplayTask, str], gathered: _Gathered,
) -> Replayed | None:
    error = errors.get(task, '')
    if not error:
        try:
            return read_replayed(task.out)
        except MavenError as damaged:
            error = str(damaged)
    gathered.failed.append(Excluded(described(task), str(task.bag), error))
    return None


def _held(annotations: Sequence[Annotation], replayed: Replayed | None) -> list[Believed]:
    """Return the states of each annotated person; nothing if the replay failed."""
    return [believed(one.person, replayed.states, replayed.hop_s) for one in annotations] \
        if replayed else []


def _tracks(
    cases: Sequence[Case], held: dict[str, list[Believed]],
) -> list[tuple[str, Annotation, Believed]]:
    return [(case.name, annotation, own) for case in cases if held[case.name]
            for annotation, own in zip(case.annotations, held[case.name], strict=True)]


def _result_set(
    name: str, plan: BenchmarkPlan, cases: Sequence[Case], held: dict[str, list[Believed]],
    replays: dict[Path, Replayed | None], offset_s: float, gathered: _Gathered,
) -> tuple[ResultSet, SetScores]:
    replayed = [one for one in replays.values() if one]
    found = ResultSet(
        name, [align(bag, annotation, own, offset_s)
               for bag, annotation, own in _tracks(cases, held)],
        [*gathered.failed, *gathered.excluded], gathered.lossy, gathered.unmatched,
        _evidence(cases, replays),
        {'offset_s': offset_s, 'models': sorted({one.summary.model for one in replayed}),
         'hop_s': sorted({one.hop_s for one in replayed})},
        {'bags': {case.name: shown(case.bag) for case in cases if replays[case.bag]},
         'annotations': plan.annotated_in})
    return found, found.scores(plan.draws, plan.seed)


def _evidence(
    cases: Sequence[Case], replays: dict[Path, Replayed | None],
) -> dict[str, Any]:
    """Return the share of windows by evidence: overall, by bag, and by annotated person."""
    states = [(case, one.states) for case in cases if (one := replays[case.bag])]
    return {
        'overall': evidence_shares([state for _, own in states for state in own]),
        'bags': {case.name: evidence_shares(own) for case, own in states},
        'people': [{'bag': case.name, 'person': one.person,
                    'evidence': evidence_shares(states_of(one.person, own).values())}
                   for case, own in states for one in case.annotations]}


def _compared(full: ResultSet, ablated: ResultSet, plan: BenchmarkPlan) -> Comparison | None:
    try:
        return compare(full, ablated, plan.draws, plan.seed)
    except ResourceError:  # no common frame, such as without any other evidence
        return None
