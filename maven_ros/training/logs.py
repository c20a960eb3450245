"""The log of a training: a progress bar, a line per epoch, TensorBoard, and curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from maven_ros.errors import ResourceError
from maven_ros.files import written

CURVES = 'curves.png'


class RunLog:
    """
    The log of one training of one stage.

    :param folder: folder for the TensorBoard log and ``curves.png``.
    :param name: name of the stage.
    :param epochs: total number of epochs.
    :param steps: number of steps per epoch.
    :param done: number of epochs that earlier calls have logged.
    :raises ResourceError: if TensorBoard is missing.
    """

    def __init__(self, folder: Path, name: str, epochs: int, steps: int, done: int) -> None:
        from rich.progress import Progress

        try:
            from torch.utils.tensorboard.writer import SummaryWriter
        except ImportError as error:
            raise ResourceError(
                'tensorboard is not installed; pip install "maven_ros[train]"') from error
        self._folder, self._name, self._epochs, self._steps = folder, name, epochs, steps
        self._bar = Progress(transient=True)
        self._task = self._bar.add_task(name, total=epochs * steps, completed=done * steps)
        self._writer = SummaryWriter(str(folder / 'tensorboard'), purge_step=done)
        self._stack = ExitStack()

    def __enter__(self) -> RunLog:
        self._stack.enter_context(self._writer)
        self._stack.enter_context(self._bar)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    def step(self) -> None:
        """Advance the progress bar by one batch."""
        self._bar.advance(self._task)

    def epoch(
        self, number: int, training: Mapping[str, float], validation: Mapping[str, float],
    ) -> None:
        """Write the losses and figures of an epoch."""
        for part, figures in (('training', training), ('validation', validation)):
            for name, value in figures.items():
                self._writer.add_scalar(f'{part}/{name}', value, number)
        self._writer.flush()
        line = '  '.join(f'{name} {value:.3f}' for name, value in validation.items())
        self._bar.console.print(
            f'{self._name} {number + 1}/{self._epochs}: loss {training["loss"]:.3f}  {line}',
            highlight=False, soft_wrap=True)

    def draw(self, history: Sequence[tuple[Mapping[str, float], Mapping[str, float]]]) -> None:
        """
        Draw the losses and validation figures of all epochs.

        :raises ResourceError: if matplotlib is missing, or the file cannot be written.
        """
        try:
            from matplotlib.backends.backend_agg import FigureCanvasAgg
            from matplotlib.figure import Figure
        except ImportError as error:
            raise ResourceError(
                'matplotlib is not installed; pip install "maven_ros[plot]"') from error
        figure = Figure(figsize=(10, 4), layout='constrained')
        FigureCanvasAgg(figure)
        numbers = range(1, len(history) + 1)
        for index, (axes, title) in enumerate(
                zip(figure.subplots(1, 2), ('training', 'validation'), strict=True)):
            for name in history[0][index]:
                axes.plot(numbers, [epoch[index][name] for epoch in history], label=name)
            axes.set(title=f'{self._name}: {title}', xlabel='epoch')
            axes.grid(alpha=0.3)
            axes.legend(fontsize='small')
        with written(self._folder / CURVES) as beside:
            figure.savefig(beside, dpi=110, format='png')


class Silence(ExitStack):
    """The log of a process that logs nothing, because the main process does."""

    def step(self) -> None:
        """Say nothing."""

    def epoch(
        self, number: int, training: Mapping[str, float], validation: Mapping[str, float],
    ) -> None:
        """Say nothing."""

    def draw(self, history: Sequence[tuple[Mapping[str, float], Mapping[str, float]]]) -> None:
        """Draw nothing."""
