"""The initial network of a run: encoders of an existing one, and the parts to train."""

from __future__ import annotations

import dataclasses
from typing import Any

from torch import nn

from maven_ros.errors import ResourceError, SettingsError
from maven_ros.model.configuration import MavenConfig
from maven_ros.model.maven import ENCODERS, MavenModel
from maven_ros.training.people.run_settings import RunSettings


class NoEncoder(nn.Module):
    """
    A placeholder for an encoder, which features do not need, to save memory.

    :param width: width of the encoder's vectors.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width


def start(settings: RunSettings, base: MavenModel) -> MavenModel:
    """
    Build the network to train, with copies of the encoders of another network.

    Encoders are frozen, except for the last blocks that the settings name.

    :raises SettingsError: if a size is not allowed, or an encoder has fewer blocks.
    :raises ResourceError: if a kept part has another shape.
    """
    config = _config(settings, base.config)
    model: MavenModel = MavenModel.untrained(config, settings.seed)
    for own in ENCODERS.values():
        getattr(model, own).load_state_dict(getattr(base, own).state_dict())
    for part in settings.keep:
        try:
            getattr(model, part).load_state_dict(getattr(base, part).state_dict())
        except RuntimeError as error:
            raise ResourceError(
                f'keep: {part} of {settings.model} has another shape than network: '
                f'{settings.network} asks for: {str(error).splitlines()[-1].strip()}') from error
    for name, own in ENCODERS.items():
        getattr(model, own).requires_grad_(False)
        thaw(name, getattr(model, own), settings.tune.blocks.get(name, 0))
    return model


def take_encoders(model: MavenModel) -> dict[str, nn.Module]:
    """Take the encoders out of a network; :func:`put_encoders` puts them back."""
    taken = {own: getattr(model, own) for own in ENCODERS.values()}
    for own, encoder in taken.items():
        setattr(model, own, NoEncoder(encoder.width))
    return taken


def put_encoders(model: MavenModel, taken: dict[str, nn.Module]) -> None:
    """Put back the encoders that :func:`take_encoders` took."""
    for own, encoder in taken.items():
        setattr(model, own, encoder)


def thaw(modality: str, encoder: nn.Module, count: int) -> None:
    """
    Unfreeze the last blocks of an encoder, and everything after them.

    :raises SettingsError: if it has fewer blocks.
    """
    found = blocks(encoder)
    if count > len(found):
        raise SettingsError(f'tune.{modality}: {count} is more than the {len(found)} blocks of '
                            'the encoder')
    first = next(iter(found[-count].parameters())) if count else None
    trained = False
    for value in encoder.parameters():  # in the order of the layers
        trained = trained or value is first
        value.requires_grad_(trained)


def blocks(encoder: nn.Module) -> list[nn.Module]:
    """Return an encoder's blocks, in order: layers of transformers, residual blocks."""
    return [child for part in encoder.modules()
            if isinstance(part, nn.ModuleList | nn.Sequential) for child in part
            if type(child).__name__.endswith(('Layer', 'Block', 'LayerStableLayerNorm'))
            and not type(child).__name__.endswith('ConvLayer')]


def _config(settings: RunSettings, config: MavenConfig) -> MavenConfig:
    changes: dict[str, Any] = {}
    for name in settings.tune.blocks:
        backbone = getattr(config, name)
        if backbone is not None:  # a trained encoder is stored in the checkpoint
            changes[name] = {**backbone, 'frozen': False, 'sha256': ''}
    try:
        made: MavenConfig = dataclasses.replace(
            config, name=settings.name, trained=False, **settings.network, **changes)
    except SettingsError as error:
        raise SettingsError(f'network: {error}') from error
    return made


def frozen_encoders(settings: RunSettings) -> list[str]:
    """Return the attribute names of the completely frozen encoders."""
    return [own for name, own in ENCODERS.items() if name not in settings.tune.blocks]


