"""
Open, kill, reopen and freeze the view while the node works, and measure the effect on the node.

The shipped clip is looped. Phases with and without the view alternate, and the states of each
phase give rate and latency (from the end of a window to its message). Ratios are of medians,
relative to the phases with a closed view. With --publisher, a plain publisher replaces camera and
node, to measure the cost of a subscriber on a busy machine.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
from machine import described

from maven_ros.graph.convert import AFFECT_STATE, image_message
from maven_ros.graph.dds.dds_graph import DdsGraph
from maven_ros.graph.dds.domain import stay_on_this_machine
from maven_ros.graph.images import IMAGE
from maven_ros.graph.interface import IMAGE_SOURCE, STATE
from maven_ros.graph.messages import from_cdr, new
from maven_ros.graph.topics import IMAGE_TOPIC, STATE_TOPIC
from maven_ros.records import NS
from maven_ros.resources import resource

#: State of the view in each phase.
PHASES = ('closed', 'open', 'killed', 'open', 'frozen', 'closed', 'open', 'closed')


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument('--seconds', type=float, default=15.0, help='length of each phase')
    parser.add_argument('--publisher', action='store_true')
    parser.add_argument('--settings', nargs=argparse.REMAINDER, default=[],
                        help='flags for the affect node; the last of the arguments')
    arguments = parser.parse_args()
    stay_on_this_machine(os.environ)
    print(described())
    return _with_publisher(arguments.seconds) if arguments.publisher else \
        _with_node(arguments.seconds, arguments.settings)


def _with_publisher(seconds: float) -> int:
    took: list[float] = []
    stop = threading.Event()
    with DdsGraph(node_name='benchmark') as graph:
        image = graph.advertise(IMAGE_TOPIC, IMAGE, IMAGE_SOURCE)
        state = graph.advertise(STATE_TOPIC, AFFECT_STATE, STATE)
        picture = image_message(NS, np.zeros((480, 640, 3), np.uint8))

        def publish() -> None:
            while not stop.wait(0.1):
                began = time.perf_counter()
                image.publish(picture)
                state.publish(new(AFFECT_STATE))
                took.append(1e3 * (time.perf_counter() - began))

        thread = threading.Thread(target=publish)
        thread.start()
        try:
            _phases(seconds, took, 'ms to publish a picture and a state')
        finally:
            stop.set()
            thread.join()
    return 0


def _with_node(seconds: float, settings: list[str]) -> int:
    heard: list[float] = []

    def hear(received) -> None:
        latency = from_cdr(received.cdr, received.msgtype).latency
        heard.append(1e3 * latency.sec + latency.nanosec / 1e6)

    with DdsGraph(node_name='benchmark') as graph:
        states = graph.subscribe('affect/state', 'maven_ros/msg/AffectState', STATE, hear)
        node = _start('run', *settings)
        while not states.publisher_count():
            time.sleep(0.1)
            if node.poll() is not None:
                return 1
        player = _start('play', str(resource('media/sample.mp4')), '--loop', '0')
        try:
            time.sleep(5)  # the face is not tracked in the first windows
            _phases(seconds, heard, "ms from a window's end to its message")
        finally:
            for process in (player, node):
                process.terminate()
                process.wait(10)
    return 0


def _phases(seconds: float, values: list[float], what: str) -> None:
    """Run the phases, and print the rate and the median of the values in each."""
    view, found = View(), {}
    try:
        for phase in PHASES:
            view.become(phase)
            del values[:]
            began = time.monotonic()
            time.sleep(seconds)
            past_s, own = time.monotonic() - began, list(values)
            found.setdefault(phase, []).append(
                (len(own) / past_s, float(np.median(own or [np.nan]))))
            print(f'{phase}: {found[phase][-1][0]:.2f} a second, {found[phase][-1][1]:.2f} '
                  f'{what}', flush=True)
    finally:
        view.become('closed')
    base = np.median(found['closed'], 0)
    for phase in dict.fromkeys(PHASES):
        rate, value = np.median(found[phase], 0) / base
        print(f'{phase}: rate {rate:.2f}, {what.partition(" ")[0]} {value:.2f} of closed')


class View:
    """A view that can be opened, killed and frozen."""

    def __init__(self) -> None:
        self._process: subprocess.Popen | None = None

    def become(self, phase: str) -> None:
        if phase == 'open' and self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, '-m', 'maven_ros', 'view', '--log-level', 'warning'],
                stdout=subprocess.PIPE, text=True)
            while not self._process.stdout.readline().startswith('view: '):
                if self._process.poll() is not None:
                    raise SystemExit('the view did not open')
            time.sleep(1)
        elif phase == 'frozen':
            self._process.send_signal(signal.SIGSTOP)
        elif phase in ('killed', 'closed') and self._process is not None:
            self._process.kill() if phase == 'killed' else self._process.terminate()
            self._process.send_signal(signal.SIGCONT)
            self._process.wait(20)
            self._process = None


def _start(*arguments: str) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, '-m', 'maven_ros', *arguments,
                             '--log-level', 'warning'], stdout=subprocess.DEVNULL)


if __name__ == '__main__':
    raise SystemExit(main())
