"""How the learning rate falls, and how the mean of the weights follows them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor


def plateaus(figures: Sequence[float], length: int) -> int:
    """
    Count how often a figure has not risen for so many epochs; each counts anew from there.

    :param figures: of each epoch.
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
    """Return what moves the mean of the weights by a step; at first it follows more quickly."""
    def move(means: Sequence[Tensor], values: Sequence[Tensor], count: Any) -> None:
        share = max(1 - decay, 9 / (10 + int(count)))
        for mean, value in zip(means, values, strict=True):
            if mean.is_floating_point():
                mean.lerp_(value, share)
            else:  # a count of batches
                mean.copy_(value)
    return move
