"""
What it costs to live among many topics: CPU and memory of a node's looks at what is published.

Another process offers the topics, and opens and closes a few more of them, as a robot's tools do;
on one it says something each second. This one looks for its inputs as the affect node does. ::

    python benchmarks/crowd.py --topics 400 --minutes 5
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
from machine import described

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from maven_ros.counters import Counters
from maven_ros.graph.dds.dds_graph import DdsGraph
from maven_ros.graph.dds.domain import stay_on_this_machine
from maven_ros.graph.interface import STATE
from maven_ros.graph.messages import new
from maven_ros.graph.topics import ROBOT_SPEAKING_TOPIC
from maven_ros.intake.face_topics import FaceTopics
from maven_ros.intake.inputs import Inputs, InputTopics

BOOL = 'std_msgs/msg/Bool'
LOOK_S = 0.25  # as the affect node
SETTLE_S = 20.0
COMING_AND_GOING = 4


def crowd(topics):
    """Offer so many topics, until standard input closes; one more comes and goes each second."""
    with DdsGraph() as graph:
        for number in range(topics):
            graph.advertise(f'/crowd/topic_{number}', BOOL, STATE)
        speaking = graph.advertise(ROBOT_SPEAKING_TOPIC, BOOL, STATE)
        print('ready', flush=True)
        passing, number = [], 0
        stop = threading.Event()
        threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
        while not stop.wait(1.0):
            speaking.publish(new(BOOL))
            passing.append(graph.advertise(f'/crowd/passing_{number}', BOOL, STATE))
            number += 1
            if len(passing) > COMING_AND_GOING:
                passing.pop(0).close()


def look(minutes):
    """Look as the affect node does; print CPU and memory each half minute."""
    counters = Counters()
    process = psutil.Process()
    with DdsGraph(counters=counters) as graph, \
            Inputs(graph, vars(InputTopics()), counters, lambda role, received: None) as inputs:
        faces = FaceTopics(graph, counters, lambda received: None, wanted=True)
        began_s = time.monotonic()
        next_s = began_s + SETTLE_S
        before = None
        while time.monotonic() < began_s + SETTLE_S + minutes * 60 + 1:
            inputs.look()
            faces.look()
            graph.publisher_count('affect/state')
            time.sleep(LOOK_S)
            if time.monotonic() >= next_s:
                next_s += 30.0
                now = (time.monotonic(), time.process_time(), process.memory_info().rss)
                if before is None:
                    before = first = now
                    print(f'{len(graph.topics())} topics, {now[2] / 1e6:.1f} MB')
                    continue
                print(f'{now[0] - first[0]:6.0f} s: {report(first, now)}', flush=True)
        faces.close()


def report(first, now):
    minutes = (now[0] - first[0]) / 60
    return (f'{(now[1] - first[1]) / (now[0] - first[0]):6.1%} of a core, {now[2] / 1e6:.1f} MB, '
            f'{(now[2] - first[2]) / 1e6 / minutes:+.2f} MB a minute')


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[1])
    parser.add_argument('--topics', type=int, default=400, help='of the other process')
    parser.add_argument('--minutes', type=float, default=5.0, help='how long to measure')
    parser.add_argument('--crowd', action='store_true', help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    stay_on_this_machine(os.environ)
    if arguments.crowd:
        crowd(arguments.topics)
        return
    print(described())
    other = subprocess.Popen(
        [sys.executable, __file__, '--crowd', '--topics', str(arguments.topics)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        other.stdout.readline()
        look(arguments.minutes)
    finally:
        other.communicate(timeout=20)


if __name__ == '__main__':
    main()
