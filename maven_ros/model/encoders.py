"""
The three compact encoders, and the contract for their input.

- **Face**: square crops, uint8 BGR (:class:`maven_ros.records.Face`), divided by 255, converted to
  grey by ITU-R BT.601 (0.299 R + 0.587 G + 0.114 B), then normalised, each crop by itself, to mean
  0 and standard deviation 1, so that dim light has no effect.
- **Voice**: 16 kHz mono float32 in [-1, 1]. Frames of 25 ms every 10 ms, the first at sample 0,
  none beyond the end; Hann window, 512-point power spectrum, triangular mel bands
  (:func:`mel_bands`). The loud frames of each window are brought to one level. Then the natural
  log of the power plus 1e-6, minus ``log_mel_mean``, divided by ``log_mel_std``. A frame is valid
  only if all of its samples arrived. The encoder returns a vector every 40 ms, which is valid if
  the frame at its time is.
- **Text**: ids of ``tokenizer.json``, which lower-cases text and drops punctuation, as speech
  recognisers do; words are in order of time.

Masked input never affects unmasked output: every layer that mixes over time uses the mask, and no
layer mixes over the batch.

All other encoders (:mod:`maven_ros.model.backbones`) have the same interface: ``width``, a
``forward`` with the same arguments and results, and for sound ``first_s`` and ``step_s``.
"""

from __future__ import annotations

import copy
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from maven_ros.model.configuration import MavenConfig
from maven_ros.model.time_grid import hidden_keys, sinusoids
from maven_ros.records import SAMPLE_RATE_HZ

Encoder = TypeVar('Encoder', bound=nn.Module)

FRAME_SAMPLES = 400   # 25 ms
HOP_SAMPLES = 160     # 10 ms
FFT_SAMPLES = 512

_LOG_FLOOR = 1e-6
_LEVEL_DB = -23.0   # of the loud frames, relative to full scale
_LOUD_DB = 20.0     # a frame is loud if it is at most this far below the loudest one
_SILENT = 1e-10     # mean power of what has no level
_TINY = 1e-5
_CONTRAST_FLOOR = 2 / 255  # limits the amplification of noise in a flat crop
_GREY = (0.114, 0.587, 0.299)  # weights of B, G, R


def unit_range(crops: Tensor) -> Tensor:
    """Return crops as floats in [0, 1], from uint8 or from floats in [0, 1]."""
    return crops.float() / 255 if crops.dtype == torch.uint8 else crops


def grey(crops: Tensor) -> Tensor:
    """
    Return the lightness of crops.

    :param crops: (n, 3, side, side), BGR, uint8 or float in [0, 1].
    :returns: (n, 1, side, side) in [0, 1].
    """
    blue, green, red = unit_range(crops).unbind(1)
    return (_GREY[0] * blue + _GREY[1] * green + _GREY[2] * red)[:, None]


def mel_bands(bands: int, low_hz: float, high_hz: float) -> NDArray[np.float32]:
    """
    Return triangular filters with peaks of 1, evenly spaced in mel = 2595 log10(1 + f / 700).

    :param bands: number of filters.
    :param low_hz: lower edge of the first one.
    :param high_hz: upper edge of the last one.
    :returns: float32 (257, bands), to apply to the power spectrum from 0 to 8000 Hz.
    """
    low, high = (2595 * np.log10(1 + hz / 700) for hz in (low_hz, high_hz))
    edges = 700 * (10 ** (np.linspace(low, high, bands + 2) / 2595) - 1)
    hz = np.linspace(0, SAMPLE_RATE_HZ / 2, FFT_SAMPLES // 2 + 1)[:, None]
    rising = (hz - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - hz) / (edges[2:] - edges[1:-1])
    return np.maximum(0, np.minimum(rising, falling)).astype(np.float32)


def power_spectrum(frames: Tensor, points: int) -> Tensor:
    """Return the power of frames (..., samples) at the frequencies, (..., points // 2 + 1)."""
    spectrum = torch.fft.rfft(frames, points)
    power: Tensor = spectrum.real.square().addcmul_(spectrum.imag, spectrum.imag)
    return power


def level_gain(frames: Tensor, mask: Tensor) -> Tensor:
    """
    Return the power gains that bring the loud frames of windows to one level; 1 for silence.

    Corpora and microphones differ in level by 20 dB.

    :param frames: (batch, frames, samples), under a Hann window.
    :param mask: bool (batch, frames).
    :returns: (batch,).
    """
    power = frames.square().mean(-1) * mask / 0.375  # the mean of a squared Hann window
    loud = power >= power.amax(1, keepdim=True) * 10 ** (-_LOUD_DB / 10)
    level = (power * loud).sum(1) / loud.sum(1)
    gain: Tensor = torch.where(level > _SILENT, 10 ** (_LEVEL_DB / 10) / level, 1)
    return gain


def mean_and_deviation(values: Tensor, mask: Tensor) -> Tensor:
    """
    Return mean and standard deviation over time.

    :param values: (batch, length, width); arbitrary where masked.
    :param mask: bool (batch, length).
    :returns: (batch, 1, 2 * width).
    """
    shown = mask[..., None]
    count = shown.sum(1, keepdim=True).clamp(min=1)
    mean = torch.where(shown, values, 0).sum(1, keepdim=True) / count
    variance = torch.where(shown, values - mean, 0).square().sum(1, keepdim=True) / count
    return torch.cat([mean, (variance + _TINY).sqrt()], -1)


def _convolution(
    channels_in: int, channels: int, kernel: int, stride: int | tuple[int, int], normed: bool,
) -> tuple[nn.Module, nn.Module]:
    """Return a convolution, and the batch normalisation after it or an identity."""
    return (nn.Conv2d(channels_in, channels, kernel, stride, kernel // 2, bias=not normed),
            nn.BatchNorm2d(channels) if normed else nn.Identity())


def folded(encoder: Encoder) -> Encoder:
    """Return the encoder in evaluation mode, with the normalisation folded into convolutions."""
    encoder = copy.deepcopy(encoder).eval()
    for layers in encoder.modules():
        if isinstance(layers, nn.Sequential):
            for index in range(len(layers) - 1):
                convolution, norm = layers[index], layers[index + 1]
                if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                    layers[index] = fuse_conv_bn_eval(convolution, norm)
                    layers[index + 1] = nn.Identity()
    return encoder


class FaceBlock(nn.Module):
    """
    A residual block of two 3x3 convolutions; the first may halve the picture.

    Squeeze and excitation (Hu et al. 2018) weights the channels of the residual before the sum.

    :param normed: whether batch normalisation follows each convolution.
    """

    def __init__(self, channels_in: int, channels: int, stride: int, normed: bool) -> None:
        super().__init__()
        self.convolve = nn.Sequential(
            *_convolution(channels_in, channels, 3, stride, normed), nn.ReLU(),
            *_convolution(channels, channels, 3, 1, normed))
        self.weigh = nn.Sequential(
            nn.Linear(channels, channels // 8), nn.ReLU(),
            nn.Linear(channels // 8, channels), nn.Sigmoid())
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or channels_in != channels:
            self.shortcut = nn.Sequential(
                nn.AvgPool2d(stride, ceil_mode=True),
                *_convolution(channels_in, channels, 1, 1, normed))

    def forward(self, pictures: Tensor) -> Tensor:
        """Map (n, channels_in, side, side) to (n, channels, side / stride, side / stride)."""
        change = self.convolve(pictures)
        weighed = change * self.weigh(change.mean((2, 3)))[:, :, None, None]
        together: Tensor = weighed + self.shortcut(pictures)
        return together.relu()


class FaceEncoder(nn.Module):
    """
    A small residual network: one vector per face crop.

    :param normed: whether batch normalisation follows each convolution. It helps to train the
        encoder alone, but mixes crops; inside MAVEN it is :func:`folded` away.
    """

    def __init__(self, config: MavenConfig, normed: bool = False) -> None:
        super().__init__()
        first, *rest = config.face_channels
        self.width = config.face_channels[-1]
        self.stem = nn.Sequential(*_convolution(1, first, 3, 1, normed), nn.ReLU())
        blocks = []
        for before, after in zip(config.face_channels, rest, strict=False):
            blocks.append(FaceBlock(before, after, 2, normed))
            blocks.extend(
                FaceBlock(after, after, 1, normed) for _ in range(config.face_blocks - 1))
        self.blocks = nn.Sequential(*blocks)
        self.norm = nn.LayerNorm(self.width)

    def forward(self, crops: Tensor) -> Tensor:
        """
        Encode each crop by itself.

        :param crops: (n, 3, side, side), BGR, uint8 or float in [0, 1].
        :returns: (n, width).
        """
        return self.encode_grey(grey(crops))

    def encode_grey(self, shades: Tensor) -> Tensor:
        """Encode the lightness of crops: (n, 1, side, side) in [0, 1] to (n, width)."""
        centred = shades - shades.mean((1, 2, 3), keepdim=True)
        variance = centred.square().mean((1, 2, 3), keepdim=True)
        pictures = centred / variance.clamp(min=_CONTRAST_FLOOR ** 2).sqrt()
        vectors: Tensor = self.norm(self.blocks(self.stem(pictures)).mean((2, 3)))
        return vectors


class VoiceBlock(nn.Module):
    """
    A residual block of two 3x3 convolutions over time and mel bands; it halves the bands.

    Masked values are 0 in front of both convolutions.

    :param stride: stride over time.
    :param normed: whether batch normalisation follows each convolution.
    """

    def __init__(self, channels_in: int, channels: int, stride: int, normed: bool) -> None:
        super().__init__()
        self.stride = stride
        self.first = nn.Sequential(
            *_convolution(channels_in, channels, 3, (stride, 2), normed), nn.ReLU())
        self.second = nn.Sequential(*_convolution(channels, channels, 3, 1, normed))
        self.shortcut = nn.Sequential(
            nn.AvgPool2d((1, 2), ceil_mode=True),
            *_convolution(channels_in, channels, 1, 1, normed))

    def forward(self, values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """
        Map values and their mask.

        :param values: (batch, channels_in, length, bands), 0 where masked.
        :param mask: bool (batch, length).
        :returns: (batch, channels, length / stride, bands / 2), 0 where masked, and its mask.
        """
        mask = mask[:, ::self.stride]
        change = self.second(_masked(self.first(values), mask))
        return _masked((change + self.shortcut(values[:, :, ::self.stride])).relu(), mask), mask


def _masked(values: Tensor, mask: Tensor) -> Tensor:
    """Return (batch, channels, length, bands) with 0 where (batch, length) is False."""
    return values * mask[:, None, :, None]


class VoiceEncoder(nn.Module):
    """
    A small residual network over the log-mel spectrogram: 25 vectors a second.

    Its convolutions run over time and bands, so a higher voice resembles a shifted lower one. Each
    vector also rests on mean and standard deviation over the window: how a voice moves says more
    about affect than where it is.

    :param normed: as in :class:`FaceEncoder`.
    """

    first_s = FRAME_SAMPLES / 2 / SAMPLE_RATE_HZ  # centre of the first vector
    step_s = 4 * HOP_SAMPLES / SAMPLE_RATE_HZ     # from one vector to the next
    filters: Tensor
    taper: Tensor

    def __init__(self, config: MavenConfig, normed: bool = False) -> None:
        super().__init__()
        self.width = config.voice_width
        self.log_mel_mean, self.log_mel_std = config.log_mel_mean, config.log_mel_std
        self._mel = config.mel_bands, config.mel_low_hz, config.mel_high_hz
        filters = torch.empty(FFT_SAMPLES // 2 + 1, config.mel_bands)
        self.register_buffer('filters', filters, persistent=False)
        self.register_buffer('taper', torch.empty(FRAME_SAMPLES), persistent=False)
        self.reset_buffers()
        first, *rest = config.voice_channels
        self.stem = nn.Sequential(*_convolution(1, first, 3, 2, normed), nn.ReLU())
        self.blocks = nn.ModuleList(
            VoiceBlock(before, after, 2 if index == 0 else 1, normed)
            for index, (before, after) in enumerate(
                zip(config.voice_channels, rest, strict=False)))
        bands = -(-config.mel_bands // 2 ** len(config.voice_channels))
        self.join = nn.Linear(config.voice_channels[-1] * bands, self.width)
        self.context = nn.Linear(2 * self.width, self.width, bias=False)
        self.norm = nn.LayerNorm(self.width)

    def reset_buffers(self) -> None:
        """Fill the buffers that no checkpoint holds."""
        self.filters.copy_(torch.from_numpy(mel_bands(*self._mel)))
        self.taper.copy_(torch.hann_window(FRAME_SAMPLES))

    def log_mel(self, waveform: Tensor, heard: Tensor) -> tuple[Tensor, Tensor]:
        """
        Return the normalised spectrogram; it is 0 where masked.

        :param waveform: (batch, samples) in [-1, 1]; at least 400 samples.
        :param heard: bool (batch, samples).
        :returns: (batch, frames, bands) and its mask (batch, frames).
        """
        mask = heard.unfold(-1, FRAME_SAMPLES, HOP_SAMPLES).all(-1)
        sound = torch.where(heard, waveform, 0).float()
        frames = sound.unfold(-1, FRAME_SAMPLES, HOP_SAMPLES) * self.taper
        power = power_spectrum(frames, FFT_SAMPLES) * level_gain(frames, mask)[:, None, None]
        log_power: Tensor = (power @ self.filters + _LOG_FLOOR).log()
        mel = (log_power - self.log_mel_mean) / self.log_mel_std
        return torch.where(mask[..., None], mel, 0), mask

    def forward(self, waveform: Tensor, heard: Tensor) -> tuple[Tensor, Tensor]:
        """
        Encode sound.

        :param waveform: (batch, samples) at 16 kHz in [-1, 1]; at least 400 samples.
        :param heard: bool (batch, samples), False where no sound arrived; it may be on the host.
        :returns: (batch, length, width), 0 where masked, and its mask (batch, length); the first
            vector stands at ``first_s``, then one every ``step_s``.
        """
        return self.encode_mel(*self.log_mel(
            waveform, heard.to(waveform.device, non_blocking=True)))

    def encode_mel(self, mel: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Encode the result of :meth:`log_mel`; return the result of :meth:`forward`."""
        values = self.stem((mel * mask[..., None])[:, None])
        mask = mask[:, ::2]
        values = _masked(values, mask)
        for block in self.blocks:
            values, mask = block(values, mask)
        joined = self.join(values.transpose(1, 2).flatten(2))
        context = self.context(mean_and_deviation(joined, mask))
        vectors = self.norm(nn.functional.gelu(joined + context))
        return torch.where(mask[..., None], vectors, 0), mask


class Transformer(nn.Module):
    """A pre-norm transformer with GELU, twice the width in hidden layers, and a final norm."""

    def __init__(self, width: int, heads: int, layers: int, dropout: float) -> None:
        super().__init__()
        # nn.TransformerEncoder would give all layers the same initial weights.
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                width, heads, 2 * width, dropout, 'gelu', batch_first=True, norm_first=True)
            for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def forward(self, values: Tensor, mask: Tensor) -> Tensor:
        """
        Attend to what is unmasked.

        :param values: finite (batch, length, width).
        :param mask: bool (batch, length), False where there is nothing.
        :returns: (batch, length, width); anything finite where masked.
        """
        hidden = hidden_keys(mask)
        for layer in self.layers:
            values = layer(values, src_key_padding_mask=hidden)
        normed: Tensor = self.norm(values)
        return normed


class TextEncoder(nn.Module):
    """A small transformer: one vector per subword."""

    def __init__(self, config: MavenConfig) -> None:
        super().__init__()
        self.width = config.text_width
        self.embedding = nn.Embedding(config.vocabulary, self.width)
        self.transformer = Transformer(
            self.width, config.text_heads, config.text_layers, config.dropout)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """
        Encode subwords in their context.

        :param tokens: int64 (batch, length), ids of the tokenizer.
        :param mask: bool (batch, length), False for padding.
        :returns: (batch, length, width); anything finite where masked.
        """
        encoded: Tensor = self.transformer(self.embed(tokens), mask)
        return encoded

    def embed(self, tokens: Tensor) -> Tensor:
        """Map ids (batch, length) to subword vectors plus encoded positions, (..., width)."""
        order = torch.arange(tokens.shape[1], device=tokens.device)
        embedded: Tensor = self.embedding(tokens) + sinusoids(order, self.width, 6, 10_000)
        return embedded
