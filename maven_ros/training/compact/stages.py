"""The input of every stage of a recipe, and the files that it writes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from maven_ros.errors import ResourceError
from maven_ros.files import write_json, written
from maven_ros.model.configuration import MavenConfig
from maven_ros.resources import models_folder
from maven_ros.training.listed import Corpora

ENCODER = 'encoder.safetensors'
TASK_HEAD = 'task_head.safetensors'
METRICS = 'metrics.json'


@dataclass(frozen=True)
class StageContext:
    """
    The context of a stage.

    :param corpora: corpora of the training.
    :param out: folder of the run; each stage has a folder inside, with its name.
    :param config: configuration of the network.
    :param seed: seed of all randomness.
    :param device: device for the encoders; the fusion is small, so the CPU trains it.
    :param stop: set to end the training.
    """

    corpora: Corpora
    out: Path
    config: MavenConfig
    seed: int = 0
    device: torch.device = field(default_factory=lambda: torch.device('cpu'))
    stop: Event = field(default_factory=Event)


def fetched(name: str, what: str) -> Path:
    """
    Return a folder, or the fetched model of that name.

    :param what: name of the model to fetch, for the message.
    :raises ResourceError: if there is neither.
    """
    for folder in (Path(name), models_folder() / name):
        if folder.is_dir():
            return folder
    raise ResourceError(f'{name}: no such folder; run `maven-ros models fetch {what}`')


def save_stage(
    folder: Path, encoder: nn.Module, head: nn.Module, metrics: Mapping[str, Any],
) -> None:
    """Write the result of a stage: its encoder, its head, and validation figures."""
    for name, module in ((ENCODER, encoder), (TASK_HEAD, head)):
        save_state(folder / name, module.state_dict())
    write_json(folder / METRICS, metrics)


def load_stage(folder: Path, file: str, module: nn.Module) -> None:
    """
    Read a result of a stage, ``ENCODER`` or ``TASK_HEAD``, into a module of the same shape.

    :raises ResourceError: names the file and the fault.
    """
    load_state(folder / file, module, read_state(folder / file))


def load_state(path: Path, module: nn.Module, state: Mapping[str, Tensor]) -> None:
    """
    Assign the tensors of a stage's file to a module.

    :raises ResourceError: names the file and the fault.
    """
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        raise ResourceError(f'{path}: has another shape; train the stage {path.parent.name!r} '
                            f'again: {error}') from error


def read_state(path: Path) -> dict[str, Tensor]:
    """
    Read a file of a stage.

    :raises ResourceError: names the file and the fault.
    """
    try:
        tensors: dict[str, Tensor] = load_file(path)
    except Exception as error:  # safetensors raises any class for broken files
        raise ResourceError(f'{path}: cannot be read: {error}; train the stage '
                            f'{path.parent.name!r} first') from error
    return tensors


def save_state(path: Path, state: Mapping[str, Tensor]) -> None:
    """Write tensors by name as safetensors, atomically."""
    with written(path) as beside:
        save_file(
            {name: value.detach().cpu().contiguous() for name, value in state.items()}, beside)
