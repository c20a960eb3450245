"""
Compose windows of pieces of the corpora, so that the fusion learns which modality to trust.

A window combines a face, a voice and a sentence with similar valence and arousal from unrelated
recordings. Some pieces disagree on purpose, some are replaced by noise, and some are partly or
completely missing. The target is the mean over the targets of the informative pieces; its
uncertainty is their spread. The windows are artificial: nobody was recorded with this combination.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from maven_ros.declarations import Checked, fraction, setting
from maven_ros.model.fusion import Features
from maven_ros.model.time_grid import Aligned
from maven_ros.records import MODALITIES
from maven_ros.rules import Grid
from maven_ros.training.compact.bank import Bank
from maven_ros.training.digests import digest_of

_CELL = 0.05  # width of a cell of targets; pieces in one cell are interchangeable


@dataclass(frozen=True)
class ComposeSettings(Checked):
    """The settings of the composition; all shares are probabilities."""

    alone: float = fraction(0.25, 'Share of windows with one modality alone.')
    paired: float = fraction(0.25, 'Share of windows without one modality.')
    near: float = setting(
        0.15, 'Standard deviation of the distance between pieces that agree.', above=0,
        maximum=1)
    disagreeing: float = fraction(0.15, 'Share of pieces that are unrelated to the first piece.')
    noise: float = fraction(0.12, 'Share of pieces that are replaced by noise.')
    partly: float = fraction(0.3, 'Share of pieces that are missing in some slots.')
    still: float = fraction(
        0.4, 'Share of windows with the same version of the face in all slots.')
    changing: float = fraction(
        0.2, 'Share of windows in which another face with similar affect takes over.')
    balance: float = fraction(
        0.5, 'Exponent of the frequency of a point of the circumplex: 1 draws points as often as '
        'in the corpus, 0 draws all points equally often.')

    def contradictions(self) -> Iterator[str]:
        """Yield a message for each combination that is not allowed."""
        if self.alone + self.paired > 1:
            yield f'alone, paired: the sum of {self.alone} and {self.paired} is more than 1'


class ComposedWindows(NamedTuple):
    """
    A batch of composed windows.

    :param targets: (batch, 2), valence and arousal.
    :param spreads: (batch, 2), standard deviations of the targets, from the spread among the
        pieces and of each piece.
    :param informative: bool (batch, 3), whether each modality is present and not noise.
    """

    features: Features
    targets: Tensor
    spreads: Tensor
    informative: Tensor

    def only(self, modality: str) -> ComposedWindows:
        """Mask all modalities but one; the targets do not change."""
        features = self.features
        for name in MODALITIES:
            if name != modality:
                features = features.without(name)
        return self._replace(features=features)

    def without(self, modality: str) -> ComposedWindows:
        """Mask one modality; the targets do not change."""
        return self._replace(features=self.features.without(modality))


class _Cells:
    """The pieces of a bank, grouped by their point on the circumplex."""

    def __init__(self, bank: Bank, balance: float) -> None:
        cells, own = torch.unique((bank.targets / _CELL).round(), dim=0, return_inverse=True)
        self.points = cells * _CELL
        self.order = own.argsort(stable=True)
        weights = bank.weights.double()
        self.ends = weights[self.order].cumsum(0)
        self.counts = torch.zeros(len(cells)).double().index_add(0, own, weights)
        self.first = self.counts.cumsum(0) - self.counts
        self.weights = self.counts.float() ** balance

    def draw(self, count: int, random: torch.Generator) -> Tensor:
        """Draw pieces at any point."""
        cells = torch.multinomial(self.weights, count, replacement=True, generator=random)
        return self._members(cells, random)

    def draw_near(self, points: Tensor, near: float, random: torch.Generator) -> Tensor:
        """Draw one piece near each of some points, (n, 2)."""
        distance = torch.cdist(points, self.points)
        # Relative to the nearest, so that the nearest is drawn if all are far.
        distance = distance.square() - distance.amin(1, keepdim=True).square()
        weights = self.weights * (-distance / (2 * near ** 2)).exp()
        return self._members(torch.multinomial(weights, 1, generator=random)[:, 0], random)

    def _members(self, cells: Tensor, random: torch.Generator) -> Tensor:
        share = torch.rand(len(cells), generator=random)
        marks = self.first[cells] + share * self.counts[cells]
        places = torch.searchsorted(self.ends, marks, right=True)
        return torch.index_select(self.order, 0, places.clamp(max=len(self.order) - 1))


class _Stream(NamedTuple):
    """One modality of a batch, with the targets and variances of its pieces, (batch, 2)."""

    aligned: Aligned
    targets: Tensor
    variances: Tensor


class Composer:
    """
    Composes windows.

    :param banks: for each modality, the informative pieces.
    :param noises: for each modality, pieces of noise.
    """

    def __init__(
        self, settings: ComposeSettings, banks: Mapping[str, Bank], noises: Mapping[str, Bank],
        grid: Grid,
    ) -> None:
        self.settings, self._banks, self._noises, self._grid = settings, banks, noises, grid
        self._cells = {name: _Cells(bank, settings.balance) for name, bank in banks.items()}

    @property
    def digest(self) -> str:
        """Digest of all pieces and their labels."""
        return digest_of([(bank.made_of, bank.targets, bank.spreads, bank.weights)
                          for bank in self._banks.values()])

    def windows(
        self, count: int, random: torch.Generator, showing: Collection[str] = (),
    ) -> ComposedWindows:
        """
        Compose a batch.

        :param showing: the modalities that are present, which may still be noise; they are drawn
            if omitted.
        """
        present = (torch.tensor([name in showing for name in MODALITIES]).expand(count, 3)
                   if showing else self._present(count, random))
        pieces = self._choose(present, random)
        noisy = torch.rand(count, 3, generator=random) < self.settings.noise
        streams = []
        for index, name in enumerate(MODALITIES):
            stream = self._stream(name, pieces[:, index], random)
            noise = self._noise(name, count, random)
            aligned = _mix(stream.aligned, noise, noisy[:, index])
            aligned = aligned._replace(mask=aligned.mask & present[:, index, None])
            streams.append(stream._replace(aligned=aligned))
        video, audio, text = (stream.aligned for stream in streams)
        features = Features(video, audio, text, self._grid.slot_s)
        informative = features.present & ~noisy
        return ComposedWindows(
            features, *_target(streams, informative, features.present), informative)

    def with_noise(
        self, windows: ComposedWindows, modality: str, random: torch.Generator,
    ) -> ComposedWindows:
        """Replace one modality by noise in all windows; the targets do not change."""
        streams = dict(zip(MODALITIES, windows.features.streams, strict=True))
        noise = self._noise(modality, len(windows.targets), random)
        streams[modality] = noise
        return windows._replace(features=Features(**streams, slot_s=self._grid.slot_s))

    # --- private -------------------------------------------------------------------------

    def _present(self, count: int, random: torch.Generator) -> Tensor:
        chance = torch.rand(count, 1, generator=random)
        chosen = torch.randint(3, (count, 1), generator=random) == torch.arange(3)
        alone, paired = self.settings.alone, self.settings.paired
        return torch.where(chance < alone, chosen, (chance >= alone + paired) | ~chosen)

    def _choose(self, present: Tensor, random: torch.Generator) -> Tensor:
        """Choose a piece per modality, (batch, 3): a first one, then others near it or not."""
        count = len(present)
        # Each present modality comes first with the same probability.
        first = torch.multinomial(present.float(), 1, generator=random)[:, 0]
        drawn = [self._cells[name].draw(count, random) for name in MODALITIES]
        points = torch.stack([self._banks[name].targets[own]
                              for name, own in zip(MODALITIES, drawn, strict=True)], 1)
        point = points[torch.arange(count), first]
        apart = torch.rand(count, 3, generator=random) < self.settings.disagreeing
        apart |= first[:, None] == torch.arange(3)
        near = [self._cells[name].draw_near(point, self.settings.near, random)
                for name in MODALITIES]
        return torch.where(apart, torch.stack(drawn, 1), torch.stack(near, 1))

    def _stream(self, name: str, pieces: Tensor, random: torch.Generator) -> _Stream:
        bank, slots = self._banks[name], self._grid.slots
        each = pieces[:, None].expand(-1, slots)
        if name == 'video':
            each = self._changing(each, random)
            aligned = self._look(bank, each, random)
        else:
            aligned = self._play(bank, pieces, random)
        aligned = aligned._replace(mask=self._partly(aligned.mask, random))
        weights = aligned.mask / aligned.mask.sum(1, keepdim=True).clamp(min=1)
        targets, variances = bank.targets[each], bank.spreads[each].square()
        mean = (weights[..., None] * targets).sum(1)
        variance = (weights[..., None] * (variances + (targets - mean[:, None]).square())).sum(1)
        return _Stream(aligned, mean, variance)

    def _changing(self, pieces: Tensor, random: torch.Generator) -> Tensor:
        """Let another face with similar affect take over in some windows."""
        count, slots = pieces.shape
        other = self._cells['video'].draw_near(
            self._banks['video'].targets[pieces[:, 0]], self.settings.near, random)
        changes = torch.rand(count, 1, generator=random) < self.settings.changing
        since = torch.randint(1, slots, (count, 1), generator=random) if slots > 1 else 1
        return torch.where(changes & (torch.arange(slots) >= since), other[:, None], pieces)

    def _look(self, bank: Bank, pieces: Tensor, random: torch.Generator) -> Aligned:
        """Choose versions of faces, (batch, slots): one for all slots, or another in each."""
        versions = torch.randint(bank.versions, pieces.shape, generator=random)
        still = torch.rand(len(pieces), 1, generator=random) < self.settings.still
        versions = torch.where(still, versions[:, :1], versions)
        return Aligned(bank.values[pieces, versions, 0], bank.mask[pieces, versions, 0])

    def _play(self, bank: Bank, pieces: Tensor, random: torch.Generator) -> Aligned:
        versions = torch.randint(bank.versions, pieces.shape, generator=random)
        return Aligned(bank.values[pieces, versions], bank.mask[pieces, versions])

    def _noise(self, name: str, count: int, random: torch.Generator) -> Aligned:
        bank = self._noises[name]
        pieces = torch.randint(len(bank), (count,), generator=random)
        if name == 'video':
            return self._look(bank, pieces[:, None].expand(-1, self._grid.slots), random)
        return self._play(bank, pieces, random)

    def _partly(self, mask: Tensor, random: torch.Generator) -> Tensor:
        """Mask slots in some windows: single slots, or all outside a stretch; never all."""
        count, slots = mask.shape
        share = torch.rand(count, 1, generator=random)
        single = torch.rand(count, slots, generator=random) < share
        length = 1 + share * (slots - 1)
        begin = torch.rand(count, 1, generator=random) * (slots - length)
        places = torch.arange(slots)
        stretch = (places >= begin.floor()) & (places < begin + length)
        left = mask & torch.where(torch.rand(count, 1, generator=random) < 0.5, single, stretch)
        wanted = torch.rand(count, 1, generator=random) < self.settings.partly
        return torch.where(wanted & left.any(1, keepdim=True), left, mask)


def _mix(aligned: Aligned, noise: Aligned, noisy: Tensor) -> Aligned:
    return Aligned(torch.where(noisy[:, None, None], noise.values, aligned.values),
                   torch.where(noisy[:, None], noise.mask, aligned.mask))


def _target(
    streams: list[_Stream], informative: Tensor, present: Tensor,
) -> tuple[Tensor, Tensor]:
    """
    Return targets and spreads of windows, both (batch, 2).

    A window without informative pieces has the target of the pieces that the noise replaced: the
    network has to learn to report a high uncertainty.
    """
    counted = torch.where(informative.any(1, keepdim=True), informative, present).float()
    weights = (counted / counted.sum(1, keepdim=True))[..., None]
    targets = torch.stack([stream.targets for stream in streams], 1)
    variances = torch.stack([stream.variances for stream in streams], 1)
    mean = (weights * targets).sum(1)
    variance = (weights * (variances + (targets - mean[:, None]).square())).sum(1)
    return mean, variance.sqrt()
