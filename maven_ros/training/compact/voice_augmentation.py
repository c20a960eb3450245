"""
Random augmentation of voices: other speakers, rooms, microphones and lines.

The corpora have few speakers, recorded in a studio. Waveforms are changed in their physical order:
the speaker (tempo and pitch together, by resampling), the room (exponentially decaying noise as
impulse response), the microphone (frequency response), noise of any colour, the line (telephone
band, 8-bit mu-law) and the overload of a converter. All functions work on batches and draw from
the given generator.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from maven_ros.declarations import Checked, fraction, setting
from maven_ros.records import SAMPLE_RATE_HZ, Samples

TELEPHONE_HZ = (300.0, 3400.0)
_MU = 255.0  # of mu-law, ITU-T G.711
_TINY = 1e-9
_SHORTEST_REVERB_S = 0.1
_FFT_STEP = 8000  # its multiples have small prime factors, which the FFT needs to be fast


@dataclass(frozen=True)
class VoiceAugmentation(Checked):
    """The settings of the augmentation."""

    speed: float = fraction(0.15, 'Largest relative change of tempo and pitch together.')
    gain_db: float = setting(20.0, 'Largest change of level, either way.', minimum=0)
    reverb: float = fraction(0.3, 'Probability of a reverberant room.')
    reverb_s: float = setting(
        0.6, 'Largest reverberation time (RT60) of the room.', minimum=_SHORTEST_REVERB_S)
    tilt_db: float = setting(
        8.0, 'Largest tilt and largest ripple of the microphone from 0 to 8 kHz.', minimum=0)
    noise: float = fraction(0.5, 'Probability of noise.')
    noise_db: tuple[float, float] = setting(
        (0.0, 30.0), 'Lowest and highest signal-to-noise ratio.', rises=True)
    telephone: float = fraction(0.2, 'Probability of a telephone band, about 300 to 3400 Hz.')
    mu_law: float = fraction(0.1, 'Probability of 8-bit mu-law.')
    clipping: float = fraction(0.15, 'Probability of clipping.')


def pad(waveforms: Sequence[Samples]) -> Tensor:
    """Pad waveforms with 0 to (n, longest)."""
    return pad_sequence([torch.from_numpy(one) for one in waveforms], batch_first=True)


def resample(waveforms: Tensor, begin: Tensor, rate: Tensor, length: int) -> Tensor:
    """
    Cut a stretch of each waveform and resample it by linear interpolation.

    :param waveforms: (batch, samples).
    :param begin: (batch,), first sample of each stretch; samples outside the waveform are 0.
    :param rate: (batch,), input samples per output sample.
    :returns: (batch, length).
    """
    at = begin[:, None] + rate[:, None] * torch.arange(length)
    padded = functional.pad(waveforms, (1, 2))
    at = (at + 1).clamp(0, padded.shape[1] - 2)
    low = at.long()
    below, above = padded.gather(1, low), padded.gather(1, low + 1)
    return below + (above - below) * (at - low)


def augment_waveforms(
    waveforms: Tensor, settings: VoiceAugmentation, random: torch.Generator,
) -> Tensor:
    """
    Augment the waveforms of voices.

    :param waveforms: (batch, samples) in [-1, 1].
    :returns: (batch, samples) in [-1, 1].
    """
    batch, length = waveforms.shape
    rooms = _rooms(batch, settings, random)
    size = -(-(length + rooms.shape[1]) // _FFT_STEP) * _FFT_STEP
    hz = torch.linspace(0, SAMPLE_RATE_HZ / 2, size // 2 + 1)
    spectra = torch.fft.rfft(waveforms, size) * torch.fft.rfft(rooms, size)
    spectra *= _microphones(batch, hz, settings, random)
    # Noise also fills the padding.
    spectra += math.sqrt(size / length) * _noises(spectra, hz, settings, random)
    spectra *= _lines(batch, hz, settings, random)
    changed = torch.fft.irfft(spectra, size)[:, :length]
    return _convert(changed, waveforms, settings, random)


def _between(random: torch.Generator, low: float, high: float, *shape: int) -> Tensor:
    return low + (high - low) * torch.rand(*shape, generator=random)


def _happens(random: torch.Generator, probability: float, batch: int) -> Tensor:
    return torch.rand(batch, 1, generator=random) < probability


def _norm(spectra: Tensor) -> Tensor:
    norms: Tensor = torch.view_as_real(spectra).flatten(1).norm(dim=1, keepdim=True)
    return norms


def _rooms(batch: int, settings: VoiceAugmentation, random: torch.Generator) -> Tensor:
    """Return impulse responses (batch, samples): the direct sound, then the reverberation."""
    samples = round(settings.reverb_s * SAMPLE_RATE_HZ)
    decay_s = _between(random, _SHORTEST_REVERB_S, settings.reverb_s, batch)[:, None]
    times_s = torch.arange(samples) / SAMPLE_RATE_HZ
    echoes = torch.randn(batch, samples, generator=random) * 10 ** (-3 * times_s / decay_s)
    echoes[:, :round(0.003 * SAMPLE_RATE_HZ)] = 0
    echoes /= echoes.norm(dim=1, keepdim=True)
    loudness = 10 ** (_between(random, -12, 0, batch)[:, None] / 20)
    echoes *= loudness * _happens(random, settings.reverb, batch)
    echoes[:, 0] += 1
    return echoes


def _microphones(
    batch: int, hz: Tensor, settings: VoiceAugmentation, random: torch.Generator,
) -> Tensor:
    """Return gains (batch, bins): a tilt and two slow waves along the frequency."""
    share = (hz / hz[-1]).sqrt()
    slope = _between(random, -1, 1, batch, 1) * (share - 0.5)
    waves = sum(
        0.5 * _between(random, -1, 1, batch, 1)
        * torch.sin(2 * math.pi * (turns * share + torch.rand(batch, 1, generator=random)))
        for turns in (1, 2))
    return 10 ** (settings.tilt_db * (slope + waves) / 20)


def _noises(
    spectra: Tensor, hz: Tensor, settings: VoiceAugmentation, random: torch.Generator,
) -> Tensor:
    """Return spectra of noise, from white to brown, with power from f^0 to f^-2."""
    batch, bins = spectra.shape
    noise: Tensor = torch.fft.rfft(torch.randn(batch, 2 * (bins - 1), generator=random))
    noise *= (hz.clamp(min=50).log() * -_between(random, 0, 1, batch, 1)).exp()
    ratio_db = _between(random, *settings.noise_db, batch)[:, None]
    scale = _norm(spectra) / _norm(noise) * 10 ** (-ratio_db / 20)
    noise *= scale * _happens(random, settings.noise, batch)
    return noise


def _lines(
    batch: int, hz: Tensor, settings: VoiceAugmentation, random: torch.Generator,
) -> Tensor:
    """Return gains (batch, bins): 1, or a telephone band with edges that fall by 24 dB."""
    low = TELEPHONE_HZ[0] * _between(random, 0.5, 1.3, batch, 1)
    high = TELEPHONE_HZ[1] * _between(random, 0.9, 1.8, batch, 1)
    band = ((hz / low) ** 4).clamp(max=1) * ((high / hz.clamp(min=1)) ** 4).clamp(max=1)
    return torch.where(_happens(random, settings.telephone, batch), band, 1.0)


def _convert(
    changed: Tensor, originals: Tensor, settings: VoiceAugmentation, random: torch.Generator,
) -> Tensor:
    """Clip some voices, quantise some by mu-law, and change all levels."""
    batch = len(changed)
    peak = changed.abs().amax(1, keepdim=True).clamp(min=_TINY)
    changed = changed / peak
    chosen = _happens(random, settings.clipping, batch)[:, 0]
    overload = 10 ** (_between(random, 3, 15, batch, 1) / 20)
    changed[chosen] = (changed[chosen] * overload[chosen]).clamp(-1, 1)
    chosen = _happens(random, settings.mu_law, batch)[:, 0]
    coded = torch.log1p(_MU * changed[chosen].abs()) / math.log1p(_MU)
    decoded = torch.expm1((127 * coded).round() / 127 * math.log1p(_MU)) / _MU
    changed[chosen] = decoded * changed[chosen].sign()
    level = originals.norm(dim=1) / changed.norm(dim=1).clamp(min=_TINY)
    gain = 10 ** (_between(random, -settings.gain_db, settings.gain_db, batch, 1) / 20)
    levelled: Tensor = (changed * level[:, None] * gain).clamp(-1, 1)
    return levelled
