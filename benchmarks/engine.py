"""
Time the engine on a made-up stream: full encoding against incremental encoding.

A window ends every 0.2 s and holds a face every 0.1 s, continuous sound, and a word every half
second. The two methods alternate in one process: after a reset the engine encodes a full window,
and in the next window it reuses the common vectors. Times are medians. The growth is that of a hop
while the window grows from 1 to 8 s. `base` has its full size and random weights; it is timed with
influence and without, which takes one pass of its fusion, not four.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import gpu
import torch
from base_size import resident_mb
from machine import described
from made_up import FRAME_RATE_HZ, HOP_S, USUAL_S, make_engine, stream, write_base
from torch.utils.flop_counter import FlopCounterMode

from maven_ros.engine import Engine
from maven_ros.errors import ResourceError
from maven_ros.model.compute import uses_bf16
from maven_ros.records import Evidence

LENGTHS_S = (1.0, 2.0, 4.0, 8.0)
PEOPLE = (1, 2, 3, 8)
SIDE = 2048
KEEPS_UP = 0.8
HAS_BF16 = uses_bf16('auto', torch.device('cpu'))


class Times(NamedTuple):
    """Median seconds per hop, by both methods."""

    full_s: float
    incremental_s: float

    @property
    def ratio(self) -> float:
        return self.full_s / self.incremental_s


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[1])
    parser.add_argument('--model', choices=('compact', 'base'), help='benchmark only this model')
    parser.add_argument('--hops', type=int, default=3, help='hops of `base` per method; `compact` '
                        'runs ten times as many, and `base` one if windows are longer than 2 s')
    parser.add_argument('--threads', type=int, default=os.cpu_count() or 1, help='of `base`')
    arguments = parser.parse_args()
    print(f'{described()}, torch {torch.__version__}')
    if arguments.model != 'base':
        compact(10 * arguments.hops)
    if arguments.model != 'compact':
        base(arguments.hops, arguments.threads)


def compact(hops: int) -> None:
    for threads in (1, 2):
        engine = make_engine(USUAL_S, threads=threads)
        report(f'compact, {USUAL_S:g} s, {threads} threads', measure(engine, USUAL_S, hops))
    people(hops)
    compiled(hops)
    print(f'compact: resident memory of the process {resident_mb():.0f} MB')
    growth('compact', {
        length_s: measure(make_engine(length_s), length_s, hops) for length_s in LENGTHS_S})


def people(hops: int) -> None:
    """Time hops of several people in one pass; the first person has voice and words."""
    engine = make_engine(USUAL_S)
    taken = []
    for count in PEOPLE:
        engine.reset()
        evidence = [stream(USUAL_S, engine.crop_px, person=str(one)) for one in range(count)]
        times = []
        for _ in range(hops + 1):
            speaker, *others = (next(one) for one in evidence)
            pieces = [speaker, *(replace(
                one, waveform=one.waveform[:0], heard=one.heard[:0], words=()) for one in others)]
            began = time.perf_counter()
            engine.infer(pieces)
            times.append(time.perf_counter() - began)
        taken.append(f'{count}: {1e3 * statistics.median(times[1:]):.1f} ms')
    print(f'compact, {USUAL_S:g} s, 1 thread, a hop incremental by people: {", ".join(taken)}')


def compiled(hops: int) -> None:
    try:
        engine = make_engine(USUAL_S, compile=True)
    except ResourceError as error:
        print(f'compact, compiled: not run: {error}')
        return
    plain, faster = (measure(one, USUAL_S, hops) for one in (make_engine(USUAL_S), engine))
    print(f'compact, compiled: {faster.incremental_s * 1e3:.1f} ms incremental, plain over '
          f'compiled {plain.incremental_s / faster.incremental_s:.2f}')


def base(hops: int, threads: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        write_base(Path(folder))
        if torch.cuda.is_available():
            gpu.carry(folder)
        for influence in (True, False):
            named = 'base' if influence else 'base without influence'
            options = {'path': folder, 'threads': threads, 'influence': influence}
            times = {USUAL_S: usual_base(named, hops, options)}
            for length_s in LENGTHS_S:
                if length_s != USUAL_S:
                    engine = make_engine(length_s, **options)
                    times[length_s] = measure(engine, length_s, hops if length_s < USUAL_S else 1)
                    del engine  # two engines would need twice the memory
            growth(named, times)
        keeping_up(options)


def usual_base(named: str, hops: int, options: dict) -> Times:
    engine, threads = make_engine(USUAL_S, **options), options['threads']
    full = measure(engine, USUAL_S, hops)
    report(f'{named}, {USUAL_S:g} s, fp32, {threads} threads', full)
    print(f'{named}: resident memory of the process {resident_mb():.0f} MB')
    share(engine, 2)
    torch.set_num_threads(1)
    report(f'{named}, {USUAL_S:g} s, fp32, 1 thread', measure(engine, USUAL_S, 1))
    del engine
    if HAS_BF16:
        engine = make_engine(USUAL_S, precision='bf16', **options)
        report(f'{named}, {USUAL_S:g} s, bf16, {threads} threads', measure(engine, USUAL_S, hops))
    return full


def keeping_up(options: dict) -> None:
    """Print the settings at which `base` keeps up: a hop takes a share of its duration."""
    print(f'base without influence, {USUAL_S:g} s, {options["threads"]} threads: keeps up where a '
          f'hop takes at most {KEEPS_UP:g} of its time\n'
          '| frames/s | hop, s | precision | taken, s | share | |')
    for precision in ('fp32', 'bf16')[:1 + HAS_BF16]:
        for rate_hz in (10, 5, 2.5):
            engine = make_engine(USUAL_S, rate_hz, precision=precision, **options)
            for hop_s in (0.2, 0.5, 1.0):
                evidence = stream(USUAL_S, engine.crop_px, rate_hz, hop_s)
                engine.reset()
                timed(engine, next(evidence))
                taken_s = statistics.mean(timed(engine, next(evidence)) for _ in range(4))
                print(f'| {rate_hz:g} | {hop_s:g} | {precision} | {taken_s:.2f} | '
                      f'{taken_s / hop_s:.2f} | {"keeps up" * (taken_s <= KEEPS_UP * hop_s)} |')
            del engine


def measure(engine: Engine, length_s: float, hops: int) -> Times:
    """Time a number of hops by each method, in turn."""
    evidence = stream(length_s, engine.crop_px)
    full_s, incremental_s = [], []
    for _ in range(hops):
        engine.reset()
        full_s.append(timed(engine, next(evidence)))
        incremental_s.append(timed(engine, next(evidence)))
    return Times(statistics.median(full_s), statistics.median(incremental_s))


def timed(engine: Engine, evidence: Evidence) -> float:
    began = time.perf_counter()
    engine.infer([evidence])
    return time.perf_counter() - began


def report(what: str, times: Times) -> None:
    new = HOP_S * FRAME_RATE_HZ
    print(f'{what}: a hop {1e3 * times.full_s:.1f} ms in full, {1e3 * times.incremental_s:.1f} ms '
          f'incremental, ratio {times.ratio:.1f}; {new / times.full_s:.1f} and '
          f'{new / times.incremental_s:.1f} frames a second')


def growth(what: str, times: dict[float, Times]) -> None:
    first = times[LENGTHS_S[0]]
    for length_s, one in sorted(times.items()):
        print(f'{what}, window {length_s:g} s: {1e3 * one.full_s:.1f} ms in full '
              f'(x {one.full_s / first.full_s:.2f}), {1e3 * one.incremental_s:.1f} ms incremental '
              f'(x {one.incremental_s / first.incremental_s:.2f})')


def share(engine: Engine, hops: int) -> None:
    """Print the share of the machine's matrix product rate, with both measured in turn."""
    evidence = stream(USUAL_S, engine.crop_px)
    engine.reset()
    works = {way: operations(engine, next(evidence)) for way in ('in full', 'incremental')}
    rates, shares = [], {way: [] for way in works}
    for _ in range(hops):
        engine.reset()
        for way, work in works.items():
            rates.append(matmul_rate())
            shares[way].append(work / timed(engine, next(evidence)) / rates[-1])
    print(f'product of matrices of {SIDE} x {SIDE}, fp32: {statistics.median(rates) / 1e9:.0f} '
          'GFLOP/s')
    for way, work in works.items():
        print(f'base, {USUAL_S:g} s, {way}: {work / 1e9:.0f} GFLOP a hop, at '
              f'{statistics.median(shares[way]):.0%} of that rate')


def operations(engine: Engine, evidence: Evidence) -> int:
    """Return the floating-point operations of one hop."""
    packed = {torch.ops.mkldnn._linear_pointwise: (  # torch does not count it
        lambda values, *_, out_shape, **__: 2 * math.prod(out_shape) * values[-1])}
    with FlopCounterMode(display=False, custom_mapping=packed) as counter:
        engine.infer([evidence])
    return counter.get_total_flops()


def matmul_rate() -> float:
    """Return operations per second; the median of five products."""
    matrix, times_s = torch.randn(SIDE, SIDE), []
    for _ in range(5):
        began = time.perf_counter()
        torch.mm(matrix, matrix)
        times_s.append(time.perf_counter() - began)
    return 2 * SIDE ** 3 / statistics.median(times_s)


if __name__ == '__main__':
    main()
