"""
The stage ``fusion``: pathways, refinement, context and head, trained on composed windows.

The encoders are frozen. The loss is the negative log-likelihood of the targets, with their own
spread, under the head's normal distribution, plus 1 - CCC over a batch. The likelihood has the
weights of beta-NLL (Seitzer et al. 2022), so that hard windows are not neglected. At the end the
standard deviations are calibrated (:mod:`maven_ros.training.calibration`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from maven_ros.declarations import Checked, fraction, setting
from maven_ros.files import write_json
from maven_ros.model.maven import ENCODERS, MavenModel
from maven_ros.records import MODALITIES
from maven_ros.resources import resource
from maven_ros.scoring.metrics import coverage
from maven_ros.training.calibration import calibrate
from maven_ros.training.compact.bank import fingerprint
from maven_ros.training.compact.compose import ComposedWindows, Composer, ComposeSettings
from maven_ros.training.compact.encoding import BankSettings, encode_corpora
from maven_ros.training.compact.pieces import GRID
from maven_ros.training.compact.stages import (
    ENCODER,
    METRICS,
    StageContext,
    load_stage,
    save_state,
)
from maven_ros.training.loop import LoopSettings, fit
from maven_ros.training.losses import concordance
from maven_ros.training.reading import Reading, read

NAME = 'fusion'
FUSION = 'fusion.safetensors'
STAGE_OF = {'video': 'faces', 'audio': 'voice', 'text': 'text'}  # stage that trains the encoder
PARTS = ('fusion', 'context', 'head')  # parts of the network that this stage trains
DIMENSIONS = ('valence', 'arousal')


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


def make_composer(
    settings: FusionSettings, context: StageContext, model: MavenModel, split: str,
) -> Composer:
    """Return a composer of the pieces of a split, which are encoded if necessary."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(resource('models/compact/tokenizer.json')))
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
    train, held_out = (make_composer(settings, context, model, split)
                       for split in ('train', 'valid'))
    valid = held_out.windows(
        settings.valid_windows, torch.Generator().manual_seed(context.seed))
    task = FusionTask(settings, model, train, valid)
    fitted = fit(task, settings.loop, folder, name=NAME,
                 recipe=_recipe(settings, model, train, held_out), seed=context.seed,
                 stop=context.stop)
    best = cast(MavenModel, fitted.model)
    calibrate(best.head, read(best, valid.features), valid.targets)
    save_state(folder / FUSION, {
        name: value for name, value in best.state_dict().items()
        if name.split('.')[0] in PARTS})
    figures = score(read(best, valid.features), valid)
    write_json(folder / METRICS, {'valid': figures})


def _recipe(
    settings: FusionSettings, model: MavenModel, train: Composer, valid: Composer,
) -> Mapping[str, Any]:
    encoders = {own: fingerprint(getattr(model, own)) for own in ENCODERS.values()}
    return {**dataclasses.asdict(settings), **encoders, 'data': [train.digest, valid.digest]}
