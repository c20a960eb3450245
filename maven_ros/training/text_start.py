"""
A start for the embedding of subwords, solved for instead of trained.

A bag of subwords, weighed by how rare they are, already tells much: ridge regressions on it, of
all targets, give each subword a number for each. The other columns are what company a subword
keeps: the largest singular directions of its positive pointwise mutual information with its
neighbours (Levy & Goldberg 2014). All of it takes seconds.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from maven_ros.training.text_augmentation import Ids

_RIDGE = 3.0
_STEPS = 40         # of conjugate gradients; by then a figure moves in its third digit
_NEIGHBOURS = 5     # on either side that count as company, the nearer the more
_FARTHEST = 6.0     # rare subwords' numbers are far out, and not to be trusted
_CONTEXT_POWER = 0.75  # by which rare company is held to be less telling


def start(tasks: Sequence[tuple[Sequence[Ids], Tensor]], vocabulary: int, width: int) -> Tensor:
    """
    Return a vector for each subword, each column with a mean square of 1 over running text.

    Whatever is random comes from torch's global state.

    :param tasks: rows of ids with their targets, (rows, columns).
    :param vocabulary: ids that there are.
    :param width: of the vectors; of more targets than that, the first count.
    :returns: float32 (vocabulary, width).
    """
    rows = [row for task, _ in tasks for row in task]
    counts = torch.from_numpy(np.bincount(np.concatenate(rows), minlength=vocabulary)).float()
    holding = torch.from_numpy(np.bincount(
        np.concatenate([np.unique(row) for row in rows]), minlength=vocabulary)).float()
    rarity = (len(rows) / (1 + holding)).log()
    columns = torch.cat([rarity[:, None] * ridge(bags(task, rarity), targets)
                         for task, targets in tasks], 1)[:, :width]
    room = width - columns.shape[1]
    if room:
        columns = torch.cat([columns, company(rows, vocabulary, room)], 1)
    shares = counts / counts.sum()
    columns = columns - shares @ columns
    spread = (shares @ columns.square()).sqrt().clamp(min=torch.finfo().tiny)
    return (columns / spread).clamp(-_FARTHEST, _FARTHEST)


def bags(rows: Sequence[Ids], rarity: Tensor) -> Tensor:
    """
    Return sparse bags of subwords, (rows, vocabulary), each of length 1.

    :param rarity: (vocabulary,), what one subword counts; several count as their root.
    """
    places = torch.from_numpy(np.stack([
        np.repeat(np.arange(len(rows)), [len(row) for row in rows]), np.concatenate(rows)]))
    counted = _sparse(places, torch.ones(places.shape[1]), (len(rows), len(rarity)))
    row, subword = counted.indices()
    weights = counted.values().sqrt() * rarity[subword]
    squares = torch.zeros(len(rows)).index_add_(0, row, weights.square())
    lengths = squares.sqrt().clamp(min=torch.finfo().tiny)
    return _sparse(counted.indices(), weights / lengths[row], counted.shape)


def ridge(inputs: Tensor, targets: Tensor, penalty: float = _RIDGE) -> Tensor:
    """
    Solve ridge regressions by conjugate gradients; the targets' means are left out.

    :param inputs: sparse (rows, columns).
    :param targets: (rows, targets).
    :returns: (columns, targets).
    """
    def times(weights: Tensor) -> Tensor:
        return inputs.t() @ (inputs @ weights) + penalty * weights

    rest: Tensor = inputs.t() @ (targets - targets.mean(0))
    weights, direction, length = torch.zeros_like(rest), rest, rest.square().sum(0)
    for _ in range(_STEPS):
        moved = times(direction)
        step = length / (direction * moved).sum(0).clamp(min=torch.finfo().tiny)
        weights, rest = weights + step * direction, rest - step * moved
        before, length = length, rest.square().sum(0)
        direction = rest + length / before.clamp(min=torch.finfo().tiny) * direction
    return weights


def company(rows: Sequence[Ids], vocabulary: int, width: int) -> Tensor:
    """Return (vocabulary, width): of subwords in like company, like vectors."""
    shape = (vocabulary, vocabulary)
    together = _sparse(torch.zeros(2, 0, dtype=torch.int64), torch.zeros(0), shape)
    for distance in range(1, _NEIGHBOURS + 1):
        pairs = torch.from_numpy(np.concatenate(
            [np.stack([row[:-distance], row[distance:]]) for row in rows
             if len(row) > distance] or [np.zeros((2, 0), np.int64)], 1))
        both = torch.cat([pairs, pairs.flip(0)], 1)
        weights = torch.full((both.shape[1],), 1 / distance)
        together = (together + _sparse(both, weights, shape)).coalesce()
    own, other = together.indices()
    counts = torch.zeros(vocabulary).index_add_(0, own, together.values())
    expected = counts ** _CONTEXT_POWER
    information = (together.values() / counts[own] / (expected / expected.sum())[other]).log()
    kept = information > 0
    positive = _sparse(together.indices()[:, kept], information[kept], shape)
    left, strengths, _ = torch.svd_lowrank(positive, q=width, niter=4)
    return left * strengths.sqrt()


def _sparse(places: Tensor, values: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Return a sparse tensor; values at the same place are added up."""
    return torch.sparse_coo_tensor(places, values, shape, check_invariants=True).coalesce()
