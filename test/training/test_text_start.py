import numpy as np
import pytest
import torch

from maven_ros.training.text_start import bags, company, ridge, start

# 2 and 3 are always in the same company, as are 4 and 5.
ROWS = [np.array(row) for row in ([6, 2, 7], [6, 3, 7], [8, 4, 9], [8, 5, 9], [6, 2, 7, 2])] * 20


def test_ridge_is_the_solution_of_its_equations():
    torch.manual_seed(0)
    inputs, targets = torch.randn(50, 7), torch.randn(50, 3)
    by_hand = torch.linalg.solve(
        inputs.T @ inputs + 2 * torch.eye(7), inputs.T @ (targets - targets.mean(0)))
    found = ridge(inputs.to_sparse(), targets, penalty=2.0)
    torch.testing.assert_close(found, by_hand, atol=1e-4, rtol=1e-4)


def test_bags_by_hand():
    rarity = torch.tensor([0.0, 3.0, 4.0])
    dense = bags([np.array([1, 2]), np.array([0]), np.array([2, 1, 2])], rarity).to_dense()
    length = (9 + 32) ** 0.5
    assert dense.tolist() == [
        pytest.approx([0, 0.6, 0.8]), [0, 0, 0],
        pytest.approx([0, 3 / length, 4 * 2 ** 0.5 / length])]


def test_like_company_gives_like_vectors():
    torch.manual_seed(0)
    vectors = company(ROWS, 10, 4)

    def likeness(one, other):
        return torch.cosine_similarity(vectors[one], vectors[other], dim=0)

    assert likeness(2, 3) > 0.9
    assert likeness(4, 5) > 0.9
    assert likeness(2, 4) < 0.5


def test_a_column_tells_its_target_and_has_a_mean_square_of_1():
    torch.manual_seed(0)
    target = torch.tensor([[1.0 if 2 in row or 3 in row else -1.0] for row in ROWS])
    vectors = start([(ROWS, target)], 10, 5)
    assert vectors.shape == (10, 5)
    assert vectors.isfinite().all()
    shares = torch.from_numpy(np.bincount(np.concatenate(ROWS), minlength=10)).float()
    shares /= shares.sum()
    assert (shares @ vectors.square()).tolist() == pytest.approx([1] * 5, rel=1e-3)
    assert min(vectors[[2, 3], 0]) > max(vectors[[4, 5], 0])


def test_the_same_seed_gives_the_same():
    targets = torch.ones(len(ROWS), 1)
    made = []
    for _ in range(2):
        torch.manual_seed(1)
        made.append(start([(ROWS, targets)], 10, 4))
    assert torch.equal(*made)
