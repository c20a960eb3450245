"""Draw states: valence, arousal and evidence over time, words, and the path on the circumplex."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from maven_ros.affect import OCTANTS, UNKNOWN, Z90
from maven_ros.errors import ResourceError
from maven_ros.files import owner_only, written
from maven_ros.records import NS, AffectState, Modality, Status, Utterance

_VALENCE, _AROUSAL = '#2166ac', '#d6604d'
_EVIDENCE = ((Modality.VIDEO, 'face', '#4d9221'), (Modality.AUDIO, 'voice', '#8073ac'),
             (Modality.TEXT, 'words', '#e08214'))
_LINES = ('-', '--', ':', '-.')


@owner_only()
def draw_timeline(
    states: Sequence[AffectState], utterances: Sequence[Utterance], path: Path, title: str = '',
) -> None:
    """
    Draw states and utterances, and write them as a PNG.

    :param states: states of one or several people, in order of time; those without a valence
        leave a gap.
    :param utterances: the final ones are shown at the time they were spoken.
    :param path: path of the PNG.
    :raises ResourceError: if there is nothing to draw, matplotlib is missing, or the file cannot
        be written.
    """
    if not states:
        raise ResourceError(f'{path}: there is no state to draw')
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ResourceError(
            'matplotlib is not installed; pip install "maven_ros[plot]"') from error

    origin_ns = states[0].window_end_ns
    end_s = max(1.0, (states[-1].window_end_ns - origin_ns) / NS)
    figure = Figure(figsize=(13, 6.2), layout='constrained')
    FigureCanvasAgg(figure)
    panels: Any = figure.subfigures(1, 2, width_ratios=(2.1, 1))
    left, right = panels
    over_time, strip, words = left.subplots(
        3, 1, sharex=True, gridspec_kw={'height_ratios': (4, 1, 1.1)})
    _draw_traces(over_time, states, origin_ns)
    _draw_evidence(strip, states, origin_ns)
    _draw_words(words, utterances, origin_ns, end_s)
    words.set_xlim(0.0, end_s)
    _draw_circumplex(right.subplots(), states)
    figure.suptitle(title or f'{len(states)} states by {states[-1].model}')
    if any(state.model.startswith('untrained') for state in states):
        figure.text(0.33, 0.6, 'UNTRAINED', fontsize=54, color='crimson', alpha=0.18,
                    rotation=18, ha='center', va='center', weight='bold')
    with written(path) as beside:
        figure.savefig(beside, dpi=110, format='png')


def draw_bag(bag: Path, path: Path) -> None:
    """
    Draw the topics ``/affect/state`` and ``/affect/utterance`` of a bag, and write a PNG.

    :param bag: folder of a rosbag2.
    :raises ResourceError: if the bag cannot be read or holds no state.
    """
    from maven_ros.graph.bag.bag_graph import BagGraph
    from maven_ros.graph.topics import hear_affect

    states: list[AffectState] = []
    utterances: list[Utterance] = []
    with BagGraph(bag) as graph:
        topics = ', '.join(graph.topics()) or 'none'
        hear_affect(graph, lambda state, latency_s: states.append(state), utterances.append)
        graph.play()
    if not states:
        raise ResourceError(f'{bag}: holds nothing on /affect/state; its topics: {topics}')
    draw_timeline(states, utterances, path)


def _people(states: Sequence[AffectState]) -> dict[str, list[AffectState]]:
    """Group states with evidence by person, the person with the most states first."""
    people: dict[str, list[AffectState]] = {}
    for state in states:
        if state.status is not Status.NO_EVIDENCE:
            people.setdefault(state.person_id, []).append(state)
    return dict(sorted(people.items(), key=lambda one: -len(one[1])))


def _draw_traces(axes: Any, states: Sequence[AffectState], origin_ns: int) -> None:
    for index, (person_id, own) in enumerate(_people(states).items()):
        style = _LINES[index % len(_LINES)]
        who = person_id or 'nobody in view'
        own = _with_gaps(own)
        times = [(state.window_end_ns - origin_ns) / NS for state in own]
        for name, colour in (('valence', _VALENCE), ('arousal', _AROUSAL)):
            values = [getattr(state.affect, name) for state in own]
            spreads = [Z90 * getattr(state, f'{name}_std') for state in own]
            axes.plot(times, values, style, color=colour, label=f'{name}, {who}')
            axes.fill_between(
                times,
                [value - spread for value, spread in zip(values, spreads, strict=True)],
                [value + spread for value, spread in zip(values, spreads, strict=True)],
                color=colour, alpha=0.10, linewidth=0)
        axes.legend(loc='upper right', fontsize=8, ncols=2, framealpha=0.7)
    axes.axhline(0.0, color='grey', linewidth=0.6)
    axes.set_ylim(-1.05, 1.05)
    axes.set_ylabel('valence, arousal\n(90% interval shaded)')


def _with_gaps(states: Sequence[AffectState]) -> list[AffectState]:
    """Insert an unknown state into each gap of over a second, to break the line there."""
    filled: list[AffectState] = []
    for state in states:
        if filled and state.window_end_ns - filled[-1].window_end_ns > NS:
            filled.append(replace(filled[-1], affect=UNKNOWN))
        filled.append(state)
    return filled


def _draw_evidence(axes: Any, states: Sequence[AffectState], origin_ns: int) -> None:
    """Mark the windows with each modality, and those with a stale stream."""
    rows = [(name, colour, [state for state in states if state.modalities & modality])
            for modality, name, colour in _EVIDENCE]
    rows.append(('stale', 'black', [one for one in states if one.status is Status.STALE]))
    for row, (_, colour, seen) in enumerate(rows):
        times = [(state.window_end_ns - origin_ns) / NS for state in seen]
        axes.scatter(times, [row] * len(times), marker='s', s=14, color=colour, linewidths=0)
    axes.set_yticks(range(len(rows)), [name for name, _, _ in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_ylabel('evidence')


def _draw_words(
    axes: Any, utterances: Sequence[Utterance], origin_ns: int, end_s: float,
) -> None:
    for index, utterance in enumerate(one for one in utterances if one.is_final and one.words):
        start_s = (utterance.start_ns - origin_ns) / NS
        stop_s = (utterance.end_ns - origin_ns) / NS
        row = index % 3
        axes.plot([start_s, stop_s], [row, row], color='grey', linewidth=1.5)
        axes.text(min(max(start_s, 0.0), end_s * 0.8), row - 0.12, utterance.text, fontsize=8,
                  va='bottom', clip_on=True, parse_math=False)
    axes.set_ylim(2.5, -1.0)
    axes.set_yticks([])
    axes.set_ylabel('words')
    axes.set_xlabel('seconds')


def _draw_circumplex(axes: Any, states: Sequence[AffectState]) -> None:
    from matplotlib.patches import Circle

    axes.add_patch(Circle((0, 0), 1.0, fill=False, color='grey', linewidth=0.8))
    for index, name in enumerate(OCTANTS):
        angle = index * math.pi / 4
        axes.text(1.18 * math.cos(angle), 1.10 * math.sin(angle), name, fontsize=8, color='grey',
                  ha='center', va='center')
    for index, own in enumerate(_people(states).values()):
        valence = [state.affect.valence for state in own]
        arousal = [state.affect.arousal for state in own]
        axes.plot(valence, arousal, _LINES[index % len(_LINES)], color='lightgrey', linewidth=1)
        points = axes.scatter(valence, arousal, c=range(len(own)), cmap='viridis', s=16, zorder=3)
        points.set_clim(0, max(1, len(own) - 1))
    axes.axhline(0, color='grey', linewidth=0.5)
    axes.axvline(0, color='grey', linewidth=0.5)
    axes.set(xlim=(-1.45, 1.45), ylim=(-1.25, 1.25), aspect='equal',
             xlabel='valence: unpleasant to pleasant', ylabel='arousal: calm to activated',
             title='path on the circumplex (dark to bright: early to late)')
    axes.title.set_fontsize(9)
