"""Estimates of a network for all windows of recorded people."""

from __future__ import annotations

import numpy as np
import torch

from maven_ros.model.maven import MavenModel
from maven_ros.scoring.metrics import Array
from maven_ros.training.people.clip_inputs import InputSettings, deny
from maven_ros.training.people.feature_sources import FusionSource
from maven_ros.training.people.framewise import WindowEstimates
from maven_ros.training.people.prepared import Frames, PreparedSet, RecordedPerson
from maven_ros.training.reading import Reading

_WINDOWS_AT_ONCE = 64


def read_person(
    model: MavenModel, source: FusionSource, person: str, inputs: InputSettings,
) -> WindowEstimates:
    """Return the estimates for all windows of a person; a raw head may leave the square."""
    count = source.windows(person)
    points, stds, slots, evidence = [], [], [], []
    for first in range(0, count, _WINDOWS_AT_ONCE):
        rows = [(person, window) for window in range(first, min(first + _WINDOWS_AT_ONCE, count))]
        with torch.inference_mode():
            features = deny(source.encode(model, rows), inputs)
            output = model.fuse(features)
            reading = Reading.of(output)
        points.append(_numbers(reading.points).clip(-1, 1))
        stds.append(_numbers(reading.stds))
        slots.append(_numbers(torch.stack([output.frame_valence, output.frame_arousal], -1)
                              ).clip(-1, 1))
        evidence.append(features.present.cpu().numpy() @ np.array([1, 2, 4], np.uint8))
    ends_ns = np.array([source.start_ns(window) + source.length_ns for window in range(count)],
                       np.int64)
    return WindowEstimates(
        ends_ns, source.length_ns, source.hop_ns, np.concatenate(points), np.concatenate(stds),
        np.concatenate(slots), np.concatenate(evidence).astype(np.uint8))


def read_split(
    model: MavenModel, source: FusionSource, prepared: PreparedSet, split: str,
    inputs: InputSettings,
) -> list[tuple[RecordedPerson, Frames, WindowEstimates]]:
    """Return the estimates for all people in a split."""
    return [(person, prepared.frames(person.person),
             read_person(model, source, person.person, inputs))
            for person in prepared.people if person.split == split]


def _numbers(values: torch.Tensor) -> Array:
    numbers: Array = values.double().cpu().numpy()
    return numbers
