"""
Prepare Aff-Wild2 for training: faces, sound, words and labels of every frame.

Each video has a *part*: its rows and the inputs that they depend on. The part is written after all
other files of the video, so a repeated call only does what is missing or has changed. At the end
the parts are joined into ``manifest.parquet``, ``videos.parquet`` and a report.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

from maven_ros.counters import Counters
from maven_ros.errors import CannotWrite, ResourceError, SettingsError
from maven_ros.files import owner_only, read_json, written
from maven_ros.senses.face_detector import FaceDetector
from maven_ros.senses.speech import SpeechWorker
from maven_ros.tables import require_pyarrow, schema_of, write_tables
from maven_ros.training.affwild2.annotated import MANIFEST, PEOPLE, person_row
from maven_ros.training.affwild2.layout import Layout
from maven_ros.training.affwild2.plan import PrepareOptions, VideoPlan, part_path
from maven_ros.training.affwild2.prepared_report import write_report
from maven_ros.training.affwild2.video import Preparer, prepare_alone
from maven_ros.training.digests import digest_of
from maven_ros.training.people.prepared import MANIFEST_FILE, PEOPLE_FILE
from maven_ros.workers import run_tasks

#: Called with the finished and the total number of seconds.
Progress = Callable[[float, float], None]


@owner_only()
def prepare(
    layout: Layout, out: Path, options: PrepareOptions, stop: Event,
    progress: Progress = lambda done_s, total_s: None, workers: int = 1,
) -> dict[str, Any]:
    """
    Prepare all videos with annotations, or continue an interrupted call.

    :param out: folder of the prepared set.
    :param stop: ends the preparation when set; the same call continues later.
    :param workers: number of processes, one video each at a time; 1 uses this process.
    :returns: the counts in ``prepared.json``.
    :raises ResourceError: if stopped, if a package or model is missing, or if a file cannot be
        written, such as on a full disk; the same call continues later.
    """
    if workers < 1:
        raise SettingsError(f'workers: {workers}; allowed: 1 and above')
    plans = [VideoPlan.of(layout, name, options) for name in layout.subjects]
    missing = [plan for plan in plans if not plan.is_done(out)]
    _require_all(missing, options)
    _prepare_all(missing, out, options, stop, progress, workers)
    rows = [{**row, 'made_of': digest_of(plan.inputs)} for plan in plans
            for row in read_json(part_path(out, plan.name, '.json'))['people']]
    rows += [person_row(one, 'excluded', f'{one.annotation.name}: no video has this name')
             for one in layout.without_video]
    _join(out, plans, rows)
    return write_report(out, layout, options.what_counts, rows)


def _require_all(plans: Sequence[VideoPlan], options: PrepareOptions) -> None:
    """Check packages and models first, because they are not the fault of a video."""
    require_pyarrow()
    if importlib.util.find_spec('av') is None:
        raise ResourceError('reading videos needs PyAV; pip install "maven_ros[media]"')
    FaceDetector(options.settings.faces)
    if any(plan.is_to_be_recognised for plan in plans):
        with SpeechWorker(options.settings.speech, Counters(), inline=True) as speech:
            if not speech.recognises:
                raise ResourceError('speech.recogniser: has no weights; maven-ros models fetch '
                                    'whisper-base')


def _prepare_all(
    plans: Sequence[VideoPlan], out: Path, options: PrepareOptions, stop: Event,
    progress: Progress, workers: int,
) -> None:
    total_s, done_s = sum(plan.duration_s for plan in plans), 0.0
    failed: list[str] = []

    def done(plan: VideoPlan, error: str) -> None:
        nonlocal done_s
        done_s += plan.duration_s
        progress(done_s, total_s)
        if error and not stop.is_set():  # such as a full disk; a faulty video gives no error
            failed.append(error)
            stop.set()

    with Preparer(out, options, stop, lambda part_s: progress(done_s + part_s, total_s)) as here:
        alone = partial(prepare_alone, out=out, options=options)
        try:
            run_tasks(plans, here.prepare if workers == 1 else alone, done, stop, workers)
        except ResourceError:
            if failed:
                raise CannotWrite(failed[0]) from None
            raise


def _join(out: Path, plans: Sequence[VideoPlan], people: Sequence[dict[str, Any]]) -> None:
    _, pq, _ = require_pyarrow()
    with written(out / MANIFEST_FILE) as beside, beside.open('wb') as file, \
            pq.ParquetWriter(file, schema_of(MANIFEST)) as writer:
        for plan in plans:
            with part_path(out, plan.name, '.parquet').open('rb') as part:
                writer.write_table(pq.read_table(part))
    with written(out / PEOPLE_FILE) as beside:
        write_tables(iter(people), PEOPLE, (beside,))
