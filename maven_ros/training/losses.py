"""Losses that several stages use."""

from __future__ import annotations

import torch
from torch import Tensor


def concordance(predicted: Tensor, target: Tensor) -> Tensor:
    """
    Return Lin's concordance correlation coefficient, with its gradient.

    2 cov(x, y) / (var(x) + var(y) + (mean(x) - mean(y))^2), with all moments divided by n, so the
    CCC of a sample with itself is 1.

    :param predicted: (n, ...).
    :param target: (n, ...).
    :returns: (...), in [-1, 1]; NaN if both are constant and equal.
    """
    exact = torch.promote_types(predicted.dtype, torch.float32)  # inputs may be bfloat16
    predicted, target = predicted.to(exact), target.to(exact)
    means = predicted.mean(0), target.mean(0)
    covariance = ((predicted - means[0]) * (target - means[1])).mean(0)
    spread = predicted.var(0, correction=0) + target.var(0, correction=0)
    return 2 * covariance / (spread + (means[0] - means[1]).square())


def disagreement(predicted: Tensor, target: Tensor) -> Tensor:
    """
    Return the mean of 1 - CCC over valence and arousal.

    :param predicted: (n, 2).
    :param target: (n, 2).
    :returns: in [0, 2]; 0 without a gradient if n < 2.
    """
    if len(target) < 2:
        return predicted.sum() * 0
    return 1 - concordance(predicted, target).mean()


def soft_cross_entropy(logits: Tensor, shares: Tensor) -> Tensor:
    """
    Return the mean cross-entropy against soft labels.

    :param logits: (n, classes).
    :param shares: (n, classes), rows sum to 1.
    """
    return -(shares * torch.log_softmax(logits.float(), -1)).sum(-1).mean()
