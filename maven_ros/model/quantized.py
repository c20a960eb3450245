"""
Weights in a few bits: blocks of 32 with one scale each, as Q4_0 and Q8_0 of GGML store them.

A weight is (code - 2 ** (bits - 1)) times its block's scale. Codes of 4 bits share bytes: the low
half of byte ``i`` of a block is its weight ``i``, the high half is its weight ``i + 16``.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

BLOCK = 32
BITS = (4, 8)
_ROWS_AT_ONCE = 4096


class Quantized(NamedTuple):
    """
    Weights (rows, width) in a few bits.

    :param codes: uint8 (rows, width * bits / 8).
    :param scales: float16 (rows, width / BLOCK).
    """

    codes: Tensor
    scales: Tensor


def quantize(values: Tensor, bits: int) -> Quantized:
    """
    Quantize weights; those that were quantized in the same number of bits stay as they are.

    :param values: float (rows, width), of which the width is a multiple of ``BLOCK``.
    :param bits: one of ``BITS``.
    """
    parts = [_quantize(part.float(), bits) for part in torch.split(values, _ROWS_AT_ONCE)]
    return Quantized(*(torch.cat(same) for same in zip(*parts, strict=True)))


def dequantize(quantized: Quantized, bits: int) -> Tensor:
    """Return the weights, float32 (..., width), of codes (..., bytes) and scales (..., blocks)."""
    codes = _blocks(quantized.codes, BLOCK * bits // 8)
    if bits == 4:
        codes = torch.cat([codes & 15, codes >> 4], -1)
    steps = codes.float() - 2 ** (bits - 1)
    weights: Tensor = (steps * quantized.scales.float()[..., None]).flatten(-2)
    return weights


def _blocks(values: Tensor, size: int) -> Tensor:
    return values.reshape(*values.shape[:-1], -1, size)


def _quantize(values: Tensor, bits: int) -> Quantized:
    blocks = _blocks(values, BLOCK)
    low, high = -2 ** (bits - 1), 2 ** (bits - 1) - 1
    largest = blocks.abs().amax(-1, keepdim=True)
    best = torch.full_like(largest, torch.inf)
    scales, steps = torch.zeros_like(largest), torch.zeros_like(blocks)
    # The largest weight stands on some step, above or below zero; the best one is searched.
    for step in (high,) if bits == 8 else (*range(low, 0), *range(1, -low + 1)):
        scale = (largest / step).half().float()
        found = (blocks / scale.where(scale != 0, 1)).round().clamp(low, high)
        error = (found * scale - blocks).square().sum(-1, keepdim=True)
        better = error < best
        best, scales = error.where(better, best), scale.where(better, scales)
        steps = found.where(better, steps)
    codes = (steps - low).to(torch.uint8)
    if bits == 4:
        first, second = codes.chunk(2, -1)
        codes = first | second << 4
    return Quantized(codes.flatten(-2), scales[..., 0].half())


class QuantizedEmbedding(nn.Module):
    """
    A table of vectors in 4 bits, read where it lies: a row becomes floats when it is asked for.

    :param rows: number of vectors.
    :param width: their width, a multiple of ``BLOCK``.
    """

    codes: Tensor
    scales: Tensor

    def __init__(self, rows: int, width: int) -> None:
        super().__init__()
        self.register_buffer('codes', torch.full((rows, width // 2), 0x88, dtype=torch.uint8))
        self.register_buffer('scales', torch.zeros(rows, width // BLOCK))

    def forward(self, ids: Tensor) -> Tensor:
        """Map ids (...) to vectors, float32 (..., width)."""
        return dequantize(Quantized(self.codes[ids], self.scales[ids]), 4)
