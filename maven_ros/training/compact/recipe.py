"""
Recipes: YAML files with the seed and the settings of each stage, which run in order.

Each stage writes its files into its own folder. A finished stage is not repeated, and an
interrupted one continues (:mod:`maven_ros.training.loop`).
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, is_dataclass
from pathlib import Path
from threading import Event
from typing import Any, NamedTuple

import torch

from maven_ros.errors import ResourceError, SettingsError
from maven_ros.model.configuration import MavenConfig
from maven_ros.resources import resource
from maven_ros.training.compact.export import ExportSettings, train_export
from maven_ros.training.compact.face_stage import (
    FaceStageSettings,
    TakenFacesSettings,
    take_faces,
    train_faces,
)
from maven_ros.training.compact.fusion_stage import FusionSettings, train_fusion
from maven_ros.training.compact.stages import StageContext
from maven_ros.training.compact.student_stage import StudentSettings, train_student
from maven_ros.training.compact.text_stage import TextSettings, train_text
from maven_ros.training.compact.voice_stage import VoiceSettings, train_voice
from maven_ros.training.listed import Corpora, CorpusSettings
from maven_ros.yaml_files import read_yaml


class Stage(NamedTuple):
    """
    One step of a recipe.

    :param settings: dataclass of its settings.
    :param train: function that runs it.
    """

    settings: type[Any]
    train: Callable[[Any, StageContext], None]


#: The stages, in the order in which they run.
STAGES: Mapping[str, Stage] = {
    'faces': Stage(FaceStageSettings, train_faces),
    'taken_faces': Stage(TakenFacesSettings, take_faces),
    'voice': Stage(VoiceSettings, train_voice),
    'student': Stage(StudentSettings, train_student),
    'text': Stage(TextSettings, train_text),
    'fusion': Stage(FusionSettings, train_fusion),
    'export': Stage(ExportSettings, train_export),
}

#: The networks that a recipe may train.
NETWORKS: Mapping[str, Callable[[], MavenConfig]] = {
    'compact': lambda: MavenConfig.compact(),
    'compact-small': lambda: MavenConfig.compact_small(),
}


@dataclass(frozen=True)
class Recipe:
    """
    Everything that the weights depend on, except the data.

    :param network: one of ``NETWORKS``; compact, if a file names none.
    :param seed: seed of all randomness.
    :param corpora: corpora of the training.
    :param stages: settings by name of the stage.
    """

    network: str
    seed: int
    corpora: tuple[CorpusSettings, ...]
    stages: Mapping[str, Any]


def read_recipe(name: str) -> Recipe:
    """
    Read a recipe.

    :param name: name of a shipped recipe, such as ``'compact'``, or path of a YAML file.
    :raises ResourceError: if there is no such recipe.
    :raises SettingsError: if it cannot be read; names what is missing, unknown or of another
        type.
    """
    path = Path(name)
    if path.suffix not in ('.yaml', '.yml'):
        path = resource('config/train') / f'{name}.yaml'
        if not path.is_file():
            raise ResourceError(f'{name}: no such recipe; allowed: one that ships, such as '
                                'compact, or the path of a file that ends with .yaml or .yml')
    values = read_yaml(path)
    if not isinstance(values, dict) or type(values.get('seed')) is not int:
        raise SettingsError(f'{path}: is not a mapping with a whole number as seed')
    unknown = values.keys() - STAGES.keys() - {'network', 'seed', 'corpora'}
    if unknown:
        raise SettingsError(
            f'{path}: unknown: {", ".join(sorted(map(str, unknown)))}; allowed: network, seed, '
            f'corpora, {", ".join(STAGES)}; settings of a run on recorded people go to `maven-ros '
            'train run --config`')
    if (network := str(values.get('network', 'compact'))) not in NETWORKS:
        raise SettingsError(f'{path}: network: {network!r} is not {" or ".join(NETWORKS)}')
    listed = values.get('corpora')
    if not isinstance(listed, list) or not listed:
        raise SettingsError(f'{path}: corpora: {listed!r}; allowed: a list of name and folder')
    corpora = tuple(build(CorpusSettings, one, f'{path}: corpora[{index}]')
                    for index, one in enumerate(listed))
    return Recipe(network, values['seed'], corpora, {
        stage: build(STAGES[stage].settings, values[stage], f'{path}: {stage}')
        for stage in STAGES if stage in values})


def train(
    recipe: Recipe, data: Path, out: Path, stages: Sequence[str], device: torch.device,
    stop: Event,
) -> None:
    """
    Run stages in the order of the recipe.

    :param data: folder of the data sets.
    :param out: folder of the run; it must already hold the files of omitted stages.
    :param stages: names of stages; all if empty.
    :param stop: ends the run after the current step when set.
    :raises SettingsError: if the recipe lacks a stage.
    """
    for name in stages:
        if name not in recipe.stages:
            raise SettingsError(
                f'stages: {name!r} is not one of {", ".join(recipe.stages)}')
    context = StageContext(Corpora(recipe.corpora, data), out, NETWORKS[recipe.network](),
                           recipe.seed, device, stop)
    for name, settings in recipe.stages.items():
        if not stages or name in stages:
            STAGES[name].train(settings, context)


def build(cls: type[Any], values: Any, where: str) -> Any:
    """
    Build a dataclass from YAML values, with nested dataclasses, and tuples from lists.

    :param where: prefix of the messages.
    :raises SettingsError: names what is missing, unknown, of another type or not allowed.
    """
    if not isinstance(values, dict):
        raise SettingsError(f'{where}: {values!r} is not a mapping')
    fields = {field.name: field for field in dataclasses.fields(cls)}
    required = {name for name, field in fields.items() if field.default is dataclasses.MISSING
                and field.default_factory is dataclasses.MISSING}
    for what, names in (('unknown', values.keys() - fields.keys()),
                        ('missing', required - values.keys())):
        if names:
            raise SettingsError(f'{where}: {what}: {", ".join(sorted(map(str, names)))}')
    hints = typing.get_type_hints(cls)
    made = {name: _value(hints[name], value, f'{where}.{name}') for name, value in values.items()}
    try:
        return cls(**made)
    except SettingsError as error:
        raise SettingsError(f'{where}: {error}') from error


def _value(kind: Any, value: Any, where: str) -> Any:
    if is_dataclass(kind):
        return build(typing.cast(type[Any], kind), value, where)
    if typing.get_origin(kind) is tuple and isinstance(value, list):
        kinds = typing.get_args(kind)
        each = [kinds[0]] * len(value) if kinds[-1] is Ellipsis else kinds
        if len(each) == len(value):
            return tuple(_value(one, item, f'{where}[{index}]')
                         for index, (one, item) in enumerate(zip(each, value, strict=True)))
    elif typing.get_origin(kind) is dict and isinstance(value, dict):
        return value
    elif kind is float and type(value) in (int, float):
        return float(value)
    elif type(value) is kind:
        return value
    raise SettingsError(f'{where}: {value!r} is not {getattr(kind, "__name__", kind)}')
