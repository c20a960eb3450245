"""
Measure training in clips per second: from features, from evidence, and with two processes.

A small set is generated in Aff-Wild2's layout, prepared, and embedded with the shipped model. Then
training steps (read a batch, fuse, compute the loss and the gradients of the fusion) alternate in
one process between stored features and encoding on the fly by frozen encoders. Last, one and two
processes of one thread each train on features. Figures are medians; ratios are of medians.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from machine import described

from maven_ros.cli.main import main as maven_ros
from maven_ros.model import checkpoint
from maven_ros.resources import resource
from maven_ros.training.loop import LoopSettings
from maven_ros.training.people.clip_task import ClipTask
from maven_ros.training.people.clips import Clips
from maven_ros.training.people.feature_sources import EvidenceSource, FeatureSource, FusionSource
from maven_ros.training.people.features import FeatureSet
from maven_ros.training.people.prepared import PreparedSet
from maven_ros.training.people.run_settings import RunSettings
from maven_ros.training.people.starting import start
from maven_ros.training.processes import Processes

BATCH = 64


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('--data', type=Path, help='folder of the corpora; drawn faces if omitted')
    parser.add_argument('--steps', type=int, default=10, help='training steps per method')
    parser.add_argument('--made', type=Path, help=argparse.SUPPRESS)  # by the launcher
    arguments = parser.parse_args()
    if arguments.made:
        return together(arguments.made, arguments.steps)
    print(f'{described()}, torch {torch.__version__}, {torch.get_num_threads()} threads, batches '
          f'of {BATCH} clips')
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make(folder, arguments.data)
        cached_against_encoded(folder, arguments.steps)
        for count in (1, 2):
            launch(folder, count, arguments.steps)
    return 0


def make(folder: Path, data: Path | None) -> None:
    generated = folder / 'generated'
    real = ['--data', str(data)] if data else []
    for command in (
            ['data', 'generate', 'aff-wild2', '--out', generated, '--videos', 12, '--seconds', 20,
             *real],
            ['data', 'prepare', 'aff-wild2', '--videos', generated / 'videos', '--annotations',
             generated / 'annotations', '--crops', generated / 'cropped_aligned',
             '--transcripts', generated / 'transcripts', '--out', folder / 'data'],
            ['data', 'embed', '--data', folder / 'data', '--model', resource('models/compact'),
             '--out', folder / 'features', '--device', 'cpu']):
        if maven_ros([str(one) for one in command]):
            raise SystemExit(1)


def cached_against_encoded(folder: Path, steps: int) -> None:
    prepared, base = PreparedSet(folder / 'data'), checkpoint.load(resource('models/compact'))
    sources: dict[str, FusionSource] = {
        'from features': FeatureSource(FeatureSet(folder / 'features')),
        'encoded on the fly': EvidenceSource(prepared, base, 2.0)}
    times: dict[str, list[float]] = {name: [] for name in sources}
    tasks = {name: task(folder, source, Processes()) for name, source in sources.items()}
    for _ in range(steps + 1):
        for name, one in tasks.items():
            times[name].append(step(one))
    speeds = {name: BATCH / statistics.median(some[1:]) for name, some in times.items()}
    for name, speed in speeds.items():
        print(f'{name}: {speed:.0f} clips/s')
    cached, encoded = speeds.values()
    print(f'features once against encoding on the fly: {cached / encoded:.1f} times as fast')


def task(folder: Path, source: FusionSource, processes: Processes) -> ClipTask:
    settings = RunSettings(loop=LoopSettings(1, BATCH, 1e-3))
    prepared, base = PreparedSet(folder / 'data'), checkpoint.load(resource('models/compact'))
    clips = [Clips(prepared, source, split, settings.clips) for split in ('train', 'valid')]
    return ClipTask(settings, start(settings, base.model), source, *clips, processes)


def step(one: ClipTask) -> float:
    """Run a training step; return its duration in seconds."""
    begin = time.perf_counter()
    batch = next(iter(one.batches(0, torch.Generator().manual_seed(1))))
    one.losses(one.model, batch)['loss'].backward()
    return time.perf_counter() - begin


def launch(folder: Path, count: int, steps: int) -> None:
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = str(free.getsockname()[1])
    subprocess.run(
        [sys.executable, '-m', 'torch.distributed.run', '--nproc_per_node', str(count),
         '--master_port', port, __file__, '--made', str(folder), '--steps', str(steps)],
        check=True, env={**os.environ, 'OMP_NUM_THREADS': '1'})


def together(folder: Path, steps: int) -> int:
    with Processes.launched('cpu') as processes:
        one = task(folder, FeatureSource(FeatureSet(folder / 'features')), processes)
        times = []
        for _ in range(steps + 1):
            begin = time.perf_counter()
            step(one)
            processes.add_gradients(one.model, False)
            times.append(time.perf_counter() - begin)
        if processes.main:
            print(f'{processes.count} processes of one thread: '
                  f'{BATCH / statistics.median(times[1:]):.0f} clips/s')
    return 0


if __name__ == '__main__':
    raise SystemExit(main())
