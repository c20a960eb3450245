"""
GoEmotions (Demszky et al., 2020): comments with 27 emotions and neutral; Apache-2.0.

It has no valence or arousal. The targets come from Ekman's six emotions (joy, anger, fear,
sadness, surprise, disgust), to which the paper maps its labels, at the points of
:mod:`maven_ros.training.targets`. They help training and are never scored.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from maven_ros.errors import ResourceError
from maven_ros.training.corpus import Examples, require_split
from maven_ros.training.targets import points_of

_SPLITS = {'train': 'train', 'valid': 'dev', 'test': 'test'}  # our name: name of the file
GROUPS = {
    'angry': ('anger', 'annoyance', 'disapproval'),
    'disgusted': ('disgust',),
    'fearful': ('fear', 'nervousness'),
    'happy': ('joy', 'amusement', 'approval', 'excitement', 'gratitude', 'love', 'optimism',
              'relief', 'pride', 'admiration', 'desire', 'caring'),
    'sad': ('sadness', 'disappointment', 'embarrassment', 'grief', 'remorse'),
    'surprised': ('surprise', 'realization', 'confusion', 'curiosity'),
    'neutral': ('neutral',),
}
_PLACEHOLDERS = re.compile(r'\[(?:NAME|RELIGION)\]')  # inserted by the authors


@dataclass(frozen=True)
class LabelledComments:
    """
    Comments with emotions.

    :param texts: comments without placeholders.
    :param labels: float32 (comments, 28), 1 for each labelled emotion, columns as ``names``.
    :param targets: float32 (comments, 2), mean valence and arousal of the labels' groups.
    :param names: names of the emotions.
    """

    texts: tuple[str, ...]
    labels: NDArray[np.float32]
    targets: NDArray[np.float32]
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.texts)


class Goemotions:
    """All comments with their emotions; the writers are unknown."""

    name: ClassVar[str] = 'goemotions'
    modality: ClassVar[str] = 'text'
    licence: ClassVar[str] = 'Apache-2.0'

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, split: str) -> Examples:
        """Return the comments of a split, in the file's order."""
        comments = read_goemotions(self._folder, split)
        shares = comments.labels / comments.labels.sum(1, keepdims=True)
        return Examples(comments.texts, comments.targets, emotions=comments.names, shares=shares)


def read_goemotions(folder: Path, split: str) -> LabelledComments:
    """
    Read the comments of a split.

    :param folder: folder of the files.
    :param split: ``'train'``, ``'valid'`` (``dev.tsv``) or ``'test'``.
    :raises SettingsError: if the split is unknown.
    :raises ResourceError: if a file is missing, or a line has another format.
    """
    require_split(split)
    names = tuple(_lines(folder / 'labels.txt'))
    points = _points(folder / 'labels.txt', names)
    path = folder / f'{_SPLITS[split]}.tsv'
    texts, rows = [], []
    for number, line in enumerate(_lines(path), 1):
        text, row = _parse(f'{path}: line {number}', line, len(names))
        texts.append(text)
        rows.append(row)
    labels = np.array(rows, np.float32).reshape(-1, len(names))
    targets = labels @ points / labels.sum(1, keepdims=True)
    return LabelledComments(tuple(texts), labels, targets, names)


def _points(path: Path, names: tuple[str, ...]) -> NDArray[np.float32]:
    group_of = {name: group for group, members in GROUPS.items() for name in members}
    unknown = set(names) ^ group_of.keys()
    if unknown:
        raise ResourceError(f'{path}: missing or unknown: {", ".join(sorted(unknown))}')
    return points_of(group_of[name] for name in names)


def _parse(where: str, line: str, emotions: int) -> tuple[str, NDArray[np.float32]]:
    text, separator, rest = line.partition('\t')
    ids = rest.partition('\t')[0].split(',')
    if not separator or not all(one.isdecimal() and int(one) < emotions for one in ids):
        raise ResourceError(f'{where}: {line!r} is not a comment; allowed: text, a tab, and ids '
                            f'of emotions below {emotions}, separated by commas')
    row = np.zeros(emotions, np.float32)
    row[[int(one) for one in ids]] = 1
    return _PLACEHOLDERS.sub(' ', text), row


def _lines(path: Path) -> Iterator[str]:
    try:
        with path.open(encoding='utf-8') as lines:
            yield from (line.rstrip('\n') for line in lines)
    except (OSError, UnicodeDecodeError) as error:
        raise ResourceError(f'{path}: cannot be read: {error}') from error
