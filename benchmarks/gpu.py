"""Measure how many cameras one GPU can serve with `base`; engine.py runs it."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable

import numpy as np
import torch
from made_up import FRAME_RATE_HZ, HOP_S, USUAL_S, make_engine, stream

from maven_ros.engine import Engine
from maven_ros.model.incremental import Memory
from maven_ros.records import Evidence

LIMIT_S = 0.05
GROUPS = round(HOP_S / LIMIT_S)
CALLS = 100


def carry(folder: str) -> None:
    """
    Print the time of a hop, and the number of cameras that can be served.

    The hops of the cameras are spread over the duration of a hop, in groups that run as one batch
    each. A group that finishes before the next one is due never waits, so the time of its call is
    the whole latency.
    """
    engine = make_engine(USUAL_S, path=folder, device='cuda')
    print(f'{torch.cuda.get_device_name()}, base, {USUAL_S:g} s, {FRAME_RATE_HZ} frames/s, '
          f'{engine.device}')
    for way, full in (('incremental', False), ('in full', True)):
        middle_s, worst_s = times_s(engine, 1, full)
        print(f'{way}: a hop of one camera p50 {1e3 * middle_s:.1f} ms, p99 {1e3 * worst_s:.1f}')
        most = largest(lambda cameras, full=full: times_s(engine, cameras, full)[1] < LIMIT_S)
        print(f'{way}: {GROUPS * most} cameras, in {GROUPS} groups of {most}, p99 of a call under '
              f'{1e3 * LIMIT_S:g} ms')


def times_s(engine: Engine, cameras: int, full: bool) -> tuple[float, float]:
    """Return p50 and p99 of the time of a call for a number of cameras."""
    evidence, taken_s = stream(USUAL_S, engine.crop_px), []
    memories = [Memory() for _ in range(cameras)]
    for _ in range(CALLS + 1):
        pieces = spread(next(evidence), cameras)
        if full:
            memories = [Memory() for _ in range(cameras)]
        began = time.perf_counter()
        engine.infer_streams([(memory, [piece]) for memory, piece in
                              zip(memories, pieces, strict=True)])
        taken_s.append(time.perf_counter() - began)
    middle_s, worst_s = np.percentile(taken_s[1:], (50, 99))  # the first fills the memories
    return middle_s, worst_s


def spread(piece: Evidence, cameras: int) -> list[Evidence]:
    """Give each camera its own sound and words, so that none is shared."""
    return [dataclasses.replace(
        piece, waveform=piece.waveform.copy(), words=tuple(
            dataclasses.replace(word, text=f'{word.text} {camera}') for word in piece.words))
        for camera in range(cameras)]


def largest(fits: Callable[[int], bool]) -> int:
    """Return the largest number that fits, to a sixteenth; 0 if 1 does not fit."""
    most, over = 0, 1
    while fits(over):
        most, over = over, 2 * over
    while over - most > max(1, most // 16):
        middle = (most + over) // 2
        most, over = (middle, over) if fits(middle) else (most, middle)
    return most
