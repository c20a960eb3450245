"""
The stage ``voice``: the voice encoder, trained on the corpora of voices.

The head predicts one of eight emotions; valence and arousal are the expectation over them. The
loss is the cross-entropy, plus 1 - CCC over a batch between the expectation and the emotions'
points, or the rating. Every epoch uses another stretch of each clip with another augmentation
(:mod:`maven_ros.training.compact.voice_augmentation`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn

from maven_ros.declarations import Checked, fraction, setting
from maven_ros.model.encoders import VoiceEncoder, folded
from maven_ros.records import SAMPLE_RATE_HZ, Samples
from maven_ros.training.compact.labels import Labels, accuracy
from maven_ros.training.compact.stages import StageContext, save_stage
from maven_ros.training.compact.voice_augmentation import (
    TELEPHONE_HZ,
    VoiceAugmentation,
    augment_mel,
    augment_waveforms,
    pad,
    resample,
)
from maven_ros.training.corpus import Examples
from maven_ros.training.digests import digest_of
from maven_ros.training.drawing import drawn, draws
from maven_ros.training.loop import LoopSettings, fit
from maven_ros.training.losses import concordance, soft_cross_entropy
from maven_ros.training.mixup import mixup
from maven_ros.training.targets import points_of

NAME = 'voice'
#: The classes of the head.
EMOTIONS = (
    'neutral', 'calm', 'happy', 'sad', 'angry', 'fearful', 'disgusted', 'surprised')
#: Valence and arousal of each of ``EMOTIONS``, float32 (8, 2).
POINTS = points_of(EMOTIONS)
_QUIET_DB = -35.0   # threshold of silence around the words, relative to the loudest sound
_ENERGY_SAMPLES = 160
_ATTENTION_WIDTH = 32


@dataclass(frozen=True)
class VoiceSettings(Checked):
    """The settings of the stage."""

    loop: LoopSettings = setting(doc='Optimisation.')
    augmentation: VoiceAugmentation = setting(
        doc='Augmentation.', made=VoiceAugmentation)
    repeats: int = setting(
        1, 'Repetitions of each stretch in an epoch, with other masks; the waveform augmentation '
        'takes as long as a training step.', minimum=1)
    length_s: tuple[float, float] = setting(
        (1.5, 3.0), 'Shortest and longest stretch; each epoch has one length.',
        minimum=0.1, rises=True)
    margin_s: float = setting(
        0.3, 'Most silence before and after the words.', minimum=0)
    mixup: float = setting(
        0.0, 'Parameter of the Beta distribution of mixup; 0 blends none (Zhang et al. 2018).',
        minimum=0)
    smoothing: float = fraction(
        0.1, 'Label smoothing of the emotions.')
    agreement: float = setting(
        1.0, 'Weight of 1 - CCC, the sum over valence and arousal.', minimum=0)
    dropout: float = setting(0.3, 'Dropout before the head.', minimum=0, below=1)


class VoiceReading(NamedTuple):
    """
    The estimates for voices.

    :param logits: (n, 8), logits of the emotions, in the order of ``EMOTIONS``.
    :param points: (n, 2), valence and arousal: the expectation over the emotions.
    """

    logits: Tensor
    points: Tensor


class VoiceHead(nn.Module):
    """Pool a clip's vectors with learnt weights, and predict the emotion."""

    points: Tensor

    def __init__(self, width: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.weigh = nn.Sequential(
            nn.Linear(width, _ATTENTION_WIDTH), nn.Tanh(), nn.Linear(_ATTENTION_WIDTH, 1))
        self.dropout = nn.Dropout(dropout)
        self.emotions = nn.Linear(width, len(EMOTIONS))
        self.register_buffer('points', torch.from_numpy(POINTS), persistent=False)

    def forward(self, vectors: Tensor, mask: Tensor) -> VoiceReading:
        """Map (n, length, width) under a mask (n, length) to estimates."""
        scores = self.weigh(vectors)[..., 0].float()
        weights = scores.masked_fill(~mask, torch.finfo(scores.dtype).min).softmax(1)
        pooled = (weights[..., None] * vectors).sum(1)
        logits = self.emotions(self.dropout(pooled)).float()
        return VoiceReading(logits, logits.softmax(-1) @ self.points)


class VoiceModel(nn.Module):
    """The encoder with its training head."""

    def __init__(self, encoder: VoiceEncoder, head: VoiceHead) -> None:
        super().__init__()
        self.encoder, self.head = encoder, head

    def forward(self, mel: Tensor, mask: Tensor) -> VoiceReading:
        """Map the result of :meth:`VoiceEncoder.log_mel` to estimates."""
        reading: VoiceReading = self.head(*self.encoder.encode_mel(mel, mask))
        return reading


class VoiceTask:
    """The training task: batches of augmented stretches of clips, losses and scores."""

    def __init__(self, settings: VoiceSettings, train: Examples, valid: Examples,
                 model: VoiceModel, device: torch.device) -> None:
        self.settings, self.device = settings, device
        self.train, self.valid = train, valid
        margin = round(settings.margin_s * SAMPLE_RATE_HZ)
        self.spoken = torch.tensor([spoken(clip, margin) for clip in train.evidence])
        self.labels = Labels.of(train, EMOTIONS, settings.smoothing)
        self.model = cast(Any, model.to(device)).to(memory_format=torch.channels_last)
        self.encoder = model.encoder
        self._batches = max(1, draws(train.weights) // settings.loop.batch_size)  # per pass
        self.steps = self._batches * settings.repeats

    def batches(
        self, epoch: int, random: torch.Generator,
    ) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Yield spectrograms, their masks, and labels."""
        size = self.settings.loop.batch_size
        shortest_s, longest_s = self.settings.length_s
        length = round(SAMPLE_RATE_HZ * (
            shortest_s + (longest_s - shortest_s) * float(torch.rand(1, generator=random))))
        heard = drawn(self.train.weights, random)
        mels = torch.cat([self._hear(chosen, length, random)
                          for chosen in torch.split(heard, size)])
        for _ in range(self.settings.repeats):
            order = torch.randperm(len(mels), generator=random)
            for chosen in torch.split(order, size)[:self._batches]:
                mel = augment_mel(mels[chosen], self.settings.augmentation, random)
                mel, labels = mixup(
                    mel, self.labels.mixed[heard[chosen]], self.settings.mixup, random)
                yield (mel.to(self.device),
                       torch.ones(mel.shape[:2], dtype=torch.bool, device=self.device),
                       labels.to(self.device))

    def _hear(self, chosen: Tensor, length: int, random: torch.Generator) -> Tensor:
        """Return spectrograms (n, frames, bands) of an augmented stretch of each clip."""
        waveforms = augment_waveforms(
            self._cut(chosen, length, random), self.settings.augmentation, random).to(self.device)
        with torch.no_grad():
            mel, _ = self.encoder.log_mel(
                waveforms, torch.ones_like(waveforms, dtype=torch.bool))
        return mel.cpu()

    def _cut(self, chosen: Tensor, length: int, random: torch.Generator) -> Tensor:
        """Return a stretch of each clip at another speed; a short clip is padded with silence."""
        where, speed = torch.rand(2, len(chosen), generator=random)
        rate = 1 + self.settings.augmentation.speed * (2 * speed - 1)
        first, last = self.spoken[chosen].unbind(1)
        begin = first + where * (last - first - length * rate)
        return resample(
            pad([self.train.evidence[index] for index in chosen.tolist()]), begin, rate, length)

    def losses(
        self, model: nn.Module, batch: tuple[Tensor, Tensor, Tensor],
    ) -> dict[str, Tensor]:
        """Return the loss and its two parts."""
        mel, mask, mixed = batch
        reading = model(mel, mask)
        labels = Labels(mixed)
        entropy = soft_cross_entropy(reading.logits, labels.shares)
        wanted = labels.points(cast(VoiceModel, model).head.points)
        distance = (1 - concordance(reading.points, wanted)).sum()
        return {'loss': entropy + self.settings.agreement * distance,
                'cross_entropy': entropy, 'disagreement': distance}

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Score the complete validation clips."""
        return score(cast(VoiceModel, model), self.valid)


def spoken(waveform: Samples, margin: int) -> tuple[int, int]:
    """
    Return the first and last sample of the words, with a margin; the whole range if it is silent.

    :param waveform: (samples,).
    :param margin: samples to keep before and after.
    """
    whole = len(waveform) // _ENERGY_SAMPLES
    energy = np.square(waveform[:whole * _ENERGY_SAMPLES]).reshape(whole, _ENERGY_SAMPLES).mean(1)
    loud = np.flatnonzero(energy >= energy.max(initial=0) * 10 ** (_QUIET_DB / 10))
    if not len(loud):
        return 0, len(waveform)
    return (max(0, int(loud[0]) * _ENERGY_SAMPLES - margin),
            min(len(waveform), (int(loud[-1]) + 1) * _ENERGY_SAMPLES + margin))


def predict(
    model: VoiceModel, waveforms: Sequence[Samples],
    change: Callable[[Tensor], Tensor] | None = None,
) -> VoiceReading:
    """
    Predict complete clips, each by itself.

    :param change: function that is applied to each waveform (1, samples) first, such as noise.
    """
    device = model.head.points.device
    readings = []
    with torch.inference_mode():
        for waveform in waveforms:
            sound = torch.from_numpy(waveform)[None]
            sound = (change(sound) if change else sound).to(device)
            readings.append(model(*model.encoder.log_mel(sound, torch.ones_like(
                sound, dtype=torch.bool))))
    return VoiceReading(torch.cat([one.logits for one in readings]).cpu(),
                        torch.cat([one.points for one in readings]).cpu())


def score(
    model: VoiceModel, clips: Examples, change: Callable[[Tensor], Tensor] | None = None,
) -> dict[str, float]:
    """
    Score a model on complete clips.

    :param change: as in :func:`predict`.
    :returns: ``accuracy`` on the clips with emotions, and ``ccc_valence`` and ``ccc_arousal`` on
        all.
    """
    reading = predict(model, clips.evidence, change)
    valence, arousal = concordance(reading.points, torch.from_numpy(clips.targets)).tolist()
    return {'accuracy': accuracy(reading.logits, clips.shares_of(EMOTIONS)),
            'ccc_valence': valence, 'ccc_arousal': arousal}


def disturbances(seed: int) -> Mapping[str, Callable[[Tensor], Tensor]]:
    """
    Return degradations by name, to measure robustness; each maps (1, samples) to the same shape.

    ``noise_10_db``: white noise over the whole clip. ``telephone``: only 300 to 3400 Hz.
    ``clipping``: 3% of the samples at the limit. ``louder_10_db``: a higher gain.
    """
    random = torch.Generator().manual_seed(seed)

    def noise(sound: Tensor) -> Tensor:
        level = sound.square().mean().sqrt() * 10 ** (-10 / 20)
        return sound + level * torch.randn(sound.shape, generator=random)

    def telephone(sound: Tensor) -> Tensor:
        spectrum = torch.fft.rfft(sound)
        hz = torch.linspace(0, SAMPLE_RATE_HZ / 2, spectrum.shape[-1])
        band = (hz >= TELEPHONE_HZ[0]) & (hz <= TELEPHONE_HZ[1])
        passed: Tensor = torch.fft.irfft(spectrum * band, sound.shape[-1])
        return passed

    def clipping(sound: Tensor) -> Tensor:
        limit = sound.abs().flatten().quantile(0.97)
        return torch.minimum(torch.maximum(sound, -limit), limit)

    def louder(sound: Tensor) -> Tensor:
        return (sound * 10 ** (10 / 20)).clamp(-1, 1)

    return {'noise_10_db': noise, 'telephone': telephone, 'clipping': clipping,
            'louder_10_db': louder}


def train_voice(settings: VoiceSettings, context: StageContext) -> None:
    """
    Train the voice encoder; write it, its head and its figures.

    :raises ResourceError: names a data file that is missing or broken.
    """
    train, valid = context.corpora.train_and_valid('audio')
    torch.manual_seed(context.seed)
    encoder = VoiceEncoder(context.config, normed=True)
    model = VoiceModel(encoder, VoiceHead(encoder.width, settings.dropout))
    task = VoiceTask(settings, train, valid, model, context.device)
    shape = {name: value for name, value in context.config.own().items()
             if name.startswith(('voice_', 'mel_', 'log_mel_'))}
    folder = context.out / NAME
    fitted = fit(task, settings.loop, folder, name=NAME,
                 recipe={**dataclasses.asdict(settings), 'shape': shape,
                         'data': digest_of(train, valid)},
                 seed=context.seed, stop=context.stop)
    trained = cast(VoiceModel, fitted.model)
    best = VoiceModel(folded(trained.encoder), trained.head)
    metrics: dict[str, Any] = {'valid': score(best, valid)}
    for name, change in disturbances(context.seed).items():
        metrics[f'valid, {name}'] = score(best, valid, change)
    save_stage(folder, best.encoder, best.head, metrics)
