"""
The stage ``student``: our small voice encoder, taught by the one of a trained checkpoint.

As Wav2Small (Wagner et al. 2024): the student learns the votes of a teacher that is a hundred
times larger, for windows and for each of their slots, on versions of clips that no rater has
heard. Where clips have labels, it learns these, too. The teacher hears each version once; the
student then reads the kept spectrograms, some of whose bands and stretches are hidden.

Its files are those of the stage ``voice``, whose place it takes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from rich.progress import track
from torch import Tensor, nn

from maven_ros.declarations import Checked, fraction, setting
from maven_ros.errors import SettingsError
from maven_ros.model import checkpoint
from maven_ros.model.compute import uses_bf16
from maven_ros.model.encoders import VoiceEncoder, folded
from maven_ros.model.maven import MavenModel
from maven_ros.model.readers import Reader
from maven_ros.model.time_grid import interpolate
from maven_ros.resources import resource
from maven_ros.training.compact.labels import Labels
from maven_ros.training.compact.pieces import GRID, VoicePieces
from maven_ros.training.compact.stages import StageContext, save_stage
from maven_ros.training.compact.voice_augmentation import VoiceAugmentation
from maven_ros.training.compact.voice_stage import (
    EMOTIONS,
    IMPOSSIBLE,
    NAME,
    VoiceHead,
    VoiceReading,
    figures,
    scores_of,
)
from maven_ros.training.corpus import Examples
from maven_ros.training.digests import digest_of
from maven_ros.training.drawing import drawn, draws
from maven_ros.training.loop import LoopSettings, fit
from maven_ros.training.losses import concordance, soft_cross_entropy

_AT_ONCE = 32
_SCORED_AT_ONCE = 256


@dataclass(frozen=True)
class StudentSettings(Checked):
    """The settings of the stage."""

    loop: LoopSettings = setting(doc='Optimisation.')
    augmentation: VoiceAugmentation = setting(doc='Augmentation.', made=VoiceAugmentation)
    teacher: str = setting(
        'models/compact', 'Shipped checkpoint whose voice encoder and reader teach.')
    versions: int = setting(6, 'Versions of each clip, the first one plain.', minimum=1)
    gaps: float = fraction(0.2, 'Share of versions with gaps in the sound.')
    begins: float = fraction(0.3, 'Share of versions that end shortly after the voice begins.')
    hidden: float = fraction(
        0.5, 'Share of versions of which a stretch and some bands are hidden.')
    taught: float = fraction(0.7, "Weight of the teacher's votes; the labels have the rest.")
    slots: float = setting(0.5, "Weight of the slots' votes, relative to the windows'.", minimum=0)
    smoothing: float = fraction(0.05, 'Label smoothing of the emotions.')
    agreement: float = setting(
        0.5, 'Weight of 1 - CCC, the sum over valence and arousal.', minimum=0)
    dropout: float = setting(0.1, 'Dropout before the head.', minimum=0, below=1)


class Lessons(NamedTuple):
    """
    Versions of clips, as the student hears them, and what the teacher says.

    :param mel: float16 (clips, versions, frames, bands).
    :param mask: bool (clips, versions, frames).
    :param votes: float16 (clips, versions, 1 + slots, 8), the teacher's logits, windows first.
    """

    mel: Tensor
    mask: Tensor
    votes: Tensor


class Student(nn.Module):
    """The encoder with its head, on the time grid of the windows."""

    def __init__(self, encoder: VoiceEncoder, head: VoiceHead) -> None:
        super().__init__()
        self.encoder, self.head = encoder, head

    def forward(self, mel: Tensor, mask: Tensor) -> tuple[VoiceReading, Tensor, Tensor]:
        """
        Map spectrograms under a mask (n, frames) to estimates.

        :returns: estimates of the windows; logits of the slots (n, slots, 8), and their mask.
        """
        vectors, known = self.encoder.encode_mel(mel, mask)
        values, slots = interpolate(
            vectors.float(), known, self.encoder.first_s, self.encoder.step_s, GRID)
        return self.head(values, slots), self.head.emotions(values).float(), slots


def teach(
    teacher: MavenModel, encoder: VoiceEncoder, clips: Examples, settings: StudentSettings,
    versions: int, seed: int,
) -> Lessons:
    """Let a teacher vote on versions of clips."""
    pieces = VoicePieces(clips.evidence, settings.augmentation, settings.gaps, settings.begins)
    reader = cast(Reader, teacher.readers.each['audio'])
    bf16 = uses_bf16('auto', torch.device('cpu'))
    made: list[tuple[Tensor, ...]] = []
    for first in track(range(0, len(pieces), _AT_ONCE), f'{NAME}: teacher', transient=True):
        indices = np.arange(first, min(first + _AT_ONCE, len(pieces)))
        windows = [one for own in pieces.render(indices, versions, seed * 1_000_003 + first)
                   for one in own]
        sound = torch.from_numpy(np.stack([one.waveform for one in windows]))
        heard = torch.from_numpy(np.stack([one.heard for one in windows]))
        with torch.inference_mode():
            with torch.autocast('cpu', torch.bfloat16, bf16):
                vectors, mask = teacher.voice_encoder(sound, heard)
            votes = reader.vote(*teacher.align_voice(vectors.float(), mask, GRID))
            mel, mask = encoder.log_mel(sound, heard)
        made.append(tuple(part.view(len(indices), versions, *part.shape[1:])
                          for part in (mel.half(), mask, votes.half())))
    return Lessons(*(torch.cat(parts).clone() for parts in zip(*made, strict=True)))


class StudentTask:
    """The training task: batches of versions of clips, losses and scores."""

    def __init__(self, settings: StudentSettings, train: Examples, valid: Examples,
                 lessons: Lessons, valid_lessons: Lessons, model: Student,
                 device: torch.device) -> None:
        self.settings, self.device = settings, device
        self.weights, self.valid = train.weights, valid
        self.lessons, self.valid_lessons = lessons, valid_lessons
        self.labels = Labels.of(train, EMOTIONS, settings.smoothing)
        self.choices = torch.from_numpy(train.choices_of(EMOTIONS))
        self.model = cast(Any, model.to(device)).to(memory_format=torch.channels_last)
        self.steps = max(1, draws(train.weights) // settings.loop.batch_size)

    def batches(self, epoch: int, random: torch.Generator) -> Iterator[tuple[Tensor, ...]]:
        """Yield spectrograms, masks, votes, labels, and the emotions that they distinguish."""
        clips = drawn(self.weights, random)
        for chosen in torch.split(clips, self.settings.loop.batch_size)[:self.steps]:
            version = torch.randint(
                self.lessons.mask.shape[1], (len(chosen),), generator=random)
            mel, mask, votes = (part[chosen, version] for part in self.lessons)
            bands, frames = self._hide(mel, random)
            yield tuple(part.to(self.device) for part in (
                torch.where(bands, 0, mel.float()), mask & ~frames, votes.float(),
                self.labels.mixed[chosen], self.choices[chosen]))

    def _hide(self, mel: Tensor, random: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return what is hidden: bands (n, 1, bands) and frames (n, frames)."""
        some = torch.rand(len(mel), 1, generator=random) < self.settings.hidden
        hidden = []
        for length, most in ((mel.shape[2], 0.2), (mel.shape[1], 0.4)):
            width, begin = torch.rand(2, len(mel), 1, generator=random)
            width = width * most * length
            begin, at = begin * (length - width), torch.arange(length)
            hidden.append(some & (at >= begin) & (at < begin + width))
        return hidden[0][:, None], hidden[1]

    def losses(self, model: nn.Module, batch: tuple[Tensor, ...]) -> dict[str, Tensor]:
        """Return the loss and its parts."""
        mel, mask, votes, mixed, choices = batch
        reading, slots, known = model(mel, mask)
        shares, labels = votes.softmax(-1), Labels(mixed)
        taught = soft_cross_entropy(reading.logits, shares[:, 0])
        in_slots = soft_cross_entropy(slots[known], shares[:, 1:][known])
        told = soft_cross_entropy(
            reading.logits.masked_fill(~choices, IMPOSSIBLE), labels.shares * choices)
        wanted = labels.points(cast(Student, model).head.points)
        distance = (1 - concordance(reading.points, wanted)).sum()
        weight = self.settings.taught
        return {'loss': weight * (taught + self.settings.slots * in_slots) + (1 - weight) * told
                + self.settings.agreement * distance,
                'taught': taught, 'slots': in_slots, 'told': told, 'disagreement': distance}

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Score the two loudest seconds of each validation clip."""
        readings = [model(mel.float().to(self.device), mask.to(self.device))[0]
                    for mel, mask in zip(
                        torch.split(self.valid_lessons.mel[:, 0], _SCORED_AT_ONCE),
                        torch.split(self.valid_lessons.mask[:, 0], _SCORED_AT_ONCE), strict=True)]
        return figures(VoiceReading(*(torch.cat(part).cpu() for part in zip(
            *readings, strict=True))), self.valid)


def train_student(settings: StudentSettings, context: StageContext) -> None:
    """
    Train the voice encoder and its head; write both and their figures.

    :raises SettingsError: if the network's voice encoder is not ours, or the teacher has no
        readers.
    :raises ResourceError: names a file that is missing or broken.
    """
    if context.config.backbone('audio'):
        raise SettingsError('audio: the stage student trains our own encoder; allowed: a network '
                            'whose audio is null')
    loaded = checkpoint.load(resource(settings.teacher))
    if 'audio' not in loaded.model.readers.each:
        raise SettingsError(f'teacher: {settings.teacher!r} has no readers; allowed: a network '
                            'that has some')
    train, valid = context.corpora.train_and_valid('audio')
    torch.manual_seed(context.seed)
    model = Student(VoiceEncoder(context.config, normed=True),
                    VoiceHead(context.config.voice_width, settings.dropout))
    lessons = teach(
        loaded.model, model.encoder, train, settings, settings.versions, context.seed)
    plain = teach(loaded.model, model.encoder, valid, settings, 1, context.seed)
    folder = context.out / NAME
    fitted = fit(StudentTask(settings, train, valid, lessons, plain, model, context.device),
                 settings.loop, folder, name=NAME,
                 recipe={**dataclasses.asdict(settings), 'shape': context.config.voice_channels,
                         'teacher': loaded.name, 'data': digest_of(train, valid)},
                 seed=context.seed, stop=context.stop)
    best = cast(Student, fitted.model)
    encoder = folded(best.encoder)
    save_stage(folder, encoder, best.head,
               scores_of(encoder, best.head, valid, context.seed))
