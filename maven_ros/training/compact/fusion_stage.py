"""
The stage ``fusion``: pathways, refinement, context and head, trained on composed windows.

The encoders are frozen. The loss is the negative log-likelihood of the targets, with their own
spread, under the head's normal distribution, plus 1 - CCC over a batch. The likelihood has the
weights of beta-NLL (Seitzer et al. 2022), so that hard windows are not neglected. At the end the
standard deviations are calibrated (:mod:`maven_ros.training.calibration`).

The readers (:mod:`maven_ros.model.readers`) are the heads with which the encoders were trained.
They are frozen, and calibrated before the training, on validation pieces, because the encoders
know the training pieces by heart. Composed windows for training then have several modalities.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from maven_ros.declarations import Checked, fraction, setting
from maven_ros.files import write_json
from maven_ros.model.maven import ENCODERS, MavenModel
from maven_ros.model.readers import Reader
from maven_ros.records import MODALITIES
from maven_ros.scoring.metrics import coverage
from maven_ros.training.calibration import calibrate, calibrate_reader
from maven_ros.training.compact.bank import fingerprint
from maven_ros.training.compact.compose import ComposedWindows, Composer, ComposeSettings
from maven_ros.training.compact.encoding import BankSettings, encode_corpora
from maven_ros.training.compact.face_stage import POINTS as FACE_POINTS
from maven_ros.training.compact.pieces import GRID
from maven_ros.training.compact.stages import (
    ENCODER,
    METRICS,
    TASK_HEAD,
    StageContext,
    load_stage,
    load_state,
    read_state,
    save_state,
)
from maven_ros.training.compact.text_stage import TOKENIZER
from maven_ros.training.compact.voice_stage import POINTS as VOICE_POINTS
from maven_ros.training.loop import LoopSettings, fit
from maven_ros.training.losses import concordance
from maven_ros.training.reading import Reading, read

NAME = 'fusion'
FUSION = 'fusion.safetensors'
STAGE_OF = {'video': 'faces', 'audio': 'voice', 'text': 'text'}  # stage that trains the encoder
PARTS = ('fusion', 'context', 'head', 'readers')  # parts of the network that this stage makes
DIMENSIONS = ('valence', 'arousal')
_POINTS = {'video': FACE_POINTS, 'audio': VOICE_POINTS}  # the head of text has its own


@dataclass(frozen=True)
class FusionSettings(Checked):
    """The settings of the stage."""

    loop: LoopSettings = setting(doc='Optimisation.')
    bank: BankSettings = setting(doc='Banks of pieces.', made=BankSettings)
    compose: ComposeSettings = setting(doc='Composition of windows.', made=ComposeSettings)
    windows: int = setting(40_000, 'Windows per epoch.', minimum=1)
    valid_windows: int = setting(4_000, 'Windows for validation and calibration.', minimum=2)
    beta: float = fraction(
        0.5, 'Exponent of the variance in the weight of each window\'s likelihood: 0 is the plain '
        'likelihood, 1 resembles the squared error.')
    agreement: float = setting(
        0.5, 'Weight of 1 - CCC, the mean over valence and arousal.', minimum=0)
    frames: float = setting(
        0.1, 'Weight of the squared error of the slots.', minimum=0)


class FusionTask:
    """The training task: batches of composed windows, losses and scores."""

    def __init__(
        self, settings: FusionSettings, model: MavenModel, train: Composer, valid: ComposedWindows,
    ) -> None:
        self.model: nn.Module = model
        self.settings, self.train, self.valid = settings, train, valid
        self.steps = max(1, settings.windows // settings.loop.batch_size)

    def batches(self, epoch: int, random: torch.Generator) -> Iterator[ComposedWindows]:
        """Yield newly composed windows; none occurs twice."""
        for _ in range(self.steps):
            yield self.train.windows(self.settings.loop.batch_size, random)

    def losses(self, model: nn.Module, batch: ComposedWindows) -> dict[str, Tensor]:
        """Return the loss and its parts."""
        output = cast(MavenModel, model).fuse(batch.features)
        point, log_variance = Reading.of(output)
        error = (point - batch.targets).square() + batch.spreads.square()
        variance = log_variance.exp()
        likelihood = (log_variance + error / variance) / 2
        likelihood = (likelihood * variance.detach() ** self.settings.beta).mean()
        distance = 1 - concordance(point, batch.targets).mean()
        frames = torch.stack([output.frame_valence, output.frame_arousal], -1)
        frame_error = (frames - batch.targets[:, None]).square()[output.frame_mask].mean()
        return {'loss': (likelihood + self.settings.agreement * distance
                         + self.settings.frames * frame_error),
                'likelihood': likelihood, 'disagreement': distance, 'frame_error': frame_error}

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Score the validation windows: with all evidence, and with each modality alone."""
        return score(read(cast(MavenModel, model), self.valid.features), self.valid)


def score(reading: Reading, windows: ComposedWindows) -> dict[str, float]:
    """
    Score estimates.

    :returns: CCC of valence and arousal, their mean ``ccc``, coverage of the 90% intervals, and
        the CCC of windows with a single modality.
    """
    present = windows.features.present
    figures = dict(zip(('ccc_valence', 'ccc_arousal'),
                       concordance(reading.points, windows.targets).tolist(), strict=True))
    figures['ccc'] = sum(figures.values()) / 2
    for index, name in enumerate(DIMENSIONS):
        point, std, target = (series[:, index].numpy() for series in (
            reading.points, reading.stds, windows.targets))
        figures[f'coverage_{name}'] = coverage(point, std, target)
    for index, name in enumerate(MODALITIES):
        alone = present[:, index] & (present.sum(1) == 1)
        if alone.sum() > 1:
            both = concordance(reading.points[alone], windows.targets[alone])
            figures[f'ccc_{name}_alone'] = float(both.mean())
    return figures


def load_encoders(context: StageContext) -> MavenModel:
    """
    Build the network with the frozen encoders of the earlier stages.

    :raises ResourceError: names a stage that was not trained.
    """
    model: MavenModel = MavenModel.untrained(context.config, context.seed).eval()
    for modality, own in ENCODERS.items():
        encoder = getattr(model, own)
        load_stage(context.out / STAGE_OF[modality], ENCODER, encoder)
        encoder.requires_grad_(False)
    return model


def load_readers(model: MavenModel, out: Path) -> None:
    """
    Give each reader the head with which its encoder was trained, and freeze it.

    :param out: folder of the run.
    :raises ResourceError: names a head that is missing, or has another shape.
    """
    for modality, reader in model.readers.each.items():
        path = out / STAGE_OF[modality] / TASK_HEAD
        state = dict(reader.state_dict())
        state['weigh.2.weight'] = torch.zeros_like(state['weigh.2.weight'])  # the plain mean
        if modality in _POINTS:
            state['points'] = torch.from_numpy(_POINTS[modality])
        head = {name.replace('emotions.', 'votes.'): value
                for name, value in read_state(path).items()}
        load_state(path, reader, {**state, **{
            name: value for name, value in head.items() if not name.startswith('named.')}})
        reader.requires_grad_(False)


def make_composer(
    settings: FusionSettings, context: StageContext, model: MavenModel, split: str,
) -> Composer:
    """Return a composer of the pieces of a split, which are encoded if necessary."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(context.out / STAGE_OF['text'] / TOKENIZER))
    banks, noises = encode_corpora(
        context.corpora, split, settings.bank, model, tokenizer, context.out / NAME / 'banks')
    return Composer(settings.compose, banks, noises, GRID)


def train_fusion(settings: FusionSettings, context: StageContext) -> None:
    """
    Train, calibrate and write the parts after the encoders, with figures on validation windows.

    :raises ResourceError: names a stage that was not trained, or a data file that is missing or
        broken.
    """
    model, folder = load_encoders(context), context.out / NAME
    load_readers(model, context.out)
    several = replace(settings, compose=replace(settings.compose, alone=0.0))
    train = make_composer(several if model.readers.each else settings, context, model, 'train')
    held_out = make_composer(settings, context, model, 'valid')
    random = torch.Generator().manual_seed(context.seed)
    valid = held_out.windows(settings.valid_windows, random)
    for modality, reader in cast(dict[str, Reader], model.readers.each).items():
        alone = held_out.windows(settings.valid_windows, random, (modality,))
        calibrate_reader(reader, alone.features.streams[MODALITIES.index(modality)], GRID.slot_s,
                         alone.targets)
    task = FusionTask(settings, model, train, valid)
    fitted = fit(task, settings.loop, folder, name=NAME,
                 recipe=_recipe(settings, model, train, held_out), seed=context.seed,
                 stop=context.stop)
    best = cast(MavenModel, fitted.model)
    calibrate(best, read(best, valid.features), valid.features.present, valid.targets)
    save_state(folder / FUSION, {
        name: value for name, value in best.state_dict().items()
        if name.split('.')[0] in PARTS})
    figures = score(read(best, valid.features), valid)
    write_json(folder / METRICS, {'valid': figures})


def _recipe(
    settings: FusionSettings, model: MavenModel, train: Composer, valid: Composer,
) -> Mapping[str, Any]:
    made = {part: fingerprint(getattr(model, part)) for part in (*ENCODERS.values(), 'readers')}
    return {**dataclasses.asdict(settings), **made, 'data': [train.digest, valid.digest]}
