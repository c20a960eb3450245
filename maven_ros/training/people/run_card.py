"""The model card of a run: data, settings, scores with intervals, and what it was made with."""

from __future__ import annotations

import dataclasses
import math
import platform
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path

import torch
import yaml

from maven_ros import __version__
from maven_ros.files import read_json, written
from maven_ros.scoring.metrics import METRICS
from maven_ros.scoring.scores import Score, Scores
from maven_ros.training.people.prepared import SUMMARY
from maven_ros.training.people.run import RunResult
from maven_ros.training.processes import Processes

_PACKAGES = ('accelerate', 'numpy', 'safetensors', 'tokenizers', 'torch', 'transformers')
_READINGS = {
    'causal': 'the window that ended last, smoothed as `/affect/state_smoothed` is: what a robot '
              'would have known',
    'centred': "each frame's own estimate, smoothed to both sides: it knows the future, and is "
               'for recordings alone'}


def write_card(
    result: RunResult, data: Path, wall_s: float, processes: Processes, path: Path,
) -> None:
    """
    Write the card.

    :param data: folder of the prepared set.
    :param wall_s: seconds that this call of the training took.
    :raises ResourceError: when it cannot be written.
    """
    text = '\n'.join([
        *_head(result), *_data(result, data), *_settings(result), *_scores(result),
        *_environment(wall_s, processes), *_USE])
    with written(path) as beside:
        beside.write_text(text + '\n', 'utf-8')


def _head(result: RunResult) -> Iterator[str]:
    kept = result.kept
    yield f'# MAVEN {result.settings.name}'
    yield ''
    yield ('A MAVEN network (Ahire et al., arXiv 2503.12623) that estimates valence and arousal '
           f'from {result.settings.clips.length_s:g} seconds of face, voice and words. The '
           f'weights are those of epoch {kept.number + 1} of {len(result.history)}, a running '
           'mean over the steps of the training. The node loads them:')
    yield ''
    yield '    maven-ros run --model.path FOLDER' + (
        '' if result.settings.clips.length_s == 2.0 else
        f' --windows.length_s {result.settings.clips.length_s:g}')
    yield ''


def _data(result: RunResult, data: Path) -> Iterator[str]:
    summary = read_json(data / SUMMARY)
    yield '## Data'
    yield ''
    yield '| split | people | frames | labelled | unlabelled | without a face | clips |'
    yield '| --- | --- | --- | --- | --- | --- | --- |'
    for split, one in summary['counts']['splits'].items():
        cells = [one[name] for name in ('people', 'frames', 'labelled', 'unlabelled', 'faceless')]
        yield _row([split, *map(str, cells), str(result.clips.get(split, ''))])
    yield ''
    yield (f'{summary["counts"]["excluded"]} people were excluded, as `report.md` of the prepared '
           'set tells. Clips are windows that are labelled; '
           f'{result.clips["without a label"]} more are not.')
    yield ''


def _settings(result: RunResult) -> Iterator[str]:
    plain = dataclasses.asdict(result.settings)
    yield '## Settings'
    yield ''
    yield '```yaml'
    yield yaml.safe_dump(_listed(plain), sort_keys=False).rstrip()
    yield '```'
    yield ''


def _scores(result: RunResult) -> Iterator[str]:
    yield '## Scores'
    yield ''
    yield ('Of the labelled frames of the validation split, by which the epoch was chosen and the '
           '90% intervals were calibrated, so that it flatters both; with 95% intervals.')
    for name, (found, scores) in result.sets.items():
        overall = scores.overall
        yield ''
        yield (f'**{name}**: {_READINGS[name]}. {overall.covered} of {overall.frames} frames have '
               f"an estimate, {found.about['filled_frames']} of all frames that of another frame; "
               f'{overall.unlabelled} are unlabelled.')
        yield ''
        yield '| score | value | 95% interval |'
        yield '| --- | --- | --- |'
        yield from score_rows(overall)
        yield ''
        yield f'{overall.resampling}.'
    yield ''


def scores_text(scores: Scores) -> str:
    """Return the scores that matter most, in a line."""
    return ', '.join(
        f'{metric.label} {value_of(scores.scores[metric.name])} '
        f'({interval_of(scores.scores[metric.name])})' for metric in METRICS
        if metric.name.endswith('ccc')) + f'; {scores.covered} of {scores.frames} frames'


def score_rows(scores: Scores) -> Iterator[str]:
    """Return a row of a table for every metric."""
    for metric in METRICS:
        one = scores.scores[metric.name]
        yield _row([metric.label, value_of(one), interval_of(one)])


def value_of(score: Score) -> str:
    """Return a score in words, or why there is none."""
    return f'undefined: {score.why}' if math.isnan(score.value) else f'{score.value:.3f}'


def interval_of(score: Score) -> str:
    """Return a score's interval in words."""
    return f'{score.low:.3f} to {score.high:.3f}' if math.isfinite(score.low) else 'none'


def _environment(wall_s: float, processes: Processes) -> Iterator[str]:
    device = (torch.cuda.get_device_name(processes.device)
              if processes.device.type == 'cuda' else platform.machine())
    yield '## Environment'
    yield ''
    yield (f'maven_ros {__version__}, Python {platform.python_version()}, '
           + ', '.join(f'{name} {metadata.version(name)}' for name in _PACKAGES)
           + f'; {processes.count} process{"es" * (processes.count > 1)} on {device}; '
           f'{wall_s:.0f} s, without what an earlier call had done.')
    yield ''


def _listed(value: object) -> object:
    """Return the same with lists for tuples, which YAML has not."""
    if isinstance(value, dict):
        return {name: _listed(one) for name, one in value.items()}
    return [_listed(one) for one in value] if isinstance(value, tuple | list) else value


def _row(cells: Sequence[str]) -> str:
    return '| ' + ' | '.join(cells) + ' |'


_USE = (
    '## Use, and misuse', '',
    'It estimates how somebody appears to raters, never what a person feels, and its errors are '
    'not the same for all groups of people. Not for decisions about people: hiring, teaching, '
    'policing, insurance, health, or lie detection. Tell people that they are being looked at and '
    'listened to.', '',
    '## Licence', '',
    'The weights have the terms of the data that they were trained on, and of the encoders. '
    'Aff-Wild2 is for non-commercial research, under the agreement that its holder signed.')
