"""
Aff-Wild2 made ready for training: faces, sound, words and labels of every frame.

Each video leaves a *part*, its rows and what they depend on, once all its files are written. So a
call after any end does what is missing, and what has changed, and nothing else. At the end the
parts are joined into ``manifest.parquet``, ``videos.parquet`` and a report.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

from maven_ros.counters import Counters
from maven_ros.errors import CannotWrite, ResourceError, SettingsError
from maven_ros.files import read_json, written
from maven_ros.senses.detectors import open_detector
from maven_ros.senses.speech import SpeechWorker
from maven_ros.tables import require_pyarrow
from maven_ros.training.affwild2.annotated import MANIFEST, PEOPLE, person_row
from maven_ros.training.affwild2.layout import Layout
from maven_ros.training.affwild2.plan import PrepareOptions, VideoPlan, part_path
from maven_ros.training.affwild2.prepared_report import write_report
from maven_ros.training.affwild2.video import Preparer, prepare_alone, schema_of
from maven_ros.training.digests import digest_of
from maven_ros.training.people.prepared import MANIFEST_FILE, PEOPLE_FILE
from maven_ros.workers import run_tasks

#: Is told how many seconds are done, and of how many.
Progress = Callable[[float, float], None]


def prepare(
    layout: Layout, out: Path, options: PrepareOptions, stop: Event,
    progress: Progress = lambda done_s, total_s: None, workers: int = 1,
) -> dict[str, Any]:
    """
    Prepare all videos in which somebody is annotated, or go on where a call was cut off.

    :param out: folder of the prepared set.
    :param stop: ends it when set; the same call goes on.
    :param workers: how many videos at a time, each in a process of its own; 1 does them here.
    :returns: the counts, as in ``prepared.json``.
    :raises ResourceError: when stopped, when a package or model is missing, or when a file cannot
        be written, as on a full disk; the same call goes on.
    """
    if workers < 1:
        raise SettingsError(f'workers: {workers}; allowed: 1 and above')
    plans = [VideoPlan.of(layout, name, options) for name in layout.subjects]
    missing = [plan for plan in plans if not plan.is_done(out)]
    _require_all(missing, options)
    _prepare_all(missing, out, options, stop, progress, workers)
    rows = [{**row, 'made_of': digest_of(plan.inputs)} for plan in plans
            for row in read_json(part_path(out, plan.name, '.json'))['people']]
    rows += [person_row(one, 'excluded', f'{one.annotation.name}: no video has its name')
             for one in layout.without_video]
    _join(out, plans, rows)
    return write_report(out, layout, options.what_counts, rows)


def _require_all(plans: Sequence[VideoPlan], options: PrepareOptions) -> None:
    """Look for packages and models before hours of work: no video is to blame for them."""
    require_pyarrow()
    if importlib.util.find_spec('av') is None:
        raise ResourceError('reading videos needs PyAV; pip install "maven_ros[media]"')
    open_detector(options.settings.faces)
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
        if error and not stop.is_set():  # what is wrong with a video is no error: a full disk is
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


def _join(out: Path, plans: Sequence[VideoPlan], people: Sequence[Mapping[str, Any]]) -> None:
    pa, pq, _ = require_pyarrow()
    with written(out / MANIFEST_FILE) as beside, \
            pq.ParquetWriter(beside, schema_of(pa, MANIFEST)) as writer:
        for plan in plans:
            writer.write_table(pq.read_table(part_path(out, plan.name, '.parquet')))
    with written(out / PEOPLE_FILE) as beside:
        pq.write_table(pa.Table.from_pylist(list(people), schema_of(pa, PEOPLE)), beside)
