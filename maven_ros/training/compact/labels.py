"""What people say of faces and voices: emotions that they named, or valence and arousal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from maven_ros.training.corpus import Examples


class Labels(NamedTuple):
    """
    Labels in one table, so that they can be blended.

    :param mixed: (n, emotions + 2): shares of the emotions, and the valence and arousal of what
        has no share in any.
    """

    mixed: Tensor

    @classmethod
    def of(cls, examples: Examples, emotions: Sequence[str], smoothing: float = 0.0) -> Labels:
        """
        Return what people say of examples.

        :param smoothing: share of the named emotions that is spread over all of them.
        :raises SettingsError: when people named another emotion.
        """
        shares = torch.from_numpy(examples.shares_of(emotions))
        named = shares.sum(1, keepdim=True)
        smooth = shares.lerp(named / len(emotions), smoothing)
        return cls(torch.cat([smooth, (1 - named) * torch.from_numpy(examples.targets)], 1))

    @property
    def shares(self) -> Tensor:
        """Shares of the emotions, (n, emotions); rows of what was rated are 0."""
        return self.mixed[:, :-2]

    def points(self, points: Tensor) -> Tensor:
        """
        Return valence and arousal, (n, 2).

        :param points: of the emotions, (emotions, 2).
        """
        return self.shares @ points + self.mixed[:, -2:]


def accuracy(logits: Tensor, shares: NDArray[np.float32]) -> float:
    """
    Return how often the emotion that most people named is the likeliest.

    :param logits: (n, emotions).
    :param shares: (n, emotions); the first of several maxima counts, and rows of 0 do not.
    :returns: in [0, 1]; NaN where nobody named any.
    """
    named = shares.sum(1) > 0
    right = logits.argmax(1).numpy()[named] == shares[named].argmax(1)
    return float(right.mean()) if len(right) else float('nan')
