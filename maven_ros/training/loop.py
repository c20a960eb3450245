"""
The training loop of all stages, and of runs on recorded people.

It uses AdamW, a warm-up followed by a cosine schedule or by halving on plateaus, gradient
clipping, and a running mean of the weights, which is validated and returned. After every epoch it
replaces the checkpoint atomically. Each epoch has its own random state, derived from the seed and
the epoch's number, so a run that was killed or stopped continues as if nothing had happened.
Several processes can train one network (:mod:`maven_ros.training.processes`).
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
# Values for settings that older checkpoints lack.
_NEWER = {'schedule': 'cosine', 'plateau_epochs': 10}


@dataclass(frozen=True)
class LoopSettings(Checked):
    """The settings of the optimisation."""

    epochs: int = setting(
        doc='Passes over the data; the learning rate falls to 0 over them.', minimum=1)
    batch_size: int = setting(doc='Examples per step, in all processes together.', minimum=1)
    learning_rate: float = setting(doc='Highest learning rate, after the warm-up.', above=0)
    weight_decay: float = setting(
        0.01, 'Weight decay of matrices and kernels; biases and norms have none.', minimum=0)
    warmup_epochs: float = setting(
        1.0, 'Epochs in which the learning rate rises linearly.', minimum=0)
    clip_norm: float = setting(1.0, 'Largest norm of the gradient.', above=0)
    average_decay: float = setting(
        0.998, 'Decay of the running mean of the weights per step; lower at the start.', minimum=0,
        below=1)
    select: str = setting(
        '', 'Validation figure whose maximum selects the epoch to keep; empty keeps the '
        'last.')
    precision: str = setting(
        'auto', 'Precision of large products: fp32, bf16, or auto: bf16 if the CPU supports it.',
        choices=PRECISIONS)
    stop_after: int = setting(
        0, 'Epochs after which training pauses; a higher value continues from there. 0 for none.',
        minimum=0)
    schedule: str = setting(
        'cosine', 'Learning rate after the warm-up: cosine falls to 0 by the last epoch; '
        'plateau halves it whenever select has not risen for plateau_epochs.', choices=SCHEDULES)
    plateau_epochs: int = setting(10, 'Epochs for schedule: plateau.', minimum=1)
    patience: int = setting(
        0, 'Training ends after this many epochs without a rise of select; 0 for none.', minimum=0)

    def contradictions(self) -> Iterator[str]:
        """Yield a message for each combination that is not allowed."""
        if self.stop_after > self.epochs:
            yield f'stop_after: {self.stop_after} is more than epochs, {self.epochs}'
        if not self.select and (self.patience or self.schedule == 'plateau'):
            yield "select: ''; allowed: a figure, as patience or schedule: plateau need one"


class TrainingTask(Protocol):
    """
    The model and the data of a training.

    :param model: model on its device, in any memory format.
    :param steps: number of batches per epoch.
    """

    model: nn.Module
    steps: int

    def batches(self, epoch: int, random: torch.Generator) -> Iterable[Any]:
        """Yield ``steps`` batches; ``random``, on the CPU, is the only source of randomness."""

    def losses(self, model: nn.Module, batch: Any) -> Mapping[str, Tensor]:
        """Return ``loss``, which is minimised, and further values to log."""

    def validate(self, model: nn.Module) -> Mapping[str, float]:
        """Return validation figures of the model, in evaluation mode and without gradients."""


class Epoch(NamedTuple):
    """The result of an epoch: mean losses, and validation figures."""

    number: int
    training: dict[str, float]
    validation: dict[str, float]

    def figure(self, select: str) -> float:
        """Return the figure that selects the epoch; an undefined figure is -infinity."""
        value = self.validation[select]
        return -math.inf if math.isnan(value) else value


class Fitted(NamedTuple):
    """
    A trained model.

    :param model: model with the running mean of the weights, in evaluation mode.
    :param kept: the selected epoch.
    :param history: results of all epochs.
    """

    model: nn.Module
    kept: Epoch
    history: tuple[Epoch, ...]


class Stopped(MavenError):
    """Training was stopped; the next call continues from the checkpoint."""


def fit(
    task: TrainingTask, settings: LoopSettings, folder: Path, *, name: str,
    recipe: Mapping[str, Any], seed: int = 0, stop: Event | None = None,
    processes: Processes | None = None,
) -> Fitted:
    """
    Train, or continue an interrupted training in the same folder.

    :param folder: folder of the checkpoint, the TensorBoard log and ``curves.png``.
    :param name: name of the stage, for messages.
    :param recipe: everything that the result depends on, in plain values; a checkpoint with
        another recipe is refused.
    :param stop: when set, training ends after the current step.
    :param processes: the group of training processes; only this process if omitted. The task
        yields this process's share of each batch, but returns losses of the whole batch.
    :raises ResourceError: if the checkpoint has another recipe, or cannot be read.
    :raises Stopped: if ``stop`` was set.
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
    """Return everything that an epoch depends on, without the settings that only end training."""
    plain = {**recipe, **dataclasses.asdict(settings), 'seed': seed}
    return {name: value for name, value in plain.items()
            if name not in ('loop', 'stop_after', 'patience')}


def _train_epoch(
    task: TrainingTask, state: _State, settings: LoopSettings, number: int, seed: int,
    log: RunLog | Silence, stop: Event | None, processes: Processes,
) -> dict[str, float]:
    """Return the means of the losses over an epoch."""
    own_seed = 1_000_003 * seed + number
    torch.manual_seed(own_seed + 7_919 * processes.rank)  # for dropout, differs by rank
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
            raise Stopped(f'stopped in epoch {number + 1} of {settings.epochs}; run the same '
                          'command again to continue from the end of the previous epoch')
    return {key: float(value) / task.steps for key, value in totals.items()}


class _State:
    """The state of a training, and its checkpoint."""

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
        """Record the result of an epoch, and keep its weights if it is the best one."""
        self.history.append(epoch)
        select = settings.select
        self.plateaus = plateaus([one.figure(select) for one in self.history] if select else [],
                                 settings.plateau_epochs)
        if not select or epoch.figure(select) >= self.history[self.kept].figure(select):
            self.kept = epoch.number
            self.best = {name: value.clone() for name, value
                         in self.average.module.state_dict().items()}

    def gave_up(self, settings: LoopSettings) -> bool:
        """Tell whether patience has run out since the best epoch."""
        return 0 < settings.patience < len(self.history) - self.kept

    def _parts(self) -> dict[str, Any]:
        return {'model': self.model, 'optimiser': self.optimiser, 'scheduler': self.scheduler,
                'average': self.average}

    def save(self, path: Path) -> None:
        """
        Write a checkpoint atomically.

        :raises ResourceError: if it cannot be written, such as on a full disk.
        """
        beside = path.with_suffix('.part')
        try:
            torch.save({
                **{name: part.state_dict() for name, part in self._parts().items()},
                'recipe': self.recipe, 'history': [tuple(epoch) for epoch in self.history],
                'kept': self.kept, 'best': self.best, 'plateaus': self.plateaus}, beside)
            beside.replace(path)
        except (OSError, RuntimeError) as error:  # torch raises RuntimeError
            beside.unlink(missing_ok=True)
            raise ResourceError(f'{path}: cannot be written: {first_line(error)}; make room, and '
                                'run the same command again') from error

    def load(self, path: Path) -> None:
        """Continue from a checkpoint, if there is one."""
        if not path.exists():
            return
        device = next(self.model.parameters()).device
        try:
            saved = torch.load(path, device, weights_only=True)
            theirs = {**_NEWER, **saved['recipe']}
        except Exception as error:  # torch raises any class for broken files
            raise ResourceError(f'{path}: cannot be read ({type(error).__name__}); remove it to '
                                'start again') from error
        differing = [f'{key} {theirs.get(key)!r}, not {self.recipe.get(key)!r}'
                     for key in sorted(theirs.keys() | self.recipe.keys())
                     if theirs.get(key) != self.recipe.get(key)]
        if differing:
            raise ResourceError(f'{path}: has another recipe ({"; ".join(differing)}); remove '
                                'it, or use another folder')
        for name, part in self._parts().items():
            part.load_state_dict(saved[name])
        self.history = [Epoch(*epoch) for epoch in saved['history']]
        self.kept, self.best = saved['kept'], saved['best']
        self.plateaus = saved.get('plateaus', 0)
