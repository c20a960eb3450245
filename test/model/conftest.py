from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from tiny_encoders import BACKBONES, tiny_config

from maven_ros.model.batch import MavenInputs
from maven_ros.model.configuration import MavenConfig
from maven_ros.model.maven import MavenModel
from maven_ros.rules import Grid

SLOTS, SLOT_S = 8, 0.1


@pytest.fixture
def tiny() -> MavenConfig:
    """Return the shape of a network with our encoders."""
    return tiny_config()


@pytest.fixture(params=['ours', 'backbones'])
def model(request: pytest.FixtureRequest) -> MavenModel:
    """Return a network with our encoders, and one with those of transformers."""
    config = tiny_config(**(BACKBONES if request.param == 'backbones' else {}))
    return MavenModel.untrained(config, seed=1).eval()


@pytest.fixture
def inputs() -> MavenInputs:
    """Two windows with holes in every modality."""
    return make_inputs(2)


@pytest.fixture
def more_inputs() -> Callable[..., MavenInputs]:
    return make_inputs


def make_inputs(batch: int, seed: int = 0) -> MavenInputs:
    random = torch.Generator().manual_seed(seed)
    samples, tokens = round(SLOTS * SLOT_S * 16_000), 5
    frame_mask = torch.ones(batch, SLOTS, dtype=torch.bool)
    frame_mask[:, 3] = False
    heard = torch.ones(batch, samples, dtype=torch.bool)
    heard[:, 2000:5000] = False
    weights = torch.zeros(batch, SLOTS, tokens)
    weights[:, 1:4, :2] = 0.5
    weights[:, 5, 2:] = 1 / 3
    return MavenInputs(
        Grid(SLOTS, SLOT_S),
        frames=torch.rand(batch, SLOTS, 3, 16, 16, generator=random), frame_mask=frame_mask,
        waveform=torch.randn(batch, samples, generator=random) * 0.1, heard=heard,
        tokens=torch.randint(300, (batch, tokens), generator=random),
        token_mask=torch.ones(batch, tokens, dtype=torch.bool), token_weights=weights)


NOTHING = {
    'video': {'frames': None, 'frame_mask': None},
    'audio': {'waveform': None, 'heard': None},
    'text': {'tokens': None, 'token_mask': None, 'token_weights': None},
}


@pytest.fixture
def drop() -> Callable[..., MavenInputs]:
    """Return inputs that never had some modalities."""
    def dropped(inputs: MavenInputs, *names: str) -> MavenInputs:
        for name in names:
            inputs = replace(inputs, **NOTHING[name])
        return inputs
    return dropped
