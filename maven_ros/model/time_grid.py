"""
Align three modalities with one time grid (eq. 12).

The grid is that of the window (:func:`maven_ros.rules.time_grid`). A face is in the slot of its
stamp, a word is in every slot that it overlaps, and sound is interpolated to the centres of the
slots. A slot without evidence of a modality is masked, never filled.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from maven_ros import rules
from maven_ros.records import Word
from maven_ros.rules import Grid


class Aligned(NamedTuple):
    """
    One modality on the time grid.

    :param values: float (batch, slots, width); arbitrary where the mask is False.
    :param mask: bool (batch, slots), True where there is evidence.
    """

    values: Tensor
    mask: Tensor

    @classmethod
    def nothing(
        cls, batch: int, slots: int, width: int, device: torch.device | None = None,
    ) -> Aligned:
        """Return a modality without evidence."""
        return cls(torch.zeros(batch, slots, width, device=device),
                   torch.zeros(batch, slots, dtype=torch.bool, device=device))


def word_weights(
    words: Sequence[Word], word_of_token: Sequence[int], start_ns: int, end_ns: int, slots: int,
) -> NDArray[np.float32]:
    """
    Return the weight of each subword in each slot.

    The vector of a word is the mean over its subwords; the vector of a slot is the mean over its
    words.

    :param word_of_token: index of the word of each subword.
    :returns: (slots, tokens); each row sums to 1, or to 0 without a word.
    """
    weights = np.zeros((slots, len(word_of_token)), np.float32)
    tokens = np.asarray(word_of_token, int)
    for index, word in enumerate(words):
        own = tokens == index
        if not own.any():
            continue
        first = min(slots - 1, max(0, rules.slot_of(word.start_ns, start_ns, end_ns, slots)))
        after = rules.slot_of(word.end_ns - 1, start_ns, end_ns, slots) + 1
        weights[first:max(first + 1, after), own] += 1.0 / own.sum()
    total = weights.sum(1, keepdims=True)
    total[total == 0] = 1
    weights /= total
    return weights


def weigh(values: Tensor, weights: Tensor) -> Aligned:
    """
    Align a sequence with the grid by weights, which this function normalises.

    :param values: finite (batch, length, width).
    :param weights: (batch, slots, length), at least 0; 0 for masked vectors.
    """
    total = weights.sum(-1, keepdim=True)
    spoken = total > 0
    return Aligned(weights @ values / torch.where(spoken, total, 1), spoken.squeeze(-1))


def interpolate(
    values: Tensor, mask: Tensor, first_s: float, step_s: float, grid: Grid,
) -> Aligned:
    """
    Interpolate an evenly spaced sequence linearly to the centres of the slots.

    A centre between a masked and an unmasked vector takes the unmasked one. If both are masked,
    the slot takes the nearest unmasked vector inside it, so a short sound counts wherever it is. A
    slot without unmasked vectors is masked.

    :param values: finite (batch, length, width).
    :param mask: bool (batch, length).
    :param first_s: time of the first vector, in seconds from the start of the window.
    :param step_s: time between vectors, in seconds.
    """
    slots = torch.arange(grid.slots, device=values.device)[:, None]
    index = torch.arange(values.shape[1], device=values.device)
    times_s = first_s + index * step_s
    distance = ((slots + 0.5) * grid.slot_s - times_s).abs() / step_s
    between = (1 - distance).clamp(min=0) * mask[:, None]
    inside = (times_s / grid.slot_s).floor() == slots
    eligible = inside & mask[:, None]
    nearest = distance.masked_fill(~eligible, torch.inf).argmin(-1, keepdim=True)
    lone = (index == nearest) & eligible
    return weigh(values, torch.where(between.any(-1, keepdim=True), between, lone.float()))


def sinusoids(positions: Tensor, width: int, shortest: float, longest: float) -> Tensor:
    """
    Encode positions as sines and cosines with periods in geometric order.

    :param positions: (length,), in any unit.
    :param width: even number of columns.
    :param shortest: shortest period, in the unit of the positions.
    :param longest: longest period, in the same unit.
    :returns: (length, width) in [-1, 1].
    """
    steps = torch.linspace(0, 1, width // 2, device=positions.device)
    periods = shortest * (longest / shortest) ** steps
    phases = 2 * math.pi * positions[:, None] / periods
    return torch.cat([phases.sin(), phases.cos()], -1)


def hidden_keys(mask: Tensor) -> Tensor:
    """
    Return the ``key_padding_mask`` of torch's attention for a mask of evidence.

    A row without evidence hides nothing, because a softmax over nothing is NaN. The output of such
    a row is arbitrary; the caller must discard it.

    :param mask: bool (batch, length), True where there is evidence.
    :returns: bool (batch, length), True for positions to ignore.
    """
    return ~mask & mask.any(-1, keepdim=True)
