"""Out of a GPU's memory, by errors that are put in: smaller batches, then the processor."""

import logging
import warnings

import numpy as np
import pytest
import tiny_encoders as tiny
import torch
from estimated import numbers

from maven_ros.counters import Counters
from maven_ros.engine import Engine
from maven_ros.errors import ResourceError
from maven_ros.model.checkpoint import load, save
from maven_ros.model.compute import hold_weights, upload
from maven_ros.model.incremental import Memory
from maven_ros.model.maven import MavenModel
from maven_ros.records import NS, Box, Evidence, Face, Word
from maven_ros.settings import ModelSettings, WindowSettings

SAMPLES = 16_000


@pytest.fixture
def counters():
    return Counters()


@pytest.fixture
def engine(make_engine, counters):
    return make_engine(counters)


def streams(crop_px):
    """Return a window of each of five cameras, with sounds and words of their own."""
    random = np.random.default_rng(0)
    return [(Memory(), [Evidence(
        0, NS, 'p', tuple(Face(stamp_ns, 'p', Box(0, 0, 1, 1), random.integers(
            0, 256, (crop_px, crop_px, 3), np.uint8)) for stamp_ns in range(0, NS, NS // 5)),
        random.normal(0, 0.1, SAMPLES).astype(np.float32), np.ones(SAMPLES, np.bool_),
        (Word('good ' * camera, 0, NS, 1.0),))]) for camera in range(1, 6)]


def estimated(engine, mine=None):
    """Return what the engine makes of streams, by default of new ones, as numbers."""
    found = engine.infer_streams(mine or streams(engine.crop_px))
    return numbers(one for [one] in found)


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
    expected = estimated(engine)
    limit(getattr(engine._model, part), lambda: most)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):  # what fits is remembered
            found = estimated(engine)
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
    expected = estimated(engine)
    on_cuda(engine)
    mine = streams(engine.crop_px)
    np.testing.assert_allclose(estimated(engine, mine), expected, atol=1e-5)
    assert engine.device == 'cpu'
    assert counters.snapshot() == {'engine.moved_to_cpu': 1, 'engine.out_of_memory': 4}
    assert counters.details()['engine.moved_to_cpu'] == (
        'no batch fits into the memory of cuda:0, the model runs on the processor from now on: '
        'CUDA out of memory. Tried to allocate 2 GiB.')
    np.testing.assert_allclose(estimated(engine, mine), expected, atol=1e-5)
    assert counters.get('engine', 'moved_to_cpu') == 1  # for good


@pytest.mark.filterwarnings('ignore:.*CUDA is not available')
def test_a_pathway_stays_silent_when_the_model_moves_to_the_processor(engine):
    """Once the model that was read again said all of it, under an ablation's name."""
    full = estimated(engine)
    engine.silence(['audio_to_text'])
    expected = estimated(engine)
    assert not np.allclose(expected, full, atol=1e-5)
    on_cuda(engine)
    found = estimated(engine)
    assert engine.device == 'cpu'
    np.testing.assert_allclose(found, expected, atol=1e-5)
    engine.silence([])
    np.testing.assert_allclose(estimated(engine), full, atol=1e-5)


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
    engine._model.face_encoder.register_forward_pre_hook(lambda *_: torch.empty(1 << 45))
    with pytest.raises(RuntimeError, match='DefaultCPUAllocator'):
        engine.infer_streams(streams(engine.crop_px)[:1])
    assert counters.snapshot() == {'engine.out_of_memory': 2}  # of five faces


def test_other_errors_of_a_gpu_are_no_reason_to_leave_it(engine, counters):
    engine.device = 'cuda:0'

    def fail(*_):
        raise RuntimeError('CUDA error: device-side assert triggered')
    engine._model.face_encoder.register_forward_pre_hook(fail)
    with pytest.raises(RuntimeError, match='device-side assert'), warnings.catch_warnings():
        warnings.simplefilter('ignore')
        engine.infer_streams(streams(engine.crop_px))
    assert engine.device == 'cuda:0'
    assert counters.snapshot() == {}


@pytest.fixture
def full(monkeypatch):
    """Put in a GPU that has no room for the network."""
    to = MavenModel.to

    def refuse(self, device, *others, **layout):
        if device.type == 'cuda':
            raise torch.OutOfMemoryError('CUDA out of memory. Tried to allocate 20 MiB.\nHint')
        return to(self, device, *others, **layout)
    monkeypatch.setattr(MavenModel, 'to', refuse)
    monkeypatch.setattr('maven_ros.model.compute.choose_device',
                        lambda name: torch.device('cuda', 0))


def test_a_gpu_that_is_full_at_start_is_not_used(full, counters, monkeypatch):
    compiled = []
    monkeypatch.setattr('maven_ros.model.compute.compile_parts', compiled.append)
    engine = Engine(ModelSettings(device='cuda:0', precision='bf16', compile=True),
                    WindowSettings(length_s=1.0), 5.0, counters)
    assert engine.device == 'cpu'
    assert counters.details() == {'engine.moved_to_cpu': (
        'no batch fits into the memory of cuda:0, the model runs on the processor from now on: '
        'CUDA out of memory. Tried to allocate 20 MiB.')}
    assert engine.infer_streams(streams(engine.crop_px))
    assert not compiled


@pytest.mark.filterwarnings('ignore:.*CUDA is not available')
def test_on_the_processor_the_weights_are_as_they_were_stored(engine, counters):
    """Rounded for the GPU, they stayed so."""
    expected = estimated(engine)
    for part in (engine._model.fusion, engine._model.context):
        hold_weights(part, torch.bfloat16)
    on_cuda(engine)
    found = estimated(engine)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert engine.device == 'cpu'


@pytest.mark.filterwarnings('ignore:.*CUDA is not available')
def test_another_checkpoint_in_its_place_is_refused(tmp_path, counters):
    tiny.save_checkpoint(tmp_path)
    engine = Engine(ModelSettings(path=str(tmp_path / 'trained')), WindowSettings(length_s=1.0),
                    5.0, counters)
    checkpoint = load(tmp_path / 'trained')
    torch.nn.init.constant_(checkpoint.model.head.point.bias, 0.5)
    save(tmp_path / 'trained', checkpoint.model, checkpoint.tokenizer)
    on_cuda(engine)
    with pytest.raises(ResourceError, match=r"trained' has become 'untrained tiny-.*'; allowed: "
                                            "'untrained tiny-"):
        engine.infer_streams(streams(engine.crop_px))


@pytest.mark.filterwarnings('ignore:.*CUDA is not available')
@pytest.mark.parametrize('limited', ['frames', 'all'])
def test_what_does_not_fit_as_a_whole_is_uploaded_in_parts(engine, counters, monkeypatch, limited):
    expected = estimated(engine)
    engine.device = 'cuda:0'

    def limited_upload(tensor, device):
        if (tensor.dim() == 4 and len(tensor) > 5) or (limited == 'all' and len(tensor) > 2 \
                and tensor.dim() < 4):
            raise RuntimeError('CUDA error: out of memory')
        return upload(tensor, device)
    monkeypatch.setattr('maven_ros.model.incremental.upload', limited_upload)
    found = estimated(engine)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert engine.device == 'cuda:0'
    assert counters.get('engine', 'out_of_memory') >= 3
