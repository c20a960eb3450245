"""
The stage ``teacher``: a large language model, fine-tuned on the corpora, labels their texts.

The corpora contain few of the words that people say. So the stage ``text`` also trains on the
teacher's estimates for each sentence and for parts of it (distillation, Hinton et al. 2015). The
teacher serves training only. It comes from a folder in the hub's format, or from an archive of
such a folder in an installed Python package.
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
    """The settings of the stage."""

    loop: LoopSettings = setting(doc='Optimisation.')
    model: str = setting(
        doc='Folder in the hub\'s format, or package/archive.zip of an installed package.')
    sha256: str = setting(doc='SHA-256 of its model.safetensors; any other is refused.')
    frozen_layers: int = setting(
        2, 'Number of first layers that are frozen with the embedding.', minimum=0)
    comments: int = setting(
        6000, 'Most texts with emotions per epoch, drawn again each time, in addition to all '
        'rated texts.', minimum=0)
    comments_weight: float = setting(
        2.0, 'Weight of the squared error of the emotions\' points.', minimum=0)
    dropout: float = setting(0.1, 'Dropout before the head.', minimum=0, below=1)
    parts: int = setting(
        2, 'Number of parts of each rated text to label, too.', minimum=0)
    comment_parts: float = fraction(
        0.4, 'Share of the other texts with a part to label, too.')
    part_words: tuple[int, int] = setting(
        (3, 12), 'Fewest and most words of a part.', minimum=1, rises=True)


class TaughtLabels(NamedTuple):
    """
    The labels of the teacher.

    :param texts: texts of the corpora, and parts of them.
    :param reading: estimates for the texts.
    """

    texts: tuple[str, ...]
    reading: TextReading


class TeacherModel(nn.Module):
    """A language model, with a head on the mean of its vectors."""

    def __init__(self, encoder: TextBackbone, head: TextHead) -> None:
        super().__init__()
        self.encoder, self.head = encoder, head

    def forward(self, tokens: Tensor, mask: Tensor) -> TextReading:
        """Map ids (n, length) under a mask (n, length) to estimates."""
        reading: TextReading = self.head(self.encoder(tokens, mask), mask)
        return reading


class TeacherTask:
    """The training task: all rated texts and some others, in batches of similar lengths."""

    def __init__(self, settings: TeacherSettings, tokenizer: Tokenizer, texts: Examples,
                 valid: Examples, model: TeacherModel, device: torch.device) -> None:
        self.settings, self.tokenizer, self.device = settings, tokenizer, device
        self.rows = encode(tokenizer, texts.evidence)
        self.targets, self.weights, self.valid = Targets.of(texts), texts.weights, valid
        #: Indices of the rated texts, and of the texts with emotions.
        self.kinds = np.flatnonzero(texts.rated), np.flatnonzero(~texts.rated)
        rated, named = (draws(texts.weights[kind]) if len(kind) else 0 for kind in self.kinds)
        self.model: nn.Module = model.to(device)
        self.steps = -(-(rated + min(settings.comments, named)) // settings.loop.batch_size)

    def batches(self, epoch: int, random: torch.Generator) -> Iterator[SentenceBatch]:
        """Yield batches in random order; rows of a batch have similar lengths."""
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
        """Score the rated validation sentences."""
        return score(model, self.tokenizer, self.valid)


def find_model(settings: TeacherSettings, folder: Path) -> Path:
    """
    Return the folder of the teacher, unpacked from an archive if necessary.

    Code of the package is not run.

    :param folder: folder for an unpacked archive.
    :raises ResourceError: if the model is missing, or its weights have another hash.
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
    Read a language model, and freeze its first layers and the embedding.

    :raises ResourceError: names the file and the fault.
    """
    described = hub.adapt(MavenConfig.compact(), {'text': folder}).backbone('text')
    assert described is not None
    encoder = TextBackbone(described)
    encoder.backbone = weights.read_backbone('text', folder, described)
    encoder.backbone.embeddings.requires_grad_(False)  # the student starts from it
    layers = next(part for part in encoder.backbone.modules() if isinstance(part, nn.ModuleList))
    for layer in layers[:frozen_layers]:
        layer.requires_grad_(False)
    return encoder


def parts_of(texts: Sequence[str], counts: Sequence[int], words: tuple[int, int],
             random: np.random.Generator) -> list[str]:
    """
    Draw runs of consecutive words from texts that have more words than drawn.

    :param counts: number of parts of each text.
    :param words: fewest and most words of a part.
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
    Fine-tune the teacher, and write its estimates for every sentence and for parts of sentences.

    :raises ResourceError: names a file of the data or the model that is missing or broken.
    """
    folder = context.out / NAME
    source = find_model(settings, folder / 'model')
    train, valid = context.corpora.train_and_valid('text')
    rated, valid = rated_texts(train), rated_texts(valid)
    tokenizer = hub.text_tokenizer(source)
    tokenizer.no_padding()  # some tokenizers pad by default
    tokenizer.no_truncation()
    torch.manual_seed(context.seed)
    encoder = load_backbone(source, settings.frozen_layers)
    head = TextHead(encoder.width, len(train.emotions), torch.from_numpy(rated.targets.mean(0)),
                    torch.from_numpy(rated.targets.std(0)), settings.dropout)
    task = TeacherTask(settings, tokenizer, train, valid, TeacherModel(encoder, head),
                       context.device)
    recipe = {name: value for name, value in dataclasses.asdict(settings).items()
              if name != 'model'}  # the hash identifies the model, not its path
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
    """Return the subword embedding of a language model."""
    return cast(nn.Embedding, encoder.backbone.get_input_embeddings())


def _save(folder: Path, parts: Sequence[str], reading: TextReading, words: Tensor,
          metrics: dict[str, Any]) -> None:
    write_json(folder / PARTS, parts)
    write_json(folder / METRICS, {'valid': metrics})
    save_state(folder / WORDS, {'vectors': words})
    save_state(folder / LABELS, reading._asdict())


def read_words(folder: Path, vocabulary: int) -> Tensor:
    """
    Return the teacher's subword vectors, with mean 0 per column and a total deviation of 1.

    :param folder: folder of the run.
    :param vocabulary: required number of subwords.
    :returns: float32 (vocabulary, width of the teacher).
    :raises ResourceError: if they were not written, or have another vocabulary.
    """
    path = folder / NAME / WORDS
    try:
        vectors: Tensor = load_file(path)['vectors']
    except Exception as error:  # safetensors raises any class for broken files
        raise ResourceError(f'{path}: cannot be read: {error}; train the stage {NAME!r} first'
                            ) from error
    if len(vectors) != vocabulary:
        raise ResourceError(f'{path}: has {len(vectors)} subwords; allowed: those of the '
                            f'tokenizer, {vocabulary}')
    centred = vectors - vectors.mean(0)
    return centred / centred.std()


def read_labels(folder: Path, texts: Sequence[str]) -> TaughtLabels:
    """
    Read the labels that the stage wrote.

    :param folder: folder of the run.
    :param texts: texts of the corpora, in the order in which the stage read them.
    :raises ResourceError: if they were not written, or belong to other texts.
    """
    path = folder / NAME
    try:
        parts = read_json(path / PARTS)
        reading = TextReading(**load_file(path / LABELS))
    except Exception as error:  # safetensors raises any class for broken files
        raise ResourceError(f'{path / LABELS}: cannot be read: {error}; train the stage '
                            f'{NAME!r} first') from error
    labelled = (*texts, *parts)
    if len(labelled) != len(reading.rated):
        raise ResourceError(f'{path / LABELS}: has {len(reading.rated)} texts, not '
                            f'{len(labelled)}; train the stage {NAME!r} again')
    return TaughtLabels(labelled, reading)
