"""
Build `base` at full size with random weights, and run full windows through it.

It prints the number of parameters, the memory of the network and of a window, the shapes of the
output, and the median time of a full window: 2 s at 10 frames per second with sound and words,
without vectors from earlier windows.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import time

import psutil
import torch
from machine import described

from maven_ros.model.batch import MavenInputs
from maven_ros.model.configuration import MavenConfig
from maven_ros.model.maven import MavenModel
from maven_ros.records import SAMPLE_RATE_HZ
from maven_ros.rules import Grid

SLOTS, SLOT_S, WORDS = 20, 0.1, 6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--runs', type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(f'{described()}, {arguments.threads} threads, torch {torch.__version__}, fp32')
    before = resident_mb()
    began = time.perf_counter()
    model = MavenModel.untrained(MavenConfig.base(), 0).eval()
    built_s = time.perf_counter() - began
    for name, part in model.named_children():
        print(f'{name:>15}: {millions(part.parameters())}')
    trained = millions(one for one in model.parameters() if one.requires_grad)
    print(f'{"all":>15}: {millions(model.parameters())}, {trained} of them trained; built in '
          f'{built_s:.1f} s, {resident_mb() - before:.0f} MB')
    inputs = window(model.config)
    before = resident_mb()
    with torch.inference_mode():
        output = model(inputs, influence=True, attention=True)
        times_s = [timed(model, inputs) for _ in range(arguments.runs)]
    for field in dataclasses.fields(output):
        value = getattr(output, field.name)
        shape = value['video_to_audio'].shape if isinstance(value, dict) else value.shape
        print(f'{field.name:>20}: {tuple(shape)}')
    print(f'one window: {statistics.median(times_s):.2f} s, median of {len(times_s)}; '
          f'{resident_mb() - before:+.0f} MB')


def window(config: MavenConfig) -> MavenInputs:
    random = torch.Generator().manual_seed(0)
    samples = round(SLOTS * SLOT_S * SAMPLE_RATE_HZ)
    frames = torch.randint(
        256, (1, SLOTS, 3, config.crop_px, config.crop_px), generator=random, dtype=torch.uint8)
    return MavenInputs(
        Grid(SLOTS, SLOT_S), frames=frames, frame_mask=torch.ones(1, SLOTS, dtype=torch.bool),
        waveform=torch.randn(1, samples, generator=random) * 0.1,
        heard=torch.ones(1, samples, dtype=torch.bool),
        tokens=torch.randint(5, 50_000, (1, WORDS), generator=random),
        token_mask=torch.ones(1, WORDS, dtype=torch.bool),
        token_weights=torch.ones(1, SLOTS, WORDS))


def timed(model: MavenModel, inputs: MavenInputs) -> float:
    began = time.perf_counter()
    model(inputs)
    return time.perf_counter() - began


def millions(parameters) -> str:
    return f'{sum(one.numel() for one in parameters) / 1e6:.1f} M'


def resident_mb() -> float:
    return psutil.Process().memory_info().rss / 1e6


if __name__ == '__main__':
    main()
