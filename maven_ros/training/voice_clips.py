"""Clips of voices: read files, and folders whose table lists them."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from maven_ros.counters import Counters
from maven_ros.devices.media import read_sounds
from maven_ros.errors import ResourceError
from maven_ros.records import Samples
from maven_ros.senses.resample import Resampler, mono
from maven_ros.training.corpus import Examples
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
    try:
        with path.open(encoding='utf-8', newline='') as lines:
            rows = csv.DictReader(lines, delimiter='\t', quoting=csv.QUOTE_NONE)
            missing = set(_COLUMNS) - set(rows.fieldnames or ())
            if missing:
                raise ResourceError(f'{path}: has no column {", ".join(sorted(missing))}')
            clips = []
            for row in rows:
                if not row['file'] or Path(row['file']).name != row['file']:
                    raise ResourceError(f'{path}: line {rows.line_num}: {row["file"]!r} is not '
                                        'the name of a file in this folder')
                clips.append(Clip(folder / row['file'], row['speaker'], row['emotion']))
            return clips
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ResourceError(f'{path}: cannot be read: {error}') from error


def voices(
    folder: Path, emotions: Mapping[str, str], speakers: Collection[str], unknown: str = '',
) -> Examples:
    """
    Read the clips of some speakers.

    :param emotions: our name of each emotion in the table.
    :param unknown: what the table calls a speaker who is not known.
    :raises ResourceError: for an emotion that is not known, without a clip, or as
        :func:`read_clip`.
    """
    chosen = [clip for clip in listed_clips(folder) if clip.speaker in speakers]
    strange = {clip.emotion for clip in chosen} - emotions.keys()
    if strange or not chosen:
        fault = (f'emotion {", ".join(sorted(strange))}; allowed: {", ".join(emotions)}'
                 if strange else f'no clip of {", ".join(sorted(speakers))}')
        raise ResourceError(f'{folder / TABLE}: {fault}')
    names = tuple(dict.fromkeys(emotions.values()))
    places = [names.index(emotions[clip.emotion]) for clip in chosen]
    return Examples(
        read_clips(clip.path for clip in chosen), points_of(names)[places], emotions=names,
        shares=np.eye(len(names), dtype=np.float32)[places],
        people=tuple('' if clip.speaker == unknown else clip.speaker for clip in chosen))
