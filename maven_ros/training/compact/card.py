"""
Compute the figures of a model card: on faces, voices, sentences, composed windows and clips.

For single modalities, the estimates of the network are scored beside those of the heads with which
the encoders were trained (``probe``). The window of a face shows one picture throughout. The
window of a voice holds the two loudest seconds of a clip. The words of a sentence fill the whole
window.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from maven_ros.counters import Counters
from maven_ros.devices.media import read_media
from maven_ros.errors import SettingsError
from maven_ros.model import checkpoint
from maven_ros.model.compute import Batches
from maven_ros.model.e5_text import E5Text
from maven_ros.model.encoders import FaceEncoder
from maven_ros.model.fusion import Features
from maven_ros.model.incremental import IncrementalEncoder
from maven_ros.model.time_grid import Aligned
from maven_ros.pipeline import Pipeline
from maven_ros.records import MODALITIES, AffectState, seconds
from maven_ros.scoring.metrics import DIMENSIONS, agreement
from maven_ros.settings import Settings
from maven_ros.training.compact import face_stage as faces_stage
from maven_ros.training.compact import text_stage, voice_stage
from maven_ros.training.compact.bank import encode
from maven_ros.training.compact.compose import ComposedWindows, Composer
from maven_ros.training.compact.degradations import faces_degraded
from maven_ros.training.compact.encoding import encode_corpora
from maven_ros.training.compact.export import load_probes
from maven_ros.training.compact.face_augmentation import FaceAugmentation
from maven_ros.training.compact.fusion_stage import FusionSettings
from maven_ros.training.compact.pieces import (
    GRID,
    FacePieces,
    Pieces,
    TextPieces,
    VoicePieces,
)
from maven_ros.training.compact.recipe import read_recipe
from maven_ros.training.compact.voice_augmentation import VoiceAugmentation
from maven_ros.training.corpus import Examples, join
from maven_ros.training.listed import Corpora
from maven_ros.training.reading import Reading, read

_log = logging.getLogger(__name__)

SETS = ('faces', 'voices', 'sentences', 'composed', 'clips')
#: Names of figures, with the names of their metrics.
_FIGURES = {'ccc': 'ccc', 'r': 'pearson', 'rmse': 'rmse', 'coverage': 'within_90'}
_SEED = 0
_VERSIONS = 1  # only the plain one


class Row(NamedTuple):
    """
    The figures of one set under one condition.

    :param set: one of ``SETS``, perhaps with a corpus, such as ``faces of ferplus``.
    :param condition: such as ``plain`` or ``blurred``.
    :param reader: ``network`` or ``probe``.
    :param figures: figures by name.
    """

    set: str
    condition: str
    reader: str
    figures: Mapping[str, float]


class Scatter(NamedTuple):
    """Estimates of one set, for plots: points, standard deviations and targets, (n, 2) each."""

    points: NDArray[np.float32]
    stds: NDArray[np.float32]
    targets: NDArray[np.float32]


@dataclass
class Evaluation:
    """
    The result of an evaluation.

    :param model: name and hash of the model.
    :param split: split of the corpora.
    :param rows: in the order of the card.
    :param scatters: estimates under the plain condition, by set.
    """

    model: str
    split: str
    rows: list[Row] = field(default_factory=list)
    scatters: dict[str, Scatter] = field(default_factory=dict)

    def figures(self, set_: str, condition: str, reader: str = 'network') -> Mapping[str, float]:
        """
        Return the figures of a row.

        :raises KeyError: if there is no such row.
        """
        for row in self.rows:
            if row[:3] == (set_, condition, reader):
                return row.figures
        raise KeyError((set_, condition, reader))


def evaluate(
    folder: Path, data: Path, split: str, sets: Sequence[str], out: Path,
) -> Evaluation:
    """
    Score a checkpoint, with a progress bar.

    Windows are composed with the settings of the recipe ``compact``.

    :param folder: folder of the checkpoint, with its probes.
    :param sets: some of ``SETS``; all if empty.
    :param out: folder for encoded pieces.
    :raises SettingsError: if a set is unknown.
    :raises ResourceError: if a file is missing or broken.
    """
    from rich.progress import track

    for name in sets:
        if name not in SETS:
            raise SettingsError(f'sets: {name!r} is not one of {", ".join(SETS)}')
    recipe = read_recipe('compact')
    evaluator = Evaluator(folder, Corpora(recipe.corpora, data), split, recipe.stages['fusion'],
                          out / 'banks')
    steps = evaluator.steps(sets or SETS)
    for name in track(steps, 'evaluating', transient=True):
        steps[name]()
    return evaluator.found


class Evaluator:
    """
    Scores a checkpoint.

    :param folder: folder of the checkpoint, with its probes.
    :param corpora: corpora to score; their folder of data sets also holds the clips.
    :param split: ``'valid'`` or ``'test'``.
    :param settings: settings of the composition.
    :param cache: folder for encoded pieces.
    :raises ResourceError: if a file is missing or broken.
    """

    def __init__(
        self, folder: Path, corpora: Corpora, split: str, settings: FusionSettings, cache: Path,
    ) -> None:
        loaded = checkpoint.load(folder)
        self._folder, self._corpora, self._split, self._cache = folder, corpora, split, cache
        self._settings = settings
        self._model, self._tokenizer = loaded.model, loaded.tokenizer
        self._probes = load_probes(folder, loaded.model)
        counters = Counters()
        self._encoder = IncrementalEncoder(
            loaded.model, loaded.tokenizer, GRID, torch.device('cpu'), counters,
            Batches(counters))
        self.found = Evaluation(loaded.name, split)

    def steps(self, sets: Sequence[str]) -> Mapping[str, Callable[[], None]]:
        """Return, for each set, the function that scores it."""
        steps = (self._faces, self._voices, self._sentences, self._composed, self._clips)
        return {name: step for name, step in zip(SETS, steps, strict=True) if name in sets}

    # --- single modalities ---------------------------------------------------------------

    def _parts(self, modality: str) -> dict[str, Examples]:
        """Return the examples of each corpus, by name."""
        return {listed.corpus.name: examples
                for listed, examples in self._corpora.each(modality, self._split)}

    def _without_the_split(self, modality: str) -> dict[str, Examples]:
        """Return validation examples of corpora that have other splits than the scored one."""
        lacking = [settings for settings, corpus in self._corpora.listed
                   if corpus.modality == modality and self._split not in settings.splits
                   and 'valid' in settings.splits]
        return {listed.corpus.name: examples for listed, examples in Corpora(
            lacking, self._corpora.data).each(modality, 'valid')} if lacking else {}

    def _faces(self) -> None:
        self._faces_of('faces', self._parts('video'))
        for name, faces in self._without_the_split('video').items():
            self._faces_of(f'faces of {name}, valid', {name: faces})

    def _faces_of(self, set_: str, parts: Mapping[str, Examples]) -> None:
        faces = join([*parts.values()])
        probe = faces_stage.FaceModel(
            cast(FaceEncoder, self._model.face_encoder), self._probes.faces)
        for condition, images in faces_degraded(np.asarray(faces.evidence)).items():
            pieces = FacePieces(images, FaceAugmentation(), GRID.slots)
            self._alone(set_, condition, 'video', pieces, parts)
            self._row(set_, condition, 'probe',
                      faces_stage.score(probe, replace(faces, evidence=images)))

    def _voices(self) -> None:
        self._voices_of('voices', self._parts('audio'))
        for name, voices in self._without_the_split('audio').items():
            self._voices_of(f'voices of {name}, valid', {name: voices})

    def _voices_of(self, set_: str, parts: Mapping[str, Examples]) -> None:
        clips = join([*parts.values()])
        changes = {'plain': None, **voice_stage.disturbances(_SEED)}
        for condition, change in changes.items():
            sounds = [change(torch.from_numpy(one)[None])[0].numpy() if change else one
                      for one in clips.evidence]
            pieces = VoicePieces(sounds, VoiceAugmentation(), gaps=0.0)
            self._alone(set_, condition, 'audio', pieces, parts)
            self._row(set_, condition, 'probe', voice_stage.score(
                self._model.voice_encoder, self._probes.voice, clips, change))

    def _sentences(self) -> None:
        self._sentences_of('sentences', self._parts('text'))
        for name, texts in self._without_the_split('text').items():
            if texts.rated.any():
                self._sentences_of(f'sentences of {name}, valid', {name: texts})

    def _sentences_of(self, set_: str, every: Mapping[str, Examples]) -> None:
        parts = {name: texts.of(texts.rated) for name, texts in every.items()
                 if texts.rated.any()}
        sentences = join([*parts.values()])
        encoder = cast(E5Text, self._model.text_encoder)
        probe = text_stage.TextModel(encoder.learnt, self._probes.text)
        pieces = TextPieces(sentences.evidence, whole=1.0, missed=0.0)
        self._alone(set_, 'plain', 'text', pieces, parts)
        means = text_stage.means_of(encoder, self._tokenizer, sentences.evidence)
        with torch.inference_mode():
            points = probe(means).points.numpy()
        self._row(set_, 'plain', 'probe', {
            f'r_{name}': text_stage.pearson(points[:, column], sentences.targets[:, column])
            for column, name in enumerate(DIMENSIONS)})

    def _alone(
        self, set_: str, condition: str, modality: str, pieces: Pieces,
        parts: Mapping[str, Examples],
    ) -> None:
        """Score the network on single pieces, of all corpora and, if plain, of each corpus."""
        values, mask = (part[:, 0].expand(-1, GRID.slots, *part.shape[3:])
                        for part in encode(pieces, modality, _VERSIONS, self._encoder, _SEED))
        streams = {name: Aligned.nothing(len(mask), GRID.slots, own.width) for name, own in zip(
            MODALITIES, (self._model.face_encoder, self._model.voice_encoder,
                         self._model.text_encoder), strict=True)}
        streams[modality] = Aligned(values, mask)
        reading = read(self._model, Features(**streams, slot_s=GRID.slot_s))
        told = mask.any(1)  # False for a sentence without letters
        if not told.all():
            _log.warning('%s, %s: %d of %d hold no evidence and are excluded', set_, condition,
                         int((~told).sum()), len(told))
        targets = torch.from_numpy(np.concatenate([part.targets for part in parts.values()]))
        owner = torch.arange(len(parts)).repeat_interleave(
            torch.tensor([len(part) for part in parts.values()]))

        def score_some(set_: str, chosen: Tensor, keep: bool) -> None:
            self._read(set_, condition, Reading(*(part[chosen] for part in reading)),
                       targets[chosen], keep)

        score_some(set_, told, condition == 'plain')
        if len(parts) > 1 and condition == 'plain':
            for index, name in enumerate(parts):
                score_some(f'{set_} of {name}', told & (owner == index), False)

    # --- together ------------------------------------------------------------------------

    def _composed(self) -> None:
        """Score windows with all modalities, then the same windows with some of them masked."""
        composer = Composer(self._settings.compose, *encode_corpora(
            self._corpora, self._split, self._settings.bank, self._model, self._tokenizer,
            self._cache), GRID)
        random = torch.Generator().manual_seed(_SEED)
        windows = composer.windows(self._settings.valid_windows, random, MODALITIES)
        self._windows('all', windows, keep=True)
        for name in MODALITIES:
            self._windows(f'{name} alone', windows.only(name))
        for name in MODALITIES:
            self._windows(f'without {name}', windows.without(name))
        for name in MODALITIES:
            self._windows(f'{name} is noise', composer.with_noise(windows, name, random))
        # As in training, with any modalities, to check the confidence.
        self._windows('any evidence', composer.windows(self._settings.valid_windows, random))

    def _windows(self, condition: str, windows: ComposedWindows, keep: bool = False) -> None:
        reading = read(self._model, windows.features)
        self._read('composed', condition, reading, windows.targets, keep)

    def _clips(self) -> None:
        changing = self._states('changing_face')
        before, after = (_mean_valence(changing, *seconds_) for seconds_ in ((1, 7), (11, 19)))
        self._row('clips', 'changing_face', 'network', {
            'seconds 1 to 7': before, 'seconds 11 to 19': after, 'rise': after - before})
        talking = self._states('talking_head_0')
        self._row('clips', 'talking_head_0', 'network', {
            'mean': _mean_valence(talking, 0, np.inf)})

    def _states(self, name: str) -> Sequence[AffectState]:
        settings = Settings().with_values({'model.path': str(self._folder)})
        outputs = []
        with Pipeline(settings) as pipeline:
            for record in read_media(self._corpora.data / 'clips' / f'{name}.mp4'):
                outputs += pipeline.feed(record)
            outputs += pipeline.finish()
        return [one for one in outputs if isinstance(one, AffectState)]

    # --- writing down --------------------------------------------------------------------

    def _read(
        self, set_: str, condition: str, reading: Reading, targets: Tensor, keep: bool,
    ) -> None:
        scatter = Scatter(*(part.numpy() for part in (reading.points, reading.stds, targets)))
        if keep:
            self.found.scatters[set_] = scatter
        self._row(set_, condition, 'network', score(scatter))

    def _row(
        self, set_: str, condition: str, reader: str, figures: Mapping[str, float],
    ) -> None:
        self.found.rows.append(Row(set_, condition, reader, dict(figures)))


def score(scatter: Scatter) -> dict[str, float]:
    """Return CCC, Pearson's r, RMSE and the coverage of 90% intervals, for both dimensions."""
    found = agreement(*scatter)
    return {f'{short}_{one}': found[f'{one}_{metric}'] for one in DIMENSIONS
            for short, metric in _FIGURES.items()}


def _mean_valence(states: Sequence[AffectState], first_s: float, last_s: float) -> float:
    """Return the mean valence of the states whose windows end in an interval."""
    values = [state.affect.valence for state in states
              if first_s <= seconds(state.window_end_ns) <= last_s]
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else float('nan')
