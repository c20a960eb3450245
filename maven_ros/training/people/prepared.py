"""
A prepared set: recorded people, frame by frame, for training and encoding.

- ``manifest.parquet`` has one row per frame: video, person, split, frame (from 1), stamp_ns on the
  clock of the file, valence and arousal (NaN if unlabelled), labelled, crop (a path, relative to
  the set's folder unless absolute; empty without a face);
- ``videos.parquet`` has one row per person: video, split, fps, frames, duration_s, audio and
  transcript (paths in the folder), audio_start_ns, counts of frames, made_of (a digest of
  everything that the person's files depend on), status, reason;
- ``prepared.json`` has the options of the preparation, and counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maven_ros.errors import ResourceError
from maven_ros.files import read_json
from maven_ros.tables import read_table, require_pyarrow

FORMAT = 1
MANIFEST_FILE, PEOPLE_FILE, SUMMARY = 'manifest.parquet', 'videos.parquet', 'prepared.json'


@dataclass(frozen=True)
class RecordedPerson:
    """
    One person in one video; the fields are the columns of ``videos.parquet``.

    :param audio: path of the sound in the set's folder; empty without sound.
    """

    video: str
    person: str
    split: str
    frames: int
    duration_s: float
    audio: str
    audio_start_ns: int
    transcript: str
    made_of: str


@dataclass(frozen=True)
class Frames:
    """
    The frames of a person, in order.

    :param stamps_ns: int64 (frames,).
    :param values: float32 (frames, 2), valence and arousal; NaN if unlabelled.
    :param crops: paths of crops; empty without a face.
    """

    stamps_ns: NDArray[np.int64]
    values: NDArray[np.float32]
    crops: Sequence[str]


class PreparedSet:
    """
    A folder with a prepared set.

    :raises ResourceError: if the folder holds no prepared set, or one of another format.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        summary = folder / SUMMARY
        if not summary.is_file():
            raise ResourceError(f'{folder}: is not a prepared set: it has no {SUMMARY}, which '
                                '`maven-ros data prepare` writes at its end')
        found = read_json(summary)
        if not isinstance(found, dict) or found.get('format') != FORMAT:
            raise ResourceError(f'{summary}: is not of format {FORMAT}')
        names = list(RecordedPerson.__dataclass_fields__)
        columns = read_table(folder / PEOPLE_FILE, [*names, 'status'])
        rows = zip(*(columns[name] for name in [*names, 'status']), strict=True)
        #: The people who are not excluded, in the order of the file.
        self.people = tuple(RecordedPerson(*row[:-1]) for row in rows if row[-1] == 'ok')

    def frames(self, person: str) -> Frames:
        """
        Return the frames of a person.

        :raises ResourceError: if the manifest cannot be read, or lacks the person.
        """
        pa, pq, _ = require_pyarrow()
        path = self.folder / MANIFEST_FILE
        try:
            with path.open('rb') as file:  # pyarrow takes a path with a colon for an address
                table = pq.read_table(file, filters=[('person', '=', person)], columns=[
                    'stamp_ns', 'valence', 'arousal', 'crop'])
        except (OSError, pa.ArrowException) as error:
            raise ResourceError(f'{path}: cannot be read as Parquet: {error}') from error
        if not len(table):
            raise ResourceError(f'{path}: has no frame of {person!r}')
        column: Any = {name: table.column(name) for name in table.column_names}
        return Frames(
            column['stamp_ns'].to_numpy(),
            np.stack([column['valence'].to_numpy(), column['arousal'].to_numpy()], 1),
            column['crop'].to_pylist())
