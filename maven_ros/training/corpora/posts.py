"""
Public posts with the ratings of two psychologists (Preotiuc-Pietro et al., 2016); GPL-3.0.

They serve training alone: the posts themselves are not passed on. Every fifth post validates.
Raters call ordinary posts unaroused, unlike those of other corpora; the targets have the middle
and the spread of emotional speech.
"""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from maven_ros.errors import ResourceError
from maven_ros.training.corpus import Examples, require_split
from maven_ros.training.csv_rows import csv_rows

_COLUMNS = ('text', 'valence_1', 'valence_2', 'arousal_1', 'arousal_2')
_LOWEST, _HIGHEST = 1.0, 9.0
_PARTS = 5  # one of them validates
#: Middle of the ratings of valence and arousal, and what a step of them is in a target.
_MIDDLE = np.array([5.0, 3.33])
_STEP = np.array([0.35, 0.15])


class Posts:
    """All posts; ``test`` has none."""

    name: ClassVar[str] = 'posts'
    modality: ClassVar[str] = 'text'
    licence: ClassVar[str] = 'GPL-3.0'

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, split: str) -> Examples:
        """
        Return the posts of a split, in the file's order.

        :raises ResourceError: names the file and the fault.
        """
        require_split(split)
        path = self._folder / 'train.csv'
        every = [(row['text'], _ratings(path, line, row))
                 for line, row in csv_rows(path, _COLUMNS)]
        chosen = [one for one in every if _split_of(one[0]) == split]
        targets = np.array([ratings for _, ratings in chosen]).reshape(-1, 2)
        return Examples(tuple(text for text, _ in chosen),
                        ((targets - _MIDDLE) * _STEP).clip(-1, 1).astype(np.float32))


def _split_of(text: str) -> str:
    """Return the split of a post; the same text is always in one."""
    return 'train' if zlib.crc32(text.strip().lower().encode()) % _PARTS else 'valid'


def _ratings(path: Path, line: int, row: dict[str, str]) -> NDArray[np.float64]:
    values = []
    for name in _COLUMNS[1:]:
        try:
            value = float(row[name] or 'nan')
        except (TypeError, ValueError):
            value = float('nan')
        if not _LOWEST <= value <= _HIGHEST:
            raise ResourceError(f'{path}: line {line}: {name} is {row[name]!r}; allowed: '
                                f'{_LOWEST:g} to {_HIGHEST:g}')
        values.append(value)
    both: NDArray[np.float64] = np.array(values).reshape(2, 2).mean(1)
    return both
