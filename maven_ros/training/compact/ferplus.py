"""
FER+ (Barsoum et al., 2016): the faces of FER2013 with the votes of ten people each.

Faces are aligned neither to their eyes nor to each other: grey 48x48 crops of a detector's boxes.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from maven_ros.errors import ResourceError, SettingsError
from maven_ros.training.compact.targets import valence_arousal

SPLITS = ('train', 'valid', 'test')

#: The votes that count, in the files' order; those for ``unknown`` and ``NF``, no face, do not.
EMOTIONS = (
    'neutral', 'happiness', 'surprise', 'sadness', 'anger', 'disgust', 'fear', 'contempt')
_NAMES = ('neutral', 'happy', 'surprised', 'sad', 'angry', 'disgusted', 'fearful', 'contempt')

#: Valence and arousal of each of ``EMOTIONS``, float32 (8, 2).
POINTS = np.array([valence_arousal(name) for name in _NAMES], np.float32)

_FEWEST_VOTES = 4  # that a face needs to count in figures
_SIDE_PX = 48


@dataclass(frozen=True)
class Faces:
    """
    Faces with the votes that count; the arrays have one entry a face.

    :param images: uint8 (faces, 48, 48), grey.
    :param votes: float32 (faces, 8), how many people saw each of ``EMOTIONS``.
    """

    images: NDArray[np.uint8]
    votes: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.images)

    def of(self, chosen: NDArray[np.bool_]) -> Faces:
        """Return the faces for which ``chosen``, one entry a face, is True."""
        return Faces(self.images[chosen], self.votes[chosen])

    @property
    def shares(self) -> NDArray[np.float32]:
        """Shares of the votes, float32 (faces, 8); NaN for a face without any."""
        with np.errstate(invalid='ignore'):
            return np.asarray(self.votes / self.votes.sum(1, keepdims=True), np.float32)

    @property
    def targets(self) -> NDArray[np.float32]:
        """Valence and arousal, float32 (faces, 2): the mean over the votes; NaN without any."""
        return np.asarray(self.shares @ POINTS, np.float32)

    @property
    def clear_votes(self) -> NDArray[np.float32]:
        """The votes without those that nobody shares: an emotion with one vote counts as none."""
        return np.asarray(np.where(self.votes > 1, self.votes, 0), np.float32)

    @property
    def counted(self) -> NDArray[np.bool_]:
        """Which faces count in figures: those with at least 4 votes that somebody shares."""
        return np.asarray(self.clear_votes.sum(1) >= _FEWEST_VOTES)

    @property
    def majority(self) -> NDArray[np.int64]:
        """The emotion with most votes, an index into ``EMOTIONS``; the first of several."""
        return np.asarray(self.clear_votes.argmax(1), np.int64)


def read_ferplus(data: Path, split: str) -> Faces:
    """
    Read one split.

    :param data: folder that holds ``faces/ferplus_SPLIT.npz``.
    :param split: ``'train'``, ``'valid'`` or ``'test'``.
    :raises SettingsError: for another split.
    :raises ResourceError: names the file, what is wrong with it and what is needed.
    """
    if split not in SPLITS:
        raise SettingsError(f'split: {split!r} is not one of {", ".join(SPLITS)}')
    path = data / 'faces' / f'ferplus_{split}.npz'
    try:
        with np.load(path, allow_pickle=False) as arrays:
            images, votes = arrays['images'], arrays['votes']
            emotions = tuple(str(name) for name in arrays['emotions'])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ResourceError(f'{path}: cannot be read: {error}; it needs arrays images, votes and '
                            'emotions') from error
    if emotions[:len(EMOTIONS)] != EMOTIONS:
        raise ResourceError(f'{path}: emotions begin with {", ".join(emotions)}, not with '
                            f'{", ".join(EMOTIONS)}')
    if images.dtype != np.uint8 or images.shape[1:] != (_SIDE_PX, _SIDE_PX):
        raise ResourceError(f'{path}: images are {images.dtype} {images.shape}, not uint8 (faces, '
                            f'{_SIDE_PX}, {_SIDE_PX})')
    if votes.shape != (len(images), len(emotions)):
        raise ResourceError(f'{path}: votes are {votes.shape}, not {len(images), len(emotions)}, '
                            'one row a face and one column an emotion')
    return Faces(images, votes[:, :len(EMOTIONS)].astype(np.float32))
