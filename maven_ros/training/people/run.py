"""
A run: train the fusion, and perhaps the last blocks of encoders, on clips of a prepared set.

The folder of the run holds the checkpoint to resume from, curves, the TensorBoard log,
``run.json`` with the settings, ``model/`` for the node, and ``valid/`` with predictions and scores
for every frame of the validation split.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any, cast

import torch

from maven_ros.errors import MavenError, ResourceError, SettingsError
from maven_ros.files import write_json
from maven_ros.model import checkpoint
from maven_ros.model.maven import ENCODERS, MavenModel
from maven_ros.records import NS
from maven_ros.resources import resource
from maven_ros.scoring.resultset import ResultSet, SetScores
from maven_ros.training.calibration import calibrate, shift_readers
from maven_ros.training.compact.bank import fingerprint
from maven_ros.training.loop import CHECKPOINT, Epoch, Stopped, fit
from maven_ros.training.people.clip_task import ClipTask
from maven_ros.training.people.clips import Clips
from maven_ros.training.people.feature_sources import EvidenceSource, FeatureSource, FusionSource
from maven_ros.training.people.features import FeatureSet
from maven_ros.training.people.framewise import (
    PREDICTIONS,
    as_result_set,
    predict,
    write_predictions,
)
from maven_ros.training.people.prepared import PreparedSet
from maven_ros.training.people.reading_people import read_split
from maven_ros.training.people.run_settings import RunSettings
from maven_ros.training.people.starting import put_encoders, start, take_encoders
from maven_ros.training.processes import Processes
from maven_ros.training.reading import Reading

MODEL, VALID, SETTINGS, CARD = 'model', 'valid', 'run.json', 'README.md'
#: The kinds of smoothing for the validation scores, each with a folder in ``valid/``.
READINGS = ('causal', 'centred')


@dataclass(frozen=True)
class RunResult:
    """
    The result of a run.

    :param kept: the selected epoch.
    :param history: results of all epochs.
    :param sets: result set and scores of the validation split, by smoothing.
    :param model: folder of the checkpoint; None if the node cannot use the network.
    :param clips: number of clips in each split, and of windows without a label.
    """

    settings: RunSettings
    kept: Epoch
    history: tuple[Epoch, ...]
    sets: dict[str, tuple[ResultSet, SetScores]]
    model: Path | None
    clips: dict[str, int]


def train_run(
    settings: RunSettings, data: Path, features: Path | None, out: Path, *,
    processes: Processes, stop: Event, resume: bool = False,
) -> RunResult | None:
    """
    Train, or resume a training; then export, predict and score.

    :param data: folder of the prepared set.
    :param features: folder of its features; None if encoders are tuned.
    :param out: folder of the run.
    :param resume: whether to resume an existing run.
    :returns: the result, only in the main process.
    :raises ResourceError: if a folder is missing, broken or belongs to other encoders, or if a run
        exists and ``resume`` is False.
    """
    if (out / CHECKPOINT).exists() and not resume:
        raise ResourceError(f'{out}: holds a run; use --resume to continue it, or another --out '
                            'to start a new one')
    prepared = PreparedSet(data)
    base = checkpoint.load(model_folder(settings.model))
    source = open_source(settings, prepared, features, base)
    model = start(settings, base.model)
    encoders = {} if settings.tune.blocks else take_encoders(model)
    train = Clips(prepared, source, 'train', settings.clips)
    # Consecutive windows without overlap hold each frame once.
    valid = Clips(prepared, source, 'valid', dataclasses.replace(
        settings.clips, stride=max(1, source.length_ns // source.hop_ns)))
    task = ClipTask(settings, model.to(processes.device), source, train, valid, processes)
    with reproducible(settings.deterministic):
        try:
            fitted = fit(
                task, settings.loop, out, name=settings.name, seed=settings.seed, stop=stop,
                recipe=_recipe(settings, base.model, source, train, valid), processes=processes)
        except Stopped as error:
            raise MavenError(f'{out}: {error}, with --resume') from error
    if not processes.main:
        return None
    best = cast(MavenModel, fitted.model)
    _calibrate(best, task, valid)
    sets = score_valid(settings, best, source, prepared, out / VALID)
    put_encoders(best, encoders)
    write_json(out / SETTINGS, dataclasses.asdict(settings))
    return RunResult(
        settings, fitted.kept, fitted.history, sets, export(settings, best, base, out / MODEL),
        {'train': len(train), 'valid': len(valid),
         'without a label': train.unlabelled + valid.unlabelled})


def open_source(
    settings: RunSettings, prepared: PreparedSet, features: Path | None,
    base: checkpoint.Checkpoint,
) -> FusionSource:
    """
    Open the source of the clips.

    :raises SettingsError: if features are given and frames are needed, or the reverse, or if clips
        have another length than the features' windows.
    :raises ResourceError: if the features belong to other encoders, or to an earlier preparation.
    """
    if settings.tune.blocks:
        if features is not None:
            raise SettingsError('--features: not allowed if encoders are tuned (tune: '
                                f'{settings.tune.blocks}), because frames are read')
        return EvidenceSource(prepared, base, settings.clips.length_s)
    if features is None:
        raise SettingsError('--features: is missing; `maven-ros data embed` makes them')
    found = FeatureSet(features)
    found.check(base.model, base.tokenizer)
    found.check_people(prepared.people)
    length_s = found.length_ns / NS
    if abs(length_s - settings.clips.length_s) > 1e-6:
        raise SettingsError(f'clips.length_s: {settings.clips.length_s}; allowed: that of the '
                            f'features, {length_s:g}')
    return FeatureSource(found)


def score_valid(
    settings: RunSettings, model: MavenModel, source: FusionSource, prepared: PreparedSet,
    out: Path,
) -> dict[str, tuple[ResultSet, SetScores]]:
    """Predict and score every frame of the validation split, and write both."""
    found = {}
    people = read_split(model, source, prepared, 'valid', settings.inputs)
    for smoothing in READINGS:
        predictions = [predict(*one, smoothing, settings.smoothing_s) for one in people]
        result = as_result_set(settings.name, predictions, {
            'model': settings.name, 'split': 'valid', 'smoothing': smoothing})
        scores = result.scores()
        result.write(out / smoothing, scores)
        write_predictions(out / smoothing / PREDICTIONS, predictions)
        found[smoothing] = result, scores
    return found


def export(
    settings: RunSettings, model: MavenModel, base: checkpoint.Checkpoint, folder: Path,
) -> Path | None:
    """
    Write the checkpoint for the node, if the network was trained with the node's input.

    :returns: its folder, or None.
    """
    if not settings.inputs.live:
        return None
    model.config.trained = True
    checkpoint.save(folder, model.cpu(), base.tokenizer)
    return folder


@contextmanager
def reproducible(wanted: bool) -> Iterator[None]:
    """Restrict torch to deterministic algorithms, if wanted."""
    before = torch.are_deterministic_algorithms_enabled()
    if wanted:
        os.environ.setdefault('CUBLAS_WORKSPACE_CONFIG', ':4096:8')  # for CUDA
    torch.use_deterministic_algorithms(wanted or before)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)


def _calibrate(model: MavenModel, task: ClipTask, valid: Clips) -> None:
    """Calibrate the standard deviations on the validation clips with evidence."""
    device = model.device
    for fitted in (shift_readers, calibrate):  # the head's estimates depend on the readers
        read, labels = task.read_clips(model, valid, range(len(valid)))
        known = torch.isfinite(read.reading.points).all(1)
        fitted(model.cpu(), Reading(*(part[known] for part in read.reading)),
               read.present[known], labels.points[known])
        model.to(device)


def model_folder(name: str) -> Path:
    """Return the folder of the network that a run begins from."""
    return Path(name) if Path(name).is_dir() else resource(name)


def _recipe(
    settings: RunSettings, base: MavenModel, source: FusionSource, train: Clips, valid: Clips,
) -> dict[str, Any]:
    """Return everything that the weights depend on, in plain values."""
    plain = {name: value for name, value in dataclasses.asdict(settings).items()
             if name not in ('loop', 'seed', 'smoothing_s', 'model')}
    digests = {part: fingerprint(getattr(base, part))
               for part in (*ENCODERS.values(), *settings.keep)}
    return {**plain, **digests, 'source': source.digest, 'train': train.digest,
            'valid': valid.digest}
