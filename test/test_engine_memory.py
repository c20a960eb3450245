"""Out of a GPU's memory, by errors that are put in: smaller batches, then the processor."""

import logging

import numpy as np
import pytest
import tiny_encoders as tiny
import torch

from maven_ros.diagnostics import Counters
from maven_ros.engine import Engine
from maven_ros.model.incremental import Memory
from maven_ros.records import NS, Box, Evidence, Face, Word
from maven_ros.settings import ModelSettings, WindowSettings

SAMPLES = 16_000


@pytest.fixture
def counters():
    return Counters()


@pytest.fixture(params=['ours', 'backbones'])
def engine(request, tmp_path, counters):
    path = tiny.save_checkpoint(tmp_path) if request.param == 'backbones' else ''
    return Engine(ModelSettings(path=path), WindowSettings(length_s=1.0), 5.0, counters)


def streams(crop_px):
    """Return a window of each of five cameras, with sounds and words of their own."""
    random = np.random.default_rng(0)
    return [(Memory(), [Evidence(
        0, NS, 'p', tuple(Face(stamp_ns, 'p', Box(0, 0, 1, 1), random.integers(
            0, 256, (crop_px, crop_px, 3), np.uint8)) for stamp_ns in range(0, NS, NS // 5)),
        random.normal(0, 0.1, SAMPLES).astype(np.float32), np.ones(SAMPLES, np.bool_),
        (Word('good ' * camera, 0, NS, 1.0),))]) for camera in range(1, 6)]


def numbers(estimates):
    return np.array([(one.affect.valence, one.affect.arousal, one.valence_std, one.arousal_std,
                      *one.influence) for [one] in estimates])


def limit(module, most):
    """Let a network take so many rows at once, as the memory of a GPU would."""
    def refuse(_, inputs):
        rows = len(inputs[0] if isinstance(inputs[0], torch.Tensor) else inputs[0].video.mask)
        if rows > most():
            raise torch.OutOfMemoryError('CUDA out of memory. Tried to allocate 2 GiB.')
    module.register_forward_pre_hook(refuse)


@pytest.mark.parametrize(('part', 'what', 'most', 'halvings'), [
    ('face_encoder', 'faces', 4, 3), ('voice_encoder', 'sounds', 1, 2),
    ('text_encoder', 'texts', 2, 1), ('fusion', 'windows', 1, 2)])
def test_halves_the_batch(engine, counters, caplog, part, what, most, halvings):
    expected = numbers(engine.infer_streams(streams(engine.crop_px)))
    limit(getattr(engine._model, part), lambda: most)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):  # what fits is remembered
            found = numbers(engine.infer_streams(streams(engine.crop_px)))
            np.testing.assert_allclose(found, expected, atol=1e-5)
    assert counters.snapshot() == {'engine.out_of_memory': halvings}
    assert f'{what} at once do not fit into the memory of the device' in caplog.text
    assert engine.device == 'cpu'


def on_cuda(engine):
    """Let the engine believe that it is on a GPU that takes nothing; its tensors stay here."""
    engine.device = 'cuda:0'
    limit(engine._model.fusion, lambda: 0 if engine.device == 'cuda:0' else 99)


@pytest.mark.filterwarnings('ignore:.*CUDA is not available')
def test_moves_to_the_processor_when_nothing_fits(engine, counters):
    expected = numbers(engine.infer_streams(streams(engine.crop_px)))
    on_cuda(engine)
    mine = streams(engine.crop_px)
    np.testing.assert_allclose(numbers(engine.infer_streams(mine)), expected, atol=1e-5)
    assert engine.device == 'cpu'
    assert counters.snapshot() == {'engine.moved_to_cpu': 1, 'engine.out_of_memory': 2}
    assert counters.details()['engine.moved_to_cpu'] == (
        'no batch fits into the memory of cuda:0, the model runs on the processor from now on: '
        'CUDA out of memory. Tried to allocate 2 GiB.')
    np.testing.assert_allclose(numbers(engine.infer_streams(mine)), expected, atol=1e-5)
    assert counters.get('engine', 'moved_to_cpu') == 1  # for good


@pytest.mark.filterwarnings('ignore:.*CUDA is not available')
def test_moves_while_warming_up(engine, counters):
    on_cuda(engine)
    engine.warm_up()
    assert engine.device == 'cpu'
    assert counters.get('engine', 'moved_to_cpu') == 1


def test_the_processors_own_want_of_memory_is_an_error(engine, counters):
    limit(engine._model.fusion, lambda: 0)
    with pytest.raises(torch.OutOfMemoryError):
        engine.infer_streams(streams(engine.crop_px)[:1])
    assert counters.snapshot() == {}

    def fail(*_):
        raise RuntimeError('DefaultCPUAllocator: not enough memory')
    engine._model.face_encoder.register_forward_pre_hook(fail)
    with pytest.raises(RuntimeError, match='not enough memory'):
        engine.infer_streams(streams(engine.crop_px)[:1])
