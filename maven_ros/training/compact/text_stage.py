"""
The stage ``text``: the text encoder, trained on all text corpora together.

Sentences with rated valence and arousal (EmoBank, 8,000) have the targets that are scored. Texts
with emotions (GoEmotions, 43,000 comments), and the points of the emotions, add words that those
sentences lack. A large language model adds its estimates for all texts
(:mod:`maven_ros.training.compact.teacher`). A window of two seconds holds few words, so parts of
sentences are trained on, too (:mod:`maven_ros.training.compact.text_augmentation`). The subword
vectors are the teacher's, and only their projection to the encoder's width is trained, so a word
that is not in the corpora stays close to words with a similar meaning.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from maven_ros.declarations import Checked, fraction, setting
from maven_ros.files import sha256_of
from maven_ros.model.encoders import TextEncoder
from maven_ros.resources import resource
from maven_ros.training.compact.readings import (
    SentenceBatch,
    Targets,
    TextHead,
    TextReading,
    encode,
    losses,
    pad,
    rated_texts,
    score,
    similar_lengths,
)
from maven_ros.training.compact.stages import StageContext, save_stage
from maven_ros.training.compact.teacher import NAME as TEACHER
from maven_ros.training.compact.teacher import TaughtLabels, read_labels, read_words
from maven_ros.training.compact.text_augmentation import TextAugmentation, TextAugmenter
from maven_ros.training.corpus import Examples
from maven_ros.training.digests import digest_of
from maven_ros.training.drawing import drawn, draws
from maven_ros.training.loop import CHECKPOINT, LoopSettings, fit

NAME = 'text'
TOKENIZER = 'models/compact/tokenizer.json'


@dataclass(frozen=True)
class TextSettings(Checked):
    """The settings of the stage."""

    loop: LoopSettings = setting(doc='Optimisation.')
    augmentation: TextAugmentation = setting(
        doc='Augmentation.', made=TextAugmentation)
    repeats: int = setting(
        2, 'Factor on the weight of each rated sentence in an epoch; with a teacher, weight of '
        'the ratings.', minimum=1)
    taught: float = fraction(
        0.0, 'Share of the teacher in targets that people also labelled; 0 uses no teacher.')
    comments: float = setting(
        2.0, 'Weight of the squared error of the emotions\' points.', minimum=0)
    token_dropout: float = setting(
        0.2, 'Dropout of subword vectors, before the transformer.', minimum=0, below=1)
    dropout: float = setting(0.3, 'Dropout before the head.', minimum=0, below=1)


class WordVectors(nn.Module):
    """
    Fixed subword vectors of a teacher, with a trained projection to another width.

    :param vectors: (vocabulary, width of the teacher).
    :param width: width of the result.
    """

    def __init__(self, vectors: Tensor, width: int) -> None:
        super().__init__()
        self.vectors = vectors  # not a buffer, so checkpoints do not store it
        self.project = nn.Linear(vectors.shape[1], width, bias=False)
        nn.init.normal_(self.project.weight, std=vectors.shape[1] ** -0.5)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map ids (n, length) to (n, length, width)."""
        projected: Tensor = self.project(self.vectors[tokens])
        return projected

    def embedding(self) -> nn.Embedding:
        """Return the projected vectors as one table."""
        with torch.no_grad():
            table = self.vectors @ self.project.weight.T
        embedding = nn.Embedding(len(table), table.shape[1])
        embedding.weight = nn.Parameter(table)
        return embedding


class TextModel(nn.Module):
    """The encoder with its training head."""

    def __init__(self, encoder: TextEncoder, head: TextHead, token_dropout: float = 0.0) -> None:
        super().__init__()
        self.encoder, self.head = encoder, head
        self.token_dropout = nn.Dropout(token_dropout)

    def forward(self, tokens: Tensor, mask: Tensor) -> TextReading:
        """Map ids (n, length) under a mask (n, length) to estimates."""
        vectors = self.token_dropout(self.encoder.embed(tokens))
        reading: TextReading = self.head(self.encoder.transformer(vectors, mask), mask)
        return reading


class TextTask:
    """The training task: batches of sentences of similar lengths, losses and scores."""

    def __init__(self, settings: TextSettings, tokenizer: Tokenizer, learnt: Learnt,
                 valid: Examples, model: TextModel, device: torch.device) -> None:
        self.settings, self.tokenizer, self.device = settings, tokenizer, device
        self.augmenter = TextAugmenter(tokenizer, settings.augmentation)
        self.rows, self.targets = encode(tokenizer, learnt.texts), learnt.targets
        self.weights = learnt.weights
        self.valid = valid
        self.model: nn.Module = model.to(device)
        self.steps = -(-draws(self.weights) // settings.loop.batch_size)

    def batches(self, epoch: int, random: torch.Generator) -> Iterator[SentenceBatch]:
        """Yield batches in random order; rows of a batch have similar lengths."""
        numpy_random = np.random.default_rng(
            int(torch.randint(2 ** 62, (), generator=random)))
        order = drawn(self.weights, random).numpy()
        lengths = np.array([len(self.rows[row]) for row in order])
        for places in similar_lengths(lengths, self.settings.loop.batch_size, numpy_random):
            chosen = order[places]
            rows = [self.augmenter(self.rows[row], numpy_random) for row in chosen.tolist()]
            yield SentenceBatch(
                *pad(rows), self.targets.part(torch.from_numpy(chosen))).to(self.device)

    def losses(self, model: nn.Module, batch: SentenceBatch) -> dict[str, Tensor]:
        """Return the loss and its three parts, each a mean over the rows."""
        with sdpa_kernel(SDPBackend.MATH):  # the fused kernel trains slowly on short rows
            reading = model(batch.tokens, batch.mask)
        return losses(reading, batch.targets, cast(TextModel, model).head.std,
                      self.settings.comments)

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Score the rated validation sentences."""
        return score(model, self.tokenizer, self.valid)


class Learnt(NamedTuple):
    """Texts, their targets, and the frequency of each per epoch, (texts,)."""

    texts: tuple[str, ...]
    targets: Targets
    weights: NDArray[np.float32]


def untaught(texts: Examples, repeats: int) -> Learnt:
    """
    Return texts with the labels of people only.

    :param repeats: factor on the frequency of rated texts.
    """
    often = np.where(texts.rated, repeats, 1) * texts.weights
    return Learnt(tuple(texts.evidence), Targets.of(texts), often.astype(np.float32))


def taught(texts: Examples, labels: TaughtLabels, share: float, repeats: int) -> Learnt:
    """
    Return texts and parts of them, with the labels of people and of the teacher.

    :param share: share of the teacher in targets that people also labelled.
    :param repeats: weight of people's ratings.
    """
    people = Targets.of(texts)
    reading, own = labels.reading, len(texts)
    targets = Targets(
        reading.rated.clone(), reading.logits.softmax(1), reading.grouped.clone(),
        torch.ones(len(labels.texts)), torch.ones(len(labels.texts)))
    targets.rated[:own][people.rated > 0] = repeats
    for ours, theirs, counts in (
            (targets.points, people.points, people.rated),
            (targets.shares, people.shares, people.named),
            (targets.groups, people.groups, people.named)):
        ours[:own] = ours[:own].lerp(theirs, (1 - share) * counts[:, None])
    weights = np.ones(len(labels.texts), np.float32)
    weights[:own] = texts.weights
    return Learnt(labels.texts, targets, weights)


def train_text(settings: TextSettings, context: StageContext) -> None:
    """
    Train the text encoder; write it, its head and its figures.

    :raises ResourceError: names a data file that is missing or broken.
    """
    train, valid = context.corpora.train_and_valid('text')
    rated, valid = rated_texts(train), rated_texts(valid)
    learnt = untaught(train, settings.repeats)
    tokenizer = Tokenizer.from_file(str(resource(TOKENIZER)))
    torch.manual_seed(context.seed)
    encoder = TextEncoder(context.config)
    recipe = {**dataclasses.asdict(settings), 'data': digest_of(train, valid)}
    if settings.taught:
        labels = read_labels(context.out, train.evidence)
        learnt = taught(train, labels, settings.taught, settings.repeats)
        vectors = read_words(context.out, context.config.vocabulary).to(context.device)
        cast(Any, encoder).embedding = WordVectors(vectors, encoder.width)
        recipe['teacher'] = sha256_of(context.out / TEACHER / CHECKPOINT)
    head = TextHead(encoder.width, len(train.emotions), torch.from_numpy(rated.targets.mean(0)),
                    torch.from_numpy(rated.targets.std(0)), settings.dropout)
    model = TextModel(encoder, head, settings.token_dropout)
    task = TextTask(settings, tokenizer, learnt, valid, model, context.device)
    shape = {name: value for name, value in context.config.own().items()
             if name.startswith('text_') or name in ('vocabulary', 'dropout')}
    folder = context.out / NAME
    fitted = fit(task, settings.loop, folder, name=NAME,
                 recipe={**recipe, 'shape': shape}, seed=context.seed, stop=context.stop)
    best = cast(TextModel, fitted.model)
    if settings.taught:
        best.encoder.embedding = cast(WordVectors, best.encoder.embedding).embedding()
    save_stage(folder, best.encoder, best.head, {'valid': score(best, tokenizer, valid)})
