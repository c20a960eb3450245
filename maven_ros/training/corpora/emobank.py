"""EmoBank (Buechel & Hahn, 2017): sentences with human valence and arousal; CC BY-SA 4.0."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from maven_ros.errors import ResourceError
from maven_ros.training.corpus import Examples, require_split
from maven_ros.training.csv_rows import csv_rows

_SPLITS = {'train': 'train', 'valid': 'dev', 'test': 'test'}  # our name: name in the file
_COLUMNS = ('split', 'V', 'A', 'text')
_MIDDLE, _HALF = 3.0, 2.0  # of the rating scale, 1 to 5
#: Raters of single sentences use the middle of their scale. Stretched so, a sentence of joy lies
#: at the point of joy: a reader of all corpora found 1.8 for both dimensions.
_STRETCH = 1.8


@dataclass(frozen=True)
class RatedSentences:
    """
    Sentences with ratings.

    :param texts: as written.
    :param targets: float32 (sentences, 2), valence and arousal in [-1, 1].
    """

    texts: tuple[str, ...]
    targets: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.texts)


class Emobank:
    """All sentences with their ratings; the writers are unknown."""

    name: ClassVar[str] = 'emobank'
    modality: ClassVar[str] = 'text'
    licence: ClassVar[str] = 'CC BY-SA 4.0'

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, split: str) -> Examples:
        """Return the sentences of a split, in the file's order."""
        sentences = read_emobank(self._folder, split)
        return Examples(sentences.texts, (sentences.targets * _STRETCH).clip(-1, 1))


def read_emobank(folder: Path, split: str) -> RatedSentences:
    """
    Read the sentences of a split, with ratings scaled from [1, 5] to [-1, 1].

    :param folder: folder with ``emobank.csv``.
    :param split: ``'train'``, ``'valid'`` (the file's ``dev``) or ``'test'``.
    :raises SettingsError: if the split is unknown.
    :raises ResourceError: if the file or a column is missing, or a rating is not in [1, 5].
    """
    require_split(split)
    path = folder / 'emobank.csv'
    chosen = [(row['text'], _rating(path, line, row['V']), _rating(path, line, row['A']))
              for line, row in csv_rows(path, _COLUMNS) if row['split'] == _SPLITS[split]]
    if not chosen:
        raise ResourceError(f'{path}: has no sentence of split {_SPLITS[split]!r}')
    texts, valence, arousal = zip(*chosen, strict=True)
    return RatedSentences(texts, np.stack([valence, arousal], 1).astype(np.float32))


def _rating(path: Path, line: int, value: str | None) -> float:
    try:
        rating = float(value or 'nan')
    except ValueError:
        rating = math.nan
    if not 1 <= rating <= 5:
        raise ResourceError(f'{path}: line {line}: {value!r} is not a rating; allowed: 1 to 5')
    return (rating - _MIDDLE) / _HALF
