"""
Calibration: scale the standard deviations so that 90% intervals hold 90% of the targets.

The head's log-variance interpolates between its bounds by the sigmoid of a logit. Calibration
scales and shifts the logits of valence and arousal, and folds both into the head's weights, so it
costs nothing at run time. A reader's log-variance is linear in two numbers; these factors are
fitted.
"""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from maven_ros.affect import Z90
from maven_ros.model.head import HIGHEST_STD, LOWEST_STD, AffectHead
from maven_ros.model.maven import MavenModel
from maven_ros.model.readers import Reader
from maven_ros.model.time_grid import Aligned
from maven_ros.records import MODALITIES
from maven_ros.training.reading import Reading

COVERED = 0.9
_STRETCHES = np.geomspace(0.2, 3, 40)
_WIDEST_SHIFT = 12.0
_STEPS = 60
_TINY = 1e-12  # of squared errors, so that they have a log
_LOW, _HIGH = 2 * np.log(LOWEST_STD), 2 * np.log(HIGHEST_STD)

Numbers = NDArray[np.float64]


def calibrate(
    model: MavenModel, reading: Reading, present: Tensor, targets: Tensor,
) -> None:
    """
    Calibrate the standard deviations of a network's head, in place, on the windows that it reads:
    those with several modalities if the network has readers, else all.

    For each scale there is one shift at which the intervals hold 90% of the targets. The pair with
    the highest likelihood is chosen.

    :param reading: estimates of the network for validation windows.
    :param present: bool (windows, 3), whether each modality has any evidence.
    :param targets: (windows, 2), targets of the same windows.
    """
    rows = present.sum(1) > (1 if model.readers.each else 0)
    if rows.sum() > 1:
        _calibrate(model.head, Reading(*(part[rows] for part in reading)), targets[rows])


def _calibrate(head: AffectHead, reading: Reading, targets: Tensor) -> None:
    errors = (reading.points - targets).double().numpy()
    share = ((reading.log_variances.double().numpy() - _LOW) / (_HIGH - _LOW)).clip(1e-6, 1 - 1e-6)
    numbers = np.log(share / (1 - share))
    fitted = [_fit(numbers[:, index], errors[:, index]) for index in range(2)]
    stretch, shift = torch.tensor(fitted, dtype=torch.float32).T
    with torch.no_grad():
        head.spread.weight.mul_(stretch[:, None])
        head.spread.bias.mul_(stretch).add_(shift)


def shift_readers(
    model: MavenModel, reading: Reading, present: Tensor, targets: Tensor,
) -> None:
    """
    Scale the standard deviations of each reader, in place, on the windows with its modality alone.

    Parameters are as in :func:`calibrate`.
    """
    for name, reader in cast(dict[str, Reader], model.readers.each).items():
        alone = present[:, MODALITIES.index(name)] & (present.sum(1) == 1)
        if alone.sum() > 1:
            squares = (reading.points - targets)[alone].square().clamp(min=_TINY)
            beyond = (squares / Z90 ** 2).log() - reading.log_variances[alone]
            with torch.no_grad():
                reader.spread[0] += beyond.quantile(COVERED, dim=0)


def calibrate_reader(reader: Reader, windows: Aligned, slot_s: float, targets: Tensor) -> None:
    """
    Calibrate the standard deviations of a reader, in place: by likelihood, then by a shift at
    which the intervals hold 90% of the targets.

    :param windows: validation windows of the reader's modality, with all amounts of evidence.
    :param slot_s: length of a slot in seconds.
    :param targets: (windows, 2).
    """
    with torch.no_grad():
        points, facts = reader.read(*windows, slot_s)
        squares = (points[:, 0] - targets).double().square().clamp(min=_TINY)
        for index in range(2):
            own = facts[:, 0, :, index].double()
            factors = _most_likely(own, squares[:, index])
            beyond = (squares[:, index] / Z90 ** 2).log() - own @ factors
            factors[0] += beyond.quantile(COVERED)
            reader.spread[:, index] = factors.float()


def _most_likely(facts: Tensor, squares: Tensor) -> Tensor:
    """
    Return the factors of facts in the log of the variances of normal errors, by Fisher scoring.

    :param facts: (windows, facts), the first is 1.
    :param squares: (windows,), squared errors.
    """
    factors = torch.zeros_like(facts[0])
    factors[0] = squares.mean().log()
    for _ in range(_STEPS):
        beyond = squares * (-facts @ factors).exp() - 1
        factors = factors + 0.5 * torch.linalg.lstsq(facts, beyond).solution
    return factors


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
