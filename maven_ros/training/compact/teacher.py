"""
The stage ``teacher``: a language model that has read far more, tuned to the corpora, labels them.

The sentences of the corpora show a small network few of the words that people say. What a large
one says of each of them, and of parts of them, is what the stage ``text`` is trained on beside
people's own ratings (Hinton et al. 2015). The large one is for training alone; it comes from a
folder in the hub's format, or from an archive of one in a Python package that is installed.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor, nn

from maven_ros.declarations import Checked, fraction, setting
from maven_ros.errors import ResourceError
from maven_ros.files import read_json, sha256_of, write_json
from maven_ros.model import hub, weights
from maven_ros.model.backbones import TextBackbone
from maven_ros.model.configuration import MavenConfig
from maven_ros.training.compact.readings import (
    SentenceBatch,
    Targets,
    TextHead,
    TextReading,
    encode,
    losses,
    pad,
    predict,
    rated_texts,
    score,
    similar_lengths,
)
from maven_ros.training.compact.stages import METRICS, StageContext, save_state
from maven_ros.training.corpus import Examples
from maven_ros.training.digests import digest_of
from maven_ros.training.drawing import drawn, draws
from maven_ros.training.loop import LoopSettings, fit

NAME = 'teacher'
LABELS = 'labels.safetensors'
WORDS = 'words.safetensors'
PARTS = 'parts.json'


@dataclass(frozen=True)
class TeacherSettings(Checked):
    """Which language model teaches, and how it is tuned."""

    loop: LoopSettings = setting(doc='Optimisation.')
    model: str = setting(
        doc='Folder in the hub\'s format, or package/archive.zip of an installed package.')
    sha256: str = setting(doc='Of its model.safetensors; another one is refused.')
    frozen_layers: int = setting(
        2, 'The first ones, which stay as they are, as does the embedding.', minimum=0)
    comments: int = setting(
        6000, 'Texts of which emotions were named, in an epoch, at most; drawn anew each time, '
        'beside all that were rated.', minimum=0)
    comments_weight: float = setting(
        2.0, 'Weight of the squared error of the named emotions\' points.', minimum=0)
    dropout: float = setting(0.1, 'Of the pooled vector, before the head.', minimum=0, below=1)
    parts: int = setting(
        2, 'Parts of a text that was rated that are labelled, too.', minimum=0)
    comment_parts: float = fraction(
        0.4, 'Share of the other texts of which a part is labelled, too.')
    part_words: tuple[int, int] = setting(
        (3, 12), 'Fewest and most words of a part.', minimum=1, rises=True)


class TaughtLabels(NamedTuple):
    """
    What the teacher says.

    :param texts: those of the corpora, and parts of them.
    :param reading: of each of them.
    """

    texts: tuple[str, ...]
    reading: TextReading


class TeacherModel(nn.Module):
    """A language model, and what reads all targets from the mean of its vectors."""

    def __init__(self, encoder: TextBackbone, head: TextHead) -> None:
        super().__init__()
        self.encoder, self.head = encoder, head

    def forward(self, tokens: Tensor, mask: Tensor) -> TextReading:
        """Map ids (n, length) under a mask (n, length) to readings."""
        reading: TextReading = self.head(self.encoder(tokens, mask), mask)
        return reading


class TeacherTask:
    """All texts that were rated and some of the others, in batches of about one length."""

    def __init__(self, settings: TeacherSettings, tokenizer: Tokenizer, texts: Examples,
                 valid: Examples, model: TeacherModel, device: torch.device) -> None:
        self.settings, self.tokenizer, self.device = settings, tokenizer, device
        self.rows = encode(tokenizer, texts.evidence)
        self.targets, self.weights, self.valid = Targets.of(texts), texts.weights, valid
        #: Places of the texts that were rated, and of those of which emotions were named.
        self.kinds = np.flatnonzero(texts.rated), np.flatnonzero(~texts.rated)
        rated, named = (draws(texts.weights[kind]) if len(kind) else 0 for kind in self.kinds)
        self.model: nn.Module = model.to(device)
        self.steps = -(-(rated + min(settings.comments, named)) // settings.loop.batch_size)

    def batches(self, epoch: int, random: torch.Generator) -> Iterator[SentenceBatch]:
        """Yield batches in random order; rows of a batch have about one length."""
        numpy_random = np.random.default_rng(int(torch.randint(2 ** 62, (), generator=random)))
        rated, named = (kind[drawn(self.weights[kind], random)] if len(kind) else kind
                        for kind in self.kinds)
        order = np.concatenate([rated, named[:self.settings.comments]])
        lengths = np.array([len(self.rows[index]) for index in order])
        for places in similar_lengths(lengths, self.settings.loop.batch_size, numpy_random):
            chosen = order[places]
            tokens, mask = pad([self.rows[index] for index in chosen])
            yield SentenceBatch(
                tokens, mask, self.targets.part(torch.from_numpy(chosen))).to(self.device)

    def losses(self, model: nn.Module, batch: SentenceBatch) -> dict[str, Tensor]:
        """Return the loss and its three parts, each a mean over the rows."""
        std = cast(TeacherModel, model).head.std
        return losses(
            model(batch.tokens, batch.mask), batch.targets, std, self.settings.comments_weight)

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Score the validation sentences that people rated."""
        return score(model, self.tokenizer, self.valid)


def find_model(settings: TeacherSettings, folder: Path) -> Path:
    """
    Return the teacher's folder, unpacked from its package's archive where it is in one.

    Nothing of the package is run.

    :param folder: where an archive is unpacked.
    :raises ResourceError: when there is none, or its weights are others.
    """
    found = Path(settings.model)
    if settings.model.endswith('.zip'):
        package, _, archive = settings.model.partition('/')
        module = importlib.util.find_spec(package)
        if module is None or not module.submodule_search_locations:
            raise ResourceError(
                f'teacher.model: {settings.model}: no package {package} is installed; install '
                f'the one that the recipe names, or name a folder in the hub\'s format')
        path, found = Path(module.submodule_search_locations[0]) / archive, folder
        try:
            with zipfile.ZipFile(path) as packed:
                packed.extractall(folder)
        except (OSError, zipfile.BadZipFile) as error:
            raise ResourceError(f'{path}: cannot be unpacked: {error}') from error
    digest = sha256_of(weights.require(found))
    if digest != settings.sha256:
        raise ResourceError(f'{found / weights.WEIGHTS}: has SHA-256 {digest}; allowed by the '
                            f'recipe: {settings.sha256}')
    return found


def load_backbone(folder: Path, frozen_layers: int) -> TextBackbone:
    """
    Read a language model of which some first layers, and the embedding, are not trained.

    :raises ResourceError: names the file and what is wrong with it.
    """
    described = hub.adapt(MavenConfig.compact(), {'text': folder}).backbone('text')
    assert described is not None
    encoder = TextBackbone(described)
    encoder.backbone = weights.read_backbone('text', folder, described)
    encoder.backbone.embeddings.requires_grad_(False)  # the student begins with it
    layers = next(part for part in encoder.backbone.modules() if isinstance(part, nn.ModuleList))
    for layer in layers[:frozen_layers]:
        layer.requires_grad_(False)
    return encoder


def parts_of(texts: Sequence[str], counts: Sequence[int], words: tuple[int, int],
             random: np.random.Generator) -> list[str]:
    """
    Draw words in a row from texts that have more of them than are drawn.

    :param counts: how many parts of each text.
    :param words: fewest and most of them.
    """
    parts = []
    for text, count in zip(texts, counts, strict=True):
        spoken = text.split()
        for _ in range(count):
            length = int(random.integers(words[0], words[1] + 1))
            if len(spoken) > length:
                first = int(random.integers(len(spoken) - length + 1))
                parts.append(' '.join(spoken[first:first + length]))
    return parts


def train_teacher(settings: TeacherSettings, context: StageContext) -> None:
    """
    Tune the teacher, and write what it says of every sentence and of parts of them.

    :raises ResourceError: names a file of the data, or of the model, that is missing or broken.
    """
    folder = context.out / NAME
    source = find_model(settings, folder / 'model')
    train, valid = context.corpora.train_and_valid('text')
    rated, valid = rated_texts(train), rated_texts(valid)
    tokenizer = hub.text_tokenizer(source)
    tokenizer.no_padding()  # as some are set to
    tokenizer.no_truncation()
    torch.manual_seed(context.seed)
    encoder = load_backbone(source, settings.frozen_layers)
    head = TextHead(encoder.width, len(train.emotions), torch.from_numpy(rated.targets.mean(0)),
                    torch.from_numpy(rated.targets.std(0)), settings.dropout)
    task = TeacherTask(settings, tokenizer, train, valid, TeacherModel(encoder, head),
                       context.device)
    recipe = {name: value for name, value in dataclasses.asdict(settings).items()
              if name != 'model'}  # wherever it lies: its hash says which it is
    recipe['data'] = digest_of(train, valid)
    fitted = fit(task, settings.loop, folder, name=NAME, recipe=recipe, seed=context.seed,
                 stop=context.stop)
    random = np.random.default_rng(context.seed)
    counts = np.where(train.rated, settings.parts,
                      random.random(len(train)) < settings.comment_parts).tolist()
    parts = parts_of(train.evidence, counts, settings.part_words, random)
    reading = predict(fitted.model, tokenizer, (*train.evidence, *parts), 'auto')
    _save(folder, parts, reading, embedding_of(encoder).weight, fitted.kept.validation)


def embedding_of(encoder: TextBackbone) -> nn.Embedding:
    """Return what the language model knows of words before it sees their neighbours."""
    return cast(nn.Embedding, encoder.backbone.get_input_embeddings())


def _save(folder: Path, parts: Sequence[str], reading: TextReading, words: Tensor,
          metrics: dict[str, Any]) -> None:
    write_json(folder / PARTS, parts)
    write_json(folder / METRICS, {'valid': metrics})
    save_state(folder / WORDS, {'vectors': words})
    save_state(folder / LABELS, reading._asdict())


def read_words(folder: Path, vocabulary: int) -> Tensor:
    """
    Return the teacher's vector of each subword, each column with mean 0, all with deviation 1.

    :param folder: of the run.
    :param vocabulary: subwords that there must be.
    :returns: float32 (vocabulary, width of the teacher).
    :raises ResourceError: when they were not written, or are of another vocabulary.
    """
    path = folder / NAME / WORDS
    try:
        vectors: Tensor = load_file(path)['vectors']
    except Exception as error:  # safetensors raises whatever the bytes lead it to
        raise ResourceError(f'{path}: cannot be read: {error}; train the stage {NAME!r} first'
                            ) from error
    if len(vectors) != vocabulary:
        raise ResourceError(f'{path}: is of {len(vectors)} subwords; allowed: those of the '
                            f'tokenizer, {vocabulary}')
    centred = vectors - vectors.mean(0)
    return centred / centred.std()


def read_labels(folder: Path, texts: Sequence[str]) -> TaughtLabels:
    """
    Read what the stage wrote.

    :param folder: of the run.
    :param texts: those of the corpora, as the stage read them.
    :raises ResourceError: when they were not written, or are of other texts.
    """
    path = folder / NAME
    try:
        parts = read_json(path / PARTS)
        reading = TextReading(**load_file(path / LABELS))
    except Exception as error:  # safetensors raises whatever the bytes lead it to
        raise ResourceError(f'{path / LABELS}: cannot be read: {error}; train the stage '
                            f'{NAME!r} first') from error
    labelled = (*texts, *parts)
    if len(labelled) != len(reading.rated):
        raise ResourceError(f'{path / LABELS}: is of {len(reading.rated)} texts, not '
                            f'{len(labelled)}; train the stage {NAME!r} again')
    return TaughtLabels(labelled, reading)
