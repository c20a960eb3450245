import numpy as np
import torch

from maven_ros.training.drawing import drawn, draws


def epoch(weights, seed=0):
    return drawn(np.array(weights, np.float32), torch.Generator().manual_seed(seed)).tolist()


def test_an_epoch_has_each_example_once_in_random_order():
    assert sorted(epoch([1] * 50)) == list(range(50)) != epoch([1] * 50)
    assert epoch([1] * 50) == epoch([1] * 50) != epoch([1] * 50, seed=1)


def test_an_example_is_drawn_as_often_as_its_weight_says():
    assert sorted(epoch([2, 1, 3])) == [0, 0, 1, 2, 2, 2]
    counts = np.bincount([one for seed in range(200) for one in epoch(
        [0.5] * 10 + [1.5] * 10, seed)])
    assert np.abs(counts[:10] / 200 - 0.5).max() < 0.12
    assert np.abs(counts[10:] / 200 - 1.5).max() < 0.12


def test_an_epoch_has_as_many_as_the_weights_together():
    for weights in ([0.3, 0.3], [0.1], [0.5] * 5, [1.2] * 7):
        whole = np.array(weights, np.float32)
        assert len(epoch(weights)) == draws(whole) == max(1, round(sum(weights)))
