"""The report of a benchmark: one self-contained HTML file."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from maven_ros import __version__
from maven_ros.errors import ResourceError
from maven_ros.files import owner_only, written
from maven_ros.records import NS, Pixels, Utterance
from maven_ros.replay.replayed import Replayed
from maven_ros.replay.summary import is_loss
from maven_ros.report import figures
from maven_ros.report.breakdown import (
    Shot,
    Subset,
    by_evidence,
    by_quadrant,
    evidence_shares,
    shots,
    worst_spans,
)
from maven_ros.report.outcome import Case, Outcome
from maven_ros.scoring.alignment import Pairs, believed
from maven_ros.scoring.compare import Difference
from maven_ros.scoring.metrics import DIMENSIONS, METRICS
from maven_ros.scoring.resultset import Excluded, SetScores
from maven_ros.scoring.scores import Score, Scores
from maven_ros.text import shown

_PAIRED = ('ccc', 'pearson', 'rmse', 'sign_agreement', 'within_90')
_LABELS = {metric.name: metric.label for metric in METRICS}
_WORDS_SHOWN = 400  # utterances per bag
#: What the head of the report says of the people recorded, by whether pictures and words are in.
_PRIVACY = {
    (False, False): 'No pictures and no words of the people recorded are in this report '
                    '(--pictures and --words put them in).',
    (True, False): 'This report holds pictures of the people recorded; their words are not in it '
                   '(--words puts them in).',
    (False, True): 'This report holds the words of the people recorded; pictures are not in it '
                   '(--pictures puts them in).',
    (True, True): 'This report holds pictures and words of the people recorded.'}


@owner_only()
def write_report(
    outcome: Outcome, path: Path, pictures: bool = False, words: bool = False,
) -> None:
    """
    Write the report.

    :param pictures: whether pictures of the people recorded are in it.
    :param words: whether the words of the people recorded are in it.
    :raises ResourceError: if it cannot be written, or matplotlib or Jinja2 is missing.
    """
    jinja2 = require_jinja()
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader('maven_ros.report', '.'), autoescape=True,
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(number=number, percent=percent, signed=signed, sentence=sentence)
    page = environment.get_template('page.html').render(
        _content(outcome if words else _wordless(outcome), pictures), pictures=pictures,
        privacy=_PRIVACY[pictures, words])
    with written(path) as beside:
        beside.write_text(shown(page), encoding='utf-8')


def require_jinja() -> Any:
    """
    Return Jinja2.

    :raises ResourceError: if it or matplotlib is missing. Call this before long work, not after.
    """
    try:
        import jinja2
        import matplotlib  # noqa: F401 (needed by the figures)
    except ImportError as error:
        raise ResourceError(f'{error.name} is not installed; pip install "maven_ros[evaluation]"'
                            ) from error
    return jinja2


def number(value: float, places: int = 3) -> str:
    """Format a number; a value that is not finite becomes a dash."""
    return f'{value:.{places}f}'.replace('-', '−') if math.isfinite(value) else '–'


def signed(value: float, places: int = 3) -> str:
    """Format a number with its sign."""
    return f'{value:+.{places}f}'.replace('-', '−') if math.isfinite(value) else '–'


def percent(value: float, places: int = 1) -> str:
    """Format a share as a percentage."""
    return f'{100 * value:.{places}f}%' if math.isfinite(value) else '–'


def sentence(text: str) -> str:
    """Capitalise the first letter."""
    return text[:1].upper() + text[1:]


# --- what the page shows ---------------------------------------------------------------------


def _wordless(outcome: Outcome) -> Outcome:
    """Return an outcome without what was said."""
    return replace(outcome, cases=[
        replace(case, replayed=case.replayed and replace(case.replayed, utterances=[]))
        for case in outcome.cases])


def _content(outcome: Outcome, pictures: bool) -> dict[str, Any]:
    full, scores = outcome.sets[0]
    replayed = [case.replayed for case in outcome.cases if case.replayed]
    scored = bool(full.pairs)
    annotated, estimated = _points(full.pairs)
    believed_points = np.array([
        (state.affect.valence, state.affect.arousal) for one in replayed for state in one.states
        if math.isfinite(state.affect.valence)]).reshape(-1, 2)
    return {
        'version': __version__,
        'models': sorted({one.summary.model for one in replayed}),
        'untrained': any(not one.summary.trained for one in replayed),
        'bags': len(outcome.cases), 'scored': scored, 'lossy': _by_bag(outcome.lossy),
        'seconds': sum(one.summary.duration_s for one in replayed),
        'failed': outcome.failed, 'excluded': outcome.excluded, 'unmatched': outcome.unmatched,
        'uneven': outcome.uneven,
        'search': outcome.search,
        'offset_figure': figures.offset_curve(outcome.search) if outcome.search else '',
        'overall': scores.overall, 'paired': _paired(scores.overall),
        'single': _single(scores.overall),
        'rows': [_row(case, scores.bags.get(case.name)) for case in outcome.cases],
        'people': _people_rows(scores),
        'pair_labels': [row['label'] for row in _paired(scores.overall)],
        'ablations': _ablations(outcome),
        'quadrants': _parts(by_quadrant(full.pairs)) if scored else [],
        'evidence': _parts(by_evidence(full.pairs)) if scored else [],
        'maps': [figures.circumplex(points, title) for points, title in (
            (annotated, 'annotated'), (estimated if scored else believed_points, 'estimated'))
            if len(points)],
        'worst': _worst(outcome, pictures) if scored else [],
        'cases': [_case(case, full.pairs) for case in outcome.cases if case.replayed],
        'meanings': [(metric.label, metric.meaning) for metric in METRICS],
    }


def _points(pairs: Sequence[Pairs]) -> tuple[Any, Any]:
    nothing = np.zeros((0, 2))
    return (np.concatenate([nothing, *(one.annotated for one in pairs)]),
            np.concatenate([nothing, *(one.estimated[one.covered] for one in pairs)]))


def _person(person: str) -> str:
    return person or 'in view'


def _paired(scores: Scores) -> list[dict[str, Any]]:
    """Return the scores that exist for valence and for arousal."""
    return [{'label': _LABELS[f'valence_{name}'].removeprefix('valence '),
             'scores': [scores.scores[f'{dimension}_{name}'] for dimension in DIMENSIONS]}
            for name in _PAIRED]


def _single(scores: Scores) -> list[tuple[str, Score]]:
    """Return the scores that combine valence and arousal."""
    return [(_LABELS[name], scores.scores[name])
            for name in ('mean_ccc', 'angle_error_rad', 'intensity_error')]


def _by_bag(lossy: Sequence[Excluded]) -> dict[str, list[str]]:
    return {bag: [one.reason for one in lossy if one.bag == bag]
            for bag in dict.fromkeys(one.bag for one in lossy)}


def _people_rows(scores: SetScores) -> list[dict[str, Any]]:
    """Return the scores of each person; a bag with several people has a row of its own first."""
    rows: list[tuple[str, str, Scores]] = []
    for bag, together in scores.bags.items():
        own = [(bag, _person(person), one) for (name, person), one in scores.people.items()
               if name == bag]
        rows += [(bag, 'all', together), *own] if len(own) > 1 else own
    return [{'bag': bag, 'person': person, 'scores': one, 'paired': _paired(one),
             'single': _single(one)} for bag, person, one in rows]


def _row(case: Case, scores: Scores | None) -> dict[str, Any]:
    """Return the row of one bag in the overview."""
    return {'name': case.name, 'error': case.error, 'scores': scores,
            'summary': case.replayed.summary if case.replayed else None,
            'shares': _shares(case.replayed) if case.replayed else []}


def _shares(replayed: Replayed) -> list[dict[str, Any]]:
    """Return the strip of evidence: the share of states by evidence, with a colour each."""
    colours = {'face + voice + words': '#1a7f37', 'face + voice': '#57ab5a',
               'face + words': '#8ddb8c', 'face': '#b4f1b4', 'voice + words': '#8073ac',
               'voice': '#b2abd2', 'words': '#e08214', 'nothing': '#d0d7de'}
    return [{'name': name, 'share': share, 'colour': colours[name]}
            for name, share in evidence_shares(replayed.states).items()] if replayed.states else []


def _ablations(outcome: Outcome) -> list[dict[str, Any]]:
    """Return the full model and each ablation, with the differences from it."""
    rows: list[dict[str, Any]] = []
    if len(outcome.sets) > 1 and outcome.sets[0][0].pairs:
        for (found, scores), compared in zip(
                outcome.sets, [None, *outcome.comparisons], strict=True):
            differences: dict[str, Difference] = compared.differences if compared else {}
            rows.append({
                'name': found.name, 'coverage': scores.overall.coverage,
                'cells': [(scores.overall.scores[name], differences.get(name))
                          for name in ('mean_ccc', 'valence_ccc', 'arousal_ccc', 'valence_rmse',
                                       'arousal_rmse')]})
    return rows


def _parts(parts: Sequence[Subset]) -> list[dict[str, Any]]:
    """Return groups of errors, with bars in proportion to the error."""
    frames = sum(part.frames for part in parts)
    longest = max((part.distance for part in parts), default=1.0) or 1.0
    return [{'name': part.name, 'share': part.frames / frames, 'distance': part.distance,
             'bias': part.bias, 'width': part.distance / longest} for part in parts]


def _worst(outcome: Outcome, pictures: bool) -> list[dict[str, Any]]:
    cases = {case.name: case for case in outcome.cases}
    found = []
    for span in worst_spans(outcome.sets[0][0].pairs):
        case = cases[span.pairs.bag]
        assert case.replayed is not None  # a scored bag has a replay
        origin_ns = case.replayed.origin_ns
        found.append({
            'bag': case.name, 'person': _person(span.pairs.person), 'distance': span.distance,
            'start_s': (span.start_ns - origin_ns) / NS, 'end_s': (span.last_ns - origin_ns) / NS,
            'words': ' '.join(one.text for one in case.replayed.utterances if one.is_final
                              and one.start_ns < span.end_ns and one.end_ns > span.start_ns),
            'shots': [_shot(one, origin_ns) for one in shots(
                span, case.bag, case.replayed.states,
                case.replayed.image_topic if pictures else '')]})
    return found


def _shot(shot: Shot, origin_ns: int) -> dict[str, Any]:
    return {'time_s': (shot.time_ns - origin_ns) / NS, 'annotated': shot.annotated,
            'estimated': shot.estimated,
            'picture': _jpeg(shot.picture) if shot.picture is not None else ''}


def _jpeg(pixels: Pixels) -> str:
    import cv2

    _, data = cv2.imencode('.jpg', pixels, [cv2.IMWRITE_JPEG_QUALITY, 82])
    return 'data:image/jpeg;base64,' + base64.b64encode(data.tobytes()).decode('ascii')


# --- one bag ---------------------------------------------------------------------------------


def _case(case: Case, pairs: Sequence[Pairs]) -> dict[str, Any]:
    """Return one bag's section: a timeline per person, words, drops and times."""
    replayed = case.replayed
    assert replayed is not None
    own = {one.person: one for one in pairs if one.bag == case.name}
    people = [*own] or _people(replayed)
    return {
        'name': case.name, 'summary': replayed.summary,
        'timelines': [(_person(person), figures.timeline(
            believed(person, replayed.states, replayed.hop_s), own.get(person),
            replayed.utterances, replayed.origin_ns)) for person in people],
        'shares': _shares(replayed), **_words(replayed.utterances, replayed.origin_ns),
        'drops': _drops(replayed),
        'latency': _quantiles(replayed.latency_ms), 'inference': _quantiles(replayed.inference_ms),
        'histogram': figures.histogram(replayed.inference_ms, 'ms per window')
        if len(replayed.inference_ms) > 1 else '',
    }


def _people(replayed: Replayed, most: int = 4) -> list[str]:
    """Return the people to show for a bag without annotations: those seen most often."""
    counts: dict[str, int] = {}
    for state in replayed.states:
        if state.person_id:
            counts[state.person_id] = counts.get(state.person_id, 0) + 1
    if len(counts) <= 1:
        return ['']  # the voice, without a face in view
    return sorted(sorted(counts, key=lambda one: -counts[one])[:most])


def _words(utterances: Sequence[Utterance], origin_ns: int) -> dict[str, Any]:
    said = [one for one in utterances if one.is_final and one.words]
    return {'utterances': [{'start_s': (one.start_ns - origin_ns) / NS, 'text': one.text,
                            'confidence': one.confidence} for one in said[:_WORDS_SHOWN]],
            'more_utterances': max(0, len(said) - _WORDS_SHOWN)}


def _drops(replayed: Replayed) -> list[dict[str, Any]]:
    """Return all counts, losses first."""
    rows = [{'cause': name, 'count': count, 'detail': replayed.summary.details.get(name, ''),
             'normal': not is_loss(name)}
            for name, count in replayed.summary.drops.items()]
    return sorted(rows, key=lambda row: (row['normal'], row['cause']))


def _quantiles(values: Any) -> dict[str, float]:
    if not len(values):
        return {'median': math.nan, 'p99': math.nan, 'worst': math.nan}
    median, p99, worst = np.percentile(values, (50, 99, 100)).tolist()
    return {'median': median, 'p99': p99, 'worst': worst}


