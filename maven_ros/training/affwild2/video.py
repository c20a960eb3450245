"""Prepare one video of Aff-Wild2: write its faces, sound, words and rows."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maven_ros.closing import Closing
from maven_ros.counters import Counters
from maven_ros.devices.media import LOST, read_media
from maven_ros.errors import CannotWrite, InputError, MavenError, ResourceError
from maven_ros.files import owner_only, write_json, written
from maven_ros.records import NS, Frame, Word
from maven_ros.scoring.annotations import read_frame_values
from maven_ros.senses.face_tracker import FaceTracker
from maven_ros.senses.speech import SpeechWorker
from maven_ros.tables import require_pyarrow, schema_of
from maven_ros.text import shown
from maven_ros.training.affwild2.annotated import (
    MANIFEST,
    manifest_rows,
    person_row,
    read_labels,
)
from maven_ros.training.affwild2.frames import Faces, Seen, choose, holes, see
from maven_ros.training.affwild2.layout import Subject, read_crops
from maven_ros.training.affwild2.plan import PrepareOptions, VideoPlan, part_path
from maven_ros.training.people.recorded_sound import (
    Sound,
    read_sound,
    read_words,
    recognise,
    write_flac,
    write_words,
)

_log = logging.getLogger('maven_ros.prepare')


class _Stopped(ResourceError):
    """The preparation was stopped."""


class Preparer(Closing):
    """
    Prepare videos one by one; the recogniser is loaded once, when first needed.

    :param stop: ends the preparation when set, even inside a video.
    :param passed: called with the number of finished seconds of the video.
    """

    def __init__(
        self, out: Path, options: PrepareOptions, stop: Event, passed: Callable[[float], None],
    ) -> None:
        self._out, self._options, self._stop, self._passed = out, options, stop, passed
        self._speech: SpeechWorker | None = None

    def close(self) -> None:
        """Close the recogniser."""
        if self._speech:
            self._speech.close()
            self._speech = None

    def prepare(self, plan: VideoPlan) -> None:
        """Prepare one video; a fault of the video is recorded in its part."""
        whole = True
        try:
            people, columns = self._do(plan, Counters())
        except (CannotWrite, _Stopped):
            raise
        except Exception as error:  # decoders raise any class for broken files
            if not isinstance(error, MavenError):
                _log.exception('%s', plan.path)
            said = str(error) if isinstance(error, MavenError) else f'{plan.path}: {error!r}'
            people = [person_row(one, 'excluded', said) for one in plan.subjects]
            whole, columns = False, []
        write_rows(part_path(self._out, plan.name, '.parquet'), columns)
        write_json(part_path(self._out, plan.name, '.json'),
                   {'inputs': plan.inputs, 'whole': whole, 'people': people})

    def _do(
        self, plan: VideoPlan, counters: Counters,
    ) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        if plan.media is None:
            raise ResourceError(plan.fault)
        if not plan.media.has_video:
            raise ResourceError(f'{plan.path}: has no pictures')
        tracked = [one for one in plan.subjects if one.person not in plan.crops]
        stamps_ns, frames = self._look(plan, tracked, counters)
        stamps_ns, frames = self._with_holes(plan, stamps_ns, frames, counters)
        chosen = choose(frames, [one.side for one in tracked]) if tracked else {}
        sound = self._listen(plan, counters)
        counts = counters.snapshot()
        remarks = [f'{counts[kind]} x {detail}' for kind, detail in counters.details().items()]
        length_ns = max(1, int(stamps_ns[-1] - stamps_ns[0]))
        rate = plan.media.frame_rate or (len(stamps_ns) - 1) * NS / length_ns
        people, columns = [], []
        for subject in plan.subjects:
            try:
                labels = read_labels(subject, len(stamps_ns), self._options.mismatch)
            except InputError as error:
                people.append(person_row(subject, 'excluded', str(error)))
                continue
            crops = (self._given(plan.crops[subject.person], len(stamps_ns))
                     if subject.person in plan.crops
                     else self._cut(subject, chosen[subject.side]))
            rows = manifest_rows(subject, stamps_ns, labels, crops)
            columns.append(rows)
            people.append(person_row(
                subject, 'ok', '; '.join([labels.remark] * bool(labels.remark) + remarks),
                fps=float(rate), frames=len(stamps_ns),
                duration_s=float(stamps_ns[-1] / NS + 1 / rate),
                labelled=int(rows['labelled'].sum()), unlabelled=int((~rows['labelled']).sum()),
                faceless=crops.count(''), **sound))
        return people, columns

    # --- pictures ------------------------------------------------------------------------

    def _look(
        self, plan: VideoPlan, tracked: Sequence[Subject], counters: Counters,
    ) -> tuple[NDArray[np.int64], list[Faces]]:
        """Return the stamps of all frames and, if a person needs tracking, the faces."""
        options = self._options
        tracker = FaceTracker(options.settings.faces, options.crop_px, counters) \
            if tracked else None
        most = None if any(one.side for one in tracked) else 1
        stamps, frames = [], []
        for record in read_media(plan.path, audio=False, counters=counters, keep_lost=True):
            if self._stop.is_set():
                raise _Stopped(f'{plan.name}: stopped; run the same command again to continue')
            assert isinstance(record, Frame)
            stamps.append(record.stamp_ns)
            if tracker:
                frames.append(self._track(tracker, record, counters, most))
            self._passed(record.stamp_ns / NS)
        if not stamps:
            raise ResourceError(f'{plan.path}: no picture could be decoded')
        return np.array(stamps, np.int64), frames

    def _with_holes(
        self, plan: VideoPlan, stamps_ns: NDArray[np.int64], frames: list[Faces],
        counters: Counters,
    ) -> tuple[NDArray[np.int64], list[Faces]]:
        """Give pictures that are not in the file at all, and that labels count, their places."""
        missing = np.zeros(0, np.int64)
        for subject in plan.subjects:
            try:
                lines = len(read_frame_values(subject.annotation))
            except InputError:  # told when its labels are read
                continue
            if len(found := holes(stamps_ns, lines)):
                missing = found
        if not len(missing):
            return stamps_ns, frames
        counters.count('media', 'missing', f'{plan.path}: {len(missing)} pictures are not in the '
                       'file, and its labels count them')
        whole = np.sort(np.concatenate([stamps_ns, missing]))
        known = dict(zip(stamps_ns.tolist(), frames, strict=False))
        return whole, [known.get(stamp, {}) for stamp in whole.tolist()] if frames else []

    def _track(
        self, tracker: FaceTracker, frame: Frame, counters: Counters, most: int | None,
    ) -> Faces:
        try:
            return see(tracker.update(frame.stamp_ns, frame.decode())[:most])
        except InputError as error:  # such as a repeated stamp: a frame without a face
            if error.cause != LOST:  # counted where it was read
                counters.count('video', error.cause, str(error))
            return {}

    def _given(self, folder: Path, frames: int) -> list[str]:
        crops = read_crops(folder.resolve())
        if shown(folder.resolve()) != str(folder.resolve()):
            raise InputError('bad_name', f'{folder}: a table holds no path that is no UTF-8')
        return [str(crops[number].resolve()) if number in crops else ''
                for number in range(1, frames + 1)]

    def _cut(self, subject: Subject, seen: Sequence[Seen | None]) -> list[str]:
        folder = Path('crops') / subject.person
        paths = []
        for number, one in enumerate(seen, 1):
            path = folder / f'{number:05}.jpg'
            if one:
                with written(self._out / path) as beside:
                    beside.write_bytes(one.jpeg)
            paths.append(path.as_posix() if one else '')
        return paths

    # --- sound ---------------------------------------------------------------------------

    def _listen(self, plan: VideoPlan, counters: Counters) -> dict[str, Any]:
        """Write sound and words; return their paths."""
        assert plan.media
        sound = self._sound(plan, counters) if plan.media.has_audio else None
        words = read_words(plan.transcript) if plan.transcript else self._words(sound, counters)
        known: dict[str, Any] = {}
        if sound:
            known = {'audio': f'sound/{plan.name}.flac', 'audio_start_ns': sound.start_ns}
            write_flac(self._out / known['audio'], sound.waveform)
        if words is not None:
            known['transcript'] = f'transcripts/{plan.name}.json'
            write_words(self._out / known['transcript'], words)
        return known

    def _sound(self, plan: VideoPlan, counters: Counters) -> Sound | None:
        try:
            return read_sound(plan.path, self._options.settings.audio, counters)
        except ResourceError as error:  # the pictures may still be usable
            counters.count('audio', 'unreadable', str(error))
            return None

    def _words(self, sound: Sound | None, counters: Counters) -> list[Word] | None:
        """Return recognised words; None without sound or recogniser."""
        settings = self._options.settings.speech
        if sound is None or settings.recogniser == 'none':
            return None
        if self._speech is None:
            self._speech = SpeechWorker(settings, counters, inline=True)
        return recognise(sound, self._speech)


@owner_only()
def prepare_alone(plan: VideoPlan, out: Path, options: PrepareOptions) -> None:
    """Prepare one video; the parent process ends this one."""
    with Preparer(out, options, Event(), lambda part_s: None) as preparer:
        preparer.prepare(plan)


def write_rows(path: Path, some: Sequence[Mapping[str, Any]]) -> None:
    """Write rows of the manifest, from columns for each person."""
    pa, pq, _ = require_pyarrow()
    schema = schema_of(MANIFEST)
    tables = [pa.table(dict(columns), schema) for columns in some]
    with written(path) as beside, beside.open('wb') as file:
        pq.write_table(pa.concat_tables(tables) if tables else schema.empty_table(), file)
