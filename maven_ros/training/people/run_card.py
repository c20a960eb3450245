"""The model card of a run: data, settings, scores with intervals, and environment."""

from __future__ import annotations

import dataclasses
import math
import platform
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
import yaml

from maven_ros import __version__
from maven_ros.files import read_json, written
from maven_ros.scoring.metrics import METRICS
from maven_ros.scoring.scores import Score, Scores
from maven_ros.text import shown
from maven_ros.training.people.origin import Origin, origin_of
from maven_ros.training.people.prepared import SUMMARY
from maven_ros.training.people.run import RunResult
from maven_ros.training.processes import Processes

_PACKAGES = ('accelerate', 'numpy', 'safetensors', 'tokenizers', 'torch', 'transformers')
_READINGS = {
    'causal': 'the estimate of the window that ended last, with the smoothing of '
              '`/affect/state_smoothed`, as a robot would know it',
    'centred': 'the mean over all windows that contain the frame, smoothed by a Gaussian; it uses '
               'the future, so it is for recordings only'}


def write_card(
    result: RunResult, data: Path, licence: str, wall_s: float, processes: Processes,
    path: Path,
) -> None:
    """
    Write the model card.

    :param data: folder of the prepared set.
    :param licence: licence of the network that the run began from.
    :param wall_s: duration of this call of the training, in seconds.
    :raises ResourceError: if it cannot be written.
    """
    summary = read_json(data / SUMMARY)
    origin = origin_of(summary, data / SUMMARY)
    base = Path(result.settings.model).name
    text = '\n'.join([
        *_front_matter(base, licence, origin), *_head(result), *_data(result, summary, origin),
        *_settings(result), *_scores(result), *_environment(wall_s, processes), *_USE,
        *_licence(base, licence, origin)])
    with written(path) as beside:
        beside.write_text(shown(text) + '\n', 'utf-8')


def _front_matter(base: str, licence: str, origin: Origin) -> Iterator[str]:
    terms = [licence] if not origin.terms else [
        f'{base}: {licence}', f'{origin.name}: {origin.terms}']
    whole = '; '.join(terms)
    values = {'license': whole} if ' ' not in whole else {'license': 'other',
                                                          'license_name': whole}
    yield '---'
    yield yaml.safe_dump({**values, 'base_model': base}, sort_keys=False,
                         width=10_000).rstrip()
    yield '---'
    yield ''


def _licence(base: str, licence: str, origin: Origin) -> Iterator[str]:
    yield '## Licence'
    yield ''
    yield (f'These weights began from `{base}`, so they are under its terms: {licence}. '
           + (f'The terms of the training data apply, too: {origin.name}: {origin.terms}.'
              if origin.terms else f'The training data ({origin.name}) have no terms of their '
              'own.'))


def _head(result: RunResult) -> Iterator[str]:
    kept = result.kept
    yield f'# MAVEN {result.settings.name}'
    yield ''
    yield ('A MAVEN network (Ahire et al., arXiv 2503.12623) that estimates valence and arousal '
           f'from {result.settings.clips.length_s:g} seconds of face, voice and words. The '
           f'weights are the running mean at epoch {kept.number + 1} of {len(result.history)}. '
           'The node loads them:')
    yield ''
    yield '    maven-ros run --model.path FOLDER' + (
        '' if result.settings.clips.length_s == 2.0 else
        f' --windows.length_s {result.settings.clips.length_s:g}')
    yield ''


def _data(
    result: RunResult, summary: Mapping[str, Any], origin: Origin,
) -> Iterator[str]:
    yield '## Data'
    yield ''
    yield f'{origin.name[:1].upper()}{origin.name[1:]}.' + (
        ' Nobody was recorded: the scores say nothing about people.' if origin.generated else '')
    yield ''
    yield '| split | people | frames | labelled | unlabelled | without a face | clips |'
    yield '| --- | --- | --- | --- | --- | --- | --- |'
    for split, one in summary['counts']['splits'].items():
        cells = [one[name] for name in ('people', 'frames', 'labelled', 'unlabelled', 'faceless')]
        yield _row([split, *map(str, cells), str(result.clips.get(split, ''))])
    yield ''
    yield (f'{summary["counts"]["excluded"]} people were excluded; `report.md` of the prepared '
           'set has the reasons. Clips are labelled windows; '
           f'{result.clips["without a label"]} more windows have no label.')
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
    yield ('Scores of the labelled frames of the validation split, with 95% intervals. The epoch '
           'was selected and the 90% intervals were calibrated on this split, so the scores are '
           f'optimistic. They are of one training, with seed {result.settings.seed}: no interval '
           'holds how much they differ from one seed to another, which was not measured.')
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
    """Return the CCCs in one line."""
    return ', '.join(
        f'{metric.label} {value_of(scores.scores[metric.name])} '
        f'({interval_of(scores.scores[metric.name])})' for metric in METRICS
        if metric.name.endswith('ccc')) + f'; {scores.covered} of {scores.frames} frames'


def score_rows(scores: Scores) -> Iterator[str]:
    """Yield a table row per metric."""
    for metric in METRICS:
        one = scores.scores[metric.name]
        yield _row([metric.label, value_of(one), interval_of(one)])


def value_of(score: Score) -> str:
    """Format a score, or the reason why it is undefined."""
    return f'undefined: {score.why}' if math.isnan(score.value) else f'{score.value:.3f}'


def interval_of(score: Score) -> str:
    """Format the interval of a score."""
    return f'{score.low:.3f} to {score.high:.3f}' if math.isfinite(score.low) else 'none'


def _environment(wall_s: float, processes: Processes) -> Iterator[str]:
    device = (torch.cuda.get_device_name(processes.device)
              if processes.device.type == 'cuda' else platform.machine())
    yield '## Environment'
    yield ''
    yield (f'maven_ros {__version__}, Python {platform.python_version()}, '
           + ', '.join(f'{name} {metadata.version(name)}' for name in _PACKAGES)
           + f'; {processes.count} process{"es" * (processes.count > 1)} on {device}; '
           f'{wall_s:.0f} s, not counting earlier calls.')
    yield ''


def _listed(value: object) -> object:
    """Return a value with lists in place of tuples, for YAML."""
    if isinstance(value, dict):
        return {name: _listed(one) for name, one in value.items()}
    return [_listed(one) for one in value] if isinstance(value, tuple | list) else value


def _row(cells: Sequence[str]) -> str:
    return '| ' + ' | '.join(cells) + ' |'


_USE = (
    '## Use, and misuse', '',
    'It estimates how a person appears to raters, never what the person feels, and its errors '
    'differ between groups of people. Do not use it for decisions about people: hiring, teaching, '
    'policing, insurance, health, or lie detection. Tell people that they are being watched and '
    'listened to.', '')
