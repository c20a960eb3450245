"""Figures of the report, drawn by matplotlib as inline SVG."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maven_ros.affect import OCTANTS, Z90
from maven_ros.records import NS, Modality, Utterance
from maven_ros.scoring.alignment import Believed, Pairs
from maven_ros.scoring.metrics import DIMENSIONS
from maven_ros.scoring.offset import OffsetSearch

COLOURS = {'valence': '#2166ac', 'arousal': '#c2512f'}
ANNOTATED, GRID = '#1b1f24', '#d0d7de'
EVIDENCE = ((Modality.VIDEO, 'face', '#4d9221'), (Modality.AUDIO, 'voice', '#8073ac'),
            (Modality.TEXT, 'words', '#e08214'))

_MOST_POINTS = 1500   # per trace: about the columns of a screen
_LONGEST_WORDS_S = 90.0
_STYLE: Any = {
    'font.family': 'sans-serif', 'font.size': 9, 'svg.fonttype': 'none', 'axes.edgecolor': GRID,
    'axes.spines.top': False, 'axes.spines.right': False, 'axes.labelcolor': '#57606a',
    'xtick.color': '#57606a', 'ytick.color': '#57606a', 'axes.titlesize': 10,
    'svg.hashsalt': 'maven_ros',  # makes the output reproducible
}


def timeline(
    held: Believed, pairs: Pairs | None, utterances: Sequence[Utterance], origin_ns: int,
) -> str:
    """
    Draw one person of one bag: both traces with their bands, annotations, evidence and words.

    :param held: states of the person.
    :param pairs: annotated times, if there are any.
    :param origin_ns: time at which the axis begins.
    """
    last_ns = max([*held.ends_ns[-1:], *(pairs.times_ns[-1:] if pairs is not None else ())],
                  default=origin_ns + NS)
    end_s = max(1.0, (int(last_ns) - origin_ns) / NS)
    said = [one for one in utterances if one.is_final and one.words]
    speaks = bool(said) and end_s <= _LONGEST_WORDS_S
    heights = [3, 3, 0.9, *([0.9] if speaks else [])]
    figure, axes = _figure(10.6, 0.78 * sum(heights) + 0.5, len(heights), heights)
    for index, name in enumerate(DIMENSIONS):
        _draw_trace(axes[index], held, pairs, index, origin_ns)
        axes[index].set_ylabel(name, color=COLOURS[name], fontweight='bold')
    axes[0].legend(loc='lower left', bbox_to_anchor=(0, 1.0), ncols=3, frameon=False, fontsize=8,
                   borderaxespad=0.2)
    _draw_evidence(axes[2], held, origin_ns)
    if speaks:
        _draw_words(axes[3], said, origin_ns)
    axes[-1].set_xlim(0.0, end_s)
    axes[-1].set_xlabel('seconds')
    axes[-1].tick_params(bottom=True, labelbottom=True)
    return _svg(figure)


def _draw_trace(
    axes: Any, held: Believed, pairs: Pairs | None, index: int, origin_ns: int,
) -> None:
    colour = COLOURS[DIMENSIONS[index]]
    times_s = (held.ends_ns - origin_ns) / NS
    times_s, values = _thinned(times_s, held.values[:, [index, 2 + index]], 1.5 * held.hop_s)
    middle, half = values[:, 0], Z90 * values[:, 1]
    axes.fill_between(times_s, middle - half, middle + half, color=colour, alpha=0.15,
                      linewidth=0, label='90% interval')
    axes.plot(times_s, middle, color=colour, linewidth=1.5, label='estimated')
    if pairs is not None:
        step_s = float(np.median(np.diff(pairs.times_ns))) / NS if len(pairs.times_ns) > 1 else 1.0
        times_s, said = _thinned((pairs.times_ns - origin_ns) / NS, pairs.annotated[:, [index]],
                                 max(1.0, 3 * step_s))
        axes.plot(times_s, said[:, 0], color=ANNOTATED, linewidth=1.1, linestyle=(0, (4, 1.5)),
                  label='annotated')
    axes.axhline(0.0, color=GRID, linewidth=0.8, zorder=0)
    axes.set_ylim(-1.05, 1.05)
    axes.set_yticks([-1, 0, 1])
    axes.tick_params(labelbottom=False, bottom=False)


def _thinned(
    times_s: NDArray[np.float64], values: NDArray[np.float64], hole_s: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Average neighbours to a visible number of points, and break the line at gaps."""
    group = -(-len(times_s) // _MOST_POINTS)
    if group > 1:
        count = len(times_s) // group * group
        times_s = times_s[:count].reshape(-1, group).mean(1)
        values = values[:count].reshape(-1, group, values.shape[1]).mean(1)
    holes = np.flatnonzero(np.diff(times_s) > hole_s * max(1, group)) + 1
    return np.insert(times_s, holes, np.nan), np.insert(values, holes, np.nan, axis=0)


def _draw_evidence(axes: Any, held: Believed, origin_ns: int) -> None:
    ends_s = (held.ends_ns - origin_ns) / NS
    evidence = np.nan_to_num(held.values[:, 4]).astype(np.uint8)
    for row, (modality, _, colour) in enumerate(EVIDENCE):
        axes.axhspan(row - 0.36, row + 0.36, color='#f1f3f5', linewidth=0)
        axes.broken_barh(_runs(ends_s, evidence & modality > 0, held.hop_s), (row - 0.36, 0.72),
                         color=colour, linewidth=0)
    axes.set_yticks(range(len(EVIDENCE)), [name for _, name, _ in EVIDENCE])
    axes.set_ylim(len(EVIDENCE) - 0.4, -0.6)
    axes.tick_params(left=False, labelbottom=False, bottom=False)
    axes.spines[['left', 'bottom']].set_visible(False)


def _runs(
    ends_s: NDArray[np.float64], on: NDArray[np.bool_], hop_s: float,
) -> list[tuple[float, float]]:
    """Merge consecutive windows into (start, length); each window is as long as its hop."""
    runs: list[tuple[float, float]] = []
    for end_s in ends_s[on].tolist():
        if runs and end_s - sum(runs[-1]) < 0.5 * hop_s:
            runs[-1] = runs[-1][0], end_s + hop_s - runs[-1][0]
        else:
            runs.append((end_s, hop_s))
    return runs


def _draw_words(axes: Any, said: Sequence[Utterance], origin_ns: int) -> None:
    words = [word for utterance in said for word in utterance.words]
    for index, word in enumerate(words):
        start_s, end_s = (word.start_ns - origin_ns) / NS, (word.end_ns - origin_ns) / NS
        row = index % 3
        axes.plot([start_s, end_s], [row + 0.42] * 2, color='#8c959f', linewidth=1)
        axes.text((start_s + end_s) / 2, row, word.text, ha='center', va='center', fontsize=7.5,
                  color='#24292f', clip_on=True)
    axes.set_ylim(2.7, -0.6)
    axes.set_yticks([])
    axes.spines[['left']].set_visible(False)


def circumplex(points: NDArray[np.float64], title: str) -> str:
    """
    Draw how often each part of the circumplex occurs.

    :param points: float64 (n, 2), valence and arousal.
    """
    figure, (axes,) = _figure(4.6, 4.5, 1, [1])
    counts, _, _ = np.histogram2d(points[:, 0], points[:, 1], 40, ((-1, 1), (-1, 1)))
    shares = np.ma.masked_equal(counts.T / max(1, len(points)), 0)
    mesh = axes.pcolormesh(np.linspace(-1, 1, 41), np.linspace(-1, 1, 41), shares, cmap='YlGnBu',
                           vmin=0, rasterized=True, zorder=2)
    figure.colorbar(mesh, ax=axes, shrink=0.7, format=lambda share, _: f'{100 * share:.2g}%')
    angles = np.linspace(0, 2 * np.pi, 200)
    axes.plot(np.cos(angles), np.sin(angles), color=GRID, linewidth=0.8)
    for index, name in enumerate(OCTANTS):
        angle = index * np.pi / 4
        x, y = 0.82 * np.cos(angle), 0.82 * np.sin(angle) + 0.05 * (index % 4 == 0)
        axes.text(x, y, name, ha='center', va='center', fontsize=7.5, color='#8c959f')
    axes.axhline(0, color=GRID, linewidth=0.8)
    axes.axvline(0, color=GRID, linewidth=0.8)
    axes.set(xlim=(-1.02, 1.02), ylim=(-1.02, 1.02), aspect='equal', xlabel='valence',
             ylabel='arousal', title=title, xticks=[-1, 0, 1], yticks=[-1, 0, 1])
    return _svg(figure)


def offset_curve(found: OffsetSearch) -> str:
    """Draw the mean CCC at each offset."""
    figure, (axes,) = _figure(6.4, 2.3, 1, [1])
    axes.plot(found.offsets_s, found.mean_ccc, color='#1b1f24', linewidth=1.4)
    axes.axvline(found.best_s, color='#bf8700', linewidth=1.2, linestyle='--')
    axes.axvline(0, color=GRID, linewidth=0.8, zorder=0)
    axes.set(xlabel='offset: delay of the raters (s)', ylabel='mean CCC')
    return _svg(figure)


def histogram(values_ms: NDArray[np.float64], xlabel: str) -> str:
    """Draw a histogram of times."""
    figure, (axes,) = _figure(6.4, 1.9, 1, [1])
    axes.hist(values_ms, bins=min(60, max(5, len(values_ms) // 3)), color='#6e7781')
    axes.axvline(float(np.percentile(values_ms, 99)), color='#bf8700', linestyle='--', linewidth=1)
    axes.set(xlabel=xlabel, ylabel='windows', xlim=(0, None))
    return _svg(figure)


def _figure(
    width: float, height: float, rows: int, heights: Sequence[float],
) -> tuple[Any, list[Any]]:
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout='constrained')
        FigureCanvasSVG(figure)
        axes = figure.subplots(rows, 1, sharex=True, squeeze=False,
                               gridspec_kw={'height_ratios': heights})
    return figure, [*axes[:, 0]]


def _svg(figure: Any) -> str:
    import matplotlib

    text = io.StringIO()
    with matplotlib.rc_context(_STYLE):
        figure.savefig(text, format='svg', transparent=True, dpi=160, metadata={'Date': None})
    svg = text.getvalue()
    return svg[svg.index('<svg'):]
