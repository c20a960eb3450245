"""
The plan of a benchmark and its replays; :mod:`maven_ros.report.outcome` scores them.

The folder of results holds ``report.html``, the result set of the full model, the result set of
each ablation in ``without_...``, and the replays in ``replays``.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from maven_ros.errors import SettingsError
from maven_ros.replay.ablation import check_ablations
from maven_ros.replay.replay import Progress
from maven_ros.replay.replayed import ReplayTask, folder_for, is_complete, name_of, run_replay
from maven_ros.replay.sources import Sources
from maven_ros.scoring.annotations import ANNOTATION_TOPIC
from maven_ros.scoring.offset import check_offset
from maven_ros.settings import Settings
from maven_ros.text import shown
from maven_ros.workers import attempt, run_tasks

#: Name of the result set of the full model.
FULL = 'full'

_log = logging.getLogger('maven_ros.evaluate')


@dataclass(frozen=True)
class BenchmarkPlan:
    """
    The settings of a benchmark.

    :param bags: folders of rosbag2 with distinct names.
    :param annotations: folder of annotation files; None to read the topic in the bags.
    :param out: folder for the results.
    :param without: ablations: modalities or pathways.
    :param offset_search_s: largest offset of the raters to try, in either direction; 0 for none.
    :param sources: topics of the bags; unnamed topics are detected.
    :param draws: number of bootstrap draws.
    :param mismatch: what is done with annotations that have more or fewer lines than their bag has
        pictures, of :data:`maven_ros.scoring.annotations.MISMATCHES`.
    :raises SettingsError: if two bags have the same name, an ablation is unknown, or the offset is
        too large.
    """

    bags: tuple[Path, ...]
    annotations: Path | None
    out: Path
    settings: Settings
    without: tuple[str, ...] = ()
    offset_search_s: float = 0.0
    sources: Sources = field(default_factory=Sources)
    draws: int = 1000
    seed: int = 0
    mismatch: str = 'exclude'

    def __post_init__(self) -> None:
        """Make paths absolute, because workers have other folders; check the settings."""
        for name, value in (('bags', tuple(bag.resolve() for bag in self.bags)),
                            ('out', self.out.resolve()),
                            ('annotations', self.annotations and self.annotations.resolve()),
                            ('settings', self.settings.with_absolute_paths())):
            object.__setattr__(self, name, value)
        check_ablations(self.without)
        check_offset(self.offset_search_s)
        names = [name_of(bag) for bag in self.bags]
        for name in names:
            if names.count(name) > 1:
                raise SettingsError(f'bags: {names.count(name)} have the name {name!r}; allowed: '
                                    'distinct names')

    @property
    def annotated_in(self) -> str:
        """The folder or the topic of the annotations."""
        return shown(self.annotations or f'/{ANNOTATION_TOPIC}')

    def tasks(self) -> list[ReplayTask]:
        """Return the replays to make, those of the full model first."""
        return [ReplayTask(bag, folder_for(bag, self.out, without), self.settings, without,
                           self.sources)
                for without in ((), *((name,) for name in self.without)) for bag in self.bags]


#: Opens a progress bar with a title.
OpenProgress = Callable[[str], AbstractContextManager[Progress]]


def replay_all(
    plan: BenchmarkPlan, stop: threading.Event, open_progress: OpenProgress, workers: int = 1,
    ray_address: str = '',
) -> dict[ReplayTask, str]:
    """
    Make the replays of a plan that do not exist yet; a failure does not stop the others.

    :param open_progress: opens the bar of the current replay, if they run one at a time.
    :returns: the errors of the failed replays.
    :raises SettingsError: if there is less than one worker.
    :raises ResourceError: if stopped, or if the Ray cluster cannot be reached.
    """
    if workers < 1:
        raise SettingsError(f'workers: {workers}; allowed: 1 and above')
    tasks = [task for task in plan.tasks() if not is_complete(task.out)]
    errors = {task: error for task in plan.tasks() if is_complete(task.out)
              if (error := attempt(run_replay, task))}  # other settings: not there

    def run(task: ReplayTask) -> None:
        with open_progress(described(task)) as progress:
            run_replay(task, progress, stop)

    def done(task: ReplayTask, error: str) -> None:
        _log.info('%s: %s', described(task), error or 'replayed')
        if error:
            errors[task] = error

    here = workers == 1 and not ray_address
    run_tasks(tasks, run if here else run_replay, done, stop, workers, ray_address)
    return errors


def described(task: ReplayTask) -> str:
    """Return the name of a task for messages."""
    return ' without '.join((name_of(task.bag), *task.without))
