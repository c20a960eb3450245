"""The states of a replay as a table, one row each: Parquet and CSV, every time the same bytes."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Any

from maven_ros.affect import Affect
from maven_ros.errors import ResourceError
from maven_ros.graph.messages import time_ns
from maven_ros.records import AffectState, Box, Modality, Status, VoiceAssigned

_ROWS = 4096  # a group of rows in the file, and what is held in memory
#: Column and type. Numbers are the message's own float32; ``known_ns`` is the bag's time at which
#: the state became known, ``latency_ns`` what that was after the window's end.
COLUMNS = {
    'window_start_ns': 'int64', 'window_end_ns': 'int64', 'known_ns': 'int64',
    'latency_ns': 'int64', 'status': 'string', 'person_id': 'string',
    'valence': 'float32', 'arousal': 'float32', 'valence_std': 'float32',
    'arousal_std': 'float32', 'intensity': 'float32', 'angle': 'float32',
    'confidence': 'float32', 'modalities': 'uint8', 'video_influence': 'float32',
    'audio_influence': 'float32', 'text_influence': 'float32', 'voice_assigned': 'string',
    'baseline_valence': 'float32', 'baseline_arousal': 'float32', 'transcript': 'string',
    'face_x': 'uint32', 'face_y': 'uint32', 'face_width': 'uint32', 'face_height': 'uint32',
    'frame_id': 'string', 'model': 'string',
}


def row(message: Any, known_ns: int) -> dict[str, Any]:
    """
    Return the row of a ``maven_ros/AffectState``.

    :param known_ns: the bag's time at which it became known.
    """
    own = ('person_id', 'valence', 'arousal', 'valence_std', 'arousal_std', 'intensity', 'angle',
           'confidence', 'modalities', 'video_influence', 'audio_influence', 'text_influence',
           'baseline_valence', 'baseline_arousal', 'transcript', 'model')
    return {
        **{name: getattr(message, name) for name in own},
        'window_start_ns': time_ns(message.window_start),
        'window_end_ns': time_ns(message.header.stamp),
        'known_ns': known_ns, 'latency_ns': time_ns(message.latency),
        'status': Status(message.status).name,
        'voice_assigned': VoiceAssigned(message.voice_assigned).name,
        'face_x': message.face.x_offset, 'face_y': message.face.y_offset,
        'face_width': message.face.width, 'face_height': message.face.height,
        'frame_id': message.header.frame_id,
    }


def write_tables(
    rows: Iterator[dict[str, Any]], columns: Mapping[str, str], paths: tuple[Path, ...],
) -> None:
    """
    Write the same table into several files, each Parquet or CSV by its name's end.

    :param rows: such as of :func:`row`; taken a few thousand at a time.
    :param columns: name and Arrow type.
    :raises ResourceError: when they cannot be written, or pyarrow is missing.
    """
    pa, pq, csv = require_pyarrow()
    schema = pa.schema([(name, getattr(pa, kind)()) for name, kind in columns.items()])
    try:
        with ExitStack() as stack:
            writers = [
                stack.enter_context(
                    pq.ParquetWriter(path, schema) if '.parquet' in path.suffixes
                    else csv.CSVWriter(path, schema))
                for path in paths]
            while some := list(islice(rows, _ROWS)):
                table = pa.Table.from_pylist(some, schema)
                for writer in writers:
                    writer.write_table(table)
    except OSError as error:
        raise ResourceError(f'{paths[0].parent}: a table cannot be written: {error}') from error


def read_table(path: Path, columns: Collection[str]) -> dict[str, list[Any]]:
    """
    Return the columns of a Parquet table.

    :param columns: those that it must have.
    :raises ResourceError: when it cannot be read, lacks columns, or pyarrow is missing.
    """
    pa, pq, _ = require_pyarrow()
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise ResourceError(f'{path}: cannot be read as Parquet: {error}') from error
    missing = [name for name in columns if name not in table.column_names]
    if missing:
        raise ResourceError(f'{path}: lacks the columns {", ".join(missing)}')
    return {name: table.column(name).to_pylist() for name in columns}


def read_states(path: Path) -> list[AffectState]:
    """
    Return the states in a Parquet table of :func:`row`'s rows.

    :raises ResourceError: as :func:`read_table`.
    """
    table = read_table(path, COLUMNS)
    return [_state(dict(zip(table, values, strict=True)))
            for values in zip(*table.values(), strict=True)]


def _state(one: dict[str, Any]) -> AffectState:
    box = Box(one['face_x'], one['face_y'], one['face_width'], one['face_height'])
    return AffectState(
        window_start_ns=one['window_start_ns'], window_end_ns=one['window_end_ns'],
        status=Status[one['status']], person_id=one['person_id'],
        affect=Affect(one['valence'], one['arousal']),
        valence_std=one['valence_std'], arousal_std=one['arousal_std'],
        modalities=Modality(one['modalities']),
        influence=(one['video_influence'], one['audio_influence'], one['text_influence']),
        voice_assigned=VoiceAssigned[one['voice_assigned']], transcript=one['transcript'],
        face=box if box.width and box.height else None, frame_id=one['frame_id'],
        model=one['model'], baseline=(one['baseline_valence'], one['baseline_arousal']))


def require_pyarrow() -> tuple[Any, Any, Any]:
    """
    Return pyarrow, and its modules for Parquet and CSV.

    :raises ResourceError: when it is missing: before hours of work, not after.
    """
    try:
        import pyarrow
        from pyarrow import csv, parquet
    except ImportError as error:
        raise ResourceError(
            'pyarrow is not installed; pip install "maven_ros[evaluation]"') from error
    return pyarrow, parquet, csv
