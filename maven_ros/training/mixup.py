"""Mixup: blend examples within a batch (Zhang et al., ICLR 2018)."""

from __future__ import annotations

import torch
from torch import Tensor


def mixup(
    examples: Tensor, targets: Tensor, concentration: float, random: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """
    Blend each example and its target with another example of the batch.

    :param examples: (n, ...).
    :param targets: (n, classes).
    :param concentration: parameter of the Beta distribution of the blending weights; a small value
        blends most examples only a little, 0 blends none.
    """
    if not concentration:
        return examples, targets
    # A ratio of two Gamma samples is a Beta sample; torch's Beta does not accept a generator.
    gammas = torch._standard_gamma(
        torch.full((2, len(examples)), concentration), generator=random)
    weight = gammas.amax(0) / gammas.sum(0).clamp(min=1e-20)
    other = torch.randperm(len(examples), generator=random)

    def blended(values: Tensor) -> Tensor:
        return torch.lerp(values[other], values, weight.view(-1, *[1] * (values.ndim - 1)))

    return blended(examples), blended(targets)
