"""
Sums over frames, from which every score follows.

Sums add up: a person, a bag and all bags together are scored by one function, and a draw of the
bootstrap is a weighted sum of blocks' sums. Values are centred first, so that nothing is lost to
cancellation. Variances and covariances divide by n - 1, as torchmetrics' do.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maven_ros.affect import Z90
from maven_ros.evaluation.alignment import Pairs
from maven_ros.records import NS

Array = NDArray[np.float64]

DIMENSIONS = ('valence', 'arousal')
#: A point nearer to neutral than this has no direction, as in Affect.octant.
NEUTRAL = 0.1

BLOCK_S = 10.0     # longer than windows, and most of what affect remembers of itself
FEWEST_BAGS = 10   # to draw whole bags, rather than blocks of them

_SUMS = 1 + 2 * 9 + 3  # columns of rows()

#: Variance below this share of the mean square is rounding: the series is constant.
_CONSTANT = 1e-12


@dataclass(frozen=True, slots=True)
class Metric:
    """What a score is called and means."""

    name: str
    label: str
    meaning: str
    higher_is_better: bool = True


def _both(name: str, label: str, meaning: str, higher: bool = True) -> list[Metric]:
    return [Metric(f'{one}_{name}', f'{one} {label}', meaning, higher) for one in DIMENSIONS]


METRICS: tuple[Metric, ...] = (
    *_both('ccc', 'CCC', 'concordance correlation coefficient (Lin 1989)'),
    Metric('mean_ccc', 'mean CCC', 'of valence and arousal'),
    *_both('pearson', 'Pearson', 'correlation coefficient'),
    *_both('rmse', 'RMSE', 'root of the mean squared error', False),
    *_both('sign_agreement', 'sign agreement', 'share of frames of equal sign'),
    *_both('within_90', 'in 90% band', 'share of annotations in the 90% interval; right is 0.9'),
    Metric('angle_error_rad', 'angular error (rad)',
           f'mean, where the annotated intensity is over {NEUTRAL}', False),
    Metric('intensity_error', 'intensity error', 'mean of the absolute error', False),
)


def rows(pairs: Pairs, centre: Array) -> Array:
    """
    Return what each covered frame adds to the sums.

    :param centre: float64 (4,), near the means of annotated and estimated; taken off for the
        variances.
    :returns: float64 (frames, sums): 1; nine columns for valence, nine for arousal; three of the
        polar form.
    """
    annotated, estimated = pairs.annotated[pairs.covered], pairs.estimated[pairs.covered]
    columns: list[NDArray[np.generic]] = [np.ones(len(annotated))]
    for index in range(2):
        x, y = annotated[:, index], estimated[:, index]
        error, inside = y - x, Z90 * pairs.spread[pairs.covered, index]
        columns += [error, error**2, np.sign(x) == np.sign(y), np.abs(error) <= inside]
        x, y = x - centre[index], y - centre[2 + index]
        columns += [x, y, x * x, y * y, x * y]
    intensity = np.hypot(*annotated.T)
    directed = intensity > NEUTRAL
    turn = np.arctan2(*estimated.T[::-1]) - np.arctan2(*annotated.T[::-1])
    turn = np.abs((turn + np.pi) % (2 * np.pi) - np.pi)
    columns += [directed, np.where(directed, turn, 0.0),
                np.abs(np.hypot(*estimated.T) - intensity)]
    return np.column_stack(columns).astype(np.float64)


def block_sums(pairs: Sequence[Pairs]) -> tuple[Array, str]:
    """
    Sum up the covered frames, block by block.

    A block is a bag where there are enough of them; else ten seconds of one. All people of it are
    in one block, since their affect is not independent.

    :returns: float64 (blocks, sums) and what a block is, in words.
    """
    pairs = [one for one in pairs if one.covered.any()]
    by_bag = len({one.bag for one in pairs}) >= FEWEST_BAGS
    unit = 'bags' if by_bag else f'blocks of {BLOCK_S:g} s'
    if not pairs:
        return np.zeros((0, _SUMS)), unit
    centre = np.median(np.concatenate(
        [np.hstack([one.annotated[one.covered], one.estimated[one.covered]]) for one in pairs]), 0)
    starts_ns: dict[str, int] = {}
    for one in pairs:
        starts_ns[one.bag] = min(starts_ns.get(one.bag, 2**63), int(one.times_ns[0]))
    blocks: dict[tuple[str, int], Array] = {}
    for one in pairs:
        table = rows(one, centre)
        number = (one.times_ns[one.covered] - starts_ns[one.bag]) // int(BLOCK_S * NS)
        numbers, places = np.unique(number * (not by_bag), return_inverse=True)
        sums = np.zeros((len(numbers), table.shape[1]))
        np.add.at(sums, places, table)
        for index, own in zip(numbers.tolist(), sums, strict=True):
            key = one.bag, index
            blocks[key] = blocks[key] + own if key in blocks else own
    return np.array([blocks[key] for key in sorted(blocks)]), unit


def metrics(sums: Array) -> Array:
    """
    Turn sums into scores.

    :param sums: float64 (..., sums), of :func:`block_sums`, added up.
    :returns: float64 (..., len(METRICS)); NaN where a score is undefined.
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
    """Return the scores of valence, or of arousal, from the sums of its nine columns."""
    x_var, y_var = _variance(x, xx, n), _variance(y, yy, n)
    covariance = (xy - x * y / n) / (n - 1)
    return {
        # Variances are NaN for a constant: CCC and Pearson are undefined with it, not 0.
        'ccc': 2 * covariance / (x_var + y_var + (error / n)**2),
        'pearson': covariance / np.sqrt(x_var * y_var),
        'rmse': np.sqrt(squared / n),
        'sign_agreement': signs / n,
        'within_90': inside / n,
    }


def _variance(total: Array, squares: Array, n: Array) -> Array:
    """Return the variance; NaN where it is rounding of a constant's, or there is one value."""
    variance = (squares - total**2 / n) / (n - 1)
    constant = variance <= _CONSTANT * squares / n
    return np.where(constant, np.nan, variance)


def resample(blocks: Array, draws: int, seed: int) -> Array:
    """
    Draw blocks with replacement, as many as there are, and sum each draw up.

    :returns: float64 (draws, sums).
    """
    count = len(blocks)
    weights = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), draws)
    drawn: Array = weights @ blocks
    return drawn


def interval(drawn: Array) -> tuple[Array, Array]:
    """
    Return the 95% percentile interval of each score, over the draws that define it.

    :param drawn: float64 (draws, scores).
    """
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', RuntimeWarning)  # a score that no draw defines is NaN
        low, high = np.nanpercentile(drawn, (2.5, 97.5), axis=0)
    return low, high
