"""
FER+ (Barsoum et al., 2016): the faces of FER2013 with the votes of ten people each.

The faces are grey 48x48 crops of a detector's boxes, without alignment.

Some pictures are in the files more than once, byte for byte. A picture that is in several splits
is left out of all of them (692 of 28,561 in train, 305 of 3,579 in valid, 314 of 3,574 in test),
so that no figure rests on a face that was trained on. A picture that is repeated within a split
counts once, with the votes of its first place (1,065, 16 and 8 more are left out).
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from maven_ros.errors import ResourceError
from maven_ros.training.corpus import PICTURE_PX, SPLITS, Examples, require_split
from maven_ros.training.targets import points_of

#: The votes that are used, in the files' order; votes for ``unknown`` and ``NF`` (no face) are
#: not.
EMOTIONS = (
    'neutral', 'happiness', 'surprise', 'sadness', 'anger', 'disgust', 'fear', 'contempt')
#: The same emotions under the names of :mod:`maven_ros.training.targets`.
NAMES = ('neutral', 'happy', 'surprised', 'sad', 'angry', 'disgusted', 'fearful', 'contempt')

#: Valence and arousal of each of ``EMOTIONS``, float32 (8, 2).
POINTS = points_of(NAMES)

_FEWEST_VOTES = 4  # smallest number for a face to be scored


@dataclass(frozen=True)
class Faces:
    """
    Faces with their votes; the arrays have one entry per face.

    :param images: uint8 (faces, 48, 48), grey.
    :param votes: float32 (faces, 8), number of votes for each of ``EMOTIONS``.
    """

    images: NDArray[np.uint8]
    votes: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.images)

    def of(self, chosen: NDArray[np.bool_]) -> Faces:
        """Return the faces for which ``chosen`` is True."""
        return Faces(self.images[chosen], self.votes[chosen])

    @property
    def shares(self) -> NDArray[np.float32]:
        """Shares of the votes, float32 (faces, 8); NaN without votes."""
        with np.errstate(invalid='ignore'):
            return np.asarray(self.votes / self.votes.sum(1, keepdims=True), np.float32)

    @property
    def targets(self) -> NDArray[np.float32]:
        """Valence and arousal, float32 (faces, 2): the mean over the votes; NaN without votes."""
        return np.asarray(self.shares @ POINTS, np.float32)

    @property
    def clear_votes(self) -> NDArray[np.float32]:
        """The votes without single votes: an emotion with one vote counts as 0."""
        return np.asarray(np.where(self.votes > 1, self.votes, 0), np.float32)

    @property
    def counted(self) -> NDArray[np.bool_]:
        """Whether a face is scored: it needs at least 4 clear votes."""
        return np.asarray(self.clear_votes.sum(1) >= _FEWEST_VOTES)

    @property
    def majority(self) -> NDArray[np.int64]:
        """Index into ``EMOTIONS`` of the emotion with most votes; the first one at a tie."""
        return np.asarray(self.clear_votes.argmax(1), np.int64)


class Ferplus:
    """
    The faces that have enough votes to be scored.

    The spread is the standard error of the mean over the votes. The people are unknown.
    """

    name: ClassVar[str] = 'ferplus'
    modality: ClassVar[str] = 'video'
    licence: ClassVar[str] = 'images (FER2013): research use; labels (FER+): MIT'

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, split: str) -> Examples:
        """Return the faces of a split, in the file's order."""
        faces = read_ferplus(self._folder, split)
        faces = faces.of(faces.counted)
        deviations = POINTS - faces.targets[:, None]
        variances = (faces.shares[..., None] * deviations ** 2).sum(1)
        spreads = np.sqrt(variances / faces.votes.sum(1, keepdims=True))
        return Examples(faces.images, faces.targets, spreads, NAMES, faces.shares)


def read_ferplus(folder: Path, split: str) -> Faces:
    """
    Read one split, without the pictures that are in another one, and without repeats.

    :param folder: folder with ``ferplus_SPLIT.npz`` of all three splits.
    :param split: ``'train'``, ``'valid'`` or ``'test'``.
    :raises SettingsError: if the split is unknown.
    :raises ResourceError: names the file, the fault and the expected content.
    """
    require_split(split)
    faces = _read(folder / f'ferplus_{split}.npz')
    seen = {image.tobytes() for other in SPLITS if other != split
            for image in _read(folder / f'ferplus_{other}.npz').images}
    fresh = []
    for image in faces.images:
        content = image.tobytes()
        fresh.append(content not in seen)
        seen.add(content)
    return faces.of(np.array(fresh, np.bool_))


def _read(path: Path) -> Faces:
    """Read all faces of a file."""
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
    if images.dtype != np.uint8 or images.shape[1:] != (PICTURE_PX, PICTURE_PX):
        raise ResourceError(f'{path}: images are {images.dtype} {images.shape}, not uint8 (faces, '
                            f'{PICTURE_PX}, {PICTURE_PX})')
    if votes.shape != (len(images), len(emotions)):
        raise ResourceError(f'{path}: votes are {votes.shape}, not {len(images), len(emotions)}, '
                            'one row per face and one column per emotion')
    return Faces(images, votes[:, :len(EMOTIONS)].astype(np.float32))
