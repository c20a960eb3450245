"""
MELD (Poria et al., 2019): lines of spoken dialogue with one of seven emotions each; GPL-3.0.

Only the text is used, and for training alone: the lines themselves are not passed on. The targets
are the points of the emotions (:mod:`maven_ros.training.targets`).
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np

from maven_ros.errors import ResourceError
from maven_ros.training.corpus import Examples, require_split
from maven_ros.training.csv_rows import csv_rows
from maven_ros.training.targets import points_of

_FILES = {'train': 'train.csv', 'valid': 'dev.csv'}
_COLUMNS = ('emotion', 'text')
EMOTIONS = {'neutral': 'neutral', 'joy': 'happy', 'sadness': 'sad', 'anger': 'angry',
            'disgust': 'disgusted', 'fear': 'fearful', 'surprise': 'surprised'}


class Meld:
    """The lines of train and dev; ``test`` has none."""

    name: ClassVar[str] = 'meld'
    modality: ClassVar[str] = 'text'
    licence: ClassVar[str] = 'GPL-3.0'

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, split: str) -> Examples:
        """
        Return the lines of a split, in the file's order.

        :raises ResourceError: names the file and the fault.
        """
        require_split(split)
        if split not in _FILES:
            raise ResourceError(f'{self._folder}: has no split {split!r}; allowed: '
                                f'{", ".join(_FILES)}')
        path = self._folder / _FILES[split]
        every = [(row['text'], _emotion(path, line, row['emotion']))
                 for line, row in csv_rows(path, _COLUMNS)]
        texts, emotions = zip(*every, strict=True) if every else ((), ())
        names = tuple(EMOTIONS.values())
        shares = np.eye(len(names), dtype=np.float32)[[names.index(one) for one in emotions]]
        return Examples(texts, points_of(emotions), emotions=names, shares=shares)


def _emotion(path: Path, line: int, name: str | None) -> str:
    if name not in EMOTIONS:
        raise ResourceError(f'{path}: line {line}: {name!r} is no emotion; allowed: '
                            f'{", ".join(EMOTIONS)}')
    return EMOTIONS[name]
