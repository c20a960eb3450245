"""
The stage ``text``: the text encoder, trained on EmoBank and GoEmotions together.

People's valence and arousal of 8,000 sentences teach it what is scored; the emotions of 43,000
comments, and their groups' points, teach it words that those sentences lack. A window
of two seconds holds few words, so parts of sentences are trained on, too
(:mod:`maven_ros.training.text_augmentation`). The embedding begins where linear regressions end:
:mod:`maven_ros.training.text_start`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from maven_ros.model.configuration import UNKNOWN_TOKEN
from maven_ros.model.encoders import TextEncoder
from maven_ros.resources import resource
from maven_ros.training.emobank import RatedSentences, read_emobank
from maven_ros.training.goemotions import LabelledComments, read_goemotions
from maven_ros.training.loop import LoopSettings, fit
from maven_ros.training.losses import soft_cross_entropy
from maven_ros.training.stages import StageContext, save_stage
from maven_ros.training.text_augmentation import Ids, TextAugmentation, TextAugmenter
from maven_ros.training.text_start import start

NAME = 'text'
TOKENIZER = 'models/compact/tokenizer.json'
_MOST_SUBWORDS = 96
_VALIDATION_BATCH = 256
_BUCKET_JITTER = 6.0  # subwords; by which lengths are blurred before rows are sorted by them


@dataclass(frozen=True)
class TextSettings:
    """
    How the text encoder is trained.

    :param loop: optimisation.
    :param augmentation: what befalls the sentences.
    :param repeats: how often an epoch has each of EmoBank's sentences; a comment it has once.
    :param comments: weight of the squared error of the comments' points.
    :param token_dropout: of subwords' vectors, before the transformer.
    :param dropout: of the pooled vector, before the head.
    """

    loop: LoopSettings
    augmentation: TextAugmentation = field(default_factory=TextAugmentation)
    repeats: int = 2
    comments: float = 2.0
    token_dropout: float = 0.2
    dropout: float = 0.3


class TextReading(NamedTuple):
    """
    What words are read to say.

    :param rated: valence and arousal as EmoBank's readers rate, (n, 2).
    :param logits: of GoEmotions' emotions, (n, 28).
    :param grouped: valence and arousal of those emotions' groups, (n, 2).
    """

    rated: Tensor
    logits: Tensor
    grouped: Tensor


class TextHead(nn.Module):
    """
    Reads all targets from the mean of a sentence's vectors.

    :param mean: of EmoBank's targets, (2,); the rated points are read as shares of their spread.
    :param std: of EmoBank's targets, (2,).
    """

    mean: Tensor
    std: Tensor

    def __init__(self, width: int, emotions: int, mean: Tensor, std: Tensor,
                 dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.read = nn.Linear(width, 2 + emotions + 2)
        self.register_buffer('mean', mean)
        self.register_buffer('std', std)

    def forward(self, vectors: Tensor, mask: Tensor) -> TextReading:
        """Map (n, length, width) under a mask (n, length) to readings."""
        weights = mask / mask.sum(1, keepdim=True)
        numbers = self.read(self.dropout((weights[..., None] * vectors).sum(1))).float()
        return TextReading(
            self.mean + self.std * numbers[:, :2], numbers[:, 2:-2], numbers[:, -2:])


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


class TextBatch(NamedTuple):
    """
    Sentences and comments, mixed.

    :param tokens: int64 (n, length).
    :param mask: bool (n, length).
    :param rated: bool (n,), True for EmoBank's.
    :param points: (n, 2), valence and arousal.
    :param shares: (n, 28), of the emotions; 0 for EmoBank's.
    """

    tokens: Tensor
    mask: Tensor
    rated: Tensor
    points: Tensor
    shares: Tensor


class TextTask:
    """Sentences in batches of about one length, and how well their ratings are told."""

    def __init__(self, settings: TextSettings, tokenizer: Tokenizer, rated: RatedSentences,
                 comments: LabelledComments, valid: RatedSentences, model: TextModel,
                 device: torch.device) -> None:
        self.settings, self.tokenizer, self.device = settings, tokenizer, device
        self.augmenter = TextAugmenter(tokenizer, settings.augmentation)
        repeated = np.tile(np.arange(len(rated)), settings.repeats)
        sentences = encode(tokenizer, rated.texts)
        self.rows = [sentences[index] for index in repeated] + encode(tokenizer, comments.texts)
        self.rated = torch.arange(len(self.rows)) < len(repeated)
        self.points = torch.from_numpy(
            np.concatenate([rated.targets[repeated], comments.targets]))
        self.shares = torch.zeros(len(self.rows), len(comments.names))
        self.shares[len(repeated):] = torch.from_numpy(
            comments.labels / comments.labels.sum(1, keepdims=True))
        self.valid = valid
        self.model: nn.Module = model.to(device)
        self.steps = -(-len(self.rows) // settings.loop.batch_size)

    def batches(self, epoch: int, random: torch.Generator) -> Iterator[TextBatch]:
        """Yield batches in random order; rows of a batch have about one length."""
        numpy_random = np.random.default_rng(
            int(torch.randint(2 ** 62, (), generator=random)))
        lengths = np.array([len(row) for row in self.rows], np.float64)
        order = np.argsort(lengths + _BUCKET_JITTER * numpy_random.random(len(lengths)))
        size = self.settings.loop.batch_size
        for index in numpy_random.permutation(self.steps):
            chosen = torch.from_numpy(order[index * size:(index + 1) * size])
            rows = [self.augmenter(self.rows[row], numpy_random) for row in chosen.tolist()]
            batch = TextBatch(*pad(rows), self.rated[chosen], self.points[chosen],
                              self.shares[chosen])
            yield TextBatch(*(value.to(self.device) for value in batch))

    def losses(self, model: nn.Module, batch: TextBatch) -> dict[str, Tensor]:
        """Return the loss and its three parts, each a mean over the rows that it is of."""
        with sdpa_kernel(SDPBackend.MATH):  # the fused one is slow to train on short rows
            reading = model(batch.tokens, batch.mask)
        comment = ~batch.rated
        std = cast(TextModel, model).head.std
        errors = ((reading.rated - batch.points) / std)[batch.rated].square()
        parts = {
            'ratings': errors.sum() / len(batch.rated),
            'emotions': soft_cross_entropy(reading.logits, batch.shares),
            'groups': self.settings.comments * (
                reading.grouped - batch.points)[comment].square().sum() / len(batch.rated)}
        return {'loss': torch.stack(list(parts.values())).sum(), **parts}

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Score EmoBank's validation sentences."""
        return score(cast(TextModel, model), self.tokenizer, self.valid)


def encode(tokenizer: Tokenizer, texts: Sequence[str]) -> list[Ids]:
    """Return the ids of each text, (subwords,); one of the unknown where it has no letter."""
    unknown = tokenizer.get_vocab()[UNKNOWN_TOKEN]
    return [np.array(encoding.ids or [unknown], np.int64)
            for encoding in tokenizer.encode_batch(list(texts), add_special_tokens=False)]


def pad(rows: Sequence[Ids]) -> tuple[Tensor, Tensor]:
    """Stand rows side by side: ids (n, longest) and their mask; ends that are too long fall."""
    longest = min(max(map(len, rows)), _MOST_SUBWORDS)
    lengths = torch.tensor([len(row) for row in rows])
    tokens = torch.zeros(len(rows), longest, dtype=torch.int64)
    for index, row in enumerate(rows):
        tokens[index, :len(row)] = torch.from_numpy(row[:longest])
    return tokens, torch.arange(longest) < lengths[:, None]


def start_of(encoder: TextEncoder, tokenizer: Tokenizer, rated: RatedSentences,
             comments: LabelledComments) -> Tensor:
    """Return what the encoder's embedding starts from, by all targets of the corpora."""
    shares = comments.labels / comments.labels.sum(1, keepdims=True)
    tasks = [(rated.texts, rated.targets),
             (comments.texts, np.concatenate([shares, comments.targets], 1))]
    vocabulary, width = encoder.embedding.weight.shape
    return start([(encode(tokenizer, texts), torch.from_numpy(targets))
                  for texts, targets in tasks], vocabulary, width)


def predict(model: TextModel, tokenizer: Tokenizer, texts: Sequence[str]) -> TextReading:
    """Read many texts."""
    device = model.head.mean.device
    rows = encode(tokenizer, texts)
    order = np.argsort([len(row) for row in rows], kind='stable')
    parts = []
    with torch.inference_mode():
        for chosen in np.array_split(order, -(-len(order) // _VALIDATION_BATCH)):
            tokens, mask = pad([rows[index] for index in chosen])
            parts.append(model(tokens.to(device), mask.to(device)))
    back = torch.from_numpy(np.argsort(order, kind='stable'))
    return TextReading(*(torch.cat(same).cpu()[back] for same in zip(*parts, strict=True)))


def score(model: TextModel, tokenizer: Tokenizer, sentences: RatedSentences) -> dict[str, float]:
    """
    Score a model on whole sentences.

    :returns: Pearson's ``r_valence`` and ``r_arousal``, and ``r``, their mean.
    """
    rated = predict(model, tokenizer, sentences.texts).rated.numpy()
    valence, arousal = (_pearson(rated[:, column], sentences.targets[:, column])
                        for column in range(2))
    return {'r_valence': valence, 'r_arousal': arousal, 'r': (valence + arousal) / 2}


def train_text(settings: TextSettings, context: StageContext) -> None:
    """
    Train the text encoder, and write it with its head and its figures.

    :raises ResourceError: names a file of the data that is missing or broken.
    """
    rated, valid = (read_emobank(context.data, split) for split in ('train', 'valid'))
    comments = read_goemotions(context.data, 'train')
    tokenizer = Tokenizer.from_file(str(resource(TOKENIZER)))
    torch.manual_seed(context.seed)
    encoder = TextEncoder(context.config)
    with torch.no_grad():
        encoder.embedding.weight.copy_(start_of(encoder, tokenizer, rated, comments))
    head = TextHead(encoder.width, len(comments.names), torch.from_numpy(rated.targets.mean(0)),
                    torch.from_numpy(rated.targets.std(0)), settings.dropout)
    model = TextModel(encoder, head, settings.token_dropout)
    task = TextTask(settings, tokenizer, rated, comments, valid, model, context.device)
    shape = {name: value for name, value in context.config.own().items()
             if name.startswith('text_') or name in ('vocabulary', 'dropout')}
    folder = context.out / NAME
    fitted = fit(task, settings.loop, folder, name=NAME,
                 recipe={**dataclasses.asdict(settings), 'shape': shape}, seed=context.seed,
                 stop=context.stop)
    best = cast(TextModel, fitted.model)
    save_stage(folder, best.encoder, best.head, {'valid': score(best, tokenizer, valid)})


def _pearson(predicted: NDArray[np.float32], target: NDArray[np.float32]) -> float:
    return float(np.corrcoef(predicted, target)[0, 1])
