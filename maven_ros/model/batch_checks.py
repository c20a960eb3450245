"""Checks of a batch of windows before it enters the network; each fault has a name."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from maven_ros import rules
from maven_ros.errors import InputError
from maven_ros.model.batch import MavenInputs
from maven_ros.model.configuration import MavenConfig
from maven_ros.records import LOUDEST, SAMPLE_RATE_HZ, nanoseconds

_TOGETHER = (('frames', 'frame_mask'), ('waveform', 'heard'),
             ('tokens', 'token_mask', 'token_weights'))
_ROUNDING = 1e-5  # tolerance beyond [0, 1] for rounding in the scaling of pictures


def check_inputs(inputs: MavenInputs, config: MavenConfig, field_samples: int) -> None:
    """
    Refuse a batch that the network cannot process, or would misinterpret.

    The check reads values, so it waits for a GPU; use it for whole batches, not in every hop of a
    robot. Masked frames and samples may have any value, even NaN; ids must be valid everywhere.

    :param field_samples: receptive field of the voice encoder, in samples.
    :raises InputError: ``empty_window``, ``incomplete``, ``no_modality``, ``batch_size``,
        ``bad_shape``, ``waveform_length``, ``too_many_subwords``, ``not_finite`` or
        ``out_of_range``; the message names the field, its value and the allowed values.
    """
    slots, slot_s = inputs.grid
    if slots < 1 or not 0 < slot_s < math.inf:
        raise InputError('empty_window', f'grid: {slots} slots of {slot_s} s; allowed: at least '
                                         '1 slot, longer than 0 s')
    for names in _TOGETHER:
        absent = [name for name in names if getattr(inputs, name) is None]
        if 0 < len(absent) < len(names):
            raise InputError('incomplete', f'{", ".join(absent)}: None; allowed: '
                                           f'{", ".join(names)} together, or none of them')
    batch = inputs.batch_size
    if inputs.frames is not None and inputs.frame_mask is not None:
        _check_video(inputs.frames, inputs.frame_mask, (batch, slots), config.crop_px)
    if inputs.waveform is not None and inputs.heard is not None:
        _check_audio(inputs.waveform, inputs.heard, slots * slot_s, field_samples)
    if (inputs.tokens is not None and inputs.token_mask is not None
            and inputs.token_weights is not None):
        _check_tokens(inputs.tokens, inputs.token_mask, config)
        _check_weights(inputs.token_weights, inputs.token_mask, (batch, slots))


def _check_video(frames: Tensor, mask: Tensor, places: tuple[int, int], side: int) -> None:
    _check_shape('frames', frames, (torch.uint8, torch.float32), (*places, 3, side, side))
    _check_shape('frame_mask', mask, (torch.bool,), places)
    seen = frames[mask]
    if seen.dtype == torch.uint8 or not len(seen):
        return
    low, high = (value.item() for value in seen.aminmax())
    if not (math.isfinite(low) and math.isfinite(high)):
        raise InputError('not_finite', 'frames: NaN or infinity where frame_mask is True; '
                                       'allowed: [0, 1]')
    if low < -_ROUNDING or high > 1 + _ROUNDING:
        raise InputError('out_of_range', f'frames: {low:g} to {high:g}; allowed: [0, 1] of float, '
                                         'or uint8')


def _check_audio(waveform: Tensor, heard: Tensor, window_s: float, field_samples: int) -> None:
    if waveform.dtype != torch.float32 or waveform.ndim != 2:
        raise InputError('bad_shape', f'waveform: {_kind(waveform)}; allowed: float32 '
                                      '(batch, samples)')
    found, expected = waveform.shape[1], rules.window_samples(nanoseconds(window_s))
    if abs(found - expected) > 1:  # the end of a window may lie between two samples
        raise InputError('waveform_length', f'waveform: {found} samples; allowed: {expected}, '
                                            f'{window_s:g} s at {SAMPLE_RATE_HZ} Hz')
    if found < field_samples:
        raise InputError('waveform_length', f'waveform: {found} samples; allowed: at least '
                                            f'{field_samples}, for the first vector')
    _check_shape('heard', heard, (torch.bool,), tuple(waveform.shape))
    if not (waveform.isfinite() | ~heard).all():
        raise InputError('not_finite', 'waveform: NaN or infinity where heard is True; allowed: '
                                       'finite values')
    loudest = waveform.abs().masked_fill(~heard, 0).amax().item()
    if loudest > LOUDEST:
        raise InputError('out_of_range', f'waveform: a sample has the magnitude {loudest:g} '
                                         f'where heard is True; allowed: [-{LOUDEST}, {LOUDEST}]')


def _check_tokens(tokens: Tensor, mask: Tensor, config: MavenConfig) -> None:
    if tokens.dtype != torch.int64 or tokens.ndim != 2 or not tokens.shape[1]:
        raise InputError('bad_shape', f'tokens: {_kind(tokens)}; allowed: int64 (batch, tokens), '
                                      'at least 1')
    if tokens.shape[1] > config.max_tokens:
        raise InputError('too_many_subwords', f'tokens: {tokens.shape[1]} subwords; allowed: '
                                              f'{config.max_tokens}')
    _check_shape('token_mask', mask, (torch.bool,), tuple(tokens.shape))
    low, high = (int(value) for value in tokens.aminmax())
    if low < 0 or high >= config.vocabulary:
        raise InputError('out_of_range', f'tokens: ids from {low} to {high}; allowed: 0 to '
                                         f'{config.vocabulary - 1}')
    if (mask[:, 1:] & ~mask[:, :-1]).any():
        raise InputError('out_of_range', 'token_mask: True after a False; allowed: padding at the '
                                         'end only')


def _check_weights(weights: Tensor, mask: Tensor, places: tuple[int, int]) -> None:
    _check_shape('token_weights', weights, (torch.float32,), (*places, mask.shape[1]))
    low, high = (value.item() for value in weights.aminmax())
    if not (math.isfinite(low) and math.isfinite(high)):
        raise InputError('not_finite', 'token_weights: NaN or infinity; allowed: finite values')
    if low < 0:
        raise InputError('out_of_range', f'token_weights: {low:g}; allowed: 0 and above')
    if (weights * ~mask[:, None]).any():
        raise InputError('out_of_range', 'token_weights: not 0 where token_mask is False; '
                                         'allowed: 0 there')


def _check_shape(
    name: str, value: Tensor, kinds: tuple[torch.dtype, ...], shape: tuple[int, ...],
) -> None:
    if value.dtype not in kinds or value.shape != shape:
        allowed = ' or '.join(str(kind).removeprefix('torch.') for kind in kinds)
        raise InputError('bad_shape', f'{name}: {_kind(value)}; allowed: {allowed} {shape}')


def _kind(value: Tensor) -> str:
    return f'{str(value.dtype).removeprefix("torch.")} {tuple(value.shape)}'
