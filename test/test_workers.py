"""Many tasks: side by side as one after the other, and one that dies takes no other with it."""

import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from maven_ros.errors import ResourceError
from maven_ros.workers import run_tasks


@dataclass(frozen=True)
class Task:
    name: str
    out: Path


def work(task):
    """Write a result, or come to the end that the task's name asks for."""
    if task.name == 'broken':
        raise ResourceError(f'{task.name}: no such bag')
    if task.name == 'fault':
        raise ZeroDivisionError('a fault')
    if task.name == 'killed':
        os.kill(os.getpid(), 9)
    if task.name == 'once' and not task.out.exists():
        task.out.write_text('tried')
        os._exit(3)
    if task.name == 'slow':
        time.sleep(60)
    task.out.write_text(task.name)


def run(tmp_path, names, workers=1, stop=None):
    tasks = [Task(name, tmp_path / name) for name in names]
    errors = {}
    run_tasks(tasks, work, lambda task, error: errors.setdefault(task.name, error),
              stop or threading.Event(), workers)
    return errors


@pytest.mark.parametrize('workers', [1, 2])
def test_a_task_that_fails_is_told_and_the_rest_finish(tmp_path, workers):
    errors = run(tmp_path, ['one', 'broken', 'fault', 'two'], workers)
    assert errors == {'one': '', 'broken': 'broken: no such bag',
                      'fault': 'ZeroDivisionError: a fault', 'two': ''}
    assert {path.name for path in tmp_path.iterdir()} == {'one', 'two'}


def test_a_process_that_dies_is_tried_again_and_then_given_up(tmp_path):
    errors = run(tmp_path, ['killed', 'once', 'one'], 2)
    assert errors['once'] == errors['one'] == ''
    assert 'died 2 times without an error, with exit status -9' in errors['killed']


def test_a_process_that_cannot_be_begun_is_told_and_nobody_waits_for_it(tmp_path, monkeypatch):
    def refuse(*arguments):
        raise BlockingIOError(11, 'Resource temporarily unavailable')

    monkeypatch.setattr('multiprocessing.popen_spawn_posix.Popen._launch', refuse)
    assert run(tmp_path, ['one', 'two'], 2) == dict.fromkeys(
        ('one', 'two'), 'BlockingIOError: [Errno 11] Resource temporarily unavailable')


@pytest.mark.parametrize('address', ['127.0.0.1:1', 'ray://127.0.0.1:1', 'nowhere:x'])
def test_an_address_without_a_ray_cluster_is_refused_soon(tmp_path, address):
    pytest.importorskip('ray', reason='ray is not installed')
    began = time.monotonic()
    with pytest.raises(ResourceError, match=f"ray: no cluster at '{address}', tried for 30 s"):
        run_tasks([], work, lambda task, error: None, threading.Event(), ray_address=address)
    assert time.monotonic() - began < 20


def test_stopping_ends_those_at_work_at_once(tmp_path):
    stop = threading.Event()
    threading.Timer(1.0, stop.set).start()
    began = time.monotonic()
    with pytest.raises(ResourceError, match='stopped; run the same command again'):
        run(tmp_path, ['slow', 'slow', 'one'], 2, stop)
    assert time.monotonic() - began < 20 and not (tmp_path / 'one').exists()
