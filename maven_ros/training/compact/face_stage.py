"""
The stage ``faces``: the face encoder, trained on the corpora of faces.

The head predicts the votes of people; valence and arousal are the expectation over the votes. The
loss is the cross-entropy against the votes, plus 1 - CCC over a batch between the expectation and
that of the votes, or the rating. The first epochs use smaller pictures, which are cheaper.

Each corpus is validated by itself. ``loop.select: every`` keeps the epoch with the highest mean of
accuracy and both CCC over the corpora, where each corpus counts the same.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn

from maven_ros.declarations import Checked, fraction, setting
from maven_ros.model.encoders import FaceEncoder, folded
from maven_ros.resources import resource
from maven_ros.training.compact.degradations import faces_degraded
from maven_ros.training.compact.face_augmentation import FaceAugmentation, augment
from maven_ros.training.compact.face_start import blend, load_faces, unfold
from maven_ros.training.compact.labels import Labels, accuracy
from maven_ros.training.compact.stages import StageContext, save_stage
from maven_ros.training.corpus import Examples
from maven_ros.training.digests import digest_of
from maven_ros.training.drawing import drawn, draws
from maven_ros.training.loop import LoopSettings, fit
from maven_ros.training.losses import concordance, soft_cross_entropy
from maven_ros.training.mixup import mixup
from maven_ros.training.targets import points_of

NAME = 'faces'
#: The classes of the head.
EMOTIONS = (
    'neutral', 'happy', 'surprised', 'sad', 'angry', 'disgusted', 'fearful', 'contempt')
#: Valence and arousal of each of ``EMOTIONS``, float32 (8, 2).
POINTS = points_of(EMOTIONS)
_SELECTING = ('accuracy', 'ccc_valence', 'ccc_arousal')
_VALIDATION_BATCH = 256
_TYPICAL = 512  # pictures that unfolding takes its statistics from


@dataclass(frozen=True)
class FaceStageSettings(Checked):
    """The settings of the stage."""

    loop: LoopSettings = setting(doc='Optimisation.')
    augmentation: FaceAugmentation = setting(
        doc='Augmentation.', made=FaceAugmentation)
    sides_px: tuple[int, ...] = setting(
        (48,), 'Sides of the pictures in training, each for the same share of the epochs.',
        minimum=8)
    mixup: float = setting(
        0.2, 'Parameter of the Beta distribution of mixup; 0 blends '
        'none (Zhang et al. 2018).', minimum=0)
    agreement: float = setting(
        0.5, 'Weight of 1 - CCC, the mean over valence and arousal.', minimum=0)
    dropout: float = setting(0.2, 'Dropout before the head.', minimum=0, below=1)
    start: str = setting(
        '', 'Shipped checkpoint whose face encoder is trained further, such as models/compact; '
        'empty begins with random weights.')
    start_share: float = fraction(
        0.0, 'Share of the weights of start in the result, a mean of both (Wortsman et al. 2022).')


@dataclass(frozen=True)
class TakenFacesSettings(Checked):
    """The settings of the stage ``taken_faces``, which takes a shipped encoder as it is."""

    checkpoint: str = setting(doc='Shipped checkpoint, such as models/compact.')


class FaceVotes(NamedTuple):
    """
    The predicted votes for faces.

    :param logits: (n, 8), logits of the votes, in the order of ``EMOTIONS``.
    :param points: (n, 2), valence and arousal: the expectation over the votes.
    """

    logits: Tensor
    points: Tensor


class FaceHead(nn.Module):
    """Predict the votes from a face's vector."""

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
    """The encoder with its training head."""

    def __init__(self, encoder: FaceEncoder, head: FaceHead) -> None:
        super().__init__()
        self.encoder, self.head = encoder, head

    def forward(self, pictures: Tensor) -> FaceVotes:
        """Map grey pictures (n, 1, side, side) in [0, 1] to votes."""
        votes: FaceVotes = self.head(self.encoder.encode_grey(pictures))
        return votes


class FaceTask:
    """The training task: batches of blended and augmented faces, losses and scores."""

    def __init__(self, settings: FaceStageSettings, train: Examples,
                 valid: Mapping[str, Examples], model: FaceModel, device: torch.device) -> None:
        self.settings, self.device = settings, device
        self.pictures = torch.from_numpy(np.asarray(train.evidence))[:, None]
        self.labels = Labels.of(train, EMOTIONS)
        self.weights, self.valid = train.weights, valid
        self.model = cast(Any, model.to(device)).to(memory_format=torch.channels_last)
        self.steps = max(1, draws(train.weights) // settings.loop.batch_size)

    def batches(self, epoch: int, random: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield pictures and labels; an incomplete last batch is dropped."""
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
        """Score the validation faces of each corpus; ``every`` is the mean over the corpora."""
        scores = {name: score(cast(FaceModel, model), faces)
                  for name, faces in self.valid.items()}
        means = [np.mean([found[figure] for figure in _SELECTING]) for found in scores.values()]
        return {'every': float(np.mean(means)), **{
            f'{name}_{figure}': value for name, found in scores.items()
            for figure, value in found.items()}}


def predict(model: FaceModel, pictures: Tensor) -> FaceVotes:
    """
    Predict the votes for many faces.

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

    :returns: ``accuracy`` and ``cross_entropy`` of the faces with votes, and ``ccc_valence`` and
        ``ccc_arousal`` of all.
    """
    votes = predict(model, torch.from_numpy(np.asarray(faces.evidence))[:, None])
    shares, named = faces.shares_of(EMOTIONS), ~faces.rated
    valence, arousal = concordance(votes.points, torch.from_numpy(faces.targets)).tolist()
    entropy = soft_cross_entropy(votes.logits[named], torch.from_numpy(shares[named]))
    return {'accuracy': accuracy(votes.logits, shares), 'ccc_valence': valence,
            'ccc_arousal': arousal, 'cross_entropy': float(entropy)}


def mean_points(model: FaceModel, faces: Examples) -> dict[str, dict[str, float]]:
    """
    Return what is predicted for each emotion: the mean ``valence`` and ``arousal``.

    :returns: by the emotion of the majority, with the number of ``faces``; others are left out.
    """
    points = predict(model, torch.from_numpy(np.asarray(faces.evidence))[:, None]).points.numpy()
    shares = faces.shares_of(EMOTIONS)
    majority = np.where(faces.rated, -1, shares.argmax(1))
    return {name: {'faces': int(own.sum()), 'valence': float(points[own, 0].mean()),
                   'arousal': float(points[own, 1].mean())}
            for name, own in ((name, majority == index) for index, name in enumerate(EMOTIONS))
            if own.any()}


def train_faces(settings: FaceStageSettings, context: StageContext) -> None:
    """
    Train the face encoder; write it, its head and its figures.

    :raises ResourceError: names a data file that is missing or broken.
    """
    train, valid = context.corpora.train_and_valid('video')
    parts = {listed.corpus.name: faces
             for listed, faces in context.corpora.each('video', 'valid')}
    torch.manual_seed(context.seed)
    model = FaceModel(FaceEncoder(context.config, normed=True),
                      FaceHead(context.config.face_channels[-1], settings.dropout))
    recipe = {**dataclasses.asdict(settings), 'shape': context.config.face_channels,
              'blocks': context.config.face_blocks, 'data': digest_of(train, valid)}
    begun = _begin(model, settings, train, context) if settings.start else None
    task = FaceTask(settings, train, parts, model, context.device)
    folder = context.out / NAME
    fitted = fit(task, settings.loop, folder, name=NAME, recipe=recipe, seed=context.seed,
                 stop=context.stop)
    model = cast(FaceModel, fitted.model)
    best = FaceModel(folded(model.encoder), model.head)
    if begun:
        blend(best, begun, settings.start_share)
    save_stage(folder, best.encoder, best.head, {
        'epoch': fitted.kept.number,
        'valid': {name: score(best, faces) for name, faces in parts.items()},
        'valid_points': {name: mean_points(best, faces) for name, faces in parts.items()},
        'valid_degraded': {name: _scores_degraded(best, faces) for name, faces in parts.items()}})


def take_faces(settings: TakenFacesSettings, context: StageContext) -> None:
    """
    Write the face encoder of a shipped checkpoint, and its head, in place of trained ones.

    :raises ResourceError: if it has none of this shape.
    """
    encoder = FaceEncoder(context.config)
    head = FaceHead(encoder.width)
    load_faces(resource(settings.checkpoint), encoder, head)
    folder = context.out / NAME
    folder.mkdir(parents=True, exist_ok=True)
    save_stage(folder, encoder, head, {'taken': settings.checkpoint})


def _begin(model: FaceModel, settings: FaceStageSettings, train: Examples,
           context: StageContext) -> FaceModel:
    """Give a model the weights of a shipped checkpoint; return them without normalisation."""
    begun = FaceModel(FaceEncoder(context.config), FaceHead(context.config.face_channels[-1]))
    load_faces(resource(settings.start), begun.encoder, begun.head)
    model.head.load_state_dict(begun.head.state_dict())
    random = torch.Generator().manual_seed(context.seed)
    chosen = torch.randperm(len(train), generator=random)[:_TYPICAL].numpy()
    pictures = torch.from_numpy(np.asarray(train.evidence)[chosen])[:, None].float() / 255
    unfold(begun.encoder, model.encoder,
           augment(pictures, settings.augmentation, random, settings.sides_px[0]))
    return begun


def _scores_degraded(model: FaceModel, faces: Examples) -> dict[str, dict[str, float]]:
    return {name: score(model, dataclasses.replace(faces, evidence=images))
            for name, images in faces_degraded(np.asarray(faces.evidence)).items()}
