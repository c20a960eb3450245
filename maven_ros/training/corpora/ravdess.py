"""
RAVDESS (Livingstone & Russo, 2018): acted emotions, two sentences, 24 actors; CC BY-NC-SA 4.0.

The name of a clip is modality-channel-emotion-intensity-statement-repetition-actor.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from maven_ros.errors import ResourceError
from maven_ros.records import Samples
from maven_ros.training.corpus import Examples, require_split
from maven_ros.training.targets import points_of
from maven_ros.training.voice_clips import read_clips

EMOTIONS = (
    'neutral', 'calm', 'happy', 'sad', 'angry', 'fearful', 'disgusted', 'surprised')  # 01 to 08

#: Valence and arousal of each of ``EMOTIONS``, float32 (8, 2).
POINTS = points_of(EMOTIONS)

ACTORS = {'train': range(1, 19), 'valid': range(19, 21), 'test': range(21, 25)}

_NAME = re.compile(r'03-01-0([1-8])-0([12])-0([12])-0([12])-(\d\d)')
_ALLOWED = 'allowed: 03-01-EMOTION-INTENSITY-STATEMENT-REPETITION-ACTOR, as 03-01-05-02-01-01-19'


@dataclass(frozen=True)
class VoiceClips:
    """
    Spoken clips; the arrays have one entry per clip.

    :param waveforms: float32 (samples,) each, 16 kHz mono in [-1, 1].
    :param emotions: int64, index into ``EMOTIONS``.
    :param strong: bool, whether the intensity is strong.
    :param actors: int64, 1 to 24.
    :param targets: float32 (clips, 2), valence and arousal in [-1, 1] of the emotion.
    """

    waveforms: tuple[Samples, ...]
    emotions: NDArray[np.int64]
    strong: NDArray[np.bool_]
    actors: NDArray[np.int64]
    targets: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.waveforms)

    def of(self, chosen: NDArray[np.bool_]) -> VoiceClips:
        """Return the clips for which ``chosen`` is True."""
        return VoiceClips(
            tuple(self.waveforms[index] for index in np.flatnonzero(chosen)),
            self.emotions[chosen], self.strong[chosen], self.actors[chosen], self.targets[chosen])


class Ravdess:
    """All clips; the person of an example is the actor."""

    name: ClassVar[str] = 'ravdess'
    modality: ClassVar[str] = 'audio'
    licence: ClassVar[str] = 'CC BY-NC-SA 4.0'

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, split: str) -> Examples:
        """Return the clips of a split, in the order of their names."""
        clips = read_ravdess(self._folder, split)
        shares = np.eye(len(EMOTIONS), dtype=np.float32)[clips.emotions]
        return Examples(clips.waveforms, clips.targets, emotions=EMOTIONS, shares=shares,
                        people=tuple(map(str, clips.actors.tolist())))


def read_ravdess(
    folder: Path, split: str, actors: Collection[int] | None = None,
) -> VoiceClips:
    """
    Read the clips of a split, in the order of their names; no actor is in two splits.

    :param folder: folder of the clips.
    :param split: ``'train'``, ``'valid'`` or ``'test'``.
    :param actors: actors of the split to read; all if omitted.
    :raises SettingsError: if the split is unknown.
    :raises ResourceError: if the folder is missing, a name or a file is not valid, or an actor of
        the split has no clips.
    """
    require_split(split)
    wanted = set(ACTORS[split]).intersection(ACTORS[split] if actors is None else actors)
    described = [(path, _describe(path)) for path in sorted(folder.glob('*.flac'))]
    chosen = [(path, fields) for path, fields in described if fields[2] in wanted]
    absent = wanted - {actor for _, (_, _, actor) in chosen}
    if absent:
        raise ResourceError(f'{folder}: no clips of actors {", ".join(map(str, sorted(absent)))}, '
                            f'who are in split {split!r}')
    emotions, strong, actors = zip(*(fields for _, fields in chosen), strict=True)
    return VoiceClips(
        read_clips(path for path, _ in chosen), np.array(emotions, np.int64),
        np.array(strong), np.array(actors, np.int64), POINTS[list(emotions)])


def _describe(path: Path) -> tuple[int, bool, int]:
    """Return the emotion's index, whether it is strong, and the actor."""
    match = _NAME.fullmatch(path.stem)
    if not match:
        raise ResourceError(f'{path}: {path.stem!r} is not a name of RAVDESS speech; {_ALLOWED}')
    emotion, intensity, _, _, actor = map(int, match.groups())
    return emotion - 1, intensity == 2, actor
