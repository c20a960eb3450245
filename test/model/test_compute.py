import pytest
import torch
from torch import nn

from maven_ros.counters import Counters
from maven_ros.errors import ResourceError
from maven_ros.model.compute import (
    Batches,
    PackedLinear,
    choose_device,
    choose_dtype,
    hold_weights,
    is_out_of_memory,
    pack_weights,
    packs,
    upload,
)


@pytest.mark.parametrize('name', ['tpu', 'cuda:', 'cuda:x', 'cpu:0', ''])
def test_refuses_an_unknown_device(name):
    with pytest.raises(ResourceError, match='is not auto, cpu, cuda or cuda:N'):
        choose_device(name)


def test_refuses_a_device_that_is_not_there():
    with pytest.raises(ResourceError, match=r"model.device: 'cuda:99' is not available, there"):
        choose_device('cuda:99')
    assert choose_device('cpu').type == 'cpu'
    assert choose_device('auto').type == ('cuda' if torch.cuda.is_available() else 'cpu')


def test_precision_by_device():
    cpu = torch.device('cpu')
    assert choose_dtype('auto', cpu) == choose_dtype('fp32', cpu) == torch.float32
    assert choose_dtype('bf16', cpu) == torch.bfloat16


def test_held_weights_give_what_autocast_gives(model, inputs):
    """Bit by bit: autocast rounds the same weights in every pass."""
    with torch.inference_mode(), torch.autocast('cpu', torch.bfloat16):
        expected = model(inputs)
        for part in (model.face_encoder, model.voice_encoder, model.text_encoder, model.fusion,
                     model.context):
            hold_weights(part, torch.bfloat16)
        output = model(inputs)
    assert output.valence.dtype == torch.float32
    torch.testing.assert_close(output.valence, expected.valence, atol=2e-3, rtol=0)
    torch.testing.assert_close(output.arousal, expected.arousal, atol=2e-3, rtol=0)


def test_only_products_are_held():
    module = nn.Sequential(nn.Embedding(3, 4), nn.LayerNorm(4), nn.Linear(4, 2))
    hold_weights(module, torch.bfloat16)
    assert [parameter.dtype for parameter in module.parameters()] == [
        torch.float32, torch.float32, torch.float32, torch.bfloat16, torch.bfloat16]


@torch.inference_mode()
def test_packed_weights_give_the_same():
    torch.manual_seed(0)
    large = nn.Sequential(nn.Linear(128, 256), nn.Sequential(nn.Linear(256, 128, bias=False)))
    values = torch.randn(2, 5, 128)
    expected = large(values)
    pack_weights(large)
    assert [type(part) for part in (large[0], large[1][0])] == [PackedLinear, PackedLinear]
    torch.testing.assert_close(large(values), expected, atol=1e-5, rtol=1e-5)


def test_small_layers_and_those_whose_weights_are_read_stay():
    attention, layer = nn.MultiheadAttention(256, 2), nn.TransformerEncoderLayer(256, 2)
    for module in (nn.Sequential(nn.Linear(4, 4)), attention, layer):
        pack_weights(module)
        assert not any(isinstance(part, PackedLinear) for part in module.modules())


def test_only_processors_in_float32_pack():
    cpu = torch.device('cpu')
    assert packs(cpu, torch.float32)
    assert not packs(cpu, torch.bfloat16)
    assert not packs(torch.device('cuda'), torch.float32)


def test_upload_to_the_host_copies_nothing():
    tensor = torch.ones(3)
    assert upload(tensor, torch.device('cpu')) is tensor


class Small:
    """A device whose memory takes so many rows at once."""

    def __init__(self, most):
        self.most, self.sizes = most, []

    def __call__(self, rows):
        part = torch.arange(10)[rows]
        self.sizes.append(len(part))
        if len(part) > self.most:
            raise torch.OutOfMemoryError('CUDA out of memory. Tried to allocate 2 GiB.\nHint')
        return part, part[:, None] * 2


def test_batches_are_halved_until_they_fit_and_stay_so():
    counters = Counters()
    batches, small = Batches(counters), Small(3)
    for _ in range(2):
        ones, twos = batches.run('faces', 10, small)
        assert ones.tolist() == list(range(10))
        assert twos.tolist() == [[2 * one] for one in range(10)]
    assert small.sizes == [10, 5, *[2] * 5, *[2] * 5]
    assert counters.snapshot() == {'engine.out_of_memory': 2}
    assert counters.details() == {'engine.out_of_memory': (
        '5 faces at once do not fit into the memory of the device; from now on at most 2: '
        'CUDA out of memory. Tried to allocate 2 GiB.')}


def test_one_row_that_does_not_fit_is_an_error():
    small = Small(0)
    with pytest.raises(torch.OutOfMemoryError):
        Batches(Counters()).run('faces', 10, small)
    assert small.sizes == [10, 5, 2, 1]


def test_other_errors_pass():
    counters = Counters()

    def fail(rows):
        raise RuntimeError('mat1 and mat2 shapes cannot be multiplied')
    with pytest.raises(RuntimeError, match='cannot be multiplied'):
        Batches(counters).run('faces', 10, fail)
    assert counters.snapshot() == {}


@pytest.mark.parametrize('error', [
    torch.OutOfMemoryError('CUDA out of memory. Tried to allocate 2 GiB.'),
    RuntimeError('CUDA error: out of memory'),
    RuntimeError('CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`'),
    RuntimeError('cuDNN error: CUDNN_STATUS_ALLOC_FAILED')])
def test_knows_want_of_memory(error):
    assert is_out_of_memory(error)
    assert not is_out_of_memory(ValueError(str(error)))


def test_halves_on_the_processor_too():
    """Whose allocator raises a plain RuntimeError; this one is its own."""
    def part(rows):
        if rows.stop - rows.start > 1:
            torch.empty(1 << 45)
        return torch.zeros(1),
    counters = Counters()
    zeros, = Batches(counters).run('faces', 4, part)
    assert len(zeros) == 4
    assert counters.snapshot() == {'engine.out_of_memory': 2}
