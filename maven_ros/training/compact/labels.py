"""Labels of faces and voices: emotions, or valence and arousal."""

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
    Labels in one table, so that mixup can blend them.

    :param mixed: (n, emotions + 2): shares of the emotions, then valence and arousal, which count
        for examples without emotions.
    """

    mixed: Tensor

    @classmethod
    def of(cls, examples: Examples, emotions: Sequence[str], smoothing: float = 0.0) -> Labels:
        """
        Return the labels of examples.

        :param smoothing: label smoothing of the emotions, in [0, 1].
        :raises SettingsError: if an example has another emotion.
        """
        shares = torch.from_numpy(examples.shares_of(emotions))
        named = shares.sum(1, keepdim=True)
        smooth = shares.lerp(named / len(emotions), smoothing)
        return cls(torch.cat([smooth, (1 - named) * torch.from_numpy(examples.targets)], 1))

    @property
    def shares(self) -> Tensor:
        """Shares of the emotions, (n, emotions); rows of rated examples are 0."""
        return self.mixed[:, :-2]

    def points(self, points: Tensor) -> Tensor:
        """
        Return valence and arousal, (n, 2).

        :param points: points of the emotions, (emotions, 2).
        """
        return self.shares @ points + self.mixed[:, -2:]


def accuracy(logits: Tensor, shares: NDArray[np.float32]) -> float:
    """
    Return how often the most likely emotion is the majority's.

    :param logits: (n, emotions).
    :param shares: (n, emotions); the first maximum counts, and rows of 0 are skipped.
    :returns: share in [0, 1]; NaN without labelled emotions.
    """
    named = shares.sum(1) > 0
    right = logits.argmax(1).numpy()[named] == shares[named].argmax(1)
    return float(right.mean()) if len(right) else float('nan')
