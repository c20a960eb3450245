#!/usr/bin/env python3
"""
Inject faults into a live robot: each must be named on /diagnostics, and 5 Hz must come back.

The affect node, its camera, its microphone and what disturbs them are processes of their own. It
is not part of make test. It prints a line for each fault: seconds until it was named, seconds
from its end until states came at 5 Hz again, and in which words it was named.
"""

import argparse
import logging
import multiprocessing
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from maven_ros.graph.convert import DIAGNOSTICS, audio_message, image_message
from maven_ros.graph.dds.dds_graph import DdsGraph
from maven_ros.graph.dds.domain import stay_on_this_machine
from maven_ros.graph.images import IMAGE
from maven_ros.graph.interface import IMAGE_SOURCE, SOUND_SOURCE, STATE
from maven_ros.graph.messages import from_cdr, new
from maven_ros.graph.sound import AUDIO_CHUNK
from maven_ros.graph.topics import AUDIO_TOPIC, IMAGE_TOPIC, hear_affect
from maven_ros.records import NS, AudioChunk

CAMERA, MICROPHONE = '/camera/image_raw', '/audio'
NAMED_S, BACK_S = 30.0, 60.0
#: States in three seconds; 5 Hz are 15, and one may fall on either side.
ENOUGH, WINDOW_S = 14, 3.0
HOP_S = 0.05
#: What is said of what is no fault.
FINE = '^ok$'
DAY_NS = 86_400 * NS

#: Wrong stamps, and how they are named.
STAMPS = {
    'of 0': (lambda now_ns: 0, 'are 0: its driver sets none'),
    'of 2000': (lambda now_ns: 946_684_800 * NS, 'its driver does not advance them'),
    'before 1970': (lambda now_ns: -5 * NS, 'refused: bad stamp'),
    'at the end of time': (lambda now_ns: (2**31 - 1) * NS, 'refused: bad stamp'),
    '90 days behind': (lambda now_ns: now_ns - 90 * DAY_NS, 's behind the clock'),
    'since boot': (lambda now_ns: time.monotonic_ns(), 's behind the clock'),
    '300 s ahead': (lambda now_ns: now_ns + 300 * NS, 's ahead of the clock'),
    'that jump back': (lambda now_ns: now_ns - 30 * NS * (now_ns // (NS // 10) % 2),
                       'jumped back'),
}


# --- processes that publish ----------------------------------------------------------------------


def publish(role, stamps='', hop_s=HOP_S):
    """Publish pictures, or sound, until the process is ended."""
    logging.disable()  # that subscriptions do not keep up is the point
    stamp = STAMPS[stamps][0] if stamps in STAMPS else lambda now_ns: now_ns - int(stamps or 0)
    pixels = np.random.default_rng(0).integers(0, 255, (240, 320, 3), np.uint8)
    hum = (np.sin(np.arange(round(16000 * HOP_S)) / 5) / 50).astype(np.float32)[:, None]
    with DdsGraph(node_name=role) as graph:
        publisher = graph.advertise(IMAGE_TOPIC, IMAGE, IMAGE_SOURCE) if role == 'camera' \
            else graph.advertise(AUDIO_TOPIC, AUDIO_CHUNK, SOUND_SOURCE)
        due_s = time.monotonic()
        while True:
            due_s = max(due_s + hop_s, time.monotonic() - 1)
            time.sleep(max(0.0, due_s - time.monotonic()))
            stamp_ns = stamp(graph.now_ns())
            publisher.publish(
                image_message(stamp_ns, pixels, 'camera') if role == 'camera'
                else audio_message(AudioChunk(stamp_ns, hum, 16000)))


def advertise(count):
    """Publish on many topics that are nobody's."""
    with DdsGraph(node_name='crowd') as graph:
        text = 'std_msgs/msg/String'
        publishers = [graph.advertise(f'crowd/topic_{n}', text, STATE) for n in range(count)]
        while True:
            for one in publishers:
                one.publish(new(text, data='x'))
            time.sleep(1.0)


@contextmanager
def process(work, *arguments):
    """Run a function in a process of its own until the end of the context."""
    spawn = multiprocessing.get_context('spawn')
    started = spawn.Process(target=work, args=arguments, daemon=True)
    started.start()
    try:
        yield started
    finally:
        started.kill()
        started.join()


# --- the robot -----------------------------------------------------------------------------------


class Robot:
    """A node with a camera and a microphone, and what it says of itself."""

    def __init__(self, settings):
        self._settings = settings
        self._graph = DdsGraph(node_name='soak')
        self._came_s = deque(maxlen=200)
        self._windows = deque(maxlen=200)
        self.said, self.said_s = '', 0.0
        hear_affect(self._graph, self._heard, lambda _: None)
        self._graph.subscribe('/diagnostics', DIAGNOSTICS, STATE, self._diagnosed)
        self.sources = {}
        for role in ('camera', 'microphone'):
            self.start_source(role)
        self.start_node()

    def _heard(self, state, _):
        if state.window_end_ns not in self._windows:  # a window has a state for each person
            self._windows.append(state.window_end_ns)
            self._came_s.append(time.monotonic())

    def _diagnosed(self, received):
        for one in from_cdr(received.cdr, received.msgtype).status:
            if one.name == 'maven_ros: /affect':
                self.said, self.said_s = one.message, time.monotonic()

    def start_node(self):
        """Start the affect node."""
        self.node = subprocess.Popen([sys.executable, '-m', 'maven_ros', 'run', '--log-level',
                                      'error', *self._settings])

    def start_source(self, role, *arguments):
        """Start a camera or a microphone."""
        source = process(publish, role, *arguments)
        self.sources[role] = source, source.__enter__()

    def stop_source(self, role):
        """Kill it."""
        self.sources.pop(role)[0].__exit__(None, None, None)

    @contextmanager
    def other_source(self, role, *arguments):
        """Let another camera or microphone take the place of the usual one."""
        self.stop_source(role)
        self.start_source(role, *arguments)
        yield
        self.stop_source(role)
        self.start_source(role)

    @contextmanager
    def without(self, role):
        """Let a camera or microphone die, and return."""
        self.stop_source(role)
        yield
        self.start_source(role)

    @contextmanager
    def halted(self, pid):
        """Halt a process; it goes on at the end."""
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    @contextmanager
    def killed_node(self):
        """Kill the node; as a launch file does, start another."""
        self.node.kill()
        self.node.wait()
        yield
        self.start_node()

    @contextmanager
    def beside_topics(self, count):
        """Let others publish on many topics."""
        def crowd():
            return sum('/crowd/' in topic for topic in self._graph.topics()) >= count

        with process(advertise, count):
            if until(crowd, BACK_S) is not None:
                time.sleep(WINDOW_S)
            yield

    def hz(self):
        """Return how many windows a second had states in the last seconds."""
        now_s = time.monotonic()
        return sum(now_s - one < WINDOW_S for one in list(self._came_s)) / WINDOW_S

    def at_rate(self):
        """Whether states come at 5 Hz."""
        return self.hz() * WINDOW_S >= ENOUGH

    def says(self, pattern, since_s):
        """
        Whether diagnostics say it.

        :param pattern: None for a node that says nothing at all; FINE holds at 5 Hz alone.
        """
        if pattern is None:
            return time.monotonic() - self.said_s > 3
        return self.said_s > since_s and re.search(pattern, self.said) and (
            pattern != FINE or self.at_rate())

    def close(self):
        """End all processes."""
        for role in [*self.sources]:
            self.stop_source(role)
        self.node.terminate()
        self.node.wait(20)
        self._graph.close()


def until(condition, timeout_s):
    """Wait; return the seconds that it took, or None."""
    began_s = time.monotonic()
    while not condition():
        if time.monotonic() - began_s > timeout_s:
            return None
        time.sleep(0.05)
    return time.monotonic() - began_s


@contextmanager
def full_disk(folder):
    """Record where no file may grow beyond a megabyte."""
    def limit():
        most = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, most))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    recorder = subprocess.Popen(
        [sys.executable, '-m', 'maven_ros', 'record', '--out', str(folder / 'bag')],
        preexec_fn=limit, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    patience = threading.Timer(BACK_S, recorder.kill)
    patience.start()
    try:
        yield recorder
    finally:
        patience.cancel()
        recorder.kill()
        recorder.wait()


def faults(robot):
    """Yield name, what begins and ends the fault, and how /diagnostics names it."""
    for role, topic in (('camera', CAMERA), ('microphone', MICROPHONE)):
        yield f'{role} dies and returns', robot.without(role), f'nothing from {topic}'
    for name, (_, said) in STAMPS.items():
        yield f'stamps {name}', robot.other_source('camera', name), f'{CAMERA}.*{said}'
    yield 'two clocks', process(publish, 'camera', str(3600 * NS)), f'2 publishers on {CAMERA}'
    for role, topic in (('camera', CAMERA), ('microphone', MICROPHONE)):
        yield (f'flood of the {role}', robot.other_source(role, '', 0.0),
               f'messages of {topic} refused: |{topic} (lost|overflow)')
    for role, topic in (('camera', CAMERA), ('microphone', MICROPHONE)):
        yield (f'SIGSTOP of the {role}', robot.halted(robot.sources[role][1].pid),
               f'nothing from {topic}')
    yield 'SIGSTOP of the node', robot.halted(robot.node.pid), None
    yield 'SIGKILL of the node', robot.killed_node(), None
    yield '400 topics', robot.beside_topics(400), FINE


def main():
    """Return 0 if every fault is named, and passes."""
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument('--only', default='', help='faults whose name holds this')
    parser.add_argument('--settings', nargs=argparse.REMAINDER, default=[],
                        help='all that follows are flags for the affect node')
    given = parser.parse_args()
    stay_on_this_machine(os.environ)
    robot, failed = Robot(given.settings), 0
    try:
        if until(robot.at_rate, 120) is None:
            print(f'no 5 Hz in the beginning, but {robot.hz():.1f} Hz: {robot.said}')
            return 1
        for name, fault, pattern in faults(robot):
            if given.only in name:
                failed += not injected(robot, name, fault, pattern)
        if given.only in 'full disk':
            failed += not disk_filled(robot)
    finally:
        robot.close()
    return 1 if failed else 0


def injected(robot, name, fault, pattern):
    """Inject a fault, print what became of it, and return whether that is right."""
    with fault:
        began_s = time.monotonic()
        named_s = until(lambda: robot.says(pattern, began_s), NAMED_S)
        said = robot.said if pattern else 'no diagnostics'
    return told(robot, name, named_s, said)


def disk_filled(robot):
    """Fill the disk of a recorder beside the node, and make room again."""
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, full_disk(Path(folder)) as recorder:
        full = next((line for line in recorder.stdout if 'File too large' in line), '')
        named_s = time.monotonic() - began_s
        most = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.prlimit(recorder.pid, resource.RLIMIT_FSIZE, (most, most))
        goes_on = next((line for line in recorder.stdout if 'recording goes on' in line), '')
        recorder.send_signal(signal.SIGINT)
        recorder.stdout.read()
        is_right = full and goes_on and recorder.wait() == 0
    return told(robot, 'full disk (of the recorder)', named_s if is_right else None,
                f'{full.strip()} | {goes_on.strip()}')


def told(robot, name, named_s, said):
    """Wait for 5 Hz, print the line of a fault, and return whether it is right."""
    time.sleep(WINDOW_S)  # states from before must not count
    back_s = until(robot.at_rate, BACK_S)
    until(lambda: robot.says(FINE, 0), NAMED_S)  # the next fault must not be named by this one
    named = 'not named' if named_s is None else f'named {named_s:4.1f} s'
    back = 'not back' if back_s is None else f'back {back_s + WINDOW_S:4.1f} s'
    print(f'{name:28} {named:12} {back:10} {said:.300}', flush=True)
    return named_s is not None and back_s is not None


if __name__ == '__main__':
    sys.exit(main())
