"""
Many tasks: one after the other, side by side in processes, or on a Ray cluster.

A task writes its result into a folder of its own, and says no more than whether it went well; so
results are the same whoever ran it, and a task that dies takes no other with it.
"""

from __future__ import annotations

import logging
import multiprocessing
import queue
import signal
import socket
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

from maven_ros.errors import MavenError, ResourceError

#: Tries more for a task whose process died; an error that it reports is final.
RETRIES = 1
#: How long a Ray cluster may take to answer.
CONNECT_S = 30.0
_POLL_S = 0.2

_log = logging.getLogger('maven_ros.evaluate')


class Named(Protocol):
    """What a task has to be; processes and clusters are sent it."""

    @property
    def name(self) -> str:
        """For people."""


AnyTask = TypeVar('AnyTask', bound=Named)


def run_tasks(
    tasks: Sequence[AnyTask], run: Callable[[AnyTask], None],
    done: Callable[[AnyTask, str], None], stop: threading.Event,
    workers: int = 1, ray_address: str = '',
) -> None:
    """
    Run all tasks, whatever becomes of some.

    :param run: does one; with several workers it must be a function of a module.
    :param done: told of each task's end, on this thread, with its error or an empty text.
    :param stop: ends everything early when set.
    :param workers: how many processes; 1 runs them here.
    :param ray_address: of a Ray cluster that sees the same files; instead of processes.
    :raises ResourceError: when stopped, or when Ray is missing or cannot be reached.
    """
    if ray_address:
        _run_on_ray(tasks, run, done, stop, ray_address)
    elif workers == 1:
        for task in tasks:
            if not stop.is_set():
                done(task, attempt(run, task))
    else:
        _run_in_processes(tasks, run, done, stop, workers)
    if stop.is_set():
        raise ResourceError('stopped; the same command goes on where this one was')


def attempt(run: Callable[[AnyTask], None], task: AnyTask) -> str:
    """Run a task; return its error in words, or nothing."""
    try:
        run(task)
    except MavenError as error:
        return str(error)
    except Exception as error:  # a fault of ours must not cost the other tasks
        _log.exception('%s', task.name)
        return f'{type(error).__name__}: {error}'
    return ''


# --- processes -------------------------------------------------------------------------------


def _run_in_processes(
    tasks: Sequence[AnyTask], run: Callable[[AnyTask], None],
    done: Callable[[AnyTask, str], None], stop: threading.Event,
    workers: int,
) -> None:
    """Give each task a process of its own; a thread each waits for it."""
    ended: queue.Queue[tuple[AnyTask, str]] = queue.Queue()
    with ThreadPoolExecutor(workers) as threads:
        for task in tasks:
            threads.submit(_wait_for, ended, run, task, stop)
        for _ in tasks:
            task, error = ended.get()
            if not stop.is_set():
                done(task, error)


def _wait_for(
    ended: queue.Queue[tuple[AnyTask, str]], run: Callable[[AnyTask], None], task: AnyTask,
    stop: threading.Event,
) -> None:
    try:
        error = 'stopped' if stop.is_set() else _in_process(run, task, stop)
    except Exception as refused:  # no more processes or memory: whoever waits must hear of it
        _log.exception('%s', task.name)
        error = f'{type(refused).__name__}: {refused}'
    ended.put((task, error))


def _in_process(run: Callable[[AnyTask], None], task: AnyTask, stop: threading.Event) -> str:
    context = multiprocessing.get_context('spawn')  # threads and OpenMP do not survive a fork
    code: int | None = None
    for _ in range(1 + RETRIES):
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=_report, args=(theirs, run, task))
        process.start()
        theirs.close()
        try:
            while not ours.poll(_POLL_S):
                if stop.is_set():
                    process.terminate()
                    process.join()
                    return 'stopped'
            return str(ours.recv())
        except EOFError:  # it died before it could say why
            process.join()
            code = process.exitcode
            _log.warning('%s: its process ended with %s', task.name, code)
        finally:
            ours.close()
    return f'its process ended {1 + RETRIES} times without a word, at last with exit status {code}'


def _report(pipe: Any, run: Callable[[AnyTask], None], task: AnyTask) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all; we end them
    pipe.send(_attempt_beside_others(run, task))


def _attempt_beside_others(run: Callable[[AnyTask], None], task: AnyTask) -> str:
    import cv2

    cv2.setNumThreads(1)  # as many threads as workers, not workers times cores
    return attempt(run, task)


# --- Ray -------------------------------------------------------------------------------------


def _run_on_ray(
    tasks: Sequence[AnyTask], run: Callable[[AnyTask], None],
    done: Callable[[AnyTask, str], None], stop: threading.Event,
    address: str,
) -> None:
    try:
        import ray
    except ImportError as error:
        raise ResourceError('ray is not installed; pip install "maven_ros[ray]"') from error
    _check_reachable(address)
    try:
        _connect(ray, address)
        remote: Any = ray.remote(num_cpus=1, max_retries=RETRIES)(_attempt_beside_others)
        waiting = {remote.remote(run, task): task for task in tasks}
        while waiting and not stop.is_set():
            ready, _ = ray.wait([*waiting], timeout=_POLL_S)
            for reference in ready:
                try:
                    error_text = ray.get(reference)
                except ray.exceptions.RayError as error:
                    error_text = f'its worker was lost: {error}'
                done(waiting.pop(reference), error_text)
    finally:
        ray.shutdown()


def _connect(ray: Any, address: str) -> None:
    """Connect to a cluster, on a thread: there is no other way to give Ray a limit."""
    ended: queue.Queue[Exception | None] = queue.Queue()

    def connect() -> None:
        try:
            ray.init(address=address, log_to_driver=False)
        except Exception as error:
            ended.put(error)
        else:
            ended.put(None)

    threading.Thread(target=connect, daemon=True, name='ray').start()
    try:
        error = ended.get(timeout=CONNECT_S)
    except queue.Empty:
        error = TimeoutError(f'whatever is there gave no answer of Ray in {CONNECT_S:g} s')
    if error:
        raise ResourceError(f'ray: no cluster at {address!r}: {error}') from error


def _check_reachable(address: str) -> None:
    """Refuse an address where nobody answers: Ray itself would wait for minutes, then abort."""
    host, colon, port = address.removeprefix('ray://').rpartition(':')
    if not colon:
        return  # such as 'auto': Ray knows where its own cluster is
    try:
        socket.create_connection((host.strip('[]'), int(port)), CONNECT_S).close()
    except (OSError, ValueError, OverflowError) as error:
        raise ResourceError(f'ray: no cluster at {address!r}, tried for {CONNECT_S:g} s at most: '
                            f'{error}; allowed: HOST:PORT, ray://HOST:PORT or auto') from error
