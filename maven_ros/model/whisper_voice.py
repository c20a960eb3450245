"""
A voice encoder on the first layers of Whisper (Radford et al. 2022).

Speech recognition has taught these layers what varies between speakers, rooms and languages, so a
small part behind them learns affect from few speakers. The middle layers say more about affect
than the last one; a learnt sum weighs them, as in SUPERB (Yang et al. 2021).

Input is 16 kHz mono float32 in [-1, 1]. Frames of 25 ms every 10 ms, the first at sample 0, none
beyond the end; Hann window, 400-point power spectrum, 80 mel bands of Slaney's scale, log10. Two
things differ from Whisper: the loud frames of each window are brought to one level, because
corpora and microphones differ in level by 20 dB; and a frame is silence unless all of its samples
arrived.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers.audio_utils import mel_filter_bank
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from maven_ros.errors import SettingsError
from maven_ros.model.backbone_configuration import Backbone
from maven_ros.model.backbones import additive_mask, parse_config, quietly
from maven_ros.model.encoders import (
    FRAME_SAMPLES,
    HOP_SAMPLES,
    level_gain,
    mean_and_deviation,
    power_spectrum,
)
from maven_ros.model.time_grid import hidden_keys
from maven_ros.records import SAMPLE_RATE_HZ

GROUP = 5  # of Whisper's 50 vectors a second: one vector for each slot of 0.1 s

_QUIETEST = 1e-10   # power, as in Whisper's own preparation
_RANGE = 8.0        # decades below the largest value that count, likewise


class WhisperVoice(nn.Module):
    """
    Whisper's convolutions and first layers, frozen; a learnt part gives 10 vectors a second.

    :param backbone: the encoder's configuration; ``preparation`` has the ``layers`` to add up,
        counted from 1, and the ``width`` of a vector.
    :raises SettingsError: if the configuration has no such layer, or cannot be built.
    """

    # A vector is centred on the middle one of its group; Whisper's vectors are two frames apart.
    first_s = (FRAME_SAMPLES / 2 + (GROUP - 1) * HOP_SAMPLES) / SAMPLE_RATE_HZ
    step_s = GROUP * 2 * HOP_SAMPLES / SAMPLE_RATE_HZ

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.whisper = _build(backbone)
        self.width: int = backbone.preparation['width']
        self.learnt = LearntVoice(
            len(self.whisper.kept), self.whisper.config.d_model, self.width)

    def forward(self, waveform: Tensor, heard: Tensor) -> tuple[Tensor, Tensor]:
        """
        Encode sound.

        :param waveform: (batch, samples) at 16 kHz in [-1, 1]; at least 1680 samples.
        :param heard: bool (batch, samples), False where no sound arrived; it may be on the host.
        :returns: (batch, length, width), 0 where masked, and its mask (batch, length); the first
            vector stands at ``first_s``, then one every ``step_s``.
        """
        hidden, mask = self.whisper(waveform, heard)
        return torch.where(mask[..., None], self.learnt(hidden, mask), 0), mask


class FirstLayers(WhisperEncoder):  # type: ignore[misc]  # transformers is untyped
    """
    The frozen part: a Whisper's encoder that runs as far as the last layer that is added up.

    :param kept: the layers whose results are given, counted from 1.
    """

    filters: Tensor
    taper: Tensor

    def __init__(self, config: Any, kept: Sequence[int]) -> None:
        super().__init__(config)
        self.kept = list(kept)
        for name, shape in (('filters', (FRAME_SAMPLES // 2 + 1, config.num_mel_bins)),
                            ('taper', (FRAME_SAMPLES,))):
            self.register_buffer(name, torch.empty(shape), persistent=False)
        self._fill()

    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if module is self and 'taper' in self._buffers:  # not while it is built
            self._fill()

    def _fill(self) -> None:
        """Fill the buffers that no checkpoint holds."""
        self.filters.copy_(torch.from_numpy(mel_filter_bank(
            FRAME_SAMPLES // 2 + 1, self.num_mel_bins, 0.0, SAMPLE_RATE_HZ / 2, SAMPLE_RATE_HZ,
            norm='slaney', mel_scale='slaney')))
        self.taper.copy_(torch.hann_window(FRAME_SAMPLES))

    def forward(self, waveform: Tensor, heard: Tensor) -> tuple[Tensor, Tensor]:
        """
        Encode sound.

        :param waveform: as in :meth:`WhisperVoice.forward`, as ``heard``.
        :returns: means of each layer over 0.1 s, (batch, length, layers, width of Whisper), and
            their mask (batch, length).
        """
        mel, mask = self.log_mel(waveform, heard.to(waveform.device, non_blocking=True))
        values = nn.functional.gelu(self.conv1(mel.transpose(1, 2)))
        values = nn.functional.gelu(self.conv2(values)).transpose(1, 2)
        mask = mask[:, ::2]
        positions = torch.arange(values.shape[1], device=values.device)
        values = values + self.embed_positions(
            positions % self.embed_positions.num_embeddings)  # 30 s, then anew
        additive = additive_mask(hidden_keys(mask)[:, None, None], values.dtype)
        kept = []
        for number, layer in enumerate(self.layers[:max(self.kept)], 1):
            values = layer(values, attention_mask=additive)
            if number in self.kept:
                kept.append(values)
        return _mean_of_groups(torch.stack(kept, 2), mask)

    def log_mel(self, waveform: Tensor, heard: Tensor) -> tuple[Tensor, Tensor]:
        """
        Return the spectrogram that Whisper reads; masked frames are silence.

        :returns: (batch, frames, bands) and its mask (batch, frames).
        """
        with torch.autocast(waveform.device.type, enabled=False):
            mask = heard.unfold(-1, FRAME_SAMPLES, HOP_SAMPLES).all(-1)
            sound = torch.where(heard, waveform, 0).float()
            frames = sound.unfold(-1, FRAME_SAMPLES, HOP_SAMPLES) * self.taper
            power = power_spectrum(frames, FRAME_SAMPLES)
            mel = (power @ self.filters) * level_gain(frames, mask)[:, None, None]
            mel = torch.where(mask[..., None], mel.clamp(min=_QUIETEST), _QUIETEST).log10()
            lowest = mel.amax((1, 2), keepdim=True) - _RANGE
            return (torch.maximum(mel, lowest) + 4) / 4, mask


class LearntVoice(nn.Module):
    """
    The learnt part: a learnt sum of layers, and one layer over it.

    :param layers: number of the layers.
    :param own: width of Whisper.
    :param width: width of a vector.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, layers: int, own: int, width: int) -> None:
        super().__init__()
        for name in ('mean', 'scale'):
            self.register_buffer(name, torch.full((layers, own), float(name == 'scale')))
        self.layer_weights = nn.Parameter(torch.zeros(layers))
        self.project = nn.Linear(own, width)
        self.context = nn.Linear(2 * own, width, bias=False)
        self.norm = nn.LayerNorm(width)

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """
        Map what Whisper hears to vectors.

        Each vector rests on its own 0.1 s, and on mean and standard deviation over the window:
        how a voice moves says more about affect than where it is.

        :param hidden: (batch, length, layers, width of Whisper).
        :param mask: bool (batch, length).
        :returns: (batch, length, width); arbitrary finite values where masked.
        """
        standard = (hidden.float() - self.mean) * self.scale
        added = (standard * self.layer_weights.softmax(0)[:, None]).sum(-2)
        context = self.context(mean_and_deviation(added, mask))
        vectors: Tensor = self.norm(nn.functional.gelu(self.project(added) + context))
        return vectors


def _build(backbone: Backbone) -> Any:
    config = parse_config('audio', backbone)
    layers = backbone.preparation['layers']
    if max(layers) > config.encoder_layers:
        raise SettingsError(f'audio.preparation.layers: {layers}; allowed: 1 to '
                            f'{config.encoder_layers}')
    if not 0 < config.num_mel_bins <= FRAME_SAMPLES // 2 + 1:
        raise SettingsError(f'audio.config.num_mel_bins: {config.num_mel_bins}; allowed: 1 to '
                            f'{FRAME_SAMPLES // 2 + 1}')
    try:
        with quietly():
            return FirstLayers(config, layers)
    except Exception as error:  # constructors raise any class for impossible sizes
        raise SettingsError(f'audio.config: cannot be built: {error!r}') from error


def _mean_of_groups(values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Average (batch, length, ...) over groups; the last one may be shorter."""
    batch, length, *rest = values.shape
    more = -length % GROUP
    weights = nn.functional.pad(mask, (0, more)).view(batch, -1, GROUP)
    values = nn.functional.pad(values, (0, 0) * len(rest) + (0, more))
    values = values.reshape(batch, -1, GROUP, *rest)
    count = weights.sum(2)
    shown = torch.where(weights[(...,) + (None,) * len(rest)], values, 0)
    return (shown.sum(2) / count.clamp(min=1)[(...,) + (None,) * len(rest)], count > 0)
