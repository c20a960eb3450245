import pytest
import torch

from maven_ros.model.quantized import Quantized, QuantizedEmbedding, dequantize, quantize


def weights(rows=5, width=96):
    return torch.randn(rows, width, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(('bits', 'error'), [(4, 0.1), (8, 0.006)])
def test_weights_come_back_nearly(bits, error):
    values = weights()
    quantized = quantize(values, bits)
    assert quantized.codes.dtype == torch.uint8 and quantized.codes.shape == (5, 96 * bits // 8)
    assert quantized.scales.dtype == torch.half and quantized.scales.shape == (5, 3)
    assert (dequantize(quantized, bits) - values).norm() < error * values.norm()


@pytest.mark.parametrize('bits', [4, 8])
def test_quantized_weights_are_quantized_again_without_loss(bits):
    """A network that is loaded and saved must keep the weights of others as they are."""
    once = dequantize(quantize(weights(), bits), bits)
    assert torch.equal(dequantize(quantize(once, bits), bits), once)


def test_every_code_of_a_block_survives():
    """Files of others let the largest weight be the lowest code, under a scale of either sign."""
    codes = torch.arange(16).repeat(2)
    for scale in (0.25, -0.25):
        block = (codes - 8)[None] * scale
        assert torch.equal(dequantize(quantize(block, 4), 4), block)


def test_two_codes_share_a_byte():
    codes = torch.tensor([[0x1f, *[0x88] * 15]], dtype=torch.uint8)
    found = dequantize(Quantized(codes, torch.tensor([[2.0]]).half()), 4)[0]
    assert (found[0], found[16]) == (2 * (15 - 8), 2 * (1 - 8))
    assert found.abs().sum() == 2 * 7 + 2 * 7


def test_zeros_stay_zeros():
    assert torch.equal(dequantize(quantize(torch.zeros(2, 32), 4), 4), torch.zeros(2, 32))
    assert torch.equal(dequantize(quantize(torch.zeros(2, 32), 8), 8), torch.zeros(2, 32))


def test_a_table_gives_the_rows_that_are_asked_for():
    values, table = weights(), QuantizedEmbedding(5, 96)
    assert torch.equal(table(torch.tensor([1])), torch.zeros(1, 96))
    quantized = quantize(values, 4)
    table.load_state_dict(quantized._asdict())
    ids = torch.tensor([[4, 0], [2, 2]])
    assert torch.equal(table(ids), dequantize(quantized, 4)[ids])
