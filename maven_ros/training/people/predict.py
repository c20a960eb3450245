"""Predict a split of a prepared set with a checkpoint."""

from __future__ import annotations

from pathlib import Path

import torch

from maven_ros.model import checkpoint
from maven_ros.scoring.scores import Scores
from maven_ros.training.people.clip_inputs import InputSettings
from maven_ros.training.people.feature_sources import FeatureSource
from maven_ros.training.people.features import FeatureSet
from maven_ros.training.people.framewise import (
    PREDICTIONS,
    as_result_set,
    predict,
    write_predictions,
)
from maven_ros.training.people.prepared import PreparedSet
from maven_ros.training.people.reading_people import read_split


def predict_and_score(
    model: Path, data: Path, features: Path, split: str, out: Path, smoothing: str,
    smoothing_s: float, device: torch.device,
) -> Scores | None:
    """
    Write ``predictions.csv`` and, if the split is labelled, a result set with scores.

    :param model: folder of the checkpoint.
    :param data: folder of the prepared set; ``features`` holds its features by the model's
        encoders.
    :param smoothing: one of :data:`maven_ros.training.people.framewise.SMOOTHINGS`.
    :returns: the scores of all labelled frames; None without labels.
    :raises ResourceError: if a folder is missing, broken, or belongs to other encoders.
    """
    prepared, read = PreparedSet(data), FeatureSet(features)
    loaded = checkpoint.load(model)
    read.check(loaded.model, loaded.tokenizer)
    read.check_people(prepared.people)
    people = read_split(
        loaded.model.to(device), FeatureSource(read), prepared, split, InputSettings())
    predictions = [predict(*one, smoothing, smoothing_s) for one in people]
    write_predictions(out / PREDICTIONS, predictions)
    result = as_result_set(split, predictions, {
        'model': loaded.name, 'split': split, 'smoothing': smoothing})
    if not result.pairs:
        return None
    scores = result.scores()
    result.write(out, scores)
    return scores.overall
