"""
The stage ``export``: combine the results of all stages in a checkpoint for the node.

The encoders' own heads are stored in ``probes.safetensors``. The node does not use them, but the
evaluation does.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tokenizers import Tokenizer
from torch import Tensor

from maven_ros.declarations import Checked, setting
from maven_ros.errors import ResourceError
from maven_ros.files import write_json
from maven_ros.model import checkpoint
from maven_ros.model.maven import MavenModel
from maven_ros.resources import resource
from maven_ros.training.compact.face_stage import FaceHead
from maven_ros.training.compact.fusion_stage import FUSION, PARTS, STAGE_OF, load_encoders
from maven_ros.training.compact.fusion_stage import NAME as FUSION_NAME
from maven_ros.training.compact.stages import (
    TASK_HEAD,
    StageContext,
    load_state,
    read_state,
    save_state,
)
from maven_ros.training.compact.text_stage import TOKENIZER, TextHead
from maven_ros.training.compact.voice_stage import VoiceHead

NAME = 'export'
PROBES = 'probes.safetensors'
LICENCES = 'licences.json'  # licences of the training corpora
#: Of the parts of the weights that are others', by the modality whose encoder has such.
NOTICES = {'audio': 'LICENSE.whisper', 'text': 'LICENSE.e5'}


@dataclass(frozen=True)
class ExportSettings(Checked):
    """The settings of the export."""

    card: str = setting(
        'config/train/compact.md', 'Shipped template of the README.md; `maven-ros evaluate model '
        '--card` inserts the figures.')


class Probes(NamedTuple):
    """The encoders' own heads, in evaluation mode."""

    faces: FaceHead
    voice: VoiceHead
    text: TextHead


def train_export(settings: ExportSettings, context: StageContext) -> None:
    """
    Write the checkpoint folder ``export`` of a run.

    :raises ResourceError: names a stage that was not trained.
    """
    model = load_encoders(context)
    _load_fusion(model, context.out / FUSION_NAME / FUSION)
    tokenizer = Tokenizer.from_file(str(context.out / STAGE_OF['text'] / TOKENIZER))
    folder = context.out / NAME
    model.config.trained = True
    checkpoint.save(folder, model, tokenizer, half=True)
    shutil.copyfile(resource(settings.card), folder / 'README.md')
    for modality, notice in NOTICES.items():
        if model.config.backbone(modality):
            shutil.copyfile(resource(f'models/compact/{notice}'), folder / notice)
    write_json(folder / LICENCES, context.corpora.licences)
    save_state(folder / PROBES, {
        f'{stage}.{name}': value for stage in STAGE_OF.values()
        for name, value in read_state(context.out / stage / TASK_HEAD).items()})


def load_probes(folder: Path, model: MavenModel) -> Probes:
    """
    Read the encoders' own heads.

    :param folder: folder of the model's checkpoint.
    :raises ResourceError: if there are none, or they have another shape.
    """
    stored = read_state(folder / PROBES)
    parts: dict[str, dict[str, Tensor]] = {stage: {} for stage in STAGE_OF.values()}
    try:
        for name, value in stored.items():
            stage, _, rest = name.partition('.')
            parts[stage][rest] = value
        text = parts['text']
        probes = Probes(
            FaceHead(model.face_encoder.width), VoiceHead(model.voice_encoder.width),
            TextHead(model.text_encoder.width, len(text['named.bias'])))
        for probe, stage in zip(probes, parts, strict=True):
            probe.load_state_dict(parts[stage])
            probe.eval()
    except (KeyError, RuntimeError) as error:
        raise ResourceError(f'{folder / PROBES}: belongs to another model: {error}') from error
    return probes


def _load_fusion(model: MavenModel, path: Path) -> None:
    own = {name: value for name, value in model.state_dict().items()
           if name.split('.')[0] not in PARTS}
    load_state(path, model, {**own, **read_state(path)})
