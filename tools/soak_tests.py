#!/usr/bin/env python3
"""
Run the tests ten times beside two demos, to check that they do not disturb each other.

It is not part of make test. It prints the output of the first failing run, and ends.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DEMO = [sys.executable, '-m', 'maven_ros', 'demo', '--out']
TESTS = [sys.executable, '-m', 'pytest', '-n', '2', '--dist', 'worksteal']


def main():
    """Return 0 if every test run and every demo passes."""
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument('--times', type=int, default=10)
    parser.add_argument('--demos', type=int, default=2)
    parser.add_argument('tests', nargs='*', help='arguments of pytest; all tests if omitted')
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Demos(given.demos, Path(folder)) as demos:
        for number in range(1, given.times + 1):
            began_s = time.monotonic()
            done = subprocess.run(
                [*TESTS, *given.tests], cwd=ROOT, stdout=subprocess.PIPE, text=True,
                stderr=subprocess.STDOUT, env={**os.environ, 'OMP_NUM_THREADS': '1'})
            last = done.stdout.strip().splitlines()[-1]
            print(f'{number}: {time.monotonic() - began_s:.0f} s, {last}; {demos.played} demos',
                  flush=True)
            if done.returncode or demos.failed:
                print(done.stdout if done.returncode else demos.failed)
                return 1
    return 0


class Demos:
    """Parallel demos, each restarted at its end, until the context exits."""

    def __init__(self, count, folder):
        self.played, self.failed = 0, ''
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._play, args=(folder / str(number),))
                         for number in range(count)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _play(self, folder):
        while not self._stop.is_set() and not self.failed:
            done = subprocess.run([*DEMO, str(folder)], cwd=ROOT, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True)
            self.played += 1
            if done.returncode:
                self.failed = done.stdout


if __name__ == '__main__':
    sys.exit(main())
