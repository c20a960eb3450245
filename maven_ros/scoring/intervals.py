"""Block bootstrap: sums over blocks of frames, and random draws of blocks."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np

from maven_ros.records import NS
from maven_ros.scoring.alignment import Pairs
from maven_ros.scoring.metrics import SUMS, Array, terms

BLOCK_S = 10.0     # longer than a window, and than most of affect's autocorrelation
FEWEST_BAGS = 10   # with fewer, parts of bags are drawn, not whole bags


def block_sums(pairs: Sequence[Pairs]) -> tuple[Array, str]:
    """
    Sum up the frames that have a state, block by block.

    A block is a bag if there are enough bags, else ten seconds of a bag. All people of a bag are
    in the same block, because their affect is not independent.

    :returns: float64 (blocks, SUMS), and the name of the blocks, in the plural.
    """
    pairs = [one for one in pairs if one.covered.any()]
    by_bag = len({one.bag for one in pairs}) >= FEWEST_BAGS
    unit = 'bags' if by_bag else f'blocks of {BLOCK_S:g} s'
    if not pairs:
        return np.zeros((0, SUMS)), unit
    centre = np.median(np.concatenate(
        [np.hstack([one.annotated[one.covered], one.estimated[one.covered]]) for one in pairs]), 0)
    starts_ns: dict[str, int] = {}
    for one in pairs:
        starts_ns[one.bag] = min(starts_ns.get(one.bag, 2**63), int(one.times_ns[0]))
    blocks: dict[tuple[str, int], Array] = {}
    for one in pairs:
        covered = one.covered
        table = terms(one.estimated[covered], one.spread[covered], one.annotated[covered], centre)
        number = (one.times_ns[covered] - starts_ns[one.bag]) // int(BLOCK_S * NS)
        numbers, places = np.unique(number * (not by_bag), return_inverse=True)
        sums = np.zeros((len(numbers), table.shape[1]))
        np.add.at(sums, places, table)
        for index, own in zip(numbers.tolist(), sums, strict=True):
            key = one.bag, index
            blocks[key] = blocks[key] + own if key in blocks else own
    return np.array([blocks[key] for key in sorted(blocks)]), unit


def resample(blocks: Array, draws: int, seed: int) -> Array:
    """
    Draw as many blocks as there are, with replacement, and sum up each draw.

    :returns: float64 (draws, SUMS).
    """
    count = len(blocks)
    weights = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), draws)
    drawn: Array = weights @ blocks
    return drawn


def interval(drawn: Array) -> tuple[Array, Array]:
    """
    Return the 95% percentile interval of each score, over the draws in which it is defined.

    :param drawn: float64 (draws, scores).
    """
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', RuntimeWarning)  # a score without any defined draw is NaN
        low, high = np.nanpercentile(drawn, (2.5, 97.5), axis=0)
    return low, high
