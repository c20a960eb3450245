"""
Aff-Wild2 made ready for training: faces, sound, words and labels of every frame.

Each video leaves a *part*, its rows and what they depend on, once all its files are written. So a
call after any end does what is missing, and what has changed, and nothing else. At the end the
parts are joined into ``manifest.parquet``, ``videos.parquet`` and a report.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maven_ros.diagnostics import Counters
from maven_ros.errors import InputError, ResourceError, SettingsError
from maven_ros.evaluation.table import require_pyarrow
from maven_ros.media import Media, probe, read_media
from maven_ros.records import NS, Frame, Word
from maven_ros.senses.faces import FaceTracker
from maven_ros.senses.speech import SpeechWorker
from maven_ros.settings import Settings
from maven_ros.training.affwild2.layout import Layout, Subject, read_crops
from maven_ros.training.affwild2.people import (
    MANIFEST,
    MISMATCHES,
    PEOPLE,
    manifest_rows,
    person_row,
    read_labels,
)
from maven_ros.training.affwild2.pictures import Faces, Seen, choose, see
from maven_ros.training.affwild2.report import write_report
from maven_ros.training.affwild2.sound import (
    Sound,
    read_sound,
    read_words,
    recognise,
    write_flac,
    write_words,
)
from maven_ros.training.files import CannotWrite, read_json, write_json, written
from maven_ros.training.loop import Stopped
from maven_ros.training.prepared import MANIFEST_FILE, PEOPLE_FILE

#: Is told how many seconds are done, and of how many.
Progress = Callable[[float, float], None]

_PARTS = 'parts'


@dataclass(frozen=True)
class PrepareOptions:
    """
    How a set is prepared.

    :param settings: of tracking, sound and recognition, as the node has them.
    :param crop_px: side of the crops that are cut; the paper's are 112.
    :param mismatch: what becomes of a person whose lines and frames are not as many: ``cut``
        (line i is of frame i, the rest of the longer is left out) or ``exclude``.
    :raises SettingsError: names what cannot be.
    """

    settings: Settings
    crop_px: int = 112
    mismatch: str = 'cut'

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        if self.mismatch not in MISMATCHES:
            raise SettingsError(f'mismatch: {self.mismatch!r} is not one of '
                                f'{", ".join(MISMATCHES)}')
        if not 16 <= self.crop_px <= 1024:
            raise SettingsError(f'crop_px: {self.crop_px} is not in [16, 1024]')

    @property
    def what_counts(self) -> dict[str, Any]:
        """All that the files depend on, as JSON has it."""
        return {'faces': asdict(self.settings.faces), 'audio': asdict(self.settings.audio),
                'speech': asdict(self.settings.speech), 'crop_px': self.crop_px,
                'mismatch': self.mismatch}


def prepare(
    layout: Layout, out: Path, options: PrepareOptions, stop: Event,
    progress: Progress = lambda done_s, total_s: None,
) -> dict[str, Any]:
    """
    Prepare all videos in which somebody is annotated, or go on where a call was cut off.

    :param out: folder of the prepared set.
    :returns: the counts, as in ``prepared.json``.
    :raises Stopped: when it was asked to stop.
    :raises CannotWrite: when the disk is full; the same call goes on.
    """
    require_pyarrow()
    plans = [_Plan.of(layout, name, options) for name in layout.subjects]
    total_s = sum(plan.duration_s for plan in plans)
    done_s = 0.0
    with _Preparer(out, options, stop) as preparer:
        for plan in plans:
            if preparer.known(plan) is None:
                before_s = done_s
                preparer.prepare(plan, lambda part_s, before_s=before_s:  # type: ignore[misc]
                                 progress(before_s + part_s, total_s))
            done_s += plan.duration_s
            progress(done_s, total_s)
    rows = [row for plan in plans for row in read_json(_part(out, plan.name, '.json'))['people']]
    rows += [person_row(one, 'excluded', f'{one.annotation.name}: no video has its name')
             for one in layout.without_video]
    _join(out, plans, rows)
    return write_report(out, layout, options.what_counts, rows)


@dataclass(frozen=True)
class _Plan:
    """What one video is made of; the ``inputs`` tell whether it is still the same."""

    name: str
    path: Path
    subjects: tuple[Subject, ...]
    crops: Mapping[str, Path]
    transcript: Path | None
    media: Media | None
    fault: str
    inputs: Mapping[str, Any]

    @property
    def duration_s(self) -> float:
        return self.media.duration_ns / NS if self.media else 0.0

    @classmethod
    def of(cls, layout: Layout, name: str, options: PrepareOptions) -> _Plan:
        path, subjects = layout.videos[name], layout.subjects[name]
        crops = {one.person: layout.crops[one.person] for one in subjects
                 if one.person in layout.crops}
        transcript = layout.transcripts.get(name)
        media, fault = None, ''
        try:
            media = probe(path)
        except ResourceError as error:
            fault = str(error)
        files = [path, *(one.annotation for one in subjects), *crops.values(),
                 *([transcript] if transcript else [])]
        inputs = {'files': [[str(one.resolve()), one.stat().st_size, one.stat().st_mtime_ns]
                            for one in files], 'options': options.what_counts}
        return cls(name, path, subjects, crops, transcript, media, fault, inputs)


class _Preparer:
    """Prepares one video after the other; the recogniser is loaded once, when it is needed."""

    def __init__(self, out: Path, options: PrepareOptions, stop: Event) -> None:
        self._out, self._options, self._stop = out, options, stop
        self._speech: SpeechWorker | None = None

    def __enter__(self) -> _Preparer:
        return self

    def __exit__(self, *_: object) -> None:
        if self._speech:
            self._speech.close()

    def known(self, plan: _Plan) -> Any:
        """Return what an earlier call left of the same video; None where there is nothing."""
        path = _part(self._out, plan.name, '.json')
        part = read_json(path) if path.exists() else None
        return part if part and part['inputs'] == plan.inputs else None

    def prepare(self, plan: _Plan, passed: Callable[[float], None]) -> None:
        """Do one video; what is wrong with it is written into its part."""
        counters = Counters()
        try:
            people, columns = self._do(plan, counters, passed)
        except (CannotWrite, Stopped):
            raise
        except (ResourceError, InputError) as error:
            people, columns = [person_row(one, 'excluded', str(error))
                               for one in plan.subjects], []
        _write_table(_part(self._out, plan.name, '.parquet'), columns)
        write_json(_part(self._out, plan.name, '.json'),
                   {'inputs': plan.inputs, 'people': people})

    def _do(
        self, plan: _Plan, counters: Counters, passed: Callable[[float], None],
    ) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        if plan.media is None:
            raise ResourceError(plan.fault)
        if not plan.media.has_video:
            raise ResourceError(f'{plan.path}: has no pictures')
        tracked = [one for one in plan.subjects if one.person not in plan.crops]
        stamps_ns, frames = self._look(plan, tracked, counters, passed)
        chosen = choose(frames, [one.side for one in tracked]) if tracked else {}
        sound = self._listen(plan, counters)
        remarks = sorted(counters.details().values())
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
        self, plan: _Plan, tracked: Sequence[Subject], counters: Counters,
        passed: Callable[[float], None],
    ) -> tuple[NDArray[np.int64], list[Faces]]:
        """Return the stamps of all frames and, where somebody is to be tracked, the faces."""
        options = self._options
        tracker = FaceTracker(options.settings.faces, options.crop_px, counters) \
            if tracked else None
        most = None if any(one.side for one in tracked) else 1
        stamps, frames = [], []
        for record in read_media(plan.path, audio=False, counters=counters):
            if self._stop.is_set():
                raise Stopped(f'{plan.name}: stopped; the same command goes on')
            assert isinstance(record, Frame)
            stamps.append(record.stamp_ns)
            if tracker:
                frames.append(self._track(tracker, record, counters, most))
            passed(record.stamp_ns / NS)
        if not stamps:
            raise ResourceError(f'{plan.path}: no picture could be decoded')
        return np.array(stamps, np.int64), frames

    def _track(
        self, tracker: FaceTracker, frame: Frame, counters: Counters, most: int | None,
    ) -> Faces:
        try:
            return see(tracker.update(frame.stamp_ns, frame.decode())[:most])
        except InputError as error:  # such as two frames of one stamp: a frame without a face
            counters.count('video', error.cause, str(error))
            return {}

    def _given(self, folder: Path, frames: int) -> list[str]:
        crops = read_crops(folder)
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

    def _listen(self, plan: _Plan, counters: Counters) -> dict[str, Any]:
        """Write sound and words; return where they are."""
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

    def _sound(self, plan: _Plan, counters: Counters) -> Sound | None:
        try:
            return read_sound(plan.path, self._options.settings.audio, counters)
        except ResourceError as error:  # the pictures may be sound all the same
            counters.count('audio', 'unreadable', str(error))
            return None

    def _words(self, sound: Sound | None, counters: Counters) -> list[Word] | None:
        """Recognise words; None where there is nothing to hear, or nobody to recognise it."""
        settings = self._options.settings.speech
        if sound is None or settings.recogniser == 'none':
            return None
        if self._speech is None:
            self._speech = SpeechWorker(settings, counters, inline=True)
        return recognise(sound, self._speech)


# --- files -----------------------------------------------------------------------------------


def _part(out: Path, name: str, suffix: str) -> Path:
    return out / _PARTS / f'{name}{suffix}'


def _write_table(path: Path, some: Sequence[Mapping[str, Any]]) -> None:
    pa, pq, _ = require_pyarrow()
    schema = _schema(pa, MANIFEST)
    tables = [pa.table(dict(columns), schema) for columns in some]
    with written(path) as beside:
        pq.write_table(pa.concat_tables(tables) if tables else schema.empty_table(), beside)


def _join(out: Path, plans: Sequence[_Plan], people: Sequence[Mapping[str, Any]]) -> None:
    pa, pq, _ = require_pyarrow()
    with written(out / MANIFEST_FILE) as beside, \
            pq.ParquetWriter(beside, _schema(pa, MANIFEST)) as writer:
        for plan in plans:
            writer.write_table(pq.read_table(_part(out, plan.name, '.parquet')))
    with written(out / PEOPLE_FILE) as beside:
        pq.write_table(pa.Table.from_pylist(list(people), _schema(pa, PEOPLE)), beside)


def _schema(pa: Any, columns: Mapping[str, str]) -> Any:
    return pa.schema([(name, getattr(pa, kind)()) for name, kind in columns.items()])
