"""
Augmentation of sentences, as subwords: parts of them, and gaps.

A window of two seconds holds only a few words, and a recogniser misses some of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from maven_ros.declarations import Checked, fraction, setting
from maven_ros.model.configuration import UNKNOWN_TOKEN
from maven_ros.training.compact.tokenizer import INSIDE

Ids = NDArray[np.int64]


@dataclass(frozen=True)
class TextAugmentation(Checked):
    """The settings of the augmentation."""

    fragment: float = fraction(0.2, 'Probability that only a run of words is kept.')
    fragment_words: tuple[int, int] = setting(
        (3, 12), 'Fewest and most words of the run.', minimum=1, rises=True)
    blank: float = fraction(0.1, 'Probability that a subword becomes the unknown token.')


class TextAugmenter:
    """
    Augment rows of ids.

    :param tokenizer: tokenizer from :mod:`maven_ros.training.compact.tokenizer`.
    """

    def __init__(self, tokenizer: Tokenizer, settings: TextAugmentation) -> None:
        self.settings = settings
        ids = tokenizer.get_vocab()
        self.unknown = ids[UNKNOWN_TOKEN]
        self.begins = np.zeros(len(ids), np.bool_)
        self.begins[[number for name, number in ids.items() if not name.startswith(INSIDE)]] = True

    def __call__(self, ids: Ids, random: np.random.Generator) -> Ids:
        """Return an augmented row, (subwords,), which is never empty."""
        if random.random() < self.settings.fragment:
            ids = self.cut(ids, random)
        return np.where(random.random(len(ids)) < self.settings.blank, self.unknown, ids)

    def cut(self, ids: Ids, random: np.random.Generator) -> Ids:
        """Return a run of words; all words if there are no more."""
        fewest, most = self.settings.fragment_words
        count = int(random.integers(fewest, most + 1))
        edges = np.append(np.flatnonzero(self.begins[ids]), len(ids))
        if len(edges) - 1 <= count:
            return ids
        first = int(random.integers(len(edges) - count))
        return ids[edges[first]:edges[first + count]]
