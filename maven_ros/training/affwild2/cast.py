"""
The actors of a generated data set: faces, voices and sentences near a point of the circumplex.

They come from FER+, RAVDESS and EmoBank. Each split uses the same split of the corpora, so no
face, actor or sentence is in two splits. Without the corpora, faces are drawn, voices babble,
and words are made up.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from maven_ros.records import Pixels, Samples
from maven_ros.training.affwild2.babble import babble
from maven_ros.training.compact.pieces import words_of
from maven_ros.training.corpora.emobank import read_emobank
from maven_ros.training.corpora.ferplus import read_ferplus
from maven_ros.training.corpora.ravdess import ACTORS, read_ravdess
from maven_ros.training.targets import VALENCE_AROUSAL

FACE_PX = 112
Point = NDArray[np.float64]

_NEAR = 0.12  # standard deviation of the distance between the point and its rendering
_GOOD = ['good', 'happy', 'love', 'warm', 'great', 'bright', 'smile', 'sunny', 'dear', 'kind']
_BAD = ['bad', 'sad', 'hate', 'cold', 'awful', 'dark', 'tear', 'rainy', 'lost', 'cruel']
_PLAIN = ['the', 'a', 'this', 'it', 'was', 'is', 'and', 'we', 'they', 'day']


class Said(NamedTuple):
    """
    One utterance of an actor.

    :param waveform: float32 (samples,), 16 kHz mono in [-1, 1].
    :param point: valence and arousal of the utterance.
    """

    waveform: Samples
    point: Point


class Actor(Protocol):
    """One person of a generated video."""

    def says(self, random: np.random.Generator) -> Said:
        """Return a random utterance."""

    def shows(self, point: Point, random: np.random.Generator) -> Pixels:
        """Return a face near a point, uint8 (FACE_PX, FACE_PX, 3) BGR."""

    def words(self, point: Point, random: np.random.Generator) -> list[str]:
        """Return words near a point."""


class Roles:
    """
    Faces, voices and sentences of one split of the corpora.

    :param data: folder of the data sets.
    :param count: requested number of actors; there may be fewer.
    :raises ResourceError: names a file that is missing or broken.
    """

    def __init__(self, data: Path, split: str, count: int) -> None:
        faces = read_ferplus(data / 'faces', split)
        faces = faces.of(faces.counted)
        self.images, self.points = faces.images, faces.targets.astype(np.float64)
        self.clips = read_ravdess(
            data / 'speech/ravdess', split, list(ACTORS[split])[:count])
        sentences = read_emobank(data / 'text/emobank', split)
        self.texts, self.text_points = sentences.texts, sentences.targets.astype(np.float64)

    def actor(self, number: int) -> Actor:
        """Return an actor; numbers beyond the last actor wrap around."""
        actors = sorted(set(self.clips.actors.tolist()))
        return _CorpusActor(self, actors[number % len(actors)])


class _CorpusActor:
    def __init__(self, roles: Roles, number: int) -> None:
        self._roles = roles
        self._clips = np.flatnonzero(roles.clips.actors == number)

    def says(self, random: np.random.Generator) -> Said:
        clip = int(random.choice(self._clips))
        clips = self._roles.clips
        return Said(clips.waveforms[clip], clips.targets[clip].astype(np.float64))

    def shows(self, point: Point, random: np.random.Generator) -> Pixels:
        import cv2

        image = self._roles.images[_near(self._roles.points, point, random)]
        large = cv2.resize(image, (FACE_PX, FACE_PX), interpolation=cv2.INTER_CUBIC)
        return np.repeat(large[:, :, None], 3, 2)

    def words(self, point: Point, random: np.random.Generator) -> list[str]:
        return words_of(self._roles.texts[_near(self._roles.text_points, point, random)])


def _near(points: NDArray[np.float64], point: Point, random: np.random.Generator) -> int:
    distance = np.square(points - point).sum(1)
    weights = np.exp(-(distance - distance.min()) / (2 * _NEAR ** 2))
    return int(random.choice(len(points), p=weights / weights.sum()))


class DrawnActor:
    """
    An actor with a drawn face, a babble and made-up words.

    Mouth and words express valence; eyes and pitch express arousal.

    :param random: generator of the person's skin, size and pitch.
    """

    def __init__(self, random: np.random.Generator) -> None:
        self._skin = int(random.integers(120, 210))
        self._width = int(random.integers(36, 46))
        self._pitch_hz = random.uniform(100, 180)
        self._syllables = np.random.default_rng(round(self._pitch_hz * 1e6))

    def says(self, random: np.random.Generator) -> Said:
        """Babble with the point of a random emotion."""
        points = list(VALENCE_AROUSAL.values())
        point = np.array(points[int(random.integers(len(points)))])
        valence, arousal = point
        voice = babble(random.uniform(2.0, 3.0), self._pitch_hz * 2 ** arousal, 3 + 2 * arousal,
                       valence, self._syllables)
        loud = 0.2 * 2 ** arousal * voice + 0.003 * random.normal(size=len(voice))
        return Said(np.clip(loud, -1, 1).astype(np.float32), point)

    def shows(self, point: Point, random: np.random.Generator) -> Pixels:
        """Draw a face."""
        import cv2

        valence, arousal = point
        face = np.full((FACE_PX, FACE_PX, 3), 60, np.uint8)
        dark = (self._skin - 80,) * 3
        cv2.ellipse(face, (56, 56), (self._width, 52), 0, 0, 360, (self._skin,) * 3, -1)
        for x in (38, 74):
            cv2.ellipse(face, (x, 42), (8, max(1, round(5 + 4 * arousal))), 0, 0, 360, dark, -1)
            cv2.line(face, (x - 9, round(28 - 5 * arousal)), (x + 9, round(28 - 5 * arousal)),
                     dark, 3)
        bend = round(16 * valence)
        corners = np.array([(36, 82 - bend // 2), (56, 82 + bend // 2), (76, 82 - bend // 2)])
        curve = np.polynomial.Polynomial.fit(corners[:, 0], corners[:, 1], 2)
        line = np.array([(x, curve(x)) for x in range(36, 77, 4)]).round().astype(np.int32)
        cv2.polylines(face, [line], False, dark, max(2, round(4 + 3 * arousal)))
        noisy = face + random.normal(scale=4, size=face.shape)
        return noisy.clip(0, 255).astype(np.uint8)

    def words(self, point: Point, random: np.random.Generator) -> list[str]:
        """Make up words."""
        telling = _GOOD if point[0] > random.uniform(-0.4, 0.4) else _BAD
        return [str(random.choice(telling if index % 2 else _PLAIN)) for index in range(6)]
