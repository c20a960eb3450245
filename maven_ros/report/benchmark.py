"""
A benchmark: which bags are replayed, and how; :mod:`maven_ros.report.outcome` scores them.

The folder that it fills holds ``report.html``, the result set of the full model, one of each
ablation in ``without_...``, and the replays that were not there yet in ``replays``.
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
from maven_ros.scoring.offset import check_offset
from maven_ros.settings import Settings
from maven_ros.workers import attempt, run_tasks

_log = logging.getLogger('maven_ros.evaluate')


@dataclass(frozen=True)
class BenchmarkPlan:
    """
    What a benchmark is to do.

    :param bags: folders of rosbag2, each with a name of its own.
    :param annotations: a folder of files; None for the bags' own topic.
    :param out: folder of the results.
    :param without: ablations, each a modality or a pathway.
    :param offset_search_s: how far to look for the raters' offset, either way; 0 for none.
    :param sources: topics of the bags; those that are not named are found.
    :param draws: of the bootstrap.
    :raises SettingsError: for two bags of one name, an unknown ablation, or an offset too long.
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

    def __post_init__(self) -> None:
        """Make paths absolute, for any worker; refuse what cannot be done."""
        for name, value in (('bags', tuple(bag.resolve() for bag in self.bags)),
                            ('out', self.out.resolve()),
                            ('settings', self.settings.with_absolute_paths())):
            object.__setattr__(self, name, value)
        check_ablations(self.without)
        check_offset(self.offset_search_s)
        names = [name_of(bag) for bag in self.bags]
        for name in names:
            if names.count(name) > 1:
                raise SettingsError(f'bags: {names.count(name)} have the name {name!r}; allowed: '
                                    'a name of its own for each')

    def tasks(self) -> list[ReplayTask]:
        """Return the replays that it rests on, those of the full model first."""
        return [ReplayTask(bag, folder_for(bag, self.out, without), self.settings, without,
                           self.sources)
                for without in ((), *((name,) for name in self.without)) for bag in self.bags]


#: Opens a progress bar under a name.
OpenProgress = Callable[[str], AbstractContextManager[Progress]]


def replay_all(
    plan: BenchmarkPlan, stop: threading.Event, open_progress: OpenProgress, workers: int = 1,
    ray_address: str = '',
) -> dict[ReplayTask, str]:
    """
    See to it that all replays of a plan are there; one that fails does not keep the others.

    :param open_progress: for the replay going on, where there is one at a time.
    :returns: the errors of those that failed.
    :raises SettingsError: for fewer workers than one.
    :raises ResourceError: when stopped, or when there is no such Ray cluster.
    """
    if workers < 1:
        raise SettingsError(f'workers: {workers}; allowed: 1 and above')
    tasks = [task for task in plan.tasks() if not is_complete(task.out)]
    errors = {task: error for task in plan.tasks() if is_complete(task.out)
              if (error := attempt(run_replay, task))}  # one made otherwise is none

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
    """Name a task for people."""
    return ' without '.join((name_of(task.bag), *task.without))
