"""
Measure pictures between two processes: ready CDR against field-by-field serialisation.

Both methods alternate in one run. A process sends 640x480 bgr8 pictures and waits for an answer to
each, so a figure is the time from ``publish`` to the callback in the other process, plus a small
answer. Nothing is written. ::

    python benchmarks/graph.py --seconds 20
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
from machine import described

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from maven_ros.graph.dds.cdr_types import field_type
from maven_ros.graph.dds.dds_graph import DdsGraph
from maven_ros.graph.dds.domain import stay_on_this_machine
from maven_ros.graph.images import IMAGE
from maven_ros.graph.interface import STATE
from maven_ros.graph.messages import new

ANSWER = 'std_msgs/msg/UInt32'
WIDTH, HEIGHT = 640, 480
ROUND_S = 1.0


class Ours:
    """The embedded graph, from arrays to CDR and back."""

    name = 'ready CDR'

    def __init__(self, graph):
        self.publisher = graph.advertise('/ours', IMAGE, STATE)
        pixels = np.arange(HEIGHT * WIDTH * 3, dtype=np.uint8)
        self.message = new(IMAGE, height=HEIGHT, width=WIDTH, encoding='bgr8', step=WIDTH * 3,
                           data=pixels)

    def matched(self):
        return self.publisher.subscription_count()

    def send(self):
        self.publisher.publish(self.message)


class FieldByField:
    """The classes of cyclonedds for the same type, which have bytes as a list of ints."""

    name = 'field by field'

    def __init__(self, graph):
        from cyclonedds.domain import DomainParticipant
        from cyclonedds.pub import DataWriter

        self.participant = DomainParticipant(graph._discovery.domain)
        topic, qos = plain_topic(self.participant)
        self.writer = DataWriter(self.participant, topic, qos)
        image, header, stamp = plain_types()
        self.sample = image(
            header(stamp(0, 0), ''), HEIGHT, WIDTH, 'bgr8', 0, WIDTH * 3,
            np.arange(HEIGHT * WIDTH * 3, dtype=np.uint8).tolist())

    def matched(self):
        return len(self.writer.get_matched_subscriptions())

    def send(self):
        self.writer.write(self.sample)


def plain_types():
    image = field_type(IMAGE, IMAGE)
    header = image.__annotations__['header']
    return image, header, header.__annotations__['stamp']


def plain_topic(participant):
    from cyclonedds.qos import Policy, Qos
    from cyclonedds.topic import Topic

    qos = Qos(Policy.Reliability.Reliable(10**9), Policy.History.KeepLast(10),
              Policy.DataRepresentation(use_cdrv0_representation=True))
    return Topic(participant, 'rt/plain', plain_types()[0]), qos


def receive():
    """Answer every picture until standard input closes."""
    from cyclonedds.core import InstanceState, ReadCondition, SampleState, ViewState, WaitSet
    from cyclonedds.domain import DomainParticipant
    from cyclonedds.sub import DataReader

    from maven_ros.graph.messages import from_cdr

    stop = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
    with DdsGraph() as graph:
        answers = graph.advertise('/answer', ANSWER, STATE)

        def arrived(received):
            answers.publish(new(ANSWER, data=int(from_cdr(received.cdr, IMAGE).data[-1])))

        graph.subscribe('/ours', IMAGE, STATE, arrived)
        participant = DomainParticipant(graph._discovery.domain)
        topic, qos = plain_topic(participant)
        reader = DataReader(participant, topic, qos)
        waitset = WaitSet(participant)
        waitset.attach(ReadCondition(
            reader, SampleState.Any | ViewState.Any | InstanceState.Any))
        while not stop.is_set():
            waitset.wait(10**8)
            for sample in reader.take(10):
                if sample.sample_info.valid_data:
                    answers.publish(new(ANSWER, data=int(sample.data[-1])))


def measure(seconds):
    """Return the time of each message in milliseconds, by method."""
    answered = threading.Event()
    with DdsGraph() as graph:
        graph.subscribe('/answer', ANSWER, STATE, lambda _: answered.set())
        ways = [Ours(graph), FieldByField(graph)]
        receiver = subprocess.Popen([sys.executable, __file__, '--receive'],
                                    stdin=subprocess.PIPE)
        try:
            while not all(way.matched() for way in ways):
                time.sleep(0.05)
            time.sleep(0.5)
            taken_ms = {way.name: [] for way in ways}
            deadline = time.perf_counter() + seconds
            while time.perf_counter() < deadline:
                for way in ways:
                    taken_ms[way.name] += one_round(way, answered)
        finally:
            receiver.communicate(timeout=20)
    return taken_ms


def one_round(way, answered):
    taken_ms, end = [], time.perf_counter() + ROUND_S
    while time.perf_counter() < end:
        answered.clear()
        start = time.perf_counter()
        way.send()
        if not answered.wait(5.0):
            print(f'{way.name}: a message was lost', file=sys.stderr)
            continue
        taken_ms.append((time.perf_counter() - start) * 1e3)
    return taken_ms


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[1])
    parser.add_argument('--seconds', type=float, default=20.0, help='how long to measure')
    parser.add_argument('--receive', action='store_true', help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    stay_on_this_machine(os.environ)
    if arguments.receive:
        receive()
        return
    print(described())
    print(f'{WIDTH}x{HEIGHT} bgr8 between two processes, there and answered')
    medians = {}
    for name, taken_ms in measure(arguments.seconds).items():
        medians[name] = statistics.median(taken_ms)
        print(f'{name:>15}: {medians[name]:7.2f} ms a message (median of {len(taken_ms)}), '
              f'{1e3 / medians[name]:6.1f} messages a second')
    print(f'{"ratio":>15}: {medians[FieldByField.name] / medians[Ours.name]:7.1f}')


if __name__ == '__main__':
    main()
