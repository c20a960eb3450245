"""
The definition of every metric.

All scores are functions of sums over frames. Sums are additive, so one function scores a person, a
bag and all bags together, and a bootstrap draw is a sum over blocks. Values are centred first, to
avoid cancellation. Variances and covariances divide by n - 1, as in torchmetrics.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maven_ros.affect import Z90
from maven_ros.errors import InputError

Array = NDArray[np.float64]
Series = NDArray[np.floating]

DIMENSIONS = ('valence', 'arousal')
#: Points with a smaller intensity have no direction, as in Affect.octant.
NEUTRAL = 0.1

SUMS = 1 + 2 * 9 + 3  # number of columns of terms()

#: A variance below this share of the mean square is rounding error: the series is constant.
_CONSTANT = 1e-12


@dataclass(frozen=True, slots=True)
class Metric:
    """The name, label and meaning of a score."""

    name: str
    label: str
    meaning: str


def _both(name: str, label: str, meaning: str) -> list[Metric]:
    return [Metric(f'{one}_{name}', f'{one} {label}', meaning) for one in DIMENSIONS]


METRICS: tuple[Metric, ...] = (
    *_both('ccc', 'CCC', 'concordance correlation coefficient (Lin 1989)'),
    Metric('mean_ccc', 'mean CCC', 'of valence and arousal'),
    *_both('pearson', 'Pearson', 'correlation coefficient'),
    *_both('rmse', 'RMSE', 'root mean squared error'),
    *_both('sign_agreement', 'sign agreement', 'share of frames with the same sign'),
    *_both('within_90', 'in 90% band', 'share of annotations in the 90% interval; ideally 0.9'),
    Metric('angle_error_rad', 'angular error (rad)',
           f'mean over frames with an annotated intensity above {NEUTRAL}'),
    Metric('intensity_error', 'intensity error', 'mean absolute error'),
)


def agreement(estimates: Series, stds: Series, targets: Series) -> dict[str, float]:
    """
    Score estimates against targets by every metric.

    :param estimates: (n, 2), valence and arousal, n >= 2.
    :param stds: (n, 2), standard deviations of the estimates.
    :param targets: (n, 2).
    :returns: scores by the names of ``METRICS``; NaN if undefined, as for a constant series.
    :raises InputError: if a shape is wrong, or a value is not finite.
    """
    points, spread, wanted = _checked(estimates, stds, targets)
    if points.shape[1:] != (2,) or len(points) < 2:
        raise InputError('bad_shape', f'estimates have shape {points.shape}; allowed: (n, 2), n '
                                      'at least 2')
    centre = np.median(np.hstack([wanted, points]), 0)
    found = scores_of(terms(points, spread, wanted, centre).sum(0))
    return dict(zip((metric.name for metric in METRICS), found.tolist(), strict=True))


def coverage(estimates: Series, stds: Series, targets: Series, z: float = Z90) -> float:
    """
    Return the share of targets within ``z`` standard deviations of their estimates.

    :param estimates: any shape; ``stds`` and ``targets`` have the same one.
    :returns: share in [0, 1].
    :raises InputError: if shapes differ, the arrays are empty, or a value is not finite.
    """
    points, spread, wanted = _checked(estimates, stds, targets)
    return float(_inside(wanted - points, spread, z).mean())


def terms(estimates: Array, stds: Array, targets: Array, centre: Array) -> Array:
    """
    Return the contribution of each frame to the sums.

    :param estimates: (n, 2), as are ``stds`` and ``targets``.
    :param centre: (4,), values near the means of targets and estimates, subtracted before the
        variances are computed.
    :returns: (n, SUMS): a 1, nine columns for valence, nine for arousal, three for the polar form.
    """
    columns: list[NDArray[np.generic]] = [np.ones(len(targets))]
    for index in range(2):
        x, y = targets[:, index], estimates[:, index]
        error = y - x
        columns += [error, error**2, np.sign(x) == np.sign(y), _inside(error, stds[:, index])]
        x, y = x - centre[index], y - centre[2 + index]
        columns += [x, y, x * x, y * y, x * y]
    intensity = np.hypot(*targets.T)
    directed = intensity > NEUTRAL
    turn = np.arctan2(*estimates.T[::-1]) - np.arctan2(*targets.T[::-1])
    turn = np.abs((turn + np.pi) % (2 * np.pi) - np.pi)
    columns += [directed, np.where(directed, turn, 0.0),
                np.abs(np.hypot(*estimates.T) - intensity)]
    return np.column_stack(columns).astype(np.float64)


def scores_of(sums: Array) -> Array:
    """
    Compute scores from sums.

    :param sums: (..., SUMS), the result of :func:`terms`, summed over frames.
    :returns: (..., len(METRICS)); NaN if a score is undefined.
    """
    columns = np.moveaxis(sums, -1, 0)
    n, (directed, turn, intensity) = columns[0], columns[-3:]
    with np.errstate(divide='ignore', invalid='ignore'):
        found = {'angle_error_rad': turn / directed, 'intensity_error': intensity / n}
        for name, own in zip(DIMENSIONS, (columns[1:10], columns[10:19]), strict=True):
            for metric, value in _dimension(n, *own).items():
                found[f'{name}_{metric}'] = value
    found['mean_ccc'] = (found['valence_ccc'] + found['arousal_ccc']) / 2
    return np.stack([found[metric.name] for metric in METRICS], -1)


def _dimension(
    n: Array, error: Array, squared: Array, signs: Array, inside: Array,
    x: Array, y: Array, xx: Array, yy: Array, xy: Array,
) -> dict[str, Array]:
    """Return the scores of one dimension from the sums of its nine columns."""
    x_var, y_var = _variance(x, xx, n), _variance(y, yy, n)
    covariance = (xy - x * y / n) / (n - 1)
    return {
        # The variance of a constant is NaN, so CCC and Pearson are undefined then, not 0.
        'ccc': 2 * covariance / (x_var + y_var + (error / n)**2),
        'pearson': covariance / np.sqrt(x_var * y_var),
        'rmse': np.sqrt(squared / n),
        'sign_agreement': signs / n,
        'within_90': inside / n,
    }


def _variance(total: Array, squares: Array, n: Array) -> Array:
    """Return the variance; NaN for a constant series (up to rounding) or a single value."""
    variance = (squares - total**2 / n) / (n - 1)
    constant = variance <= _CONSTANT * squares / n
    return np.where(constant, np.nan, variance)


def _inside(error: Array, stds: Array, z: float = Z90) -> NDArray[np.bool_]:
    inside: NDArray[np.bool_] = np.abs(error) <= z * stds
    return inside


def _checked(estimates: Series, stds: Series, targets: Series) -> tuple[Array, Array, Array]:
    x, bounds, y = (np.asarray(one, np.float64) for one in (estimates, stds, targets))
    if not x.shape == bounds.shape == y.shape or not x.size:
        raise InputError('bad_shape', f'estimates have shape {x.shape}, standard deviations '
                         f'{bounds.shape} and targets {y.shape}; allowed: the same, not empty')
    if not all(np.isfinite(one).all() for one in (x, bounds, y)):
        raise InputError('not_finite', 'estimates, standard deviations or targets hold NaN or '
                                       'infinity; allowed: finite values')
    return x, bounds, y
