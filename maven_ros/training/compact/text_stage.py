"""
The stage ``text``: the learnt part of the text encoder, trained on all corpora of texts.

E5's layers are frozen, so each version of a text is encoded once and only the mean over its
subwords is kept: the learnt part and its head read nothing else of a whole text. A window of two
seconds holds few words and some recognisers write no punctuation, so versions without it, and
parts of texts, are trained on, too.

Corpora differ in how far their raters go. The loss is therefore taken for each corpus by itself:
1 - CCC, plus the squared error in units of the corpus's own spread. Arousal weighs as much as
valence. The emotions of a corpus that names them are a second task.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import track
from tokenizers import Tokenizer
from torch import Tensor, nn

from maven_ros.declarations import Checked, fraction, setting
from maven_ros.errors import ResourceError, SettingsError
from maven_ros.model.compute import uses_bf16
from maven_ros.model.e5_text import E5Text, LearntText
from maven_ros.training.compact.bank import fingerprint, keep
from maven_ros.training.compact.e5_cut import cut, frequent, possible
from maven_ros.training.compact.e5_file import read_e5
from maven_ros.training.compact.pieces import without_punctuation, words_of
from maven_ros.training.compact.stages import StageContext, fetched, save_stage
from maven_ros.training.corpus import Examples, join
from maven_ros.training.digests import digest_of
from maven_ros.training.drawing import drawn, draws
from maven_ros.training.loop import LoopSettings, fit
from maven_ros.training.losses import concordance, soft_cross_entropy
from maven_ros.training.targets import points_of

NAME = 'text'
TOKENIZER = 'tokenizer.json'
WEIGHTS = 'e5-small-q4.bin'
#: Where the points of the head begin; they are learnt.
EMOTIONS = ('neutral', 'happy', 'surprised', 'sad', 'angry', 'disgusted', 'fearful', 'calm')
_FEWEST = 8  # texts of a corpus in a batch that a CCC can rest on
_MOST_SUBWORDS = 100
_SUBWORDS_AT_ONCE = 2048


@dataclass(frozen=True)
class TextSettings(Checked):
    """The settings of the stage."""

    loop: LoopSettings = setting(doc='Optimisation.')
    e5: str = setting(
        'e5-small', 'Folder with the file of multilingual E5, or the name of a fetched one.')
    pieces: int = setting(
        0, 'Subwords to keep, those that serve the texts best; 0 keeps all that text can hold.',
        minimum=0)
    most: int = setting(
        16_000, 'Most texts of a corpus in training, drawn at random.', minimum=1)
    versions: int = setting(
        4, 'Versions of each text: as written, without punctuation, then parts of it.', minimum=2)
    part_words: tuple[int, int] = setting(
        (1, 8), 'Fewest and most words of a part.', minimum=1, rises=True)
    emotions: float = setting(0.25, 'Weight of the emotions.', minimum=0)
    input_dropout: float = setting(0.1, "Dropout of E5's numbers.", minimum=0, below=1)
    dropout: float = setting(0.3, 'Dropout before the head.', minimum=0, below=1)
    written: float = fraction(0.4, 'Share of the texts that are drawn as they are written.')


class TextReading(NamedTuple):
    """
    The estimates for texts.

    :param points: (n, 2), valence and arousal.
    :param emotions: (n, emotions), logits of the emotions of the corpora.
    """

    points: Tensor
    emotions: Tensor


class TextHead(nn.Module):
    """
    Predict from the mean of a text's vectors: votes for points, which are learnt, too.

    :param emotions: number of the corpora's emotions, of the second task.
    """

    def __init__(self, width: int, emotions: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.votes = nn.Linear(width, len(EMOTIONS))
        self.points = nn.Parameter(torch.from_numpy(points_of(EMOTIONS)))
        self.named = nn.Linear(width, emotions)

    def forward(self, means: Tensor) -> TextReading:
        """Map the means of vectors (n, width) to estimates."""
        means = self.dropout(means)
        shares = self.votes(means).float().softmax(-1)
        return TextReading(shares @ self.points.clamp(-1, 1), self.named(means).float())


class TextModel(nn.Module):
    """The learnt part of the encoder with its training head."""

    def __init__(self, learnt: LearntText, head: TextHead, dropout: float = 0.0) -> None:
        super().__init__()
        self.learnt, self.head = learnt, head
        self.dropout = nn.Dropout(dropout)

    def forward(self, means: Tensor) -> TextReading:
        """Map means over E5's vectors of texts, (n, width of E5), to estimates."""
        alone = torch.ones(len(means), 1, dtype=torch.bool, device=means.device)
        reading: TextReading = self.head(
            self.learnt(self.dropout(means.float())[:, None], alone)[:, 0])
        return reading


class Texts(NamedTuple):
    """
    The texts of all corpora, as E5 encodes them.

    :param means: float16 (texts, versions, width of E5).
    :param corpus: int64 (texts,), the number of each text's corpus.
    :param names: names of the corpora.
    """

    means: Tensor
    corpus: Tensor
    examples: Examples
    names: tuple[str, ...]


def versions_of(text: str, count: int, words: tuple[int, int],
                random: np.random.Generator) -> list[str]:
    """Return versions of a text: as written, without punctuation, then parts of that."""
    bare = without_punctuation(text)
    said = bare.split() or [text]
    parts = []
    for _ in range(count - 2):
        length = min(len(said), int(random.integers(words[0], words[1] + 1)))
        first = int(random.integers(len(said) - length + 1))
        parts.append(' '.join(said[first:first + length]))
    return [text, bare or text, *parts][:count]


def means_of(encoder: E5Text, tokenizer: Tokenizer, texts: Sequence[str]) -> Tensor:
    """Return the mean of E5's vectors over the subwords of each text, float16 (texts, width)."""
    rows = [encoding.ids[:_MOST_SUBWORDS] or [0] for encoding in tokenizer.encode_batch(
        list(texts), add_special_tokens=False)]
    order = sorted(range(len(rows)), key=lambda index: len(rows[index]))
    means = torch.zeros(len(rows), encoder.bert.config.hidden_size, dtype=torch.half)
    bf16 = uses_bf16('auto', torch.device('cpu'))
    first = 0
    while first < len(order):
        longest = len(rows[order[min(first + 32, len(order) - 1)]])
        chosen = order[first:first + max(1, _SUBWORDS_AT_ONCE // (longest + 5))]
        first += len(chosen)
        tokens = nn.utils.rnn.pad_sequence([torch.tensor(rows[index]) for index in chosen], True)
        lengths = torch.tensor([len(rows[index]) for index in chosen])
        mask = torch.arange(tokens.shape[1]) < lengths[:, None]
        with torch.inference_mode(), torch.autocast('cpu', torch.bfloat16, bf16):
            hidden = encoder.understand(tokens, mask)
        total = torch.where(mask[..., None], hidden, 0).sum(1)
        means[chosen] = (total / lengths[:, None]).half()
    return means


def gather(
    context: StageContext, split: str, encoder: E5Text, tokenizer: Tokenizer,
    settings: TextSettings,
) -> Texts:
    """Read and encode the texts of a split, or read what was encoded before."""
    names: list[str] = []
    parts, means, corpus = [], [], []
    count = settings.versions if split == 'train' else 2
    what = fingerprint(encoder.bert, tokenizer=tokenizer.to_str())
    for listed, examples in context.corpora.each('text', split):
        random, name = np.random.default_rng(context.seed), listed.corpus.name
        chosen = np.flatnonzero([bool(words_of(text)) for text in examples.evidence])
        if split == 'train':
            chosen = np.sort(random.permutation(chosen)[:settings.most])
        examples = examples.of(chosen)
        texts = [version for text in examples.evidence
                 for version in versions_of(text, count, settings.part_words, random)]

        def encode(texts: Sequence[str] = texts, name: str = name) -> tuple[Tensor, Tensor]:
            made = [means_of(encoder, tokenizer, texts[first:first + 4000]) for first in track(
                range(0, len(texts), 4000), f'{NAME}: E5, {name}', transient=True)]
            return torch.cat(made), torch.ones(len(texts), dtype=torch.bool)

        path = context.out / NAME / 'encoded' / f'{name}-{what}-{digest_of(texts)}.safetensors'
        encoded, _ = keep(path, encode)
        means.append(encoded.view(len(examples), count, -1))
        corpus.append(torch.full((len(examples),), len(names)))
        names.append(name)
        parts.append(examples)
    return Texts(torch.cat(means), torch.cat(corpus), join(parts), tuple(names))


class TextTask:
    """The training task: batches of versions of texts, losses and scores."""

    def __init__(self, settings: TextSettings, train: Texts, valid: Texts, model: TextModel,
                 device: torch.device) -> None:
        self.settings, self.train, self.valid, self.device = settings, train, valid, device
        self.targets = torch.from_numpy(train.examples.targets)
        self.shares = torch.from_numpy(train.examples.shares)
        self.spreads = torch.stack([self.targets[train.corpus == number].std(0)
                                    for number in range(len(train.names))]).clamp(min=0.05)
        self.model: nn.Module = model.to(device)
        self.steps = max(1, draws(train.examples.weights) // settings.loop.batch_size)

    def batches(self, epoch: int, random: torch.Generator) -> Iterator[tuple[Tensor, ...]]:
        """Yield means, targets, shares of the emotions, and the numbers of the corpora."""
        order = drawn(self.train.examples.weights, random)
        versions, written = self.train.means.shape[1], self.settings.written
        for chosen in torch.split(order, self.settings.loop.batch_size)[:self.steps]:
            version = 1 + torch.randint(versions - 1, (len(chosen),), generator=random)
            version[torch.rand(len(chosen), generator=random) < written] = 0
            yield tuple(part.to(self.device) for part in (
                self.train.means[chosen, version], self.targets[chosen], self.shares[chosen],
                self.train.corpus[chosen]))

    def losses(self, model: nn.Module, batch: tuple[Tensor, ...]) -> dict[str, Tensor]:
        """Return the loss and its parts."""
        means, targets, shares, corpus = batch
        reading = model(means)
        distances, errors = [], []
        for number in range(len(self.train.names)):
            own = corpus == number
            if own.sum() >= _FEWEST:
                distances.append(1 - concordance(reading.points[own], targets[own]).mean())
                errors.append(((reading.points[own] - targets[own])
                               / self.spreads[number].to(means.device)).square().mean())
        distance, error = (torch.stack(one).mean() for one in (distances, errors))
        emotions = soft_cross_entropy(reading.emotions, shares)
        return {'loss': distance + error / 2 + self.settings.emotions * emotions,
                'disagreement': distance, 'error': error, 'emotions': emotions}

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Score the validation texts of the corpora whose valence and arousal people rated."""
        rated = [value for found in score(cast(TextModel, model), self.valid).values()
                 if found.pop('rated') for value in found.values()]
        return {'r': float(np.mean(rated))}


def score(model: TextModel, texts: Texts, version: int = 0) -> dict[str, dict[str, float]]:
    """
    Score a model on complete texts.

    :returns: for each corpus Pearson's ``r_valence`` and ``r_arousal``, and whether it is
        ``rated``, not derived from emotions.
    """
    device = next(model.parameters()).device
    with torch.inference_mode():
        points = torch.cat([model(part.to(device)).points.cpu() for part in torch.split(
            texts.means[:, version], 4096)]).numpy()
    found = {}
    for number, name in enumerate(texts.names):
        own = (texts.corpus == number).numpy()
        targets, rated = texts.examples.targets[own], texts.examples.rated[own]
        valence, arousal = (pearson(points[own][:, column], targets[:, column])
                            for column in range(2))
        found[name] = {'r_valence': valence, 'r_arousal': arousal, 'rated': float(rated.all())}
    return found


def pearson(predicted: NDArray[Any], target: NDArray[Any]) -> float:
    """Return Pearson's correlation of (n,) and (n,)."""
    return float(np.corrcoef(predicted, target)[0, 1])


def begin(settings: TextSettings, context: StageContext) -> tuple[E5Text, Tokenizer]:
    """
    Return the encoder with E5's weights, whose learnt part is random, and its tokenizer.

    :raises SettingsError: if the network has another text encoder.
    :raises ResourceError: if E5 is not there, or has another shape.
    """
    backbone = context.config.backbone('text')
    if backbone is None or not backbone.is_e5:
        raise SettingsError('text: the stage text trains what is behind an E5; allowed: a network '
                            'whose text is one')
    folder = fetched(settings.e5, 'e5-small')
    read = read_e5(folder / WEIGHTS, backbone.config['num_hidden_layers'])
    read = cut(read, frequent(
        read.tokenizer, (texts.evidence for _, texts in context.corpora.each('text', 'train')),
        settings.pieces) if settings.pieces else possible(read.tokenizer))
    made = {**read.preparation, 'width': backbone.preparation['width']}
    for found, wanted in ((read.config, backbone.config), (made, backbone.preparation)):
        if found != wanted:
            raise ResourceError(f'{folder}: is {found}; the network has {wanted}')
    encoder = E5Text(backbone)
    encoder.bert.load_state_dict(read.weights)
    encoder.requires_grad_(False).eval()
    encoder.learnt.requires_grad_(True)
    return encoder, read.tokenizer


def train_text(settings: TextSettings, context: StageContext) -> None:
    """
    Train the learnt part; write the encoder, its head, its tokenizer and its figures.

    :raises SettingsError: as :func:`begin`.
    :raises ResourceError: names a data file that is missing or broken.
    """
    torch.manual_seed(context.seed)
    encoder, tokenizer = begin(settings, context)
    train, valid = (gather(context, split, encoder, tokenizer, settings)
                    for split in ('train', 'valid'))
    every = train.means.flatten(0, 1).float()
    encoder.learnt.mean.copy_(every.mean(0))
    encoder.learnt.scale.copy_(1 / every.std(0).clamp(min=1e-4))
    head = TextHead(encoder.width, len(train.examples.emotions), settings.dropout)
    model = TextModel(encoder.learnt, head, settings.input_dropout)
    folder = context.out / NAME
    fitted = fit(TextTask(settings, train, valid, model, context.device), settings.loop, folder,
                 name=NAME, recipe={
                     **dataclasses.asdict(settings), 'shape': context.config.text,
                     'data': digest_of(train.examples, valid.examples)},
                 seed=context.seed, stop=context.stop)
    best = cast(TextModel, fitted.model)
    encoder.learnt = best.learnt
    tokenizer.save(str(folder / TOKENIZER), pretty=False)
    save_stage(folder, encoder, best.head, {
        'valid': score(best, valid), 'valid, without punctuation': score(best, valid, 1)})
