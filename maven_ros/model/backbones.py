"""
Transformers encoders behind the interface of :mod:`maven_ros.model.encoders`.

Supported are image models that pool or have a class token or a grid of positions (Swin, ViT,
ConvNeXt), speech models of the wav2vec 2.0 family (HuBERT, wav2vec2, WavLM), and language models
that read ``first tokens last`` (RoBERTa, XLM-R, DistilBERT, DeBERTa v2 and v3).

As in the compact encoders, masked input never affects unmasked output. A speech model receives
silence where no sound arrived, and its output there is masked.
"""

from __future__ import annotations

import inspect
import math
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import MODEL_MAPPING, AutoConfig, AutoModel, PretrainedConfig
from transformers.utils import logging

from maven_ros.errors import SettingsError
from maven_ros.model.backbone_configuration import Backbone
from maven_ros.model.encoders import unit_range
from maven_ros.model.time_grid import hidden_keys
from maven_ros.records import SAMPLE_RATE_HZ

#: By these a folder asks for code from elsewhere: its own, or kernels of the hub. The code of
#: transformers runs, whatever stands there.
_CODE = ('auto_map', 'attn_implementation', '_attn_implementation', 'experts_implementation',
         '_experts_implementation')


#: The largest sizes, by the names of their fields: transformers builds layers one by one, and
#: allocates some vectors, before any weights can be held against the sizes.
_MOST = {re.compile('layers|depth'): 200, re.compile('hidden_size|dim|d_model|width'): 65535}
_MOST_SAMPLES = 60 * SAMPLE_RATE_HZ  # that a vector of sound covers, or that lie between two


def _too_large(values: dict[str, Any]) -> Iterator[tuple[str, Any, int]]:
    """Yield the sizes that are beyond any model's, and the largest that are allowed."""
    for name, value in values.items():
        if isinstance(value, dict) and name.endswith('_config'):
            yield from _too_large(value)
        sizes = value if isinstance(value, list | tuple) else [value]
        for pattern, most in _MOST.items():
            if pattern.search(name) and any(
                    one > most for one in sizes if type(one) in (int, float)):
                yield name, value, most


def parse_config(part: str, backbone: Backbone) -> PretrainedConfig:
    """
    Return the transformers configuration of a backbone, without keys that load other code.

    :param part: name of the modality, for messages.
    :raises SettingsError: if transformers has no such model, or the weights are quantized.
    """
    values = {name: value for name, value in backbone.config.items() if name not in _CODE}
    kind = values.pop('model_type', None)
    if values.get('quantization_config') is not None:
        raise SettingsError(f'{part}.config: quantization_config: weights are read as floating '
                            'point; allowed: none')
    for name, value, most in _too_large(values):
        raise SettingsError(f'{part}.config: {name}: {value!r} is more than any model has; '
                            f'allowed: up to {most}')
    try:
        with quietly():
            config = AutoConfig.for_model(kind, **values)
            config.to_diff_dict()  # as it is written: what does not fit together shows here
    except Exception as error:  # its type checks raise no narrower class
        raise SettingsError(f'{part}.config: {kind!r} is not a transformers model: '
                            f'{" ".join(str(error).split())}') from error
    if type(config) not in MODEL_MAPPING:
        raise SettingsError(f'{part}.config: {kind!r} is not a transformers encoder')
    return config


@contextmanager
def quietly() -> Iterator[None]:
    """Keep transformers from drawing bars and warning of what is checked here anyway."""
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(logging.CRITICAL)
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def build_options(config: PretrainedConfig) -> dict[str, Any]:
    """Return further options to build a model: without the pooler, which serves another task."""
    parameters = inspect.signature(MODEL_MAPPING[type(config)].__init__).parameters
    return {'add_pooling_layer': False} if 'add_pooling_layer' in parameters else {}


def build(part: str, backbone: Backbone) -> Any:
    """Build a transformers model with random weights."""
    config = parse_config(part, backbone)
    try:
        return AutoModel.from_config(config, trust_remote_code=False, **build_options(config))
    except Exception as error:  # constructors raise any class for impossible sizes
        raise SettingsError(f'{part}.config: cannot be built: {error!r}') from error


def _width(config: PretrainedConfig) -> int:
    """Return the width of what a model says, under any of the names that models have for it."""
    for name in ('hidden_sizes', 'hidden_size', 'hidden_dim', 'd_model', 'embed_dim'):
        width = getattr(config, name, None)
        if name == 'hidden_sizes' and width:
            width = width[-1]
        if type(width) is int:
            if width < 1:
                raise SettingsError(f'{config.model_type}: {name}: {width} is not above 0')
            return width
    raise SettingsError(f'{config.model_type}: its configuration does not name the width of what '
                        'it says; allowed: hidden_size, hidden_sizes, hidden_dim, d_model, '
                        'embed_dim')


class FaceBackbone(nn.Module):
    """An image model: one vector per face crop, with the model's own pooling."""

    mean: Tensor
    std: Tensor

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = build('video', backbone)
        self.width = _width(self.backbone.config)
        self._preparation = backbone.preparation
        for name in ('mean', 'std'):
            self.register_buffer(name, torch.empty(3, 1, 1), persistent=False)
        self.reset_buffers()

    def reset_buffers(self) -> None:
        """Fill the buffers that no checkpoint holds."""
        for name in ('mean', 'std'):
            values = np.array(self._preparation[name], np.float32)
            getattr(self, name).copy_(torch.from_numpy(values)[:, None, None])

    def forward(self, crops: Tensor) -> Tensor:
        """
        Encode each crop by itself.

        :param crops: (n, 3, side, side), BGR, uint8 or float in [0, 1]; the side is ``crop_px``.
        :returns: (n, width).
        """
        pictures = (unit_range(crops).flip(1) - self.mean) / self.std
        if not len(pictures):  # some backbones fail on an empty batch
            return pictures.new_zeros(0, self.width)
        output = self.backbone(pictures)
        pooled: Tensor | None = getattr(output, 'pooler_output', None)
        if pooled is not None:
            return pooled.flatten(1)
        positions: Tensor = output.last_hidden_state
        if getattr(getattr(self.backbone, 'embeddings', None), 'cls_token', None) is not None:
            return positions[:, 0]
        return positions.mean(1)


class VoiceBackbone(nn.Module):
    """A speech model: it gives a vector where its convolutions saw only sound that arrived."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = build('audio', backbone)
        config = self.backbone.config
        self.width = _width(config)
        self.normalize = bool(backbone.preparation['normalize'])
        # Group norm averages over time, so padding would change the values before it.
        self.takes_padding = config.feat_extract_norm == 'layer'
        self.step_samples = math.prod(config.conv_stride)
        self.field_samples = 1
        for kernel, stride in zip(reversed(config.conv_kernel), reversed(config.conv_stride),
                                  strict=True):
            self.field_samples = (self.field_samples - 1) * stride + kernel
        if max(self.step_samples, self.field_samples) > _MOST_SAMPLES:
            raise SettingsError('audio.config: conv_kernel, conv_stride: a vector is of more than '
                                f'{_MOST_SAMPLES} samples; allowed: fewer')
        self.first_s = self.field_samples / 2 / SAMPLE_RATE_HZ
        self.step_s = self.step_samples / SAMPLE_RATE_HZ

    def forward(self, waveform: Tensor, heard: Tensor) -> tuple[Tensor, Tensor]:
        """
        Encode sound.

        Everything after the last sample that arrived is padding. A model with layer norm receives
        it masked. A model with group norm (HuBERT base) never sees it and runs once per length.

        :param waveform: (batch, samples) at 16 kHz in [-1, 1]; at least ``field_samples``.
        :param heard: bool (batch, samples), False where no sound arrived; best on the host, so
            that counting does not wait for the device.
        :returns: (batch, length, width), 0 where masked, and its mask (batch, length); the first
            vector stands at ``first_s``, then one every ``step_s``.
        """
        lengths = self._lengths(heard)
        heard = heard.to(waveform.device, non_blocking=True)
        sound = self._prepare(waveform, heard)
        mask = heard.unfold(-1, self.field_samples, self.step_samples).all(-1)
        if len(set(lengths)) == 1:
            values = self._whole(sound[:, :lengths[0]], mask.shape[1])
        elif self.takes_padding:
            order = torch.arange(heard.shape[1], device=heard.device)
            ends = torch.tensor(lengths, device=heard.device)
            values = self.backbone(
                sound, attention_mask=(order < ends[:, None]).long()).last_hidden_state
        else:
            values = self._by_length(sound, lengths, mask.shape[1])
        return torch.where(mask[..., None], values, 0), mask

    def _lengths(self, heard: Tensor) -> list[int]:
        """Return the number of samples in each row up to the last one that arrived."""
        order = torch.arange(1, heard.shape[1] + 1, device=heard.device)
        lengths: list[int] = (heard * order).amax(-1).clamp(min=self.field_samples).tolist()
        return lengths

    def _prepare(self, waveform: Tensor, heard: Tensor) -> Tensor:
        sound = torch.where(heard, waveform, 0)
        if not self.normalize:
            return sound
        samples = heard.sum(-1, keepdim=True).clamp(min=1)
        centred = torch.where(heard, sound - sound.sum(-1, keepdim=True) / samples, 0)
        variance = centred.square().sum(-1, keepdim=True) / samples
        return centred / (variance + 1e-7).sqrt()  # as in Wav2Vec2FeatureExtractor

    def _by_length(self, sound: Tensor, lengths: list[int], vectors: int) -> Tensor:
        values = sound.new_zeros(len(sound), vectors, self.width)
        for length in sorted(set(lengths)):
            rows = [row for row, own in enumerate(lengths) if own == length]
            same = self._whole(torch.stack([sound[row, :length] for row in rows]), vectors)
            for row, encoded in zip(rows, same, strict=True):
                values[row] = encoded
        return values

    def _whole(self, sound: Tensor, vectors: int) -> Tensor:
        """Encode sound without padding, then pad the result with 0 to a number of vectors."""
        encoded: Tensor = self.backbone(sound).last_hidden_state.float()
        return nn.functional.pad(encoded, (0, 0, 0, vectors - encoded.shape[1]))


class TextBackbone(nn.Module):
    """A language model: one vector per subword; it reads the subwords as one sentence."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = build('text', backbone)
        self.width = _width(self.backbone.config)
        self.first, self.last, self.pad = (
            backbone.preparation[name] for name in ('first', 'last', 'pad'))
        self._adds_mask = _adds_mask(self.backbone)
        #: Number of positions for subwords, without the two special tokens.
        self.max_tokens = self._positions() - 2
        self.vocabulary: int = self.backbone.config.vocab_size

    def _positions(self) -> int:
        positions: int = getattr(self.backbone.config, 'max_position_embeddings', -1)
        if positions < 0:  # relative positions have no limit
            return sys.maxsize
        table = getattr(getattr(self.backbone, 'embeddings', None), 'position_embeddings', None)
        padding = getattr(table, 'padding_idx', None)
        # RoBERTa and related models number positions from after the padding id.
        return positions if padding is None else positions - padding - 1

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """
        Encode subwords in their context.

        :param tokens: int64 (batch, length), ids of the tokenizer, without special tokens.
        :param mask: bool (batch, length), False for padding, which follows the last subword.
        :returns: (batch, length, width); arbitrary finite values where masked.
        """
        lengths = mask.sum(1, keepdim=True)
        sentence = nn.functional.pad(tokens.where(mask, self.pad), (1, 1), value=self.pad)
        sentence[:, 0] = self.first
        sentence.scatter_(1, lengths + 1, self.last)
        order = torch.arange(sentence.shape[1], device=tokens.device)
        hidden = order >= lengths + 2
        # Built here, because transformers would wait for the device to build it.
        attended = (additive_mask(hidden[:, None, None], torch.float32) if self._adds_mask
                    else (~hidden).long())
        encoded: Tensor = self.backbone(sentence, attention_mask=attended).last_hidden_state
        return encoded[:, 1:-1]


class BeitLayers(nn.Module):
    """
    The layers of a BEiT, applied to a sequence in time (eq. 21-25).

    Eq. 21-24 describe additive attention. BEiT's own is scaled dot-product attention; its weights
    are trained for that, and the authors' code runs it. BEiT's relative positions describe a grid
    of patches and are omitted.
    """

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        model = build('context', backbone)
        self.layers, self.norm = model.layers, model.layernorm

    def forward(self, values: Tensor, mask: Tensor) -> Tensor:
        """
        Attend to what is unmasked.

        :param values: finite (batch, length, width).
        :param mask: bool (batch, length), False where there is nothing.
        :returns: (batch, length, width); arbitrary finite values where masked.
        """
        additive = additive_mask(hidden_keys(mask)[:, None, None], values.dtype)
        for layer in self.layers:
            values = layer(values, attention_mask=additive)
        normed: Tensor = self.norm(values)
        return normed


def _adds_mask(model: nn.Module) -> bool:
    """
    Return whether a model adds a four-dimensional mask to all of its attention scores.

    Models that use transformers' mask function do. Others (DeBERTa, XLNet) read masks in their own
    way, and models with sliding windows would lose the windows.
    """
    names = vars(sys.modules[type(model).__module__])
    return ('create_bidirectional_mask' in names
            and 'create_bidirectional_sliding_window_mask' not in names)


def additive_mask(hidden: Tensor, dtype: torch.dtype) -> Tensor:
    """Return the additive mask of attention scores, given the hidden positions."""
    lowest = torch.finfo(dtype).min
    return torch.zeros_like(hidden, dtype=dtype).masked_fill(hidden, lowest)
