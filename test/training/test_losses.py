import math

import pytest
import torch

from maven_ros.training.losses import concordance, disagreement, soft_cross_entropy


def test_concordance_of_a_sample_with_itself_is_1():
    sample = torch.randn(10, 2, generator=torch.Generator().manual_seed(0))
    assert concordance(sample, sample).tolist() == pytest.approx([1, 1])
    assert concordance(-sample, sample - 2 * sample.mean(0)).tolist() == pytest.approx([-1, -1])


def test_concordance_by_hand():
    # covariance 2/3, variances 2/3 and 2/3, means 2 and 4: not 1 apart, whose square is itself
    assert float(concordance(torch.tensor([1.0, 2, 3]), torch.tensor([3.0, 4, 5]))) == (
        pytest.approx(2 * (2 / 3) / (4 / 3 + 4)))


def test_concordance_has_a_gradient():
    predicted = torch.tensor([0.1, 0.2, 0.9], requires_grad=True)
    concordance(predicted, torch.tensor([0.0, 0.5, 1.0])).backward()
    assert predicted.grad.abs().min() > 0


def test_cross_entropy_against_shares_by_hand():
    logits = torch.tensor([[0.0, math.log(3)]])
    expected = -(0.5 * math.log(0.25) + 0.5 * math.log(0.75))
    assert float(soft_cross_entropy(logits, torch.tensor([[0.5, 0.5]]))) == pytest.approx(expected)


def test_the_gradient_of_disagreement_is_that_of_its_differences():
    torch.manual_seed(0)
    predicted = torch.randn(6, 2, dtype=torch.float64, requires_grad=True)
    target = torch.randn(6, 2, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda values: disagreement(values, target), predicted)


def test_too_few_neither_agree_nor_disagree():
    predicted = torch.ones(1, 2, requires_grad=True)
    disagreement(predicted, torch.zeros(1, 2)).backward()
    assert predicted.grad.tolist() == [[0, 0]]
