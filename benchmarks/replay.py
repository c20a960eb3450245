"""
Measure the speed of a replay and, with --hours, the growth of memory.

It replays a clip, looped to --minutes, with the shipped model and default settings, and reports
the speed and the CPU time. With --hours it replays a long generated bag of small pictures instead,
and tracks resident memory. It passes unknown flags, such as --speech.recogniser none, to the
replay. ::

    python benchmarks/replay.py --media talk.mp4
    python benchmarks/replay.py --hours 2
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
from machine import described

from maven_ros.devices.media import probe, read_media
from maven_ros.graph.bag.bag_graph import BagGraph
from maven_ros.graph.convert import audio_message, compressed_message
from maven_ros.graph.interface import IMAGE_SOURCE, SOUND_SOURCE
from maven_ros.records import NS, AudioChunk
from maven_ros.replay.from_media import START_NS, bags_from_media
from maven_ros.replay.summary import read_summary
from maven_ros.resources import resource

SMALL_PX = 96


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[1])
    parser.add_argument('--media', type=Path, default=None, help='the shipped clip if omitted')
    parser.add_argument('--minutes', type=float, default=5.0, help='length of the bag')
    parser.add_argument('--hours', type=float, default=0.0, help='soak: length of the bag')
    parser.add_argument('--max-growth-mb', type=float, default=50.0)
    arguments, flags = parser.parse_known_args()
    media = arguments.media or resource('media/sample.mp4')
    print(described())
    with tempfile.TemporaryDirectory() as folder:
        if arguments.hours:
            bag = small_bag(media, Path(folder) / 'long', arguments.hours * 3600)
        else:
            loop = max(1, round(60 * arguments.minutes * NS / probe(media).duration_ns))
            bag = bags_from_media([media], Path(folder), loop=loop)[0].path
        usage = replay(bag, Path(folder) / 'out', flags)
        summary = read_summary(Path(folder) / 'out')
    print(f'{summary.duration_s:.0f} s of {media.name} in {summary.wall_s:.1f} s: '
          f'{summary.speed:.2f} times real time; {summary.states} states, '
          f'{summary.utterances} utterances; from message to states: {summary.inference_ms} ms')
    print(f'CPU: {usage.cpu_s / summary.duration_s:.3f} s for a second of the bag, of which '
          f'recognition {usage.ahead_s / summary.duration_s:.3f} s')
    if not arguments.hours:
        return 0
    growth = usage.growth_mb()
    print(f'resident memory: grew by {growth:.1f} MB after the first tenth, of '
          f'{max(usage.memory_mb):.0f} MB')
    return 0 if growth < arguments.max_growth_mb else 1


class Usage:
    """CPU time and memory of the replay and of its recogniser process."""

    def __init__(self) -> None:
        self.cpu_s = self.ahead_s = 0.0
        self.memory_mb: list[float] = []

    def look(self, process: psutil.Process) -> None:
        family = [process, *process.children(recursive=True)]
        times = [sum(one.cpu_times()[:2]) for one in family]
        self.ahead_s = max(self.ahead_s, sum(times[1:]))  # it ends before the replay
        self.cpu_s = times[0] + self.ahead_s
        self.memory_mb.append(sum(one.memory_info().rss for one in family) / 1e6)

    def growth_mb(self) -> float:
        """Return the median of the last tenth minus that of the second tenth."""
        tenth = max(1, len(self.memory_mb) // 10)
        return float(np.median(self.memory_mb[-tenth:])
                     - np.median(self.memory_mb[tenth:2 * tenth]))


def replay(bag: Path, out: Path, flags: list[str]) -> Usage:
    usage = Usage()
    running = subprocess.Popen([sys.executable, '-m', 'maven_ros', 'replay', str(bag), '--out',
                                str(out), '--log-level', 'warning', *flags])
    process = psutil.Process(running.pid)
    while running.poll() is None:
        try:
            usage.look(process)
        except psutil.Error:  # the process has just ended
            break
        time.sleep(0.5)
    if running.wait():
        raise SystemExit(running.returncode)
    return usage


def small_bag(media: Path, path: Path, length_s: float) -> Path:
    """Write a looped clip with five pictures of a few kilobytes per second, encoded once."""
    import cv2

    pictures, chunks = [], []
    for record in read_media(media):
        if isinstance(record, AudioChunk):
            chunks.append(record)
        elif not pictures or record.stamp_ns >= pictures[-1][0] + NS // 5:
            pixels = cv2.resize(record.decode(), (SMALL_PX, SMALL_PX))
            pictures.append((record.stamp_ns, pixels.astype(np.uint8)))
    lap_ns = chunks[-1].end_ns
    with BagGraph(path, 'w') as bag:
        images = bag.advertise('camera/image_raw/compressed', 'sensor_msgs/msg/CompressedImage',
                               IMAGE_SOURCE)
        sound = bag.advertise('audio', 'maven_ros/msg/AudioChunk', SOUND_SOURCE)
        for lap in range(round(length_s * NS / lap_ns)):
            begin_ns = START_NS + lap * lap_ns
            due = [(begin_ns + at_ns, images, compressed_message(begin_ns + at_ns, pixels))
                   for at_ns, pixels in pictures]
            due += [(begin_ns + one.end_ns, sound, audio_message(AudioChunk(
                begin_ns + one.stamp_ns, one.samples, one.sample_rate_hz))) for one in chunks]
            for bag.time_ns, publisher, message in sorted(due, key=lambda one: one[0]):
                publisher.publish(message)
    return path


if __name__ == '__main__':
    raise SystemExit(main())
