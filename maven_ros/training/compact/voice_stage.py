"""
The stage ``voice``: what is learnt behind Whisper's first layers, on the corpora of voices.

Whisper is frozen, so several versions of each clip are encoded once, as windows of the node
(:class:`maven_ros.training.compact.pieces.VoicePieces`), and training reads these. The head
predicts one of eight emotions; valence and arousal are the expectation over them. The loss is the
cross-entropy over the emotions that the clip's corpus distinguishes, plus 1 - CCC over a batch
between the expectation and the emotions' points, or the rating.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
import torch
from rich.progress import track
from torch import Tensor, nn

from maven_ros.declarations import Checked, fraction, setting
from maven_ros.errors import ResourceError, SettingsError
from maven_ros.model.compute import uses_bf16
from maven_ros.model.quantized import BITS, BLOCK, dequantize, quantize
from maven_ros.model.whisper_voice import LearntVoice, WhisperVoice
from maven_ros.records import SAMPLE_RATE_HZ, Samples
from maven_ros.training.compact.bank import fingerprint, keep
from maven_ros.training.compact.labels import Labels, accuracy
from maven_ros.training.compact.pieces import VoicePieces
from maven_ros.training.compact.stages import StageContext, fetched, save_stage
from maven_ros.training.compact.voice_augmentation import TELEPHONE_HZ, VoiceAugmentation
from maven_ros.training.compact.whisper_file import read_layers
from maven_ros.training.corpus import Examples
from maven_ros.training.digests import digest_of
from maven_ros.training.drawing import drawn, draws
from maven_ros.training.loop import LoopSettings, fit
from maven_ros.training.losses import concordance, soft_cross_entropy
from maven_ros.training.targets import points_of

NAME = 'voice'
#: The classes of the head.
EMOTIONS = (
    'neutral', 'calm', 'happy', 'sad', 'angry', 'fearful', 'disgusted', 'surprised')
#: Valence and arousal of each of ``EMOTIONS``, float32 (8, 2).
POINTS = points_of(EMOTIONS)
_ATTENTION_WIDTH = 32
IMPOSSIBLE = -1e4  # logit of an emotion that a corpus does not distinguish
_AT_ONCE = 32
_SCORED_AT_ONCE = 256


@dataclass(frozen=True)
class VoiceSettings(Checked):
    """The settings of the stage."""

    loop: LoopSettings = setting(doc='Optimisation.')
    augmentation: VoiceAugmentation = setting(
        doc='Augmentation.', made=VoiceAugmentation)
    whisper: str = setting(
        'whisper-base', 'Folder of a Whisper in the format of CTranslate2, or the name of a '
        'fetched one.')
    versions: int = setting(6, 'Versions of each clip, the first one plain.', minimum=1)
    gaps: float = fraction(0.2, 'Share of versions with gaps in the sound.')
    begins: float = fraction(0.3, 'Share of versions that end shortly after the voice begins.')
    hidden: float = fraction(0.3, 'Share of versions in which some vectors are hidden.')
    smoothing: float = fraction(0.05, 'Label smoothing of the emotions.')
    agreement: float = setting(
        1.0, 'Weight of 1 - CCC, the sum over valence and arousal.', minimum=0)
    input_dropout: float = setting(0.2, "Dropout of Whisper's numbers.", minimum=0, below=1)
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
    """The learnt part of the encoder with its training head."""

    def __init__(self, learnt: LearntVoice, head: VoiceHead, dropout: float = 0.0) -> None:
        super().__init__()
        self.learnt, self.head = learnt, head
        self.dropout = nn.Dropout(dropout)

    def forward(self, hidden: Tensor, mask: Tensor) -> VoiceReading:
        """Map what Whisper hears to estimates."""
        reading: VoiceReading = self.head(
            self.learnt(self.dropout(hidden.float()), mask), mask)
        return reading


class Heard(NamedTuple):
    """
    Versions of clips, as Whisper hears them.

    :param hidden: float16 (clips, versions, length, layers, width).
    :param mask: bool (clips, versions, length).
    """

    hidden: Tensor
    mask: Tensor


def hear(
    encoder: WhisperVoice, clips: Examples, settings: VoiceSettings, versions: int, seed: int,
    folder: Path,
) -> Heard:
    """
    Encode versions of clips by Whisper, or read what was encoded before.

    :param folder: folder of what is kept.
    """
    pieces = VoicePieces(clips.evidence, settings.augmentation, settings.gaps, settings.begins)
    what = fingerprint(
        encoder.whisper, layers=encoder.whisper.kept, pieces=pieces.digest, versions=versions,
        seed=seed,
        settings=[dataclasses.asdict(settings.augmentation), settings.gaps, settings.begins])
    bf16 = uses_bf16('auto', torch.device('cpu'))

    def encode() -> tuple[Tensor, Tensor]:
        hidden, masks = [], []
        for first in track(range(0, len(pieces), _AT_ONCE), f'{NAME}: Whisper', transient=True):
            indices = np.arange(first, min(first + _AT_ONCE, len(pieces)))
            windows = [one for own in pieces.render(indices, versions, seed * 1_000_003 + first)
                       for one in own]
            with torch.inference_mode(), torch.autocast('cpu', torch.bfloat16, bf16):
                values, mask = encoder.whisper(
                    torch.from_numpy(np.stack([one.waveform for one in windows])),
                    torch.from_numpy(np.stack([one.heard for one in windows])))
            hidden.append(values.half().view(len(indices), versions, *values.shape[1:]))
            masks.append(mask.view(len(indices), versions, -1))
        return torch.cat(hidden).clone(), torch.cat(masks).clone()

    return Heard(*keep(folder / f'{what}.safetensors', encode))


class VoiceTask:
    """The training task: batches of versions of clips, losses and scores."""

    def __init__(self, settings: VoiceSettings, train: Examples, valid: Examples,
                 heard: Heard, heard_valid: Heard, model: VoiceModel,
                 device: torch.device) -> None:
        self.settings, self.device = settings, device
        self.weights, self.valid = train.weights, valid
        self.heard, self.heard_valid = heard, heard_valid
        self.labels = Labels.of(train, EMOTIONS, settings.smoothing)
        self.choices = torch.from_numpy(train.choices_of(EMOTIONS))
        self.model: nn.Module = model.to(device)
        self.steps = max(1, draws(train.weights) // settings.loop.batch_size)

    def batches(self, epoch: int, random: torch.Generator) -> Iterator[tuple[Tensor, ...]]:
        """Yield what Whisper heard, its mask, labels, and the emotions that they distinguish."""
        clips = drawn(self.weights, random)
        size, (_, versions, length) = self.settings.loop.batch_size, self.heard.mask.shape
        for chosen in torch.split(clips, size)[:self.steps]:
            version = torch.randint(versions, (len(chosen),), generator=random)
            mask = self.heard.mask[chosen, version]
            hides = torch.rand(len(chosen), 1, generator=random) < self.settings.hidden
            share = torch.rand(len(chosen), 1, generator=random)
            hidden = hides & (torch.rand(len(chosen), length, generator=random) < 0.7 * share)
            yield tuple(part.to(self.device) for part in (
                self.heard.hidden[chosen, version], mask & ~hidden,
                self.labels.mixed[chosen], self.choices[chosen]))

    def losses(self, model: nn.Module, batch: tuple[Tensor, ...]) -> dict[str, Tensor]:
        """Return the loss and its two parts."""
        hidden, mask, mixed, choices = batch
        reading = model(hidden, mask)
        labels = Labels(mixed)
        entropy = soft_cross_entropy(
            reading.logits.masked_fill(~choices, IMPOSSIBLE), labels.shares * choices)
        wanted = labels.points(cast(VoiceModel, model).head.points)
        distance = (1 - concordance(reading.points, wanted)).sum()
        return {'loss': entropy + self.settings.agreement * distance,
                'cross_entropy': entropy, 'disagreement': distance}

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Score the two loudest seconds of each validation clip."""
        readings = [model(hidden.to(self.device), mask.to(self.device)) for hidden, mask in zip(
            torch.split(self.heard_valid.hidden[:, 0], _SCORED_AT_ONCE),
            torch.split(self.heard_valid.mask[:, 0], _SCORED_AT_ONCE), strict=True)]
        return figures(VoiceReading(*(torch.cat(part).cpu() for part in zip(
            *readings, strict=True))), self.valid)


def predict(
    encoder: nn.Module, head: VoiceHead, waveforms: Sequence[Samples],
    change: Callable[[Tensor], Tensor] | None = None,
) -> VoiceReading:
    """
    Predict complete clips, each by itself.

    :param encoder: a voice encoder of the network.
    :param change: function that is applied to each waveform (1, samples) first, such as noise.
    """
    device = head.points.device
    readings = []
    with torch.inference_mode():
        for waveform in waveforms:
            sound = torch.from_numpy(waveform)[None]
            sound = (change(sound) if change else sound).to(device)
            readings.append(head(*encoder(sound, torch.ones_like(sound, dtype=torch.bool))))
    return VoiceReading(torch.cat([one.logits for one in readings]).cpu(),
                        torch.cat([one.points for one in readings]).cpu())


def score(
    encoder: nn.Module, head: VoiceHead, clips: Examples,
    change: Callable[[Tensor], Tensor] | None = None,
) -> dict[str, float]:
    """
    Score an encoder with its head on complete clips.

    :param change: as in :func:`predict`.
    :returns: as :func:`figures`.
    """
    return figures(predict(encoder, head, clips.evidence, change), clips)


def figures(reading: VoiceReading, clips: Examples) -> dict[str, float]:
    """
    Score estimates of clips.

    :returns: ``accuracy`` on the clips with emotions, and ``ccc_valence`` and ``ccc_arousal`` on
        all.
    """
    valence, arousal = concordance(reading.points, torch.from_numpy(clips.targets)).tolist()
    return {'accuracy': accuracy(reading.logits, clips.shares_of(EMOTIONS)),
            'ccc_valence': valence, 'ccc_arousal': arousal}


def figures_of_each(reading: VoiceReading, clips: Examples) -> dict[str, dict[str, float]]:
    """Score the clips of each corpus by itself; the people of a corpus have its name in front."""
    corpora = np.array([person.partition('/')[0] for person in clips.people])
    return {str(name): figures(VoiceReading(*(part[own] for part in reading)), clips.of(own))
            for name in np.unique(corpora[corpora != '']) for own in (corpora == name,)}


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


def scores_of(
    encoder: nn.Module, head: VoiceHead, clips: Examples, seed: int,
) -> dict[str, dict[str, float]]:
    """Score complete clips, plain and disturbed, together and of each corpus."""
    found, encoder = {}, encoder.to(head.points.device)
    for name, change in {'': None, **disturbances(seed)}.items():
        reading = predict(encoder, head, clips.evidence, change)
        found[f'valid{name and ", "}{name}'] = figures(reading, clips)
        for corpus, own in figures_of_each(reading, clips).items():
            found[f'valid of {corpus}{name and ", "}{name}'] = own
    return found


def begin(settings: VoiceSettings, context: StageContext) -> WhisperVoice:
    """
    Return the encoder with Whisper's weights; the learnt part is random.

    :raises SettingsError: if the network has another voice encoder.
    :raises ResourceError: if Whisper is not there, or has another shape.
    """
    backbone = context.config.backbone('audio')
    if backbone is None or not backbone.is_whisper:
        raise SettingsError('audio: the stage voice trains what is behind a Whisper; allowed: a '
                            'network whose audio is one')
    encoder = WhisperVoice(backbone)
    folder = fetched(settings.whisper, 'whisper-base')
    read = read_layers(folder / 'model.bin', len(encoder.whisper.layers))
    if read.config != backbone.config:
        raise ResourceError(f'{folder}: is {read.config}; the network has {backbone.config}')
    encoder.whisper.load_state_dict(read.weights)
    _round(encoder.whisper, backbone.bits)
    encoder.whisper.requires_grad_(False)
    return encoder


def train_voice(settings: VoiceSettings, context: StageContext) -> None:
    """
    Train the learnt part of the voice encoder; write the encoder, its head and its figures.

    :raises SettingsError: as :func:`begin`.
    :raises ResourceError: names a data file that is missing or broken.
    """
    train, valid = context.corpora.train_and_valid('audio')
    torch.manual_seed(context.seed)
    encoder, folder = begin(settings, context), context.out / NAME
    heard = hear(encoder, train, settings, settings.versions, context.seed, folder / 'heard')
    plain = hear(encoder, valid, settings, 1, context.seed, folder / 'heard')
    _standardise(encoder.learnt, heard)
    model = VoiceModel(encoder.learnt, VoiceHead(encoder.width, settings.dropout),
                       settings.input_dropout)
    task = VoiceTask(settings, train, valid, heard, plain, model, context.device)
    fitted = fit(task, settings.loop, folder, name=NAME,
                 recipe={**dataclasses.asdict(settings), 'shape': context.config.audio,
                         'data': digest_of(train, valid)},
                 seed=context.seed, stop=context.stop)
    best = cast(VoiceModel, fitted.model)
    encoder.learnt = best.learnt
    save_stage(folder, encoder, best.head,
               scores_of(encoder, best.head, valid, context.seed))


def _round(whisper: nn.Module, bits: int) -> None:
    """Round the matrices as a checkpoint does, so that the learnt part hears what it will get."""
    if bits in BITS:
        for layer in whisper.modules():
            if isinstance(layer, nn.Linear) and not layer.in_features % BLOCK:
                layer.weight.data = dequantize(quantize(layer.weight.data, bits), bits)


def _standardise(learnt: LearntVoice, heard: Heard) -> None:
    """Let the learnt part bring each of Whisper's numbers to mean 0 and standard deviation 1."""
    total, squares = torch.zeros(2, *learnt.mean.shape, dtype=torch.double)
    count = 0
    for hidden, mask in zip(torch.split(heard.hidden, _AT_ONCE),
                            torch.split(heard.mask, _AT_ONCE), strict=True):
        values = hidden[mask].double()
        total, squares = total + values.sum(0), squares + values.square().sum(0)
        count += len(values)
    mean = total / count
    variance = squares / count - mean.square()
    learnt.mean.copy_(mean)
    learnt.scale.copy_(variance.clamp(min=1e-6).rsqrt())
