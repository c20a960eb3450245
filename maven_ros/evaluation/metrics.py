"""How well estimates agree with targets, and whether their intervals hold what they promise."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from maven_ros.affect import Z90
from maven_ros.errors import InputError, ResourceError

Series = NDArray[np.floating]


class Agreement(NamedTuple):
    """
    How a series of estimates agrees with its targets; NaN where that is undefined.

    :param ccc: Lin's concordance correlation, in [-1, 1].
    :param pearson: in [-1, 1].
    :param rmse: root of the mean squared error, at least 0.
    """

    ccc: float
    pearson: float
    rmse: float


def agreement(estimates: Series, targets: Series) -> Agreement:
    """Score a series by all three; see each for what it refuses."""
    return Agreement(concordance(estimates, targets), pearson(estimates, targets),
                     rmse(estimates, targets))


def concordance(estimates: Series, targets: Series) -> float:
    """
    Return Lin's concordance correlation coefficient.

    ``2 cov / (var_x + var_y + (mean_x - mean_y)^2)``, variances and covariance with n - 1.

    :param estimates: (n,), at least two.
    :param targets: (n,).
    :returns: in [-1, 1]; NaN, with a warning, where either series is constant.
    :raises InputError: when they differ in length, are too short, or hold what is not finite.
    """
    return _torchmetrics('concordance_corrcoef', estimates, targets)


def pearson(estimates: Series, targets: Series) -> float:
    """Return Pearson's correlation; arguments and results as of :func:`concordance`."""
    return _torchmetrics('pearson_corrcoef', estimates, targets)


def rmse(estimates: Series, targets: Series) -> float:
    """Return the root of the mean squared error; arguments as of :func:`concordance`."""
    x, y = _checked(estimates, targets)
    return math.sqrt(float(np.square(x - y).mean()))


def coverage(estimates: Series, stds: Series, targets: Series, z: float = Z90) -> float:
    """
    Return the share of targets that lie within ``z`` standard deviations of their estimates.

    :param estimates: (n,).
    :param stds: (n,), of the estimates.
    :param targets: (n,).
    :returns: in [0, 1].
    :raises InputError: as :func:`concordance`.
    """
    x, y = _checked(estimates, targets)
    bounds, _ = _checked(stds, targets)
    return float((np.abs(x - y) <= z * bounds).mean())


def _checked(estimates: Series, targets: Series) -> tuple[Series, Series]:
    x, y = np.asarray(estimates, np.float64), np.asarray(targets, np.float64)
    if x.shape != y.shape or x.ndim != 1 or len(x) < 2:
        raise InputError('bad_shape', f'estimates have shape {x.shape} and targets {y.shape}; '
                                      'allowed: (n,) of both, n at least 2')
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise InputError('not_finite', 'estimates or targets hold NaN or infinity; allowed: '
                                       'finite values')
    return x, y


def _torchmetrics(name: str, estimates: Series, targets: Series) -> float:
    import torch

    try:
        from torchmetrics.functional import regression
    except ImportError as error:
        raise ResourceError(
            'torchmetrics is not installed; pip install "maven_ros[train]"') from error
    x, y = (torch.from_numpy(series) for series in _checked(estimates, targets))
    return float(getattr(regression, name)(x, y))
