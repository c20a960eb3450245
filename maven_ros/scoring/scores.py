"""Scores of estimates against annotations, with bootstrap intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from maven_ros.scoring.alignment import Missing, Pairs
from maven_ros.scoring.intervals import block_sums, interval, resample
from maven_ros.scoring.metrics import DIMENSIONS, METRICS, NEUTRAL, Array, scores_of

FEWEST_BLOCKS = 4  # fewer give no useful interval
DRAWS = 1000


@dataclass(frozen=True, slots=True)
class Score:
    """
    One score with its 95% interval.

    :param value: NaN if undefined; ``why`` has the reason.
    :param low: lower end; NaN, as is ``high``, if there are too few blocks.
    """

    value: float
    low: float
    high: float
    why: str = ''


@dataclass(frozen=True, slots=True)
class Scores:
    """
    All scores of a set of frames.

    :param frames: number of annotated frames.
    :param unlabelled: number of further frames without a label.
    :param covered: number of annotated frames with a state; only they are scored.
    :param missing: number of annotated frames without a state, by cause.
    :param scores: scores by the names of ``METRICS``.
    :param resampling: description of the bootstrap behind the intervals.
    """

    frames: int
    unlabelled: int
    covered: int
    missing: dict[str, int]
    scores: dict[str, Score]
    resampling: str

    @property
    def coverage(self) -> float:
        """Share of annotated frames with a state; NaN without annotated frames."""
        return self.covered / self.frames if self.frames else math.nan


def score(pairs: Sequence[Pairs], draws: int = DRAWS, seed: int = 0) -> Scores:
    """
    Score all frames together, as the ABAW challenges do.

    :param draws: number of bootstrap draws.
    :param seed: seed of the bootstrap.
    """
    blocks, unit = block_sums(pairs)
    values = scores_of(blocks.sum(0))
    low, high, resampling = bootstrap(blocks, unit, draws, seed)
    causes = np.concatenate([np.zeros(0, np.uint8), *(one.missing for one in pairs)])
    return Scores(
        frames=len(causes), unlabelled=sum(one.unlabelled for one in pairs),
        covered=int((causes == Missing.NOTHING).sum()),
        missing={cause.name.lower(): int((causes == cause).sum())
                 for cause in Missing if cause is not Missing.NOTHING},
        scores={metric.name: Score(
            float(values[index]), float(low[index]), float(high[index]),
            why_undefined(pairs, metric.name) if math.isnan(values[index]) else '')
            for index, metric in enumerate(METRICS)},
        resampling=resampling)


def bootstrap(
    blocks: Array, unit: str, draws: int, seed: int, minus: Array | None = None,
) -> tuple[Array, Array, str]:
    """
    Return 95% intervals of the scores, and a description of the bootstrap.

    :param blocks: float64 (blocks, SUMS).
    :param minus: sums of a second set over the same blocks; its scores are subtracted in each
        draw.
    """
    if len(blocks) < FEWEST_BLOCKS:
        nothing = np.full(len(METRICS), np.nan)
        return nothing, nothing, f'no intervals: {len(blocks)} {unit}, at least ' \
                                 f'{FEWEST_BLOCKS} are needed'
    drawn = scores_of(resample(blocks, draws, seed))
    if minus is not None:
        drawn = drawn - scores_of(resample(minus, draws, seed))
    return (*interval(drawn),
            f'95% intervals: percentile bootstrap, {draws} draws of {len(blocks)} {unit}, '
            f'seed {seed}')


def why_undefined(pairs: Sequence[Pairs], name: str) -> str:
    """Return the reason why a score of these frames is undefined."""
    annotated = np.concatenate([np.zeros((0, 2)), *(one.annotated[one.covered] for one in pairs)])
    estimated = np.concatenate([np.zeros((0, 2)), *(one.estimated[one.covered] for one in pairs)])
    if not len(annotated):
        return 'no annotated frame has a state'
    if name == 'angle_error_rad':
        return f'no annotation has an intensity above {NEUTRAL}'
    if len(annotated) < 2:
        return 'only one frame'
    for column, dimension in enumerate(DIMENSIONS):
        if name in (f'{dimension}_ccc', f'{dimension}_pearson', 'mean_ccc'):
            for what, series in (('annotated', annotated), ('estimated', estimated)):
                if np.ptp(series[:, column]) < 1e-5:
                    return f'the {what} {dimension} is constant'
    return 'the variation is too small to distinguish from rounding'
