"""The training task on clips: batches, losses and validation scores."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from maven_ros.errors import SettingsError
from maven_ros.model.maven import MavenModel
from maven_ros.training.losses import concordance, disagreement
from maven_ros.training.people.clip_inputs import deny
from maven_ros.training.people.clips import ClipLabels, Clips
from maven_ros.training.people.feature_sources import FusionSource, Row
from maven_ros.training.people.run_settings import RunSettings
from maven_ros.training.people.starting import frozen_encoders
from maven_ros.training.processes import Processes
from maven_ros.training.reading import Reading


class Batch(NamedTuple):
    """
    One process's share of a batch.

    :param dropped: bool (clips, 3), modalities to drop.
    """

    rows: list[Row]
    labels: ClipLabels
    dropped: Tensor


class ClipReading(NamedTuple):
    """
    The estimates for clips.

    :param reading: estimates for the clips.
    :param frames: (clips, slots, 2), estimates for the slots; NaN without evidence.
    :param present: bool (clips, 3), whether each modality has any evidence.
    """

    reading: Reading
    frames: Tensor
    present: Tensor


class ClipTask:
    """
    A :class:`maven_ros.training.loop.TrainingTask` on clips.

    :param model: result of :func:`maven_ros.training.people.starting.start`, on its device.
    :param source: source of the clips of both splits.
    :raises SettingsError: if there are fewer clips than the batch size.
    """

    def __init__(
        self, settings: RunSettings, model: MavenModel, source: FusionSource, train: Clips,
        valid: Clips, processes: Processes,
    ) -> None:
        self.model: nn.Module = model
        self._settings, self._source, self._processes = settings, source, processes
        self._train, self._valid = train, valid
        self._size = settings.loop.batch_size
        self.steps = len(train) // self._size
        if not self.steps:
            raise SettingsError(f'loop.batch_size: {self._size} is more than the {len(train)} '
                                'training clips')

    def batches(self, epoch: int, random: torch.Generator) -> Iterator[Batch]:
        """Yield this process's share of batches over all clips, in random order."""
        order = torch.randperm(len(self._train), generator=random)
        own = self._processes.part(self._size)
        for step in range(self.steps):
            dropped = torch.rand(self._size, 3, generator=random) < self._settings.inputs.dropout
            places = order[step * self._size:][:self._size][own].tolist()
            yield Batch(*self._train.take(places), dropped[own])

    def losses(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """Return the loss of the whole batch over all processes, and its parts."""
        model = cast(MavenModel, model)
        for own in frozen_encoders(self._settings):
            getattr(model, own).eval()
        read = self.read(model, batch.rows, batch.dropped)
        gather, device = self._processes.gather, read.frames.device
        points, frames, log_variances = map(gather, (
            read.reading.points, read.frames, read.reading.log_variances))
        labels = [gather(one.to(device)) for one in batch.labels]
        loss = self._settings.loss
        parts = {'window': _compared(points, labels[0], loss.agreement),
                 'frames': _compared(frames, labels[1], loss.agreement),
                 'spread': _unlikelihood(points, log_variances, labels[0])}
        total = sum(getattr(loss, name) * part for name, part in parts.items()
                    if getattr(loss, name))
        return {'loss': cast(Tensor, total), **parts}

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Return CCCs of all validation clips, for windows and for slots."""
        places = range(self._processes.rank, len(self._valid), self._processes.count)
        parts = self._processes.gather_objects(
            [self.read_clips(cast(MavenModel, model), self._valid, places)])
        points = torch.cat([read.reading.points for read, _ in parts])
        frames = torch.cat([read.frames for read, _ in parts])
        labels = ClipLabels(*(torch.cat(same) for same in zip(
            *(labels for _, labels in parts), strict=True)))
        figures: dict[str, float] = {}
        for prefix, said, wanted in (('', points, labels.points), ('frames_', frames,
                                                                   labels.slots)):
            said, wanted = _known(said, wanted)
            both = concordance(said, wanted).tolist() if len(said) > 1 else [math.nan] * 2
            figures |= {f'{prefix}ccc_valence': both[0], f'{prefix}ccc_arousal': both[1],
                        f'{prefix}mean_ccc': sum(both) / 2}
        return figures

    def read_clips(
        self, model: MavenModel, clips: Clips, places: range,
    ) -> tuple[ClipReading, ClipLabels]:
        """Return the estimates for clips, computed in batches and stored on the CPU."""
        found = []
        with torch.no_grad():
            for first in range(0, len(places), self._size):
                rows, _ = clips.take(places[first:first + self._size])
                read = self.read(model, rows)
                found.append((read.reading.points.cpu(), read.reading.log_variances.cpu(),
                              read.frames.cpu(), read.present.cpu()))
        points, log_variances, frames, present = (
            (torch.cat(same) for same in zip(*found, strict=True)) if found
            else (torch.zeros(0, 2), torch.zeros(0, 2),
                  torch.zeros(0, self._source.grid.slots, 2), torch.zeros(0, 3).bool()))
        return (ClipReading(Reading(points, log_variances), frames, present),
                clips.take(places)[1])

    def read(
        self, model: MavenModel, rows: list[Row], dropped: Tensor | None = None,
    ) -> ClipReading:
        """Fuse clips, whose features are read or encoded."""
        features = deny(self._source.encode(model, rows), self._settings.inputs, dropped)
        output = model.fuse(features)
        return ClipReading(Reading.of(output), torch.stack(
            [output.frame_valence, output.frame_arousal], -1), features.present)


def _known(said: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """Return the pairs without NaN, both (n, 2)."""
    known = torch.isfinite(said.detach()).all(-1) & torch.isfinite(wanted).all(-1)
    return said[known], wanted[known]


def _compared(said: Tensor, wanted: Tensor, agreement: float) -> Tensor:
    said, wanted = _known(said, wanted)
    if not len(said):
        return said.sum()
    return (said - wanted).square().mean() + agreement * disagreement(said, wanted)


def _unlikelihood(points: Tensor, log_variances: Tensor, wanted: Tensor) -> Tensor:
    """Return the negative log-likelihood of errors; only the log-variances get a gradient."""
    said, wanted = _known(torch.cat([points.detach(), log_variances], -1),
                          torch.cat([wanted, torch.zeros_like(wanted)], -1))
    if not len(said):
        return said.sum()
    error, log_variance = (said[:, :2] - wanted[:, :2]).square(), said[:, 2:]
    return ((log_variance + error / log_variance.exp()) / 2).mean()
