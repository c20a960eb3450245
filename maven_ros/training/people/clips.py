"""Clips: labelled windows of recorded people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from maven_ros import rules
from maven_ros.declarations import Checked, setting
from maven_ros.errors import ResourceError
from maven_ros.records import nanoseconds
from maven_ros.rules import Grid
from maven_ros.training.digests import digest_of
from maven_ros.training.people.feature_sources import FusionSource, Row
from maven_ros.training.people.prepared import PreparedSet


@dataclass(frozen=True)
class ClipSettings(Checked):
    """The settings of clips."""

    length_s: float = setting(
        2.0, 'Length of a clip, the same as in the features and in windows.length_s.', above=0)
    stride: int = setting(
        1, 'Windows from one clip to the next. Windows are one hop apart, so neighbouring clips '
        'overlap.', minimum=1)
    target_s: float = setting(
        0.0, 'The target is the mean over this many seconds at the end of the window, where its '
        'state becomes current; 0 takes the whole window, with a delay of half its length.',
        minimum=0)

    def contradictions(self) -> Iterator[str]:
        """Yield a message for each combination that is not allowed."""
        if self.target_s > self.length_s:
            yield f'target_s: {self.target_s} is longer than length_s, {self.length_s}'


class ClipLabels(NamedTuple):
    """
    The labels of clips; NaN if unlabelled.

    :param points: float32 (clips, 2), targets of the windows: valence and arousal.
    :param slots: float32 (clips, slots, 2), means over the labelled frames of each slot.
    """

    points: Tensor
    slots: Tensor


class Clips:
    """
    The clips of a split that have a target.

    :raises ResourceError: if there is none.
    """

    def __init__(
        self, prepared: PreparedSet, source: FusionSource, split: str, settings: ClipSettings,
    ) -> None:
        self.rows: list[Row] = []
        #: Number of windows without a target.
        self.unlabelled = 0
        points, slots = [], []
        for person in prepared.people:
            if person.split != split:
                continue
            windows = np.arange(0, source.windows(person.person), settings.stride)
            frames = prepared.frames(person.person)
            starts_ns = np.array([source.start_ns(int(one)) for one in windows], np.int64)
            own = label(frames.stamps_ns, frames.values, starts_ns, source.grid, settings.target_s)
            known = torch.isfinite(own.points).all(1)
            self.rows += [(person.person, int(one)) for one in windows[known.numpy()]]
            self.unlabelled += int((~known).sum())
            points.append(own.points[known])
            slots.append(own.slots[known])
        if not self.rows:
            raise ResourceError(f'{prepared.folder}: has no labelled clip of the split {split!r}')
        self.labels = ClipLabels(torch.cat(points), torch.cat(slots))

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def digest(self) -> str:
        """Digest of the selection of clips and their labels, in 16 hexadecimal digits."""
        return digest_of(self.rows, *self.labels)

    def take(self, places: Sequence[int]) -> tuple[list[Row], ClipLabels]:
        """Return some clips, by index, with their labels."""
        return ([self.rows[place] for place in places],
                ClipLabels(*(part[list(places)] for part in self.labels)))


def label(
    stamps_ns: NDArray[np.int64], values: NDArray[np.float32], starts_ns: NDArray[np.int64],
    grid: Grid, target_s: float = 0.0,
) -> ClipLabels:
    """
    Return the labels of windows of one person.

    :param stamps_ns: (frames,), ascending.
    :param values: (frames, 2), NaN where unlabelled.
    :param starts_ns: start times of the windows.
    :param target_s: as in :class:`ClipSettings`.
    """
    length_ns = nanoseconds(grid.slots * grid.slot_s)
    edges_ns = starts_ns[:, None] + rules.slot_edges(0, length_ns, grid.slots)
    at = np.searchsorted(stamps_ns, edges_ns)
    labelled = np.isfinite(values.sum(1))
    counts = np.concatenate([[0], np.cumsum(labelled)])
    totals = np.concatenate([np.zeros((1, 2)), np.cumsum(
        np.where(labelled[:, None], values, 0).astype(np.float64), 0)])
    in_slot, of_slot = (np.diff(sums[at], axis=1) for sums in (counts, totals))
    last = slice(-max(1, round(target_s / grid.slot_s)) if target_s else None, None)
    with np.errstate(invalid='ignore'):
        slots = of_slot / in_slot[..., None]
        points = of_slot[:, last].sum(1) / in_slot[:, last].sum(1)[:, None]
    return ClipLabels(*(torch.from_numpy(one.astype(np.float32)) for one in (points, slots)))
