"""What several stages minimise."""

from __future__ import annotations

import torch
from torch import Tensor


def concordance(predicted: Tensor, target: Tensor) -> Tensor:
    """
    Return Lin's concordance correlation coefficient, with its gradient.

    2 cov(x, y) / (var(x) + var(y) + (mean(x) - mean(y))^2), all over n, so that of a sample with
    itself it is 1.

    :param predicted: (n, ...).
    :param target: (n, ...).
    :returns: (...), in [-1, 1]; NaN where both are constant and the same.
    """
    exact = torch.promote_types(predicted.dtype, torch.float32)  # products may be in bfloat16
    predicted, target = predicted.to(exact), target.to(exact)
    means = predicted.mean(0), target.mean(0)
    covariance = ((predicted - means[0]) * (target - means[1])).mean(0)
    spread = predicted.var(0, correction=0) + target.var(0, correction=0)
    return 2 * covariance / (spread + (means[0] - means[1]).square())


def disagreement(predicted: Tensor, target: Tensor) -> Tensor:
    """
    Return 1 - CCC, the mean of valence's and arousal's.

    :param predicted: (n, 2).
    :param target: (n, 2).
    :returns: in [0, 2]; 0, with no gradient, of fewer than two.
    """
    if len(target) < 2:
        return predicted.sum() * 0
    return 1 - concordance(predicted, target).mean()


def soft_cross_entropy(logits: Tensor, shares: Tensor) -> Tensor:
    """
    Return the mean cross-entropy against shares of votes.

    :param logits: (n, classes).
    :param shares: (n, classes), rows sum to 1.
    """
    return -(shares * torch.log_softmax(logits.float(), -1)).sum(-1).mean()
