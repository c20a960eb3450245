"""
The stage ``text``: the text encoder, trained on all corpora of texts together.

Sentences of which people rated valence and arousal (EmoBank's 8,000) teach it what is scored;
texts of which they named emotions (GoEmotions' 43,000 comments), and those emotions' points, teach
it words that the sentences lack; a language model
that has read far more says all of it of all of them (:mod:`maven_ros.training.compact.teacher`). A
window of two seconds holds few words, so parts of sentences are trained on, too
(:mod:`maven_ros.training.compact.text_augmentation`). Words begin as what the teacher knows of
them, and only how that is brought to the encoder's width is trained: so a word that no sentence
holds stands near those that mean the like.
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
    """How the text encoder is trained."""

    loop: LoopSettings = setting(doc='Optimisation.')
    augmentation: TextAugmentation = setting(
        doc='What befalls the sentences.', made=TextAugmentation)
    repeats: int = setting(
        2, 'How often an epoch has each sentence that people rated, beside its corpus\'s weight. '
        'With a teacher, how much their ratings count.', minimum=1)
    taught: float = fraction(
        0.0, 'Share of the teacher in the targets that people gave, too; 0 takes no teacher.')
    comments: float = setting(
        2.0, 'Weight of the squared error of the named emotions\' points.', minimum=0)
    token_dropout: float = setting(
        0.2, 'Of subwords\' vectors, before the transformer.', minimum=0, below=1)
    dropout: float = setting(0.3, 'Of the pooled vector, before the head.', minimum=0, below=1)


class WordVectors(nn.Module):
    """
    A teacher's vectors of subwords, brought to another width by what is trained.

    :param vectors: (vocabulary, width of the teacher).
    :param width: of what comes out.
    """

    def __init__(self, vectors: Tensor, width: int) -> None:
        super().__init__()
        self.vectors = vectors  # no buffer: it never changes, and is in no checkpoint
        self.project = nn.Linear(vectors.shape[1], width, bias=False)
        nn.init.normal_(self.project.weight, std=vectors.shape[1] ** -0.5)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map ids (n, length) to (n, length, width)."""
        projected: Tensor = self.project(self.vectors[tokens])
        return projected

    def embedding(self) -> nn.Embedding:
        """Return the same as one table."""
        with torch.no_grad():
            table = self.vectors @ self.project.weight.T
        embedding = nn.Embedding(len(table), table.shape[1])
        embedding.weight = nn.Parameter(table)
        return embedding


class TextModel(nn.Module):
    """The encoder with the head that it is trained with."""

    def __init__(self, encoder: TextEncoder, head: TextHead, token_dropout: float = 0.0) -> None:
        super().__init__()
        self.encoder, self.head = encoder, head
        self.token_dropout = nn.Dropout(token_dropout)

    def forward(self, tokens: Tensor, mask: Tensor) -> TextReading:
        """Map ids (n, length) under a mask (n, length) to readings."""
        vectors = self.token_dropout(self.encoder.embed(tokens))
        reading: TextReading = self.head(self.encoder.transformer(vectors, mask), mask)
        return reading


class TextTask:
    """Sentences in batches of about one length, and how well their ratings are told."""

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
        """Yield batches in random order; rows of a batch have about one length."""
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
        with sdpa_kernel(SDPBackend.MATH):  # the fused one is slow to train on short rows
            reading = model(batch.tokens, batch.mask)
        return losses(reading, batch.targets, cast(TextModel, model).head.std,
                      self.settings.comments)

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Score the validation sentences that people rated."""
        return score(model, self.tokenizer, self.valid)


class Learnt(NamedTuple):
    """Texts, what should be read in them, and how often an epoch has each, (texts,)."""

    texts: tuple[str, ...]
    targets: Targets
    weights: NDArray[np.float32]


def untaught(texts: Examples, repeats: int) -> Learnt:
    """
    Return people's texts.

    :param repeats: how often an epoch has those that were rated, beside the others.
    """
    often = np.where(texts.rated, repeats, 1) * texts.weights
    return Learnt(tuple(texts.evidence), Targets.of(texts), often.astype(np.float32))


def taught(texts: Examples, labels: TaughtLabels, share: float, repeats: int) -> Learnt:
    """
    Return people's texts and parts of them, with what the teacher says of all of it.

    :param share: of the teacher in the targets that people gave, too.
    :param repeats: how much people's ratings count.
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
    Train the text encoder, and write it with its head and its figures.

    :raises ResourceError: names a file of the data that is missing or broken.
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
