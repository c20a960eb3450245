"""
Run many tasks: in sequence, in parallel processes, or on a Ray cluster.

A task writes its result into its own folder and reports only success or an error. So the result
does not depend on where the task runs, and a task that crashes does not affect the others.
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

#: Number of retries for a task whose process died. An error that the task reports is final.
RETRIES = 1
#: Longest wait for the answer of a Ray cluster.
CONNECT_S = 30.0
_POLL_S = 0.2

_log = logging.getLogger('maven_ros.evaluate')


class Named(Protocol):
    """The interface of a task. It must be picklable."""

    @property
    def name(self) -> str:
        """Name of the task in messages."""


AnyTask = TypeVar('AnyTask', bound=Named)


def run_tasks(
    tasks: Sequence[AnyTask], run: Callable[[AnyTask], None],
    done: Callable[[AnyTask, str], None], stop: threading.Event,
    workers: int = 1, ray_address: str = '',
) -> None:
    """
    Run all tasks, even if some fail.

    :param run: runs one task; with several workers it must be a module-level function.
    :param done: called on this thread at the end of each task, with its error or ``''``.
    :param stop: ends all tasks early when set.
    :param workers: number of processes; 1 runs the tasks in this process.
    :param ray_address: address of a Ray cluster that sees the same files, to use instead of
        processes.
    :raises ResourceError: if stopped, or if Ray is missing or cannot be reached.
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
        raise ResourceError('stopped; run the same command again to continue')


def attempt(run: Callable[[AnyTask], None], task: AnyTask) -> str:
    """Run a task; return its error message, or ``''``."""
    try:
        run(task)
    except MavenError as error:
        return str(error)
    except Exception as error:  # a bug in one task must not end the others
        _log.exception('%s', task.name)
        return f'{type(error).__name__}: {error}'
    return ''


# --- processes -------------------------------------------------------------------------------


def _run_in_processes(
    tasks: Sequence[AnyTask], run: Callable[[AnyTask], None],
    done: Callable[[AnyTask, str], None], stop: threading.Event,
    workers: int,
) -> None:
    """Run each task in its own process; one thread per worker waits for it."""
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
    except Exception as refused:  # no memory for a process, say: the caller must know
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
        except EOFError:  # it died without a report
            process.join()
            code = process.exitcode
            _log.warning('%s: its process ended with %s', task.name, code)
        finally:
            ours.close()
    return f'its process died {1 + RETRIES} times without an error, with exit status {code}'


def _report(pipe: Any, run: Callable[[AnyTask], None], task: AnyTask) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends its workers
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
    """Connect to a cluster on a thread, because Ray's own call has no timeout."""
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
        error = TimeoutError(f'no Ray cluster answered within {CONNECT_S:g} s')
    if error:
        raise ResourceError(f'ray: no cluster at {address!r}: {error}') from error


def _check_reachable(address: str) -> None:
    """Refuse an address that does not answer: Ray would wait for minutes, then abort."""
    host, colon, port = address.removeprefix('ray://').rpartition(':')
    if not colon:
        return  # such as 'auto': Ray finds its own cluster
    try:
        socket.create_connection((host.strip('[]'), int(port)), CONNECT_S).close()
    except (OSError, ValueError, OverflowError) as error:
        raise ResourceError(f'ray: no cluster at {address!r}, tried for {CONNECT_S:g} s at most: '
                            f'{error}; allowed: HOST:PORT, ray://HOST:PORT or auto') from error
