"""Write the figures of a model: as a table, as JSON, in its card, and as a page with plots."""

from __future__ import annotations

import base64
import html
import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from maven_ros.errors import ResourceError
from maven_ros.scoring.metrics import DIMENSIONS, agreement, coverage
from maven_ros.training.compact.card import Evaluation, Scatter
from maven_ros.training.compact.goals import Goal, goals

FIGURES = 'figures.json'
PAGE = 'figures.html'
_BEGIN, _END = '<!-- figures: begin -->', '<!-- figures: end -->'
#: Columns of the tables with a value for valence and one for arousal.
_PAIRS = {'CCC': 'ccc', 'r': 'r', 'RMSE': 'rmse', 'in 90%': 'coverage'}
_HEAD = ('set', 'condition', 'reader', *_PAIRS, 'other')
_LEVELS = np.linspace(0.1, 0.98, 12)  # of the reliability diagram


def show(found: Evaluation) -> None:
    """Print the figures and the goals."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    table = Table(*_HEAD, title=f'{found.model}, split {found.split}; valence, arousal')
    for cells in _rows(found):
        table.add_row(*cells)
    console.print(table)
    table = Table('goal', 'found', 'allowed', 'met')
    for goal in goals(found):
        table.add_row(goal.what, _number(goal.value), _allowed(goal),
                      '[green]yes' if goal.met else '[red]no')
    console.print(table)


def write(found: Evaluation, folder: Path) -> None:
    """
    Write ``figures.json`` and ``figures.html``.

    :raises ResourceError: if they cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / FIGURES).write_text(json.dumps(_json(found), indent=2) + '\n', 'utf-8')
        (folder / PAGE).write_text(page(found), 'utf-8')
    except OSError as error:
        raise ResourceError(f'{folder}: cannot be written: {error}') from error


def update_card(found: Evaluation, card: Path) -> None:
    """
    Insert the figures into a model card, between its markers.

    :raises ResourceError: if the card cannot be read or written, or has no markers.
    """
    try:
        text = card.read_text('utf-8')
        before, begin, rest = text.partition(_BEGIN)
        _, end, after = rest.partition(_END)
        if not (begin and end):
            raise ResourceError(f'{card}: has no place for figures; allowed: {_BEGIN} and, later, '
                                f'{_END}')
        card.write_text(f'{before}{begin}\n{markdown(found)}\n{end}{after}', 'utf-8')
    except OSError as error:
        raise ResourceError(f'{card}: cannot be read or written: {error}') from error


def markdown(found: Evaluation) -> str:
    """Return the figures and the goals as two tables in Markdown."""
    def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
        return ['| ' + ' | '.join(cells) + ' |' for cells in (head, ['---'] * len(head), *rows)]

    return '\n'.join([
        f'Of {found.model}, on the {found.split} splits; valence, then arousal. They are of one '
        'training: how much they differ from one seed to another was not measured.', '',
        *table(_HEAD, _rows(found)), '',
        *table(('goal', 'found', 'allowed', 'met'), [
            (goal.what, _number(goal.value), _allowed(goal), 'yes' if goal.met else '**no**')
            for goal in goals(found)])])


def page(found: Evaluation) -> str:
    """Return one self-contained page of HTML: goals, figures, plots."""
    def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
        lines = [''.join(f'<td>{html.escape(cell)}</td>' for cell in row) for row in rows]
        titles = ''.join(f'<th>{html.escape(cell)}</th>' for cell in head)
        return f'<table><tr>{titles}</tr>' + ''.join(
            f'<tr>{line}</tr>' for line in lines) + '</table>'

    plots = ''.join(
        f'<h2>{html.escape(name)}</h2><img alt="{html.escape(name)}" '
        f'src="data:image/png;base64,{_plots(name, scatter)}">'
        for name, scatter in found.scatters.items())
    title = html.escape(f'{found.model}: figures on the {found.split} splits')
    return (
        f'<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        '<style>body{font:15px system-ui,sans-serif;margin:2em auto;max-width:72em;'
        'color:#222;padding:0 1em}table{border-collapse:collapse;margin:1em 0;font-size:13px}'
        'td,th{padding:.3em .7em;border-bottom:1px solid #ddd;text-align:left;'
        'font-variant-numeric:tabular-nums}th{background:#f4f4f6}img{max-width:100%}</style>'
        f'<h1>{title}</h1><p>Composed windows combine pieces of different corpora; they are not '
        'recordings.</p><h2>Goals</h2>'
        + table(('goal', 'found', 'allowed', 'met'), [
            (goal.what, _number(goal.value), _allowed(goal), 'yes' if goal.met else 'NO')
            for goal in goals(found)])
        + '<h2>Figures: valence, arousal</h2>'
        + table(_HEAD, _rows(found))
        + plots + '</html>\n')


def _plots(name: str, scatter: Scatter) -> str:
    """Draw scatter, heat map and reliability of one set; return a PNG in base64."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(15, 3.9), layout='constrained')
    FigureCanvasAgg(figure)
    valence, arousal, heat, reliability = figure.subplots(1, 4)
    found = agreement(*scatter)
    for index, (axes, dimension) in enumerate(zip((valence, arousal), DIMENSIONS, strict=True)):
        points, targets = scatter.points[:, index], scatter.targets[:, index]
        axes.scatter(targets, points, s=4, alpha=0.25, linewidths=0)
        axes.plot([-1, 1], [-1, 1], color='grey', linewidth=0.8)
        axes.set(title=f'{dimension}: CCC {found[dimension + "_ccc"]:.3f}', xlabel='target',
                 ylabel='estimate', xlim=(-1, 1), ylim=(-1, 1))
    heat.hist2d(*scatter.points.T, bins=40, range=[[-1, 1], [-1, 1]], cmap='magma')
    heat.set(title='estimates on the circumplex', xlabel='valence', ylabel='arousal')
    _draw_reliability(reliability, scatter)
    for axes in (valence, arousal, heat, reliability):
        axes.set_aspect('equal')
    image = io.BytesIO()
    figure.savefig(image, dpi=90, format='png')
    return base64.b64encode(image.getvalue()).decode()


def _draw_reliability(axes: Any, scatter: Scatter) -> None:
    """Draw the share of targets inside an interval against its nominal share."""
    from statistics import NormalDist

    widths = [NormalDist().inv_cdf(0.5 + level / 2) for level in _LEVELS]
    for index, dimension in enumerate(DIMENSIONS):
        points, stds, targets = (part[:, index] for part in scatter)
        held = [coverage(points, stds, targets, z) for z in widths]
        axes.plot(_LEVELS, held, marker='.', label=dimension)
    axes.plot([0, 1], [0, 1], color='grey', linewidth=0.8)
    axes.set(title='reliability', xlabel='promised', ylabel='held', xlim=(0, 1), ylim=(0, 1))
    axes.legend()


def _rows(found: Evaluation) -> list[list[str]]:
    return [[row.set, row.condition, row.reader,
             *(_pair(row.figures, name) for name in _PAIRS.values()),
             ', '.join(f'{name} {_number(value)}' for name, value in row.figures.items()
                       if not name.endswith(DIMENSIONS))] for row in found.rows]


def _pair(figures: Mapping[str, float], name: str) -> str:
    keys = [f'{name}_{dimension}' for dimension in DIMENSIONS]
    return ' '.join(_number(figures[key]) for key in keys if key in figures)


def _json(found: Evaluation) -> Mapping[str, Any]:
    return {'model': found.model, 'split': found.split,
            'rows': [row._asdict() for row in found.rows],
            'goals': [{**goal._asdict(), 'most': None if math.isinf(goal.most) else goal.most,
                       'met': goal.met} for goal in goals(found)]}


def _number(value: float) -> str:
    return f'{value:.3f}'


def _allowed(goal: Goal) -> str:
    if math.isinf(goal.most):
        return f'at least {goal.least:g}'
    return f'at most {goal.most:g}' if goal.least < -1 else f'{goal.least:g} to {goal.most:g}'
