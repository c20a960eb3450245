import cv2
import numpy as np
import pytest

from maven_ros.training.likeness import alike


@pytest.fixture
def pictures():
    small = np.random.default_rng(2).integers(60, 200, (30, 12, 12)).astype(np.uint8)
    return np.stack([cv2.resize(one, (48, 48), interpolation=cv2.INTER_CUBIC) for one in small])


def test_different_pictures_are_alone(pictures):
    assert alike(pictures).tolist() == list(range(30))


def test_light_noise_shift_and_a_mirror_leave_a_picture_alike(pictures):
    darker = (pictures[0] * 0.5 + np.linspace(0, 80, 48)).astype(np.uint8)
    noisy = (pictures[1] + np.random.default_rng(0).normal(0, 8, (48, 48))).clip(0, 255)
    more = [darker, noisy, np.roll(pictures[2], 1, 1), pictures[3][:, ::-1]]
    both = np.concatenate([pictures, np.stack(more).astype(np.uint8)])
    assert alike(both).tolist() == [*range(30), 0, 1, 2, 3]


def test_a_chain_is_one_group_in_the_order_of_the_first(pictures):
    chain = [np.roll(pictures[0], shift, 1) for shift in (0, 3, 1, 2)]
    mixed = np.concatenate([pictures[1:2], chain, pictures[2:]])
    assert alike(mixed).tolist() == [0, 1, 1, 1, 1, *range(2, 30)]
    assert len(set(alike(mixed, nearly=0.999))) == 33


def test_flat_pictures_are_like_each_other_alone(pictures):
    flat = np.full((2, 48, 48), 90, np.uint8)
    assert alike(np.concatenate([pictures, flat])).tolist() == [*range(30), 30, 30]
