"""
The input of the fusion: encoded clips, or a reduced version for ablations.

The node provides all modalities, with a mask for missing evidence. Only a network that was trained
with this input is written as a checkpoint. Two reductions of the authors' code are available for
comparison.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from maven_ros.declarations import Checked, setting
from maven_ros.model.fusion import Features
from maven_ros.model.time_grid import Aligned
from maven_ros.records import MODALITIES


@dataclass(frozen=True)
class InputSettings(Checked):
    """The settings of the fusion's input."""

    modalities: tuple[str, ...] = setting(
        MODALITIES, 'Modalities of the input; the others are always missing.', choices=MODALITIES)
    pooled: bool = setting(
        False, 'Whether sound and words are one vector each, the mean over the clip, as in the '
        'authors\' code; attention over a single key then returns its value.')
    masked: bool = setting(
        True, 'Whether missing modalities are masked; the authors\' code uses zeros.')
    dropout: float = setting(
        0.1, 'Probability that a present modality of a training clip is dropped, for each '
        'modality; one always stays.', minimum=0, below=1)

    def contradictions(self) -> Iterator[str]:
        """Yield a message for each combination that is not allowed."""
        if not self.modalities or len(set(self.modalities)) < len(self.modalities):
            yield (f'modalities: {list(self.modalities)!r}; allowed: one or more of '
                   f'{", ".join(MODALITIES)}, each once')

    @property
    def live(self) -> bool:
        """Whether the input is the same as the node's."""
        return set(self.modalities) == set(MODALITIES) and self.masked and not self.pooled


def deny(features: Features, settings: InputSettings, dropped: Tensor | None = None) -> Features:
    """
    Return the input of the fusion for clips.

    :param features: complete features.
    :param dropped: bool (batch, 3), modalities to drop from each clip, in training.
    """
    streams = {}
    keep = None if dropped is None else _kept(features, settings, dropped)
    for index, (name, own) in enumerate(zip(MODALITIES, features.streams, strict=True)):
        if name not in settings.modalities:
            own = own._replace(mask=torch.zeros_like(own.mask))
        elif keep is not None:
            own = own._replace(mask=own.mask & keep[:, index, None])
        if settings.pooled and name != 'video':
            own = _pooled(own)
        if not settings.masked:
            own = Aligned(torch.where(own.mask[..., None], own.values, 0),
                          torch.ones_like(own.mask))
        streams[name] = own
    return Features(**streams, slot_s=features.slot_s)


def _kept(features: Features, settings: InputSettings, dropped: Tensor) -> Tensor:
    """Return the modalities to keep, bool (batch, 3): all of them if none would be left."""
    allowed = torch.tensor([name in settings.modalities for name in MODALITIES])
    present = features.present & allowed.to(features.present.device)
    left = present & ~dropped.to(present.device)
    return torch.where(left.any(1, keepdim=True), left, present)


def _pooled(stream: Aligned) -> Aligned:
    """Put the mean over the clip into every slot, which is equivalent to a single key."""
    mask = stream.mask[..., None]
    total = torch.where(mask, stream.values, 0).sum(1, keepdim=True)
    mean = total / mask.sum(1, keepdim=True).clamp(min=1)
    return Aligned(mean.expand_as(stream.values),
                   stream.mask.any(1, keepdim=True).expand_as(stream.mask))
