"""
The stage ``faces``: the face encoder, trained on the corpora of faces.

Its head says how people would vote; valence and arousal are the expectation over the votes. What
is minimised is the cross-entropy against the votes, and how far the expectation is from agreeing
with theirs, or with a rating (1 - CCC over a batch). The first epochs are on smaller pictures:
cheaper, so there are more of them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn

from maven_ros.declarations import Checked, setting
from maven_ros.model.encoders import FaceEncoder, folded
from maven_ros.training.compact.degradations import faces_degraded
from maven_ros.training.compact.face_augmentation import FaceAugmentation, augment
from maven_ros.training.compact.labels import Labels, accuracy
from maven_ros.training.compact.stages import StageContext, save_stage
from maven_ros.training.corpus import Examples
from maven_ros.training.digests import digest_of
from maven_ros.training.drawing import drawn, draws
from maven_ros.training.loop import LoopSettings, fit
from maven_ros.training.losses import concordance, soft_cross_entropy
from maven_ros.training.mixup import mixup
from maven_ros.training.targets import valence_arousal

NAME = 'faces'
#: That the head tells apart.
EMOTIONS = (
    'neutral', 'happy', 'surprised', 'sad', 'angry', 'disgusted', 'fearful', 'contempt')
#: Valence and arousal of each of ``EMOTIONS``, float32 (8, 2).
POINTS = np.array([valence_arousal(name) for name in EMOTIONS], np.float32)
_VALIDATION_BATCH = 256


@dataclass(frozen=True)
class FaceStageSettings(Checked):
    """How the face encoder is trained."""

    loop: LoopSettings = setting(doc='Optimisation.')
    augmentation: FaceAugmentation = setting(
        doc='What befalls the pictures.', made=FaceAugmentation)
    sides_px: tuple[int, ...] = setting(
        (48,), 'Side of the pictures in training, in equal shares of the epochs.', minimum=8)
    mixup: float = setting(
        0.2, 'Parameter of the Beta distribution by which pairs of faces are blended; 0 blends '
        'none (Zhang et al. 2018).', minimum=0)
    agreement: float = setting(
        0.5, 'Weight of 1 - CCC, the mean of valence\'s and arousal\'s.', minimum=0)
    dropout: float = setting(0.2, 'Of the vector, before the head.', minimum=0, below=1)


class FaceVotes(NamedTuple):
    """
    What people would say of faces.

    :param logits: of the votes, (n, 8), in the order of ``EMOTIONS``.
    :param points: valence and arousal, (n, 2): the expectation over the votes.
    """

    logits: Tensor
    points: Tensor


class FaceHead(nn.Module):
    """Reads the votes from a face's vector."""

    points: Tensor

    def __init__(self, width: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.votes = nn.Linear(width, len(EMOTIONS))
        self.register_buffer('points', torch.from_numpy(POINTS), persistent=False)

    def forward(self, vectors: Tensor) -> FaceVotes:
        """Map (n, width) to votes."""
        logits = self.votes(self.dropout(vectors)).float()
        return FaceVotes(logits, logits.softmax(-1) @ self.points)


class FaceModel(nn.Module):
    """The encoder with the head that it is trained with."""

    def __init__(self, encoder: FaceEncoder, head: FaceHead) -> None:
        super().__init__()
        self.encoder, self.head = encoder, head

    def forward(self, pictures: Tensor) -> FaceVotes:
        """Map grey pictures (n, 1, side, side) in [0, 1] to votes."""
        votes: FaceVotes = self.head(self.encoder.encode_grey(pictures))
        return votes


class FaceTask:
    """Faces in batches, blended and augmented, and how well their votes are foretold."""

    def __init__(self, settings: FaceStageSettings, train: Examples, valid: Examples,
                 model: FaceModel, device: torch.device) -> None:
        self.settings, self.device = settings, device
        self.pictures = torch.from_numpy(np.asarray(train.evidence))[:, None]
        self.labels = Labels.of(train, EMOTIONS)
        self.weights, self.valid = train.weights, valid
        self.model = cast(Any, model.to(device)).to(memory_format=torch.channels_last)
        self.steps = max(1, draws(train.weights) // settings.loop.batch_size)

    def batches(self, epoch: int, random: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield pictures and labels; what does not fill a batch is left out."""
        order = drawn(self.weights, random)
        sides, epochs = self.settings.sides_px, self.settings.loop.epochs
        side_px = sides[epoch * len(sides) // epochs]
        for chosen in torch.split(order, self.settings.loop.batch_size)[:self.steps]:
            pictures = augment(
                self.pictures[chosen].float() / 255, self.settings.augmentation, random, side_px)
            pictures, labels = mixup(
                pictures, self.labels.mixed[chosen], self.settings.mixup, random)
            yield (pictures.to(self.device, memory_format=torch.channels_last),
                   labels.to(self.device))

    def losses(self, model: nn.Module, batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        """Return the loss and its two parts."""
        pictures, mixed = batch
        votes = model(pictures)
        labels = Labels(mixed)
        entropy = soft_cross_entropy(votes.logits, labels.shares)
        wanted = labels.points(cast(FaceModel, model).head.points)
        distance = 1 - concordance(votes.points, wanted).mean()
        return {'loss': entropy + self.settings.agreement * distance,
                'cross_entropy': entropy, 'disagreement': distance}

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Score the validation faces."""
        return score(cast(FaceModel, model), self.valid)


def predict(model: FaceModel, pictures: Tensor) -> FaceVotes:
    """
    Say how people would vote on many faces.

    :param pictures: grey (n, 1, side, side), uint8 or float in [0, 1].
    """
    device = model.head.votes.weight.device
    parts = []
    with torch.inference_mode():
        for part in torch.split(pictures, _VALIDATION_BATCH):
            part = part.float() / 255 if part.dtype == torch.uint8 else part
            parts.append(model(part.to(device, memory_format=torch.channels_last)))
    return FaceVotes(torch.cat([part.logits for part in parts]).cpu(),
                     torch.cat([part.points for part in parts]).cpu())


def score(model: FaceModel, faces: Examples) -> dict[str, float]:
    """
    Score a model on faces.

    :returns: ``accuracy`` and ``cross_entropy`` of those of which people named emotions,
        ``ccc_valence`` and ``ccc_arousal``.
    """
    votes = predict(model, torch.from_numpy(np.asarray(faces.evidence))[:, None])
    shares, named = faces.shares_of(EMOTIONS), ~faces.rated
    valence, arousal = concordance(votes.points, torch.from_numpy(faces.targets)).tolist()
    entropy = soft_cross_entropy(votes.logits[named], torch.from_numpy(shares[named]))
    return {'accuracy': accuracy(votes.logits, shares), 'ccc_valence': valence,
            'ccc_arousal': arousal, 'cross_entropy': float(entropy)}


def train_faces(settings: FaceStageSettings, context: StageContext) -> None:
    """
    Train the face encoder, and write it with its head and its figures.

    :raises ResourceError: names a file of the data that is missing or broken.
    """
    train, valid = context.corpora.train_and_valid('video')
    torch.manual_seed(context.seed)
    encoder = FaceEncoder(context.config, normed=True)
    model = FaceModel(encoder, FaceHead(encoder.width, settings.dropout))
    task = FaceTask(settings, train, valid, model, context.device)
    folder = context.out / NAME
    recipe = {**dataclasses.asdict(settings), 'shape': context.config.face_channels,
              'blocks': context.config.face_blocks, 'data': digest_of(train, valid)}
    fitted = fit(task, settings.loop, folder, name=NAME, recipe=recipe, seed=context.seed,
                 stop=context.stop)
    model = cast(FaceModel, fitted.model)
    best = FaceModel(folded(model.encoder), model.head)
    save_stage(folder, best.encoder, best.head, {
        'valid': score(best, valid),
        'valid_degraded': {
            name: score(best, dataclasses.replace(valid, evidence=images))
            for name, images in faces_degraded(np.asarray(valid.evidence)).items()}})
