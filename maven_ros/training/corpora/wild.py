"""
Faces in the wild (muxspace/facial_expressions): people of the press and the web, one label each.

The repository is under Apache-2.0; the pictures come from the web and from Labeled Faces in the
Wild, for research. One student named the emotions, so many a label is wrong: a recipe may give the
corpus ``smoothing``. Half of the faces are neutral and two fifths are happy.

The faces are cut as the node cuts them (:func:`maven_ros.senses.crops.crop`), levelled by the eyes
of the file, and grey. The height of YuNet's box, which the node knows and the file does not, is
estimated from the distance of eyes and mouth.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from maven_ros.errors import ResourceError
from maven_ros.senses.crops import Outline, crop
from maven_ros.training.corpus import PICTURE_PX, Examples, require_split
from maven_ros.training.likeness import alike
from maven_ros.training.targets import points_of

FILE = 'wild_train.npz'
#: The emotions of the labels.
NAMES = ('neutral', 'happy', 'surprised', 'sad', 'angry', 'disgusted', 'fearful', 'contempt')
#: Height of YuNet's box, in distances from the middle of the eyes to that of the mouth: the median
#: of the 99% of these faces that it finds.
BOX_HEIGHT = 2.566
_POINTS = points_of(NAMES)
_ONE_IN = 4  # so many of the groups of faces are trained on for each one that validates
_ARRAYS = 'it needs arrays jpeg, offsets, emotion and landmarks'


class Wild:
    """
    The faces, in the file's order; ``test`` has none.

    Nearly identical faces, such as the frames of one video, are in one split: faces that are
    :func:`alike` are a group, and every fourth group validates, counted within the rarest emotion
    of each. Rare emotions are drawn more often in training, by the square root of their rarity.
    """

    name: ClassVar[str] = 'wild'
    modality: ClassVar[str] = 'video'
    licence: ClassVar[str] = 'repository: Apache-2.0; pictures from the web: research use'

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE

    def read(self, split: str) -> Examples:
        """Return the faces of a split."""
        require_split(split)
        images, emotions = read_wild(self._path)
        held_out = validates(alike(images), emotions)
        chosen = {'train': ~held_out, 'valid': held_out, 'test': np.zeros_like(held_out)}[split]
        images, emotions = images[chosen], emotions[chosen]
        shares = np.eye(len(NAMES), dtype=np.float32)[emotions]
        counts = np.bincount(emotions, minlength=len(NAMES))
        rarity = counts[emotions] ** -0.5
        weights = rarity / rarity.mean() if split == 'train' else np.ones(len(images))
        return Examples(
            images, _POINTS[emotions], emotions=NAMES, shares=shares,
            weights=weights.astype(np.float32))


def validates(groups: NDArray[np.int64], emotions: NDArray[np.int64]) -> NDArray[np.bool_]:
    """
    Return which faces validate.

    :param groups: (faces,), group of each face, from 0.
    :param emotions: (faces,), index of its emotion.
    :returns: (faces,), the same for all faces of a group.
    """
    rank = np.argsort(np.argsort(-np.bincount(emotions, minlength=len(NAMES)), kind='stable'))
    rarest = np.zeros(groups.max(initial=-1) + 1, np.int64)
    np.maximum.at(rarest, groups, rank[emotions])
    held_out = np.zeros(len(rarest), np.bool_)
    for one in range(len(NAMES)):
        held_out[np.flatnonzero(rarest == one)[_ONE_IN - 1::_ONE_IN]] = True
    return np.asarray(held_out[groups])


def read_wild(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """
    Read all faces.

    :returns: grey crops, uint8 (faces, 48, 48), and indices into ``NAMES``, (faces,).
    :raises ResourceError: names the file, the fault and the expected content.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            jpeg, offsets = arrays['jpeg'], arrays['offsets']
            labels, landmarks = arrays['emotion'], arrays['landmarks']
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ResourceError(f'{path}: cannot be read: {error}; {_ARRAYS}') from error
    count = len(labels)
    for name, array, shape in (('offsets', offsets, (count + 1,)),
                               ('landmarks', landmarks, (count, 5, 2))):
        if array.shape != shape:
            raise ResourceError(f'{path}: {name} are {array.shape}, not {shape}, for {count} '
                                'emotions')
    unknown = sorted(set(labels.tolist()) - set(NAMES))
    if unknown:
        raise ResourceError(f'{path}: emotions: {", ".join(map(str, unknown))}; allowed: '
                            f'{", ".join(NAMES)}')
    images = np.zeros((count, PICTURE_PX, PICTURE_PX), np.uint8)
    for index in range(count):
        data = jpeg[offsets[index]:offsets[index + 1]]
        images[index] = _cut(data, landmarks[index], f'{path}: face {index}')
    return images, np.array([NAMES.index(label) for label in labels], np.int64)


def _cut(data: NDArray[np.uint8], landmarks: NDArray[np.float32], where: str) -> NDArray[np.uint8]:
    """Return the grey crop of one face."""
    import cv2

    picture = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
    if picture is None:
        raise ResourceError(f'{where}: is not a picture')
    if not np.isfinite(landmarks).all():
        raise ResourceError(f'{where}: landmarks are not finite')
    eyes, mouth = landmarks[:2].mean(0), landmarks[3:].mean(0)
    height = BOX_HEIGHT * float(np.hypot(*(mouth - eyes)))
    middle_x, middle_y = landmarks.mean(0).tolist()
    points = tuple((float(x), float(y)) for x, y in landmarks)
    face = Outline((middle_x, middle_y), height, height, points)
    return np.asarray(cv2.cvtColor(
        crop(np.asarray(picture, np.uint8), face, PICTURE_PX), cv2.COLOR_BGR2GRAY), np.uint8)
