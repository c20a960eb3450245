"""
Calibration: 90% intervals that hold 90% of what is true, on validation windows.

The head's log-variance is a share of the way from its lowest to its highest, the sigmoid of a
number. That number is stretched and shifted, for valence and arousal each, and both are folded
into the head's own weights: at run time nothing is added.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from maven_ros.affect import Z90
from maven_ros.model.head import HIGHEST_STD, LOWEST_STD, AffectHead
from maven_ros.training.reading import Reading

COVERED = 0.9
_STRETCHES = np.geomspace(0.2, 3, 40)
_WIDEST_SHIFT = 12.0
_LOW, _HIGH = 2 * np.log(LOWEST_STD), 2 * np.log(HIGHEST_STD)

Numbers = NDArray[np.float64]


def calibrate(head: AffectHead, reading: Reading, targets: Tensor) -> None:
    """
    Stretch and shift the spread of a head, in place.

    Of all stretches, each with the shift at which the intervals hold 90%, that of the highest
    likelihood is taken.

    :param reading: of validation windows, by the network that the head is of.
    :param targets: (windows, 2) of theirs.
    """
    errors = (reading.points - targets).double().numpy()
    share = ((reading.log_variances.double().numpy() - _LOW) / (_HIGH - _LOW)).clip(1e-6, 1 - 1e-6)
    numbers = np.log(share / (1 - share))
    fitted = [_fit(numbers[:, index], errors[:, index]) for index in range(2)]
    stretch, shift = torch.tensor(fitted, dtype=torch.float32).T
    with torch.no_grad():
        head.spread.weight.mul_(stretch[:, None])
        head.spread.bias.mul_(stretch).add_(shift)


def log_variances(numbers: Numbers) -> Numbers:
    """Return what the head makes of its numbers."""
    return np.asarray(_LOW + (_HIGH - _LOW) / (1 + np.exp(-numbers)))


def _fit(numbers: Numbers, errors: Numbers) -> tuple[float, float]:
    """Return the stretch and the shift of the numbers, given the estimates' errors."""
    found = []
    for stretch in _STRETCHES:
        shift = _shift(stretch * numbers, errors)
        log_variance = log_variances(stretch * numbers + shift)
        loss = (log_variance + np.square(errors) / np.exp(log_variance)).mean()
        found.append((float(loss), float(stretch), shift))
    return min(found)[1:]


def _shift(numbers: Numbers, errors: Numbers) -> float:
    """Return the smallest shift at which the intervals hold enough, by halving."""
    low, high = -_WIDEST_SHIFT, _WIDEST_SHIFT
    for _ in range(30):
        middle = (low + high) / 2
        bounds = Z90 * np.exp(log_variances(numbers + middle) / 2)
        low, high = (
            (low, middle) if (np.abs(errors) <= bounds).mean() >= COVERED else (middle, high))
    return high
