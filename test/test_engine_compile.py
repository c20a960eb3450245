"""The compiled network: as the plain one, and refused by name where it cannot be compiled."""

import pytest
import torch
from test_engine import World, assert_same, without

from maven_ros.engine import Engine
from maven_ros.errors import ResourceError
from maven_ros.model.compute import compile_parts
from maven_ros.settings import ModelSettings, WindowSettings


@pytest.fixture(autouse=True)
def _forget_compiled(tmp_path, monkeypatch):
    monkeypatch.setenv('TORCHINDUCTOR_CACHE_DIR', str(tmp_path / 'compiled'))
    torch.compiler.reset()
    yield
    torch.compiler.reset()


def test_what_is_captured_equals_the_plain_network():
    """Of one and of two people; without C++, which takes a minute: that is in the benchmark."""
    plain, captured = (Engine(ModelSettings(), WindowSettings(), 10.0) for _ in range(2))
    model = captured._model
    compile_parts((model.face_encoder, model.voice_encoder, model.fusion, model.context,
                   model.head), backend='eager')
    one, other = World(), World(1, 'q')
    for pieces in ([one.evidence(0)], [one.evidence(0), without(other.evidence(0), 'voice')]):
        for mine, theirs in zip(captured.infer(pieces), plain.infer(pieces), strict=True):
            assert_same(mine, theirs)


def test_names_what_compiling_lacks(monkeypatch):
    monkeypatch.setattr('torch._inductor.config.cpp.cxx', ('no-such-compiler',))
    engine = Engine(ModelSettings(device='cpu', compile=True), WindowSettings(), 10.0)
    with pytest.raises(ResourceError, match=r'model.compile: .* needed: a C\+\+ compiler'):
        engine.warm_up()
