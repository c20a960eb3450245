"""
Readers: the estimates of single modalities, from which the fusion starts.

A window with one modality is read by the reader of that modality. A window with several starts
from the pool of their readings by inverse variance, and the head corrects it. So a modality alone
is read as well as its encoder allows, whatever the fusion has learnt.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from maven_ros.affect import PRIOR_STD
from maven_ros.model.configuration import MavenConfig
from maven_ros.model.fusion import Features
from maven_ros.model.head import HIGHEST_STD, LOWEST_STD, Point
from maven_ros.records import MODALITIES

ATTENTION_WIDTH = 32
_LOW, _HIGH = 2 * math.log(LOWEST_STD), 2 * math.log(HIGHEST_STD)


class Estimates(NamedTuple):
    """
    Valence and arousal of windows, and of each of their slots.

    :param points: (..., batch, 1 + slots, 2) in [-1, 1]; the window first.
    :param log_variances: likewise, in [2 ln 0.01, 0].
    """

    points: Tensor
    log_variances: Tensor


class Reader(nn.Module):
    """
    Read one modality by itself: pool its vectors by learnt weights, and vote for points.

    The estimate is the mean of the points over the votes. Its log-variance is linear in the log
    of the variance of the points over the votes, in the log of the seconds of evidence, and in
    the energy of the votes (Liu et al. 2020), which is low for what no training example resembles:
    ``spread`` holds the constant and the three factors, for valence and arousal.

    :param width: width of the vectors.
    :param count: number of points.
    """

    points: Tensor

    def __init__(self, width: int, count: int) -> None:
        super().__init__()
        self.weigh = nn.Sequential(
            nn.Linear(width, ATTENTION_WIDTH), nn.Tanh(), nn.Linear(ATTENTION_WIDTH, 1))
        self.votes = nn.Linear(width, count)
        turns = torch.arange(count) * (math.tau / count)
        self.register_buffer('points', 0.5 * torch.stack([turns.cos(), turns.sin()], -1))
        self.spread = nn.Parameter(torch.zeros(4, 2))
        with torch.no_grad():  # as an untrained head, it has no confidence
            self.spread[0] = 2 * math.log(PRIOR_STD)

    def forward(self, vectors: Tensor, mask: Tensor, slot_s: float) -> Estimates:
        """
        Read windows, and each slot by itself.

        :param vectors: (batch, slots, width); arbitrary where masked.
        :param mask: bool (batch, slots).
        :param slot_s: length of a slot in seconds.
        """
        points, facts = self.read(vectors, mask, slot_s)
        return Estimates(points, (facts * self.spread).sum(-2).clamp(_LOW, _HIGH))

    def read(self, vectors: Tensor, mask: Tensor, slot_s: float) -> tuple[Tensor, Tensor]:
        """
        Return the points, and the numbers on which their log-variances rest.

        :returns: (batch, 1 + slots, 2), and (batch, 1 + slots, 4, 2): 1, the two logs, the energy.
        """
        votes = self.vote(vectors, mask)
        shares, energy = votes.softmax(-1), votes.logsumexp(-1, keepdim=True)
        points = shares @ self.points
        variance = (shares @ self.points.square() - points.square()).clamp(min=0)
        seen = torch.cat([mask.sum(1, keepdim=True).clamp(min=1), torch.ones_like(mask)], 1)
        seconds = (seen * slot_s)[..., None].expand_as(points)
        return points, torch.stack([
            torch.ones_like(points), (variance + LOWEST_STD ** 2).log(), seconds.log(),
            energy.expand_as(points)], -2)


    def vote(self, vectors: Tensor, mask: Tensor) -> Tensor:
        """Return the logits of windows and of their slots, (batch, 1 + slots, points)."""
        vectors = torch.where(mask[..., None], vectors, 0).float()
        whole = pool(self.weigh(vectors)[..., 0], vectors, mask)
        votes: Tensor = self.votes(torch.cat([whole[:, None], vectors], 1))
        return votes


def pool(scores: Tensor, vectors: Tensor, mask: Tensor) -> Tensor:
    """
    Return the means of sequences, weighted by a softmax of scores under a mask.

    :param scores: (batch, length).
    :param vectors: finite (batch, length, width).
    :param mask: bool (batch, length); the mean of a row without any is arbitrary.
    """
    scores = scores.float()
    weights = scores.masked_fill(~mask, torch.finfo(scores.dtype).min).softmax(1)
    return (weights[..., None] * vectors).sum(1)


class Readers(nn.Module):
    """
    The readers of all modalities, and the gate that mixes their pool with the head's point.

    Without readers, the point of the head passes unchanged.

    :param widths: widths of the vectors of video, audio and text.
    """

    def __init__(self, config: MavenConfig, widths: Sequence[int]) -> None:
        super().__init__()
        count = config.readers
        self.each = nn.ModuleDict({} if count is None else {
            name: Reader(own, count) for name, own in zip(MODALITIES, widths, strict=True)})
        if count is None:
            return
        self.gate = nn.Linear(config.context_width, 2)
        with torch.no_grad():
            self.gate.weight.mul_(0.1)
            self.gate.bias.zero_()  # half the pool, half the head

    def forward(
        self, head: Point, context: Tensor, features: Features, hiding: Sequence[str] = (),
    ) -> Point:
        """
        Start from the readings, and correct them by the head's point where there are several.

        :param head: points of the head, each field (variants x batch, 1 + slots).
        :param context: (variants x batch, 1 + slots, context width), what the head read.
        :param hiding: as in :meth:`MavenModel.fuse`.
        """
        if not self.each:
            return head
        (points, log_variances), count = self.pooled(features, hiding)
        # One modality alone is its reader's. Without any, the result is arbitrary.
        share = torch.where(count > 1, self.gate(context).sigmoid(), (count < 1).float())
        started = torch.stack([head.valence, head.arousal], -1)
        valence, arousal = (points + share * (started - points)).unbind(-1)
        own = torch.where(count > 1, torch.stack(
            [head.valence_log_variance, head.arousal_log_variance], -1), log_variances)
        return Point(valence, arousal, torch.hypot(valence, arousal),
                     torch.atan2(arousal, valence), *own.unbind(-1))

    def alone(self, features: Features) -> Tensor:
        """Return what each modality alone reads in a window: (batch, 3, 2); NaN if absent."""
        if not self.each:
            return features.present.new_full((*features.present.shape, 2), math.nan,
                                             dtype=torch.float32)
        readers = cast(dict[str, Reader], self.each)
        with torch.autocast(features.present.device.type, enabled=False):
            points = torch.stack([
                readers[name](*stream, features.slot_s).points[:, 0]
                for name, stream in zip(MODALITIES, features.streams, strict=True)], 1)
        return torch.where(features.present[..., None], points, math.nan)

    def pooled(
        self, features: Features, hiding: Sequence[str] = (),
    ) -> tuple[Estimates, Tensor]:
        """
        Pool the readings of the modalities that are present by inverse variance.

        :returns: the pool, each (variants x batch, 1 + slots, 2), and the number of modalities in
            it, (variants x batch, 1 + slots, 1). Without any, the pool is arbitrary but finite.
        """
        readers, variants = cast(dict[str, Reader], self.each), (None, *hiding)
        read = [readers[name](*stream, features.slot_s)
                for name, stream in zip(MODALITIES, features.streams, strict=True)]
        known = torch.stack([torch.cat([mask.any(1, keepdim=True), mask], 1)
                             for mask in features.masks.values()])[..., None]
        shown = torch.cat([
            known & torch.tensor([name != hidden for name in MODALITIES], device=known.device)
            [:, None, None, None] for hidden in variants], 1)
        points, log_variances = (
            torch.stack(same).repeat(1, len(variants), 1, 1) for same in zip(*read, strict=True))
        precision = torch.where(shown, (-log_variances).exp(), 0)
        total, count = precision.sum(0), shown.sum(0)
        mean = (precision * points).sum(0) / total.clamp(min=1)  # at least 1 with any
        return Estimates(mean, -total.clamp(min=1).log()), count
