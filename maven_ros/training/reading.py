"""Estimates of the network for encoded windows."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from maven_ros.model.batch import MavenOutput
from maven_ros.model.fusion import Features
from maven_ros.model.maven import MavenModel

_WINDOWS_AT_ONCE = 256


class Reading(NamedTuple):
    """
    Estimates of windows.

    :param points: (windows, 2), valence and arousal.
    :param log_variances: (windows, 2), log-variances of both.
    """

    points: Tensor
    log_variances: Tensor

    @property
    def stds(self) -> Tensor:
        """Standard deviations, (windows, 2)."""
        return (self.log_variances / 2).exp()

    @classmethod
    def of(cls, output: MavenOutput) -> Reading:
        """Extract the estimates from the network's output."""
        return cls(
            torch.stack([output.valence, output.arousal], 1),
            torch.stack([output.valence_log_variance, output.arousal_log_variance], 1))


def read(model: MavenModel, features: Features) -> Reading:
    """Fuse any number of windows, in evaluation mode and without gradients."""
    parts = []
    with torch.inference_mode():
        for first in range(0, len(features.video.mask), _WINDOWS_AT_ONCE):
            rows = slice(first, first + _WINDOWS_AT_ONCE)
            video, audio, text = (
                stream._replace(values=stream.values[rows], mask=stream.mask[rows])
                for stream in features.streams)
            parts.append(Reading.of(model.fuse(Features(video, audio, text, features.slot_s))))
    return Reading(*(torch.cat(same) for same in zip(*parts, strict=True)))
