"""What sentences are read to say, by the text encoder and by its teacher, and how well."""

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

_UNKNOWN = (UNKNOWN_TOKEN, '[UNK]')  # ours, and WordPiece's
_MOST_SUBWORDS = 96
_BATCH = 256
_BUCKET_JITTER = 6.0  # subwords; by which lengths are blurred before rows are sorted by them


class TextReading(NamedTuple):
    """
    What words are read to say.

    :param rated: valence and arousal as people rate them, (n, 2).
    :param logits: of the emotions that people name, (n, emotions).
    :param grouped: valence and arousal of the emotions that people name, (n, 2).
    """

    rated: Tensor
    logits: Tensor
    grouped: Tensor


class TextHead(nn.Module):
    """
    Reads all targets from the mean of a sentence's vectors.

    :param mean: of the ratings, (2,); the rated points are read as shares of their spread.
    :param std: of the ratings, (2,).
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


@dataclass(frozen=True)
class Targets:
    """
    What readings should be.

    :param points: (n, 2), as people rate; any number where they do not count.
    :param shares: (n, emotions), of those that people name; 0 where they do not count.
    :param groups: (n, 2), of those emotions; any number where they do not count.
    :param rated: (n,), how much ``points`` count.
    :param named: (n,), how much ``shares`` and ``groups`` count.
    """

    points: Tensor
    shares: Tensor
    groups: Tensor
    rated: Tensor
    named: Tensor

    @classmethod
    def of(cls, texts: Examples) -> Targets:
        """Return people's."""
        points, rated = torch.from_numpy(texts.targets), torch.from_numpy(texts.rated)
        return cls(points, torch.from_numpy(texts.shares), points, rated.float(), (~rated).float())

    def part(self, rows: Tensor) -> Targets:
        """Take some rows."""
        return Targets(*(value[rows] for value in self.values()))

    def values(self) -> tuple[Tensor, ...]:
        """Return the tensors, in the order of the fields."""
        return self.points, self.shares, self.groups, self.rated, self.named


class SentenceBatch(NamedTuple):
    """
    Sentences side by side.

    :param tokens: int64 (n, length).
    :param mask: bool (n, length).
    """

    tokens: Tensor
    mask: Tensor
    targets: Targets

    def to(self, device: torch.device) -> SentenceBatch:
        """Bring all of it to a device."""
        return SentenceBatch(self.tokens.to(device), self.mask.to(device), Targets(
            *(value.to(device) for value in self.targets.values())))


def losses(reading: TextReading, targets: Targets, std: Tensor, groups: float,
           ) -> dict[str, Tensor]:
    """
    Return the loss and its three parts, each a mean over the rows.

    :param std: of the ratings, (2,), in shares of which points err.
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
    """Return the ids of each text, (subwords,); one of the unknown where it has no letter."""
    names = tokenizer.get_vocab()
    unknown = next(names[name] for name in _UNKNOWN if name in names)
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


def similar_lengths(
    lengths: NDArray[np.int64], size: int, random: np.random.Generator,
) -> Iterator[NDArray[np.int64]]:
    """Yield batches of all rows' indices in random order; each is of about one length."""
    order = np.argsort(lengths + _BUCKET_JITTER * random.random(len(lengths)))
    for index in random.permutation(-(-len(lengths) // size)):
        yield order[index * size:(index + 1) * size]


def predict(model: nn.Module, tokenizer: Tokenizer, texts: Sequence[str],
            precision: str = 'fp32') -> TextReading:
    """
    Read many texts.

    :param model: maps ids and their mask to a :class:`TextReading`.
    :param precision: of the large products, as :class:`maven_ros.training.loop.LoopSettings` has
        it.
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
    Return the texts of which people rated valence and arousal: figures are of those.

    :raises SettingsError: when there is none.
    """
    if not texts.rated.any():
        raise SettingsError('corpora: people rated valence and arousal of no text; allowed: one '
                            'corpus, at least, in which they did')
    return texts.of(texts.rated)


def score(model: nn.Module, tokenizer: Tokenizer, sentences: Examples) -> dict[str, float]:
    """
    Score a model on whole sentences.

    :param sentences: that people rated.
    :returns: Pearson's ``r_valence`` and ``r_arousal``, and ``r``, their mean.
    """
    rated = predict(model, tokenizer, sentences.evidence).rated.numpy()
    valence, arousal = (_pearson(rated[:, column], sentences.targets[:, column])
                        for column in range(2))
    return {'r_valence': valence, 'r_arousal': arousal, 'r': (valence + arousal) / 2}


def _pearson(predicted: NDArray[np.float32], target: NDArray[np.float32]) -> float:
    return float(np.corrcoef(predicted, target)[0, 1])
