"""One annotated person: labels and faces per frame, as rows of the manifest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maven_ros.errors import InputError
from maven_ros.scoring.annotations import read_frame_values
from maven_ros.training.affwild2.layout import Subject

#: What to do with a person whose number of annotation lines differs from that of frames.
MISMATCHES = ('cut', 'exclude')
_FURTHEST = 0.1  # largest relative difference; beyond it, lines do not match frames

#: Columns of ``manifest.parquet``, with one row per frame.
MANIFEST = {
    'video': 'string', 'person': 'string', 'split': 'string', 'frame': 'int32',
    'stamp_ns': 'int64', 'valence': 'float32', 'arousal': 'float32', 'labelled': 'bool_',
    'crop': 'string'}

#: Columns of ``videos.parquet``, with one row per person.
PEOPLE = {
    'video': 'string', 'person': 'string', 'split': 'string', 'fps': 'float64', 'frames': 'int64',
    'duration_s': 'float64', 'audio': 'string', 'audio_start_ns': 'int64',
    'transcript': 'string', 'labelled': 'int64', 'unlabelled': 'int64', 'faceless': 'int64',
    'made_of': 'string', 'status': 'string', 'reason': 'string'}


@dataclass(frozen=True)
class FrameLabels:
    """
    The labels of every frame.

    :param values: float32 (frames, 2), valence and arousal; NaN if unlabelled.
    :param remark: how a different number of lines was resolved; or empty.
    """

    values: NDArray[np.float32]
    remark: str = ''


def read_labels(subject: Subject, frames: int, mismatch: str) -> FrameLabels:
    """
    Read a person's labels; line i belongs to frame i.

    With ``cut``, lines beyond the last frame are dropped, and frames beyond the last line are
    unlabelled.

    :param mismatch: one of ``MISMATCHES``.
    :raises InputError: if the file is not valid, or the numbers differ: with ``exclude`` at all,
        with ``cut`` by more than a tenth.
    """
    values = read_frame_values(subject.annotation)
    lines = len(values)
    if lines == frames:
        return FrameLabels(values)
    name = subject.annotation.name
    if mismatch == 'exclude' or abs(lines - frames) > _FURTHEST * frames:
        allowed = 'the same number' if mismatch == 'exclude' else f'within {_FURTHEST:.0%}'
        raise InputError('line_count', f'{name}: {lines} lines for {frames} frames; allowed: '
                                       f'{allowed} (--mismatch {mismatch})')
    remark = (f'cut: dropped {lines - frames} lines beyond the last frame' if lines > frames
              else f'cut: {frames - lines} frames beyond the last line are unlabelled')
    whole = np.full((frames, 2), np.nan, np.float32)
    whole[:lines] = values[:frames]
    return FrameLabels(whole, remark)


def manifest_rows(
    subject: Subject, stamps_ns: NDArray[np.int64], labels: FrameLabels, crops: Sequence[str],
) -> dict[str, Any]:
    """Return the columns of a person's rows; ``crops`` are paths, empty without a face."""
    count = len(stamps_ns)
    return {
        'video': [subject.video] * count, 'person': [subject.person] * count,
        'split': [subject.split] * count, 'frame': np.arange(1, count + 1, dtype=np.int32),
        'stamp_ns': stamps_ns, 'valence': labels.values[:, 0], 'arousal': labels.values[:, 1],
        'labelled': np.isfinite(labels.values[:, 0]), 'crop': list(crops)}


def person_row(subject: Subject, status: str, reason: str, **known: Any) -> dict[str, Any]:
    """Return a person's row of ``videos.parquet``; unknown values are 0 or empty."""
    empty = {name: '' if kind == 'string' else 0 for name, kind in PEOPLE.items()}
    return {**empty, 'video': subject.video, 'person': subject.person, 'split': subject.split,
            **known, 'status': status, 'reason': reason}
