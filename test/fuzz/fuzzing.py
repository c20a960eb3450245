#!/usr/bin/env python3
"""
Feed damaged input of each kind: nothing but MavenError may come out, within a second and 100 MB.

Input N of a kind is the same each time; KIND --first N --count 1 tries it again.
"""

import argparse
import logging
import multiprocessing
import os
import random
import resource
import sys
import tempfile
import time
import traceback
from pathlib import Path

from fuzz_targets import KINDS

from maven_ros.errors import MavenError

LONGEST_S = 1.0
MOST_MB = 100.0
#: A kind that is on one input for so long hangs.
HANGS_S = 60.0
#: Imports and sound input may take longer on a machine that is busy.
STARTS_S = 600.0


def tried(kind, number):
    """Feed input number N of a kind; return what is wrong, or nothing."""
    try:
        given = kind.damaged(random.Random(f'{type(kind).__name__} {number}'))
    except Exception:  # the fault is the fuzzer's own, and must not be taken for quiet
        return f'damaging it: {traceback.format_exc()}'
    before_mb, began_s = _peak_mb(), time.perf_counter()
    fault = _taken(kind, given)
    if not fault and time.perf_counter() - began_s > LONGEST_S:  # others may have had the time
        began_s = time.thread_time()
        _taken(kind, given)
        took_s = time.thread_time() - began_s
        fault = f'took {took_s:.1f} s; allowed: {LONGEST_S:g}' if took_s > LONGEST_S else ''
    grown_mb = _peak_mb() - before_mb
    if not fault and grown_mb > MOST_MB:
        fault = f'took {grown_mb:.0f} MB; allowed: {MOST_MB:g}'
    return fault


def _taken(kind, given):
    try:
        kind.take(given)
    except MavenError:
        pass
    except Exception:  # it is what is looked for
        return traceback.format_exc()
    return ''


def _peak_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


class Worker:
    """A kind in a process of its own, which may crash or hang."""

    def __init__(self, name, first, count, seconds):
        spawn = multiprocessing.get_context('spawn')
        self.name, self.faults = name, 0
        self._first = first
        self._now = spawn.Value('q', -1)  # it starts
        self._said = spawn.SimpleQueue()
        self._process = spawn.Process(
            target=_work, args=(name, first, count, seconds, self._now, self._said))

    def run(self):
        """Run to the end; return how many inputs were fed."""
        self._process.start()
        at, since_s = -1, time.monotonic()
        while self._process.is_alive():
            self._process.join(0.5)
            self._tell()
            if self._now.value != at:
                at, since_s = self._now.value, time.monotonic()
            elif time.monotonic() - since_s > (STARTS_S if at < 0 else HANGS_S):
                self._process.kill()
                self._process.join()
        self._tell()
        if self._process.exitcode:
            self.faults += 1
            print(f'{self.name} {self._now.value}: the process ended with '
                  f'{self._process.exitcode}: a crash, or over {HANGS_S:g} s on it', flush=True)
        return max(0, self._now.value - self._first)

    def _tell(self):
        while not self._said.empty():
            self.faults += 1
            print(self._said.get(), flush=True)


def _work(name, first, count, seconds, now, said):
    logging.disable()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # libjpeg and libpng speak of each damage
    with tempfile.TemporaryDirectory(prefix='maven_ros_fuzz_') as folder:
        try:
            kind = KINDS[name](Path(folder))
            for given in kind.sound():
                kind.take(given)
        except Exception:  # standard error is closed
            said.put(f'{name}: sound input: {traceback.format_exc()}')
            return
        now.value = first
        end_s, seen = time.monotonic() + seconds, set()
        while now.value < first + count and time.monotonic() < end_s:
            fault = tried(kind, now.value)
            if fault and (where := _where(fault)) not in seen:
                seen.add(where)
                said.put(f'{name} {now.value}: {fault}')
            now.value += 1


def _where(fault):
    """Return the lines of code in a traceback: the same ones again tell nothing new."""
    return tuple(line for line in fault.splitlines() if line.startswith('  File'))


def main():
    """Return 0 when nothing was found."""
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument('kinds', nargs='*', metavar='kind',
                        help=f'{", ".join(KINDS)}; all when left out')
    parser.add_argument('--count', type=int, default=1_000_000, help='inputs of each kind')
    parser.add_argument('--seconds', type=float, default=120.0, help='for each kind')
    parser.add_argument('--first', type=int, default=0, help='number of the first input')
    given = parser.parse_args()
    if unknown := set(given.kinds) - KINDS.keys():
        parser.error(f'{", ".join(sorted(unknown))}; allowed: {", ".join(KINDS)}')
    faults = 0
    for name in given.kinds or KINDS:
        began_s = time.monotonic()
        worker = Worker(name, given.first, given.count, given.seconds)
        fed = worker.run()
        faults += worker.faults
        print(f'{name}: {fed} inputs from {given.first} on, '
              f'{time.monotonic() - began_s:.0f} s, {worker.faults} faults', flush=True)
    return 1 if faults else 0


if __name__ == '__main__':
    sys.exit(main())
