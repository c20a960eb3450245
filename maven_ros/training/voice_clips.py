"""Clips of voices: read files, and folders whose table lists them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Set
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np

from maven_ros.counters import Counters
from maven_ros.devices.media import read_sounds
from maven_ros.errors import ResourceError
from maven_ros.records import Samples
from maven_ros.senses.resample import Resampler, mono
from maven_ros.training.corpus import Examples, require_split
from maven_ros.training.csv_rows import csv_rows
from maven_ros.training.targets import points_of

TABLE = 'clips.tsv'
_COLUMNS = ('file', 'speaker', 'emotion')


class Clip(NamedTuple):
    """A row of the table: path, speaker and emotion, as the corpus calls them."""

    path: Path
    speaker: str
    emotion: str


def read_clips(paths: Iterable[Path]) -> tuple[Samples, ...]:
    """
    Read the sound of files, each float32 (samples,), 16 kHz mono in [-1, 1].

    :raises ResourceError: if one cannot be read, or is damaged.
    """
    counters, sounds = Counters(), []
    for chunks in read_sounds(paths, counters):
        faults = counters.details()
        if faults:
            raise ResourceError('; '.join(faults.values()))
        whole = mono(np.concatenate([chunk.samples for chunk in chunks]))
        sounds.append(Resampler(chunks[0].sample_rate_hz).accept(whole, last=True))
    return tuple(sounds)


def listed_clips(folder: Path) -> list[Clip]:
    """
    Read the table of a folder of clips.

    :param folder: has ``clips.tsv`` with the columns file, speaker and emotion.
    :raises ResourceError: names the file and the fault.
    """
    path = folder / TABLE
    clips = []
    for line, row in csv_rows(path, _COLUMNS, tabs=True):
        if not row['file'] or Path(row['file']).name != row['file']:
            raise ResourceError(f'{path}: line {line}: {row["file"]!r} is not the name of a file '
                                'in this folder')
        clips.append(Clip(folder / row['file'], row['speaker'], row['emotion']))
    return clips


class ListedVoices(ABC):
    """
    A corpus whose table lists its clips; the person of an example is the speaker, if known.

    :param folder: folder of the clips and their table.
    """

    modality: ClassVar[str] = 'audio'
    #: Our name of each emotion in the table.
    emotions: ClassVar[Mapping[str, str]]
    #: What the table calls a speaker who is not known.
    unknown: ClassVar[str] = ''

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @abstractmethod
    def speakers(self, split: str, every: Set[str]) -> Set[str]:
        """Return who is in a split, of all speakers in the table."""

    def read(self, split: str) -> Examples:
        """
        Return the clips of a split, in the table's order.

        :raises ResourceError: for an emotion that is not known, a split without a clip, or as
            :func:`listed_clips` and :func:`read_clips`.
        """
        require_split(split)
        clips = listed_clips(self._folder)
        speakers = self.speakers(split, {clip.speaker for clip in clips})
        chosen = [clip for clip in clips if clip.speaker in speakers]
        strange = {clip.emotion for clip in chosen} - self.emotions.keys()
        if strange or not chosen:
            fault = (f'emotion {", ".join(sorted(strange))}; allowed: {", ".join(self.emotions)}'
                     if strange else f'no clip of {", ".join(sorted(speakers))}')
            raise ResourceError(f'{self._folder / TABLE}: {fault}')
        names = tuple(dict.fromkeys(self.emotions.values()))
        places = [names.index(self.emotions[clip.emotion]) for clip in chosen]
        return Examples(
            read_clips(clip.path for clip in chosen), points_of(names)[places], emotions=names,
            shares=np.eye(len(names), dtype=np.float32)[places],
            people=tuple('' if clip.speaker == self.unknown else clip.speaker for clip in chosen))
