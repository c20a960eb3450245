"""Draw the examples of an epoch by their weights."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def draws(weights: NDArray[np.float32]) -> int:
    """Return the number of examples in an epoch, given their weights, (n,)."""
    return max(1, round(float(weights.sum(dtype='float64'))))


def drawn(weights: NDArray[np.float32], random: torch.Generator) -> Tensor:
    """
    Draw the examples of an epoch, in random order.

    The weight is the expected count of an example: with a weight of 1.5 it is drawn once or twice.

    :param weights: (n,), above 0.
    :returns: int64 (draws,), indices of examples.
    """
    ends = torch.from_numpy(weights).double().cumsum(0)
    ends = ends * draws(weights) / ends[-1]
    marks = torch.arange(draws(weights)) + torch.rand(1, generator=random).double()
    places = torch.searchsorted(ends, marks, right=True).clamp(max=len(weights) - 1)
    return places[torch.randperm(len(places), generator=random)]
