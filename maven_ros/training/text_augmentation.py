"""
Other wordings of sentences, as subwords: parts of them, other ways to spell them, and gaps.

A window of two seconds holds a few words of a sentence, and a recogniser misses some. A subword
that is split into the two that it was merged from is what BPE-dropout gives (Provilkov et al.
2020), but from a seed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from maven_ros.errors import SettingsError
from maven_ros.model.configuration import UNKNOWN_TOKEN

Ids = NDArray[np.int64]
_SPACE = 'Ġ'  # with which a byte-level subword begins that begins a word


@dataclass(frozen=True)
class TextAugmentation:
    """
    How far, and how often, sentences are changed.

    :param fragment: probability that only some words in a row are left.
    :param fragment_words: fewest and most of them.
    :param split: probability that a subword is split; its parts, half of that, and so on.
    :param blank: probability that a subword is not known.
    :raises SettingsError: names what cannot be, its value and what is allowed.
    """

    fragment: float = 0.2
    fragment_words: tuple[int, int] = (3, 12)
    split: float = 0.05
    blank: float = 0.1

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        for name in ('fragment', 'split', 'blank'):
            if not 0 <= getattr(self, name) <= 1:
                raise SettingsError(f'{name}: {getattr(self, name)!r} is not in [0, 1]')
        if not 0 < self.fragment_words[0] <= self.fragment_words[1]:
            raise SettingsError(f'fragment_words: {self.fragment_words!r} does not rise from 1')


class TextAugmenter:
    """
    Changes rows of ids.

    :param tokenizer: a byte-level BPE.
    """

    def __init__(self, tokenizer: Tokenizer, settings: TextAugmentation) -> None:
        self.settings = settings
        ids = tokenizer.get_vocab()
        self.unknown = ids[UNKNOWN_TOKEN]
        self.begins = np.zeros(len(ids), np.bool_)
        self.begins[[number for name, number in ids.items() if name.startswith(_SPACE)]] = True
        self.parts = np.full((len(ids), 2), -1, np.int64)
        for merge in json.loads(tokenizer.to_str())['model']['merges']:
            left, right = merge if isinstance(merge, list) else merge.split(' ')
            if left + right in ids:
                self.parts[ids[left + right]] = ids[left], ids[right]

    def __call__(self, ids: Ids, random: np.random.Generator) -> Ids:
        """Change a row, (subwords,), to another of any length but 0."""
        if random.random() < self.settings.fragment:
            ids = self.cut(ids, random)
        ids = self.split(ids, random)
        return np.where(random.random(len(ids)) < self.settings.blank, self.unknown, ids)

    def cut(self, ids: Ids, random: np.random.Generator) -> Ids:
        """Return some words in a row; all where there are no more."""
        fewest, most = self.settings.fragment_words
        count = int(random.integers(fewest, most + 1))
        edges = np.append(np.flatnonzero(self.begins[ids]), len(ids))
        if len(edges) - 1 <= count:
            return ids
        first = int(random.integers(len(edges) - count))
        return ids[edges[first]:edges[first + count]]

    def split(self, ids: Ids, random: np.random.Generator) -> Ids:
        """Split some subwords into the two that each was merged from, and some of those."""
        probability = self.settings.split
        while True:
            hit = (random.random(len(ids)) < probability) & (self.parts[ids, 0] >= 0)
            if not hit.any():
                return ids
            places = np.flatnonzero(np.repeat(hit, 1 + hit))
            longer = np.repeat(ids, 1 + hit)
            longer[places] = self.parts[ids[hit]].ravel()
            ids, probability = longer, probability / 2
