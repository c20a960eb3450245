"""
Calibration: scale the standard deviations so that 90% intervals hold 90% of the targets.

The head's log-variance interpolates between its bounds by the sigmoid of a logit. Calibration
scales and shifts the logits of valence and arousal, and folds both into the head's weights, so it
costs nothing at run time.
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
    Calibrate the standard deviations of a head, in place.

    For each scale there is one shift at which the intervals hold 90% of the targets. The pair with
    the highest likelihood is chosen.

    :param reading: estimates for validation windows, by the network of this head.
    :param targets: (windows, 2), targets of the same windows.
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
    """Return the log-variances for logits, as the head computes them."""
    return np.asarray(_LOW + (_HIGH - _LOW) / (1 + np.exp(-numbers)))


def _fit(numbers: Numbers, errors: Numbers) -> tuple[float, float]:
    """Return the scale and the shift of the logits, given the errors of the estimates."""
    found = []
    for stretch in _STRETCHES:
        shift = _shift(stretch * numbers, errors)
        log_variance = log_variances(stretch * numbers + shift)
        loss = (log_variance + np.square(errors) / np.exp(log_variance)).mean()
        found.append((float(loss), float(stretch), shift))
    return min(found)[1:]


def _shift(numbers: Numbers, errors: Numbers) -> float:
    """Return the smallest shift at which the intervals hold enough targets, by bisection."""
    low, high = -_WIDEST_SHIFT, _WIDEST_SHIFT
    for _ in range(30):
        middle = (low + high) / 2
        bounds = Z90 * np.exp(log_variances(numbers + middle) / 2)
        low, high = (
            (low, middle) if (np.abs(errors) <= bounds).mean() >= COVERED else (middle, high))
    return high
