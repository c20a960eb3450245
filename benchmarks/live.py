"""
Play a clip in real time to the affect node, in another process, and report the results.

It reports the share of the expected windows, person ids, evidence, the time from the end of a
window to its message (median, 95th percentile, worst), and the CPU time of the node, with its
recogniser, and of the player. With --minutes it loops the clip and tracks resident memory; with
--topics another process offers so many topics beside it, some of which come and go.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
from machine import described

from maven_ros.devices.media import probe
from maven_ros.graph.convert import state_record
from maven_ros.graph.dds.dds_graph import DdsGraph
from maven_ros.graph.dds.domain import stay_on_this_machine
from maven_ros.graph.interface import STATE
from maven_ros.graph.messages import from_cdr
from maven_ros.records import NS, Modality, Status
from maven_ros.resources import resource


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--media', type=Path, default=None, help='the shipped clip if omitted')
    parser.add_argument('--minutes', type=float, default=0.0, help='soak: length of the loop')
    parser.add_argument('--max-growth-mb', type=float, default=20.0)
    parser.add_argument('--topics', type=int, default=0, help='of another process, beside it')
    parser.add_argument('--settings', nargs=argparse.REMAINDER, default=[],
                        help='all that follows are flags for the affect node')
    arguments = parser.parse_args()
    media = arguments.media or resource('media/sample.mp4')
    stay_on_this_machine(os.environ)
    print(described())
    heard = []
    with beside_topics(arguments.topics), DdsGraph(node_name='benchmark') as graph:
        states = graph.subscribe('affect/state', 'maven_ros/msg/AffectState', STATE,
                                 lambda received: heard.append(
                                     from_cdr(received.cdr, received.msgtype)))
        node = _start('run', *arguments.settings)
        while not states.publisher_count():
            time.sleep(0.1)
            if node.poll() is not None:
                return 1
        loop = '0' if arguments.minutes else '1'
        player = _start('play', str(media), '--loop', loop)
        usage = Usage(node, player)
        began = time.monotonic()
        while player.poll() is None:
            time.sleep(0.5)
            if player.poll() is None:
                usage.look()
            if arguments.minutes and time.monotonic() - began > 60 * arguments.minutes:
                player.terminate()
                player.wait()
        time.sleep(1.0)
        node.terminate()
        node.wait(60)
        time.sleep(0.2)
    played_s = usage.seconds if arguments.minutes else probe(media).duration_ns / NS
    _report(heard, played_s, usage)
    if arguments.minutes:
        growth = usage.growth_mb()
        print(f'resident memory after the first minute: grew by {growth:.1f} MB, of '
              f'{usage.memory[-1][1]:.0f} MB; over the second half: '
              f'{usage.second_half_mb_a_minute():+.3f} MB a minute')
        return 0 if growth < arguments.max_growth_mb else 1
    return 0


@contextmanager
def beside_topics(count: int) -> Iterator[None]:
    """Let another process offer so many topics meanwhile."""
    if not count:
        yield
        return
    other = subprocess.Popen(
        [sys.executable, Path(__file__).with_name('crowd.py'), '--crowd', '--topics', str(count)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        other.stdout.readline()
        yield
    finally:
        other.communicate(timeout=20)


class Usage:
    """CPU time and memory of the node, its recogniser, and the player."""

    def __init__(self, node: subprocess.Popen, player: subprocess.Popen) -> None:
        self._node, self._player = psutil.Process(node.pid), psutil.Process(player.pid)
        self._began = time.monotonic()
        self._idle_s = self._node_s()
        self.seconds = 0.0
        self.node_s = self.player_s = 0.0
        self.memory: list[tuple[float, float]] = []

    def _node_s(self) -> float:
        family = [self._node, *self._node.children(recursive=True)]
        return sum(sum(one.cpu_times()[:2]) for one in family)

    def look(self) -> None:
        self.seconds = time.monotonic() - self._began
        self.node_s = self._node_s() - self._idle_s
        self.player_s = sum(self._player.cpu_times()[:2])
        family = [self._node, *self._node.children(recursive=True)]
        mb = sum(one.memory_info().rss for one in family) / 1e6
        self.memory.append((self.seconds, mb))

    def second_half_mb_a_minute(self) -> float:
        """Return the slope of a line through the memory of the second half."""
        half = np.array([one for one in self.memory if one[0] >= self.memory[-1][0] / 2])
        return float(60 * np.polyfit(half[:, 0], half[:, 1], 1)[0])

    def growth_mb(self) -> float:
        """Return the median of the last 30 s minus that of the 30 s after the first minute."""
        end = self.memory[-1][0]
        first = [mb for at, mb in self.memory if 60 <= at < 90]
        last = [mb for at, mb in self.memory if at >= end - 30]
        return float(np.median(last) - np.median(first))


def _start(*arguments: str) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, '-m', 'maven_ros', *arguments,
                             '--log-level', 'warning'])


def _report(messages: list, played_s: float, usage: Usage) -> None:
    states = [state_record(message) for message in messages]
    if not states:
        print('no state was published')
        return
    begin = states[0].window_end_ns
    inside = [(state, message) for state, message in zip(states, messages, strict=True)
              if state.window_end_ns < begin + played_s * NS
              and state.status is not Status.STALE]
    windows = {state.window_end_ns for state, _ in inside}
    hop_s = 0.2
    print(f'windows: {len(windows)} of {played_s / hop_s:.0f} expected '
          f'({len(windows) * hop_s / played_s:.0%})')
    print(f'person ids: {dict(Counter(state.person_id for state, _ in inside))}')
    settled = [state for state, _ in inside if state.window_end_ns >= begin + 3 * NS]
    everything = Modality.VIDEO | Modality.AUDIO | Modality.TEXT
    for name, wanted in (('face', Modality.VIDEO), ('voice', Modality.AUDIO),
                         ('words', Modality.TEXT), ('all three', everything)):
        share = np.mean([state.modalities & wanted == wanted for state in settled])
        print(f'windows after 3 s with {name}: {share:.0%}')
    latency = [1e3 * message.latency.sec + message.latency.nanosec / 1e6
               for _, message in inside]
    p50, p95, worst = np.percentile(latency, [50, 95, 100])
    print(f"from a window's end to its message: median {p50:.0f} ms, 95% {p95:.0f} ms, "
          f'worst {worst:.0f} ms')
    print(f'CPU: node {usage.node_s / usage.seconds:.2f} cores, player '
          f'{usage.player_s / usage.seconds:.2f} cores (its start included)')


if __name__ == '__main__':
    raise SystemExit(main())
