"""The states of a replay as a table, with one row per state."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from maven_ros.affect import Affect
from maven_ros.graph.messages import time_ns
from maven_ros.records import AffectState, Box, Modality, Status, VoiceAssigned
from maven_ros.tables import read_table

#: Columns and types. Numbers are the message's float32. ``known_ns`` is the bag's time at which
#: the state became known, ``latency_ns`` the time since its window's end.
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

    :param known_ns: the bag's time at which the state became known.
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


def read_states(path: Path) -> list[AffectState]:
    """
    Return the states in a Parquet table that was written from rows of :func:`row`.

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
