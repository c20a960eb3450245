"""The engine on a GPU, where there is one."""

import dataclasses

import numpy as np
import pytest
import torch

from maven_ros.model.incremental import Memory
from maven_ros.records import NS, Box, Evidence, Face, Word

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason='no GPU')


def windows(crop_px, hops=3):
    """Yield the windows of three cameras: one without sound, one where sound breaks off early."""
    random = np.random.default_rng(0)
    faces = [Face(at * NS // 5, 'p', Box(0, 0, 1, 1), random.integers(
        0, 256, (crop_px, crop_px, 3), np.uint8)) for at in range(5 + hops)]
    for hop in range(hops):
        start_ns = hop * NS // 5
        piece = Evidence(
            start_ns, start_ns + NS, 'p', tuple(faces[hop:hop + 5]),
            random.normal(0, 0.1, 16_000).astype(np.float32), np.ones(16_000, np.bool_),
            (Word('good', start_ns, start_ns + NS // 2, 1.0),) * (1 + hop))
        yield [piece, dataclasses.replace(piece, waveform=piece.waveform[:0],
                                          heard=piece.heard[:0]),
               dataclasses.replace(piece, waveform=-piece.waveform,
                                   heard=np.arange(16_000) < 9_000, words=())]


def run(engine):
    memories, rows = [Memory() for _ in range(3)], []
    for pieces in windows(engine.crop_px):
        for [one] in engine.infer_streams(
                [(memory, [piece]) for memory, piece in zip(memories, pieces, strict=True)]):
            rows.append((one.affect.valence, one.affect.arousal, *one.influence))
    return np.array(rows)


@pytest.mark.parametrize(('precision', 'tolerance'), [('fp32', 1e-3), ('bf16', 0.05)])
def test_agrees_with_the_processor(make_engine, precision, tolerance):
    expected = run(make_engine(device='cpu', precision='fp32'))
    found = run(make_engine(device='cuda', precision=precision))
    np.testing.assert_allclose(found[:, :2], expected[:, :2], atol=tolerance)


def test_waits_for_the_gpu_once(make_engine):
    """All of encoding and fusing is queued; only the estimates are waited for."""
    engine = make_engine(device='cuda')
    engine.warm_up()
    memories = [Memory() for _ in range(3)]
    for pieces in windows(engine.crop_px):
        with torch.inference_mode(), torch.autocast('cuda', engine._dtype):
            torch.cuda.set_sync_debug_mode('error')
            try:
                rows = list(zip(memories, pieces, strict=True))
                engine._encoder.forget(rows)
                engine._table(rows)
            finally:
                torch.cuda.set_sync_debug_mode('default')


def test_a_gpu_that_is_too_small_is_given_up(make_engine):
    engine = make_engine(device='cuda')
    share = 0.5 * torch.cuda.memory_reserved() / torch.cuda.mem_get_info()[1]
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(share)
    try:
        assert len(run(engine)) == 9
        assert engine.device in ('cpu', 'cuda')
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
