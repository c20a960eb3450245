"""
Read the encoder of a Whisper out of the file that its recogniser runs, in CTranslate2's format.

The file is little-endian: version, name and revision of the model, then each variable with its
name, dimensions, type and values (``ctranslate2/specs/model_spec.py``).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from maven_ros.errors import ResourceError

_VERSION = 6
_FLOATS = {0: np.float32, 4: np.float16}  # by the number of the type
_HEAD_WIDTH = 64  # in every Whisper
_PREFIX = 'encoder/'
#: Names in transformers of what each layer has in the file, beside its attention's input.
_LAYER = {
    'self_attention/layer_norm': 'self_attn_layer_norm', 'self_attention/linear_1':
    'self_attn.out_proj', 'ffn/layer_norm': 'final_layer_norm', 'ffn/linear_0': 'fc1',
    'ffn/linear_1': 'fc2'}
_PARTS = {'weight': 'weight', 'bias': 'bias', 'gamma': 'weight', 'beta': 'bias'}


class WhisperLayers(NamedTuple):
    """
    The first layers of a Whisper's encoder.

    :param config: configuration of an encoder with these layers, for ``Backbone``.
    :param weights: by their names in transformers' ``WhisperEncoder``, float32.
    """

    config: dict[str, Any]
    weights: dict[str, Tensor]


def read_layers(path: Path, layers: int) -> WhisperLayers:
    """
    Read the convolutions, the positions and the first layers.

    :param path: ``model.bin`` of a Whisper in CTranslate2's format, not quantized.
    :raises ResourceError: if it cannot be read, is no such file, or has fewer layers.
    """
    try:
        values = dict(_variables(path.read_bytes()))
        return _named(values, layers)
    except OSError as error:
        raise ResourceError(f'{path}: cannot be read: {error}') from error
    except (KeyError, ValueError, struct.error) as error:
        raise ResourceError(f'{path}: is no encoder of Whisper with {layers} layers in the format '
                            f'of CTranslate2, version {_VERSION}, in floating point: {error!r}'
                            ) from error


def _variables(content: bytes) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """
    Yield the variables of the encoder.

    :raises ValueError: if the content has another format.
    """
    at = 0

    def number(kind: str) -> int:
        nonlocal at
        value, = struct.unpack_from(f'<{kind}', content, at)
        at += struct.calcsize(kind)
        return int(value)

    def text() -> str:
        nonlocal at
        length = number('H')
        at += length
        return content[at - length:at].rstrip(b'\0').decode()

    if number('I') != _VERSION or text() != 'WhisperSpec':
        raise ValueError('another kind of model')
    number('I')  # revision
    for _ in range(number('I')):
        name = text()
        shape = [number('I') for _ in range(number('B'))]
        kind, size = number('B'), number('I')
        at += size
        if name.startswith(_PREFIX) and shape:
            if kind not in _FLOATS:
                raise ValueError(f'{name} is quantized')
            yield name[len(_PREFIX):], np.frombuffer(
                content, _FLOATS[kind], int(np.prod(shape)), at - size
            ).reshape(shape).astype(np.float32)


def _named(values: Mapping[str, NDArray[np.float32]], layers: int) -> WhisperLayers:
    width, bands, _ = values['conv1/weight'].shape
    positions = values['position_encodings/encodings']
    named = {f'{name}.{part}': values[f'{name}/{part}'] for name in ('conv1', 'conv2')
             for part in ('weight', 'bias')}
    named['embed_positions.weight'] = positions
    for number in range(layers):
        own, theirs = f'layer_{number}/', f'layers.{number}.'
        weight, bias = (np.split(values[f'{own}self_attention/linear_0/{part}'], 3)
                        for part in ('weight', 'bias'))
        for place, name in enumerate(('q_proj', 'k_proj', 'v_proj')):
            named[f'{theirs}self_attn.{name}.weight'] = weight[place]
            if name != 'k_proj':  # which has no bias of its own
                named[f'{theirs}self_attn.{name}.bias'] = bias[place]
        for name, target in _LAYER.items():
            for part, called in _PARTS.items():
                if (value := values.get(f'{own}{name}/{part}')) is not None:
                    named[f'{theirs}{target}.{called}'] = value
    for part in ('weight', 'bias'):  # the norm after the last layer, which is not used
        named[f'layer_norm.{part}'] = np.full(width, float(part == 'weight'), np.float32)
    config = {
        'model_type': 'whisper', 'd_model': width, 'num_mel_bins': bands,
        'encoder_layers': layers, 'encoder_attention_heads': width // _HEAD_WIDTH,
        'encoder_ffn_dim': len(values['layer_0/ffn/linear_0/weight']),
        'max_source_positions': len(positions)}
    return WhisperLayers(config, {name: torch.from_numpy(np.ascontiguousarray(value))
                                  for name, value in named.items()})
