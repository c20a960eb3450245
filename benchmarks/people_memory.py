"""
The memory of people who come and go: whether it stays flat, and how quickly the service answers.

Without options, it lets people come, feel, speak and go for an hour of their time, as fast as the
machine can, and prints resident memory and what is remembered. With ``--service``, the affect node
runs in another process on the sample clip, again and again, while a client asks it. ::

    python benchmarks/people_memory.py --hours 1
    python benchmarks/people_memory.py --service
"""

from __future__ import annotations

import argparse
import os
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
from machine import described

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'test'))

from made_states import HOP_NS, T0, state, utterance

from maven_ros.acting.memory import Memory
from maven_ros.acting.stage import Acting
from maven_ros.graph.dds.dds_graph import DdsGraph
from maven_ros.graph.dds.dds_service import _Ends, parted
from maven_ros.graph.dds.domain import stay_on_this_machine
from maven_ros.graph.messages import from_cdr, new, to_cdr
from maven_ros.graph.topics import GET_AFFECT, GET_AFFECT_SERVICE
from maven_ros.records import NS
from maven_ros.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
WARM_S = 900  # longer than all that is remembered
ASKED = 300


def soak(hours):
    """People come for 5 to 120 s, up to eight at once, speak every 5 s, and go for good."""
    acting, memory, rng = Acting(Settings()), Memory(Settings()), np.random.default_rng(0)
    here, met, process = {}, 0, psutil.Process()
    for hop in range(round((hours * 3600 + WARM_S) * 5)):
        end_ns = T0 + hop * HOP_NS
        here = {name: until for name, until in here.items() if until > hop}
        if len(here) < 8 and rng.random() < 0.03:
            met += 1
            here[f'person_{met}'] = hop + rng.integers(25, 600)
        points = rng.uniform(-0.9, 0.9, (max(1, len(here)), 2)).tolist()
        states = [state(end_ns, *point, person_id=name, voice=len(here) == 1)
                  for name, point in zip(here or ('',), points, strict=True)]
        outputs = acting.take(states)
        if hop % 25 == 24:
            outputs += acting.hear(utterance('ten words that nobody has said before to a robot',
                                             end_ns - 3 * NS, end_ns - NS))
        for one in [*states, *outputs]:
            memory.take(one)
        if hop % 3000 == 2999:
            found = memory.recall()
            print(f'{hop // 300:4d} min: met {met}, remembers {len(found.people)} people, '
                  f'{sum(len(one.events) + len(one.turns) for one in found.people)} events and '
                  f'turns; {process.memory_info().rss / 1e6:.1f} MB', flush=True)


def ask(minutes):
    """Print how long the node needs to answer while it works."""
    stay_on_this_machine(os.environ)
    run = [sys.executable, '-m', 'maven_ros']
    node = subprocess.Popen([*run, 'run'], cwd=ROOT)
    player = subprocess.Popen([*run, 'play', 'media/sample.mp4', '--loop', '0'], cwd=ROOT)
    service = f'/{GET_AFFECT_SERVICE}'
    try:
        with DdsGraph() as graph, _Ends(
                graph, service, (f'rr{service}Reply', f'{GET_AFFECT}_Response'),
                (f'rq{service}Request', f'{GET_AFFECT}_Request')) as ends:
            time.sleep(60 * minutes)
            request = to_cdr(new(f'{GET_AFFECT}_Request'), f'{GET_AFFECT}_Request')
            took_ms = []
            for number in range(ASKED):
                began_s = time.perf_counter()
                ends.send(struct.pack('=Qq', 1, number), request)
                while not (found := ends.receive(NS)):
                    pass
                took_ms.append((time.perf_counter() - began_s) * 1e3)
                time.sleep(0.1)
            answer = from_cdr(parted(found[0])[1], f'{GET_AFFECT}_Response')
            busy = psutil.cpu_percent(1.0)
        print(f'{ASKED} answers about {len(answer.people)} people, '
              f'{sum(len(one.events) + len(one.turns) for one in answer.people)} events and '
              f'turns, {len(found[0])} bytes; machine {busy:.0f}% busy; median, 95%, 99%, worst: '
              + ', '.join(f'{one:.1f}' for one in np.percentile(took_ms, (50, 95, 99, 100)))
              + ' ms')
    finally:
        for process in (player, node):
            process.terminate()
            process.wait()


def main():
    """Do what the options say."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--hours', type=float, default=1.0)
    parser.add_argument('--service', action='store_true')
    parser.add_argument('--minutes', type=float, default=2.0, help='before the first question')
    options = parser.parse_args()
    print(described())
    if options.service:
        ask(options.minutes)
    else:
        soak(options.hours)


if __name__ == '__main__':
    main()
