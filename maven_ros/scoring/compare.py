"""Compare two result sets on their common frames: paired differences with intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from maven_ros.errors import ResourceError
from maven_ros.scoring.alignment import Missing, Pairs, take
from maven_ros.scoring.intervals import block_sums
from maven_ros.scoring.metrics import METRICS, scores_of
from maven_ros.scoring.resultset import ResultSet
from maven_ros.scoring.scores import DRAWS, bootstrap


@dataclass(frozen=True, slots=True)
class Difference:
    """
    One score of both sets, and the difference second - first with its 95% interval.

    Undefined values are NaN.
    """

    first: float
    second: float
    difference: float
    low: float
    high: float

    @property
    def clear(self) -> bool:
        """Whether the interval excludes zero."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True, slots=True)
class Comparison:
    """
    The differences between two result sets.

    :param frames: number of annotated frames with a state in both sets; only they are compared.
    :param only_first: number of frames with a state in the first set only.
    :param only_second: number of frames with a state in the second set only.
    :param differences: differences by the names of ``METRICS``.
    :param resampling: description of the bootstrap behind the intervals.
    :param otherwise: other differences between the two, such as another model; often empty.
    """

    first: str
    second: str
    frames: int
    only_first: int
    only_second: int
    differences: dict[str, Difference]
    resampling: str
    otherwise: str


def compare(
    first: ResultSet, second: ResultSet, draws: int = DRAWS, seed: int = 0,
) -> Comparison:
    """
    Compare two result sets, frame by frame.

    :raises ResourceError: if they share no frame, or their annotations differ.
    """
    own = {(one.bag, one.person): one for one in first.pairs}
    others = {(one.bag, one.person): one for one in second.pairs}
    shared = [_shared(own[key], others[key]) for key in sorted(own.keys() & others.keys())]
    a, b = [one for one, _ in shared], [other for _, other in shared]
    blocks, unit = block_sums(a)
    frames = _covered(a)
    if not frames:
        raise ResourceError(
            f'{first.name} and {second.name} share no frame with a state; the bags are '
            f'{_bags(first)}, and {_bags(second)}')
    minus, _ = block_sums(b)
    values, other_values = scores_of(blocks.sum(0)), scores_of(minus.sum(0))
    low, high, resampling = bootstrap(minus, unit, draws, seed, minus=blocks)
    return Comparison(
        first.name, second.name, frames, _covered(first.pairs) - frames,
        _covered(second.pairs) - frames,
        {metric.name: Difference(*(float(value) for value in (
            values[index], other_values[index], other_values[index] - values[index],
            low[index], high[index]))) for index, metric in enumerate(METRICS)}, resampling,
        '; '.join(f'{name}: {first.about.get(name)} and {second.about.get(name)}'
                  for name in {**first.about, **second.about}
                  if first.about.get(name) != second.about.get(name)))


def as_text(comparison: Comparison, precision: int = 3) -> str:
    """Format a comparison as a table; a star marks a difference whose interval excludes zero."""
    lines = [f'NOT COMPARABLE: {comparison.otherwise}'] if comparison.otherwise else []
    lines += [f'{comparison.frames} frames with a state in both; {comparison.only_first} more in '
             f'{comparison.first} alone, {comparison.only_second} in {comparison.second} alone',
             f'{"":24} {"first":>8} {"second":>8} {"second - first":>15}  95% interval']
    for metric in METRICS:
        one = comparison.differences[metric.name]
        first, second, difference, low, high = (
            'undefined' if math.isnan(value) else f'{value:.{precision}f}' for value in
            (one.first, one.second, one.difference, one.low, one.high))
        spread = f'[{low}, {high}]' if not math.isnan(one.low) else 'none'
        lines.append(f'{metric.label:24} {first:>9} {second:>9} {difference:>13}  {spread}'
                     + ' *' * one.clear)
    return '\n'.join([*lines, comparison.resampling])


def _bags(one: ResultSet) -> str:
    return ', '.join(sorted({pairs.bag for pairs in one.pairs})) or 'none'


def _covered(pairs: Sequence[Pairs]) -> int:
    return sum(int(one.covered.sum()) for one in pairs)


def _shared(first: Pairs, second: Pairs) -> tuple[Pairs, Pairs]:
    """Keep the frames with a state in both."""
    _, own, others = np.intersect1d(first.times_ns, second.times_ns, return_indices=True)
    first, second = take(first, own), take(second, others)
    if not np.array_equal(first.annotated, second.annotated):
        raise ResourceError(f'{first.bag}: the two sets have different annotations of '
                            f'{first.person or "the person in view"} at the same times; allowed: '
                            'sets with the same annotations')
    both = np.flatnonzero((first.missing == Missing.NOTHING) & (second.missing == Missing.NOTHING))
    return take(first, both), take(second, both)
