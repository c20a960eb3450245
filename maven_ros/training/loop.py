"""
The one training loop: of all stages, and of runs on Aff-Wild2.

AdamW, warm-up and a cosine to 0 or halving on plateaus, clipped gradients, a running mean of the
weights (which is what is validated and returned), and a checkpoint after every epoch, written
beside and moved over the old one. Each epoch draws from a random state of its own, made of the
seed and its number: so a run that was killed, or was told to stop after some epochs, goes on as if
it had not been. Several processes may train one network (:mod:`maven_ros.training.processes`).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from maven_ros.declarations import Checked, setting
from maven_ros.errors import MavenError, ResourceError
from maven_ros.model.compute import first_line, uses_bf16
from maven_ros.training.logs import RunLog, Silence
from maven_ros.training.processes import Processes
from maven_ros.training.schedules import cosine, plateaus, running_mean

PRECISIONS = ('auto', 'fp32', 'bf16')
SCHEDULES = ('cosine', 'plateau')
CHECKPOINT = 'checkpoint.pt'
# Settings that checkpoints written before them lack: they were made with these.
_NEWER = {'schedule': 'cosine', 'plateau_epochs': 10}


@dataclass(frozen=True)
class LoopSettings(Checked):
    """How a stage is optimised."""

    epochs: int = setting(
        doc='Passes over the data, by which the learning rate falls to 0.', minimum=1)
    batch_size: int = setting(doc='Examples a step, of all processes together.', minimum=1)
    learning_rate: float = setting(doc='The highest, after the warm-up.', above=0)
    weight_decay: float = setting(
        0.01, 'Of matrices and kernels; vectors (biases, norms) have none.', minimum=0)
    warmup_epochs: float = setting(1.0, 'While the rate rises linearly.', minimum=0)
    clip_norm: float = setting(1.0, 'Longest gradient.', above=0)
    average_decay: float = setting(
        0.998, 'Of the running mean of the weights, per step; quicker at the start.', minimum=0,
        below=1)
    select: str = setting(
        '', 'Validation figure whose highest value says which epoch is kept; empty keeps the '
        'last.')
    precision: str = setting(
        'auto', 'Of the large products: fp32, bf16, or auto: bf16 where the processor has it.',
        choices=PRECISIONS)
    stop_after: int = setting(
        0, 'Epochs after which training ends all the same, and from which it goes on if this is '
        'raised; 0 for none.', minimum=0)
    schedule: str = setting(
        'cosine', 'Of the learning rate after the warm-up: cosine, to 0 by the last epoch; or '
        'plateau, halved whenever select has not risen for plateau_epochs.', choices=SCHEDULES)
    plateau_epochs: int = setting(10, 'See there.', minimum=1)
    patience: int = setting(
        0, 'Epochs without a rise of select after which training ends; 0 for none.', minimum=0)

    def contradictions(self) -> Iterator[str]:
        """Yield what cannot be together."""
        if self.stop_after > self.epochs:
            yield f'stop_after: {self.stop_after} is more than epochs, {self.epochs}'
        if not self.select and (self.patience or self.schedule == 'plateau'):
            yield "select: '' names no figure, and patience or schedule: plateau go by one"


class TrainingTask(Protocol):
    """
    What a stage trains, on what.

    :param model: on the device, in any memory format.
    :param steps: batches in an epoch.
    """

    model: nn.Module
    steps: int

    def batches(self, epoch: int, random: torch.Generator) -> Iterable[Any]:
        """Yield ``steps`` batches; whatever is random comes from ``random`` (on the CPU)."""

    def losses(self, model: nn.Module, batch: Any) -> Mapping[str, Tensor]:
        """Return ``loss``, which is minimised, and whatever else is worth a curve."""

    def validate(self, model: nn.Module) -> Mapping[str, float]:
        """Score the mean of the weights, in evaluation mode and without gradients."""


class Epoch(NamedTuple):
    """What an epoch gave: means of the losses, and the validation's figures."""

    number: int
    training: dict[str, float]
    validation: dict[str, float]

    def figure(self, select: str) -> float:
        """Return the figure that epochs are chosen by; what is undefined is below all else."""
        value = self.validation[select]
        return -math.inf if math.isnan(value) else value


class Fitted(NamedTuple):
    """
    A trained model.

    :param model: the running mean of the weights, in evaluation mode.
    :param kept: the epoch that it is of.
    :param history: of all epochs.
    """

    model: nn.Module
    kept: Epoch
    history: tuple[Epoch, ...]


class Stopped(MavenError):
    """Training was asked to stop; it goes on from its checkpoint when it is called again."""


def fit(
    task: TrainingTask, settings: LoopSettings, folder: Path, *, name: str,
    recipe: Mapping[str, Any], seed: int = 0, stop: Event | None = None,
    processes: Processes | None = None,
) -> Fitted:
    """
    Train, or go on where a run in that folder was cut off.

    :param folder: of the checkpoint, the TensorBoard log and ``curves.png``.
    :param name: of the stage, for people.
    :param recipe: all that the result depends on, in plain values; a checkpoint of another one is
        refused.
    :param stop: when set, ends training after the step that runs.
    :param processes: those that train together; this one alone when left out. The task yields this
        one's share of each batch, and its losses are those of the whole batch.
    :raises ResourceError: for a checkpoint of another recipe, or one that cannot be read.
    :raises Stopped: when ``stop`` was set.
    """
    processes = processes or Processes()
    state = _State(task, settings, _plain(recipe, settings, seed))
    folder.mkdir(parents=True, exist_ok=True)
    state.load(folder / CHECKPOINT)
    processes.check_same(len(state.history), f'{folder / CHECKPOINT}: epochs done')
    last, done = settings.stop_after or settings.epochs, len(state.history)
    log = RunLog(folder, name, last, task.steps, done) if processes.main else Silence()
    with log:
        while len(state.history) < last and not state.gave_up(settings):
            number = len(state.history)
            training = _train_epoch(task, state, settings, number, seed, log, stop, processes)
            model = state.average.module.eval()
            with torch.no_grad():
                validation = dict(task.validate(model))
            state.end_epoch(Epoch(number, training, validation), settings)
            if processes.main:
                state.save(folder / CHECKPOINT)
            processes.wait()
            log.epoch(number, training, validation)
        log.draw([(epoch.training, epoch.validation) for epoch in state.history])
    model = state.average.module
    model.load_state_dict(state.best)
    return Fitted(model.eval(), state.history[state.kept], tuple(state.history))


def _plain(recipe: Mapping[str, Any], settings: LoopSettings, seed: int) -> dict[str, Any]:
    """Return all that an epoch depends on; when training ends is no part of it."""
    plain = {**recipe, **dataclasses.asdict(settings), 'seed': seed}
    return {name: value for name, value in plain.items()
            if name not in ('loop', 'stop_after', 'patience')}


def _train_epoch(
    task: TrainingTask, state: _State, settings: LoopSettings, number: int, seed: int,
    log: RunLog | Silence, stop: Event | None, processes: Processes,
) -> dict[str, float]:
    """Return the means of the losses over an epoch."""
    own_seed = 1_000_003 * seed + number
    torch.manual_seed(own_seed + 7_919 * processes.rank)  # dropout's, on other examples each
    model, device = task.model.train(), next(task.model.parameters()).device
    totals: dict[str, Tensor] = {}
    for batch in task.batches(number, torch.Generator().manual_seed(own_seed)):
        with torch.autocast(
                device.type, torch.bfloat16, uses_bf16(settings.precision, device)):
            losses = task.losses(model, batch)
        state.optimiser.zero_grad()
        losses['loss'].backward()  # type: ignore[no-untyped-call]
        stopping = processes.add_gradients(model, stop is not None and stop.is_set())
        nn.utils.clip_grad_norm_(model.parameters(), settings.clip_norm, error_if_nonfinite=True)
        state.optimiser.step()
        state.scheduler.step()
        state.average.update_parameters(model)
        for key, value in losses.items():
            totals[key] = totals.get(key, 0) + value.detach().float()
        log.step()
        if stopping:
            raise Stopped(f'stopped in epoch {number + 1} of {settings.epochs}; the same command '
                          'goes on from the end of the one before')
    return {key: float(value) / task.steps for key, value in totals.items()}


class _State:
    """All that changes while training, and its checkpoint."""

    def __init__(self, task: TrainingTask, settings: LoopSettings, recipe: dict[str, Any]) -> None:
        self.model, self.recipe = task.model, recipe
        self.history: list[Epoch] = []
        self.plateaus = 0
        matrices = [value for value in self.model.parameters() if value.ndim > 1]
        vectors = [value for value in self.model.parameters() if value.ndim <= 1]
        self.optimiser = torch.optim.AdamW(
            [{'params': matrices, 'weight_decay': settings.weight_decay},
             {'params': vectors, 'weight_decay': 0.0}], settings.learning_rate)
        self.scheduler = torch.optim.lr_scheduler.LambdaLR(
            self.optimiser, self._schedule(settings, task.steps))
        self.average = AveragedModel(
            self.model, multi_avg_fn=running_mean(settings.average_decay), use_buffers=True)
        self.kept, self.best = 0, self.average.module.state_dict()

    def _schedule(self, settings: LoopSettings, steps: int) -> Callable[[int], float]:
        warmup = round(settings.warmup_epochs * steps)
        if settings.schedule == 'cosine':
            return cosine(warmup, settings.epochs * steps)
        return lambda step: min(1.0, (step + 1) / max(1, warmup)) * 0.5 ** self.plateaus

    def end_epoch(self, epoch: Epoch, settings: LoopSettings) -> None:
        """Note what an epoch gave, and keep its weights if it is the best."""
        self.history.append(epoch)
        select = settings.select
        self.plateaus = plateaus([one.figure(select) for one in self.history] if select else [],
                                 settings.plateau_epochs)
        if not select or epoch.figure(select) >= self.history[self.kept].figure(select):
            self.kept = epoch.number
            self.best = {name: value.clone() for name, value
                         in self.average.module.state_dict().items()}

    def gave_up(self, settings: LoopSettings) -> bool:
        """Tell whether the best epoch lies as far back as patience reaches."""
        return 0 < settings.patience < len(self.history) - self.kept

    def _parts(self) -> dict[str, Any]:
        return {'model': self.model, 'optimiser': self.optimiser, 'scheduler': self.scheduler,
                'average': self.average}

    def save(self, path: Path) -> None:
        """
        Write a checkpoint; a kill leaves the old one or the new one.

        :raises ResourceError: when it cannot be written, as when the disk is full.
        """
        beside = path.with_suffix('.part')
        try:
            torch.save({
                **{name: part.state_dict() for name, part in self._parts().items()},
                'recipe': self.recipe, 'history': [tuple(epoch) for epoch in self.history],
                'kept': self.kept, 'best': self.best, 'plateaus': self.plateaus}, beside)
            beside.replace(path)
        except (OSError, RuntimeError) as error:  # the latter is what torch's writer raises
            beside.unlink(missing_ok=True)
            raise ResourceError(f'{path}: cannot be written: {first_line(error)}; make room, and '
                                'go on from the epoch before') from error

    def load(self, path: Path) -> None:
        """Go on from a checkpoint, if there is one."""
        if not path.exists():
            return
        device = next(self.model.parameters()).device
        try:
            saved = torch.load(path, device, weights_only=True)
            theirs = {**_NEWER, **saved['recipe']}
        except Exception as error:  # torch raises whatever the bytes lead it to
            raise ResourceError(f'{path}: cannot be read ({type(error).__name__}); remove it to '
                                'begin anew') from error
        differing = [f'{key} {theirs.get(key)!r}, not {self.recipe.get(key)!r}'
                     for key in sorted(theirs.keys() | self.recipe.keys())
                     if theirs.get(key) != self.recipe.get(key)]
        if differing:
            raise ResourceError(f'{path}: is of another recipe ({"; ".join(differing)}); remove '
                                'it, or train into another folder')
        for name, part in self._parts().items():
            part.load_state_dict(saved[name])
        self.history = [Epoch(*epoch) for epoch in saved['history']]
        self.kept, self.best = saved['kept'], saved['best']
        self.plateaus = saved.get('plateaus', 0)
