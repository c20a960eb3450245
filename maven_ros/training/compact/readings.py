"""Estimates for sentences, by the text encoder and its teacher, with their losses and scores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor, nn

from maven_ros.errors import SettingsError
from maven_ros.model.compute import uses_bf16
from maven_ros.model.configuration import UNKNOWN_TOKEN
from maven_ros.training.compact.text_augmentation import Ids
from maven_ros.training.corpus import Examples
from maven_ros.training.losses import soft_cross_entropy

_UNKNOWN = (UNKNOWN_TOKEN, '[UNK]')  # our name and WordPiece's
_MOST_SUBWORDS = 96
_BATCH = 256
_BUCKET_JITTER = 6.0  # noise on lengths before rows are sorted by length, in subwords


class TextReading(NamedTuple):
    """
    The estimates for texts.

    :param rated: (n, 2), rated valence and arousal.
    :param logits: (n, emotions), logits of the emotions.
    :param grouped: (n, 2), valence and arousal of the emotions.
    """

    rated: Tensor
    logits: Tensor
    grouped: Tensor


class TextHead(nn.Module):
    """
    Predict all targets from the mean of a sentence's vectors.

    :param mean: (2,), mean of the ratings; the head predicts standardised ratings.
    :param std: (2,), standard deviation of the ratings.
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
        """Map (n, length, width) under a mask (n, length) to estimates."""
        weights = mask / mask.sum(1, keepdim=True)
        numbers = self.read(self.dropout((weights[..., None] * vectors).sum(1))).float()
        return TextReading(
            self.mean + self.std * numbers[:, :2], numbers[:, 2:-2], numbers[:, -2:])


@dataclass(frozen=True)
class Targets:
    """
    The targets of texts.

    :param points: (n, 2), ratings; arbitrary where their weight is 0.
    :param shares: (n, emotions), shares of the emotions; 0 where their weight is 0.
    :param groups: (n, 2), points of the emotions; arbitrary where their weight is 0.
    :param rated: (n,), weight of ``points``.
    :param named: (n,), weight of ``shares`` and ``groups``.
    """

    points: Tensor
    shares: Tensor
    groups: Tensor
    rated: Tensor
    named: Tensor

    @classmethod
    def of(cls, texts: Examples) -> Targets:
        """Return the targets from the labels of texts."""
        points, rated = torch.from_numpy(texts.targets), torch.from_numpy(texts.rated)
        return cls(points, torch.from_numpy(texts.shares), points, rated.float(), (~rated).float())

    def part(self, rows: Tensor) -> Targets:
        """Return some rows."""
        return Targets(*(value[rows] for value in self.values()))

    def values(self) -> tuple[Tensor, ...]:
        """Return the tensors, in the order of the fields."""
        return self.points, self.shares, self.groups, self.rated, self.named


class SentenceBatch(NamedTuple):
    """
    A batch of padded sentences.

    :param tokens: int64 (n, length).
    :param mask: bool (n, length).
    """

    tokens: Tensor
    mask: Tensor
    targets: Targets

    def to(self, device: torch.device) -> SentenceBatch:
        """Copy the batch to a device."""
        return SentenceBatch(self.tokens.to(device), self.mask.to(device), Targets(
            *(value.to(device) for value in self.targets.values())))


def losses(reading: TextReading, targets: Targets, std: Tensor, groups: float,
           ) -> dict[str, Tensor]:
    """
    Return the loss and its three parts, each a mean over the rows.

    :param std: (2,), standard deviation of the ratings, the unit of the errors of points.
    :param groups: weight of the squared error of the groups' points.
    """
    errors = ((reading.rated - targets.points) / std).square().sum(1)
    apart = (reading.grouped - targets.groups).square().sum(1)
    parts = {
        'ratings': (errors * targets.rated).mean(),
        'emotions': soft_cross_entropy(
            reading.logits, targets.shares * targets.named[:, None]),
        'groups': groups * (apart * targets.named).mean()}
    return {'loss': torch.stack(list(parts.values())).sum(), **parts}


def encode(tokenizer: Tokenizer, texts: Sequence[str]) -> list[Ids]:
    """Return the ids of each text, (subwords,); the unknown token for a text without letters."""
    names = tokenizer.get_vocab()
    unknown = next(names[name] for name in _UNKNOWN if name in names)
    return [np.array(encoding.ids or [unknown], np.int64)
            for encoding in tokenizer.encode_batch(list(texts), add_special_tokens=False)]


def pad(rows: Sequence[Ids]) -> tuple[Tensor, Tensor]:
    """Pad rows: return ids (n, longest) and their mask; rows that are too long are cut."""
    longest = min(max(map(len, rows)), _MOST_SUBWORDS)
    lengths = torch.tensor([len(row) for row in rows])
    tokens = torch.zeros(len(rows), longest, dtype=torch.int64)
    for index, row in enumerate(rows):
        tokens[index, :len(row)] = torch.from_numpy(row[:longest])
    return tokens, torch.arange(longest) < lengths[:, None]


def similar_lengths(
    lengths: NDArray[np.int64], size: int, random: np.random.Generator,
) -> Iterator[NDArray[np.int64]]:
    """Yield batches of row indices in random order; rows in a batch have similar lengths."""
    order = np.argsort(lengths + _BUCKET_JITTER * random.random(len(lengths)))
    for index in random.permutation(-(-len(lengths) // size)):
        yield order[index * size:(index + 1) * size]


def predict(model: nn.Module, tokenizer: Tokenizer, texts: Sequence[str],
            precision: str = 'fp32') -> TextReading:
    """
    Predict many texts.

    :param model: maps ids and their mask to a :class:`TextReading`.
    :param precision: precision of large products, as in
        :class:`maven_ros.training.loop.LoopSettings`.
    """
    device = next(model.parameters()).device
    rows = encode(tokenizer, texts)
    order = np.argsort([len(row) for row in rows], kind='stable')
    parts = []
    with torch.inference_mode(), torch.autocast(
            device.type, torch.bfloat16, uses_bf16(precision, device)):
        for chosen in np.array_split(order, -(-len(order) // _BATCH)):
            tokens, mask = pad([rows[index] for index in chosen])
            parts.append(model(tokens.to(device), mask.to(device)))
    back = torch.from_numpy(np.argsort(order, kind='stable'))
    return TextReading(*(torch.cat(same).cpu()[back] for same in zip(*parts, strict=True)))


def rated_texts(texts: Examples) -> Examples:
    """
    Return the texts with rated valence and arousal, which are the ones that are scored.

    :raises SettingsError: if there is none.
    """
    if not texts.rated.any():
        raise SettingsError('corpora: no text has rated valence and arousal; allowed: at least '
                            'one corpus with such texts')
    return texts.of(texts.rated)


def score(model: nn.Module, tokenizer: Tokenizer, sentences: Examples) -> dict[str, float]:
    """
    Score a model on complete sentences.

    :param sentences: sentences with ratings.
    :returns: Pearson's ``r_valence`` and ``r_arousal``, and ``r``, their mean.
    """
    rated = predict(model, tokenizer, sentences.evidence).rated.numpy()
    valence, arousal = (_pearson(rated[:, column], sentences.targets[:, column])
                        for column in range(2))
    return {'r_valence': valence, 'r_arousal': arousal, 'r': (valence + arousal) / 2}


def _pearson(predicted: NDArray[np.float32], target: NDArray[np.float32]) -> float:
    return float(np.corrcoef(predicted, target)[0, 1])
