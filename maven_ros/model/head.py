"""The head: it maps a vector to a point on the circumplex and its variance (eq. 26-31)."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from maven_ros.affect import PRIOR_STD
from maven_ros.model.configuration import MavenConfig

LOWEST_STD, HIGHEST_STD = 0.01, 1.0
_LOW, _HIGH = 2 * math.log(LOWEST_STD), 2 * math.log(HIGHEST_STD)


class Point(NamedTuple):
    """
    A point on the circumplex, in Cartesian and polar form; all fields have the same shape.

    :param valence: in [-1, 1] (unbounded from a raw head).
    :param arousal: likewise.
    :param intensity: at least 0; at most sqrt 2 (unbounded from a raw head).
    :param angle: radians in [-pi, pi]; 0 is pleasant, pi/2 activated.
    :param valence_log_variance: in [2 ln 0.01, 0].
    :param arousal_log_variance: likewise.
    """

    valence: Tensor
    arousal: Tensor
    intensity: Tensor
    angle: Tensor
    valence_log_variance: Tensor
    arousal_log_variance: Tensor


def polar_point(direction: Tensor, share: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """
    Map a direction and a share to a point inside the square [-1, 1] x [-1, 1].

    The share is the fraction of the way from neutral to the edge of the square, whose distance in
    that direction is ``1 / max(|cos|, |sin|)``. Unlike a regressed angle, it has no jump at +-pi.

    :param direction: (..., 2), a vector along (cos, sin) of any length; zero counts as pleasant.
    :param share: (...), in [0, 1].
    :returns: valence, arousal, intensity, angle.
    """
    pleasant = torch.tensor([1.0, 0.0], device=direction.device, dtype=direction.dtype)
    nowhere = direction.abs().amax(-1, keepdim=True) < 1e-6
    unit = functional.normalize(torch.where(nowhere, pleasant, direction), dim=-1)
    intensity = share / unit.abs().amax(-1)
    valence, arousal = (intensity[..., None] * unit).clamp(-1, 1).unbind(-1)  # only rounding
    return valence, arousal, intensity, torch.atan2(unit[..., 1], unit[..., 0])


def raw_point(intensity: Tensor, angle: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """
    Map intensity and angle, regressed as published, to a point (eq. 28-29).

    :param intensity: (...), of any sign.
    :param angle: (...), radians, unbounded.
    :returns: valence, arousal, then the same point as intensity, at least 0, and angle, in
        [-pi, pi].
    """
    valence, arousal = intensity * angle.cos(), intensity * angle.sin()
    turned = angle + torch.where(intensity < 0, math.pi, 0.0)
    return valence, arousal, intensity.abs(), torch.atan2(turned.sin(), turned.cos())


class AffectHead(nn.Module):
    """
    A perceptron with ReLU and dropout, whose output is in polar form (eq. 26-31).

    The published head regresses intensity and angle directly; ``raw`` selects it.

    The standard deviations start near ``PRIOR_STD``, so an untrained head has no confidence.
    """

    def __init__(self, config: MavenConfig) -> None:
        super().__init__()
        self.kind = config.head
        self.point_size = 3 if self.kind == 'polar' else 2
        widths = (config.context_width, *config.head_width)
        self.hidden = nn.Sequential(*(
            layer for before, after in pairwise(widths) for layer in
            (nn.Linear(before, after), nn.ReLU(), nn.Dropout(config.head_dropout))))
        self.point = nn.Linear(widths[-1], self.point_size)
        self.spread = nn.Linear(widths[-1], 2)
        share = (2 * math.log(PRIOR_STD) - _LOW) / (_HIGH - _LOW)
        with torch.no_grad():
            self.spread.weight.mul_(0.01)
            self.spread.bias.fill_(math.log(share / (1 - share)))

    def forward(self, values: Tensor) -> Point:
        """
        Map vectors to points.

        :param values: (..., context width).
        :returns: each field (...).
        """
        hidden = self.hidden(values)
        numbers = self.point(hidden)
        if self.kind == 'polar':
            point = polar_point(numbers[..., :2], numbers[..., 2].sigmoid())
        else:
            point = raw_point(numbers[..., 0], numbers[..., 1])
        spread = _LOW + (_HIGH - _LOW) * self.spread(hidden).sigmoid()
        return Point(*point, *spread.unbind(-1))
