"""Schedules of the learning rate, and the running mean of the weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor


def plateaus(figures: Sequence[float], length: int) -> int:
    """
    Count the plateaus of a figure; the wait starts again after each plateau.

    :param figures: figure of each epoch.
    :param length: epochs without a rise that make a plateau.
    """
    best, waited, found = -math.inf, 0, 0
    for figure in figures:
        best, waited = (figure, 0) if figure > best else (best, waited + 1)
        if waited == length:
            waited, found = 0, found + 1
    return found


def cosine(warmup: int, steps: int) -> Callable[[int], float]:
    """Return the learning rate's factor by step: linear from 0 to 1, then a cosine to 0."""
    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        return 0.5 + 0.5 * math.cos(math.pi * (step - warmup) / max(1, steps - warmup))
    return factor


def running_mean(decay: float) -> Callable[[Sequence[Tensor], Sequence[Tensor], Any], None]:
    """Return the update of the mean of the weights; the first updates have less decay."""
    def move(means: Sequence[Tensor], values: Sequence[Tensor], count: Any) -> None:
        share = max(1 - decay, 9 / (10 + int(count)))
        for mean, value in zip(means, values, strict=True):
            if mean.is_floating_point():
                mean.lerp_(value, share)
            else:  # the batch counter of a batch norm
                mean.copy_(value)
    return move
