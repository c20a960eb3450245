"""
Ablations: each modality alone, as in the paper's table 2, and each of our changes to its code.

Each ablation is a separate run in its own folder, on the same clips with the same seed.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import NamedTuple

from maven_ros.errors import ResourceError, SettingsError
from maven_ros.files import read_json, written
from maven_ros.records import MODALITIES
from maven_ros.scoring.scores import Score, Scores
from maven_ros.training.people.origin import origin_of
from maven_ros.training.people.prepared import SUMMARY
from maven_ros.training.people.run import READINGS, train_run
from maven_ros.training.people.run_card import interval_of, value_of
from maven_ros.training.people.run_settings import RunSettings
from maven_ros.training.processes import Processes

TABLE = 'ablations'
_SCORES = ('valence_ccc', 'arousal_ccc', 'mean_ccc')


class Ablation(NamedTuple):
    """
    A change to the settings of a run.

    :param what: description.
    :param change: function that changes the settings.
    :param published: mean CCC on Aff-Wild2's validation split in the paper; 0 for none.
    """

    what: str
    change: Callable[[RunSettings], RunSettings]
    published: float = 0.0


def _alone(modality: str) -> Callable[[RunSettings], RunSettings]:
    return lambda run: replace(run, inputs=replace(run.inputs, modalities=(modality,)))


def _raw_head(run: RunSettings) -> RunSettings:
    return replace(run, network={**run.network, 'head': 'raw'},
                   keep=tuple(part for part in run.keep if part != 'head'))


# The paper prints 0.0299 for sound, but the mean of its two CCCs is 0.0983.
ABLATIONS: Mapping[str, Ablation] = {
    'full': Ablation('all of it', lambda run: run, 0.3061),
    **{name: Ablation(f'{name} alone', _alone(name), published)
       for name, published in zip(MODALITIES, (0.1754, 0.0983, 0.0013), strict=True)},
    'pooled': Ablation(
        'sound and words as one vector each, not as sequences',
        lambda run: replace(run, inputs=replace(run.inputs, pooled=True))),
    'raw_head': Ablation('intensity and angle regressed directly', _raw_head),
    'unmasked': Ablation(
        'missing modalities as zeros, not masked',
        lambda run: replace(run, inputs=replace(run.inputs, masked=False))),
}


def run_ablations(
    settings: RunSettings, names: Sequence[str], data: Path, features: Path | None, out: Path, *,
    processes: Processes, stop: Event,
) -> dict[str, Scores]:
    """
    Train and score ablations, or continue them; then write the table.

    :param names: names in ``ABLATIONS``; all if empty.
    :returns: scores of the validation split with causal smoothing, by name; only in the main
        process.
    :raises SettingsError: if a name is unknown.
    """
    for name in names:
        if name not in ABLATIONS:
            raise SettingsError(f'only: {name!r} is not one of {", ".join(ABLATIONS)}')
    found: dict[str, Scores] = {}
    for name in names or ABLATIONS:
        result = train_run(ABLATIONS[name].change(settings), data, features, out / name,
                           processes=processes, stop=stop, resume=True)
        if result is not None:
            found[name] = result.sets[READINGS[0]][1].overall
    if processes.main:
        origin = origin_of(read_json(data / SUMMARY), data / SUMMARY)
        write_table(found, out, beside_paper=not origin.generated)
    return found


def write_table(found: Mapping[str, Scores], out: Path, beside_paper: bool) -> None:
    """
    Write the table as CSV, Markdown and PNG.

    :param beside_paper: whether the paper's figures stand beside; not if the data are generated.
    :raises ResourceError: if they cannot be written, or matplotlib is missing.
    """
    with written(out / f'{TABLE}.csv') as beside, beside.open('w', newline='') as file:
        rows = csv.writer(file)
        rows.writerow(['ablation', 'frames', *(f'{name}{part}' for name in _SCORES
                                               for part in ('', '_low', '_high')),
                       *(['published'] if beside_paper else [])])
        for name, scores in found.items():
            numbers = [value for one in _SCORES for value in _numbers(scores.scores[one])]
            rows.writerow([name, scores.covered, *(f'{value:.6f}' for value in numbers),
                           *([ABLATIONS[name].published or ''] if beside_paper else [])])
    with written(out / f'{TABLE}.md') as beside:
        beside.write_text('\n'.join(_markdown(found, beside_paper)) + '\n', 'utf-8')
    _draw(found, out / f'{TABLE}.png')


def _markdown(found: Mapping[str, Scores], beside_paper: bool) -> list[str]:
    lines = ['| | input of the fusion | valence CCC | arousal CCC | mean CCC |'
             + ' published |' * beside_paper, '| --- ' * (5 + beside_paper) + '|']
    for name, scores in found.items():
        cells = [f'{value_of(one)} ({interval_of(one)})' for one in (
            scores.scores[metric] for metric in _SCORES)]
        published = ABLATIONS[name].published
        lines.append(f'| {name} | {ABLATIONS[name].what} | {" | ".join(cells)} |' + (
            f' {f"{published:.4f}" if published else ""} |' if beside_paper else ''))
    return [*lines, '', 'Frames of the validation split, as the node would read them, with 95% '
            'intervals.' + (' Published: mean CCC on that of Aff-Wild2 (arXiv 2503.12623, table '
                            '2).' if beside_paper else ' The data are generated: nobody was '
                            'recorded, so no published figure stands beside.')]


def _numbers(score: Score) -> tuple[float, float, float]:
    return score.value, score.low, score.high


def _draw(found: Mapping[str, Scores], path: Path) -> None:
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ResourceError(
            'matplotlib is not installed; pip install "maven_ros[plot]"') from error
    figure = Figure(figsize=(2 + 1.2 * len(found), 4), layout='constrained')
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for index, metric in enumerate(_SCORES):
        for place, scores in enumerate(found.values()):
            value, low, high = _numbers(scores.scores[metric])
            at = place + 0.26 * (index - 1)
            axes.bar(at, value, 0.24, color=f'C{index}',
                     label=metric.replace('_', ' ') if place == 0 else None)
            axes.vlines(at, low, high, color='black', linewidth=1)
    axes.set_xticks(range(len(found)), list(found))
    axes.axhline(0, color='grey', linewidth=0.8)
    axes.set(ylabel='CCC')
    axes.legend(fontsize='small')
    with written(path) as beside:
        figure.savefig(beside, dpi=110, format='png')
