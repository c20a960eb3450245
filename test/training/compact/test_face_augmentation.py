import dataclasses
import math

import pytest
import torch

from maven_ros.training.compact.face_augmentation import (
    FaceAugmentation,
    augment,
    blur,
    compressed,
    covered,
    dimmed,
    enlarged,
    hidden,
    moved,
    noisy,
    resampled,
    shaded,
    shrunk,
)

NOTHING = FaceAugmentation(*[0] * 13)


@pytest.fixture
def random():
    return torch.Generator().manual_seed(5)


@pytest.fixture
def pictures():
    """Pictures that are smooth, as faces are."""
    small = torch.rand(6, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    return torch.nn.functional.interpolate(small, (48, 48), mode='bicubic').clamp(0, 1)


@pytest.mark.parametrize('side_px', [48, 32])
def test_whatever_befalls_them_they_stay_pictures(pictures, random, side_px):
    all_of_it = FaceAugmentation(dark=1, blurred=1, shrunk=1, noisy=1, compressed=1, covered=1,
                                 no_mouth=0.5, no_eyes=0.5)
    before = pictures.clone()
    changed = augment(pictures, all_of_it, random, side_px)
    assert changed.shape == (6, 1, side_px, side_px)
    assert changed.min() >= 0
    assert changed.max() <= 1
    assert torch.equal(pictures, before)


def test_the_same_seed_gives_the_same(pictures):
    one, other = (augment(pictures, FaceAugmentation(), torch.Generator().manual_seed(2), 48)
                  for _ in range(2))
    assert torch.equal(one, other)


def test_without_any_strength_pictures_are_only_mirrored(pictures, random):
    changed = moved(pictures, NOTHING, random, 48)
    mirrored = [index for index in range(6)
                if torch.allclose(changed[index], pictures[index].flip(-1), atol=1e-5)]
    plain = [index for index in range(6)
             if torch.allclose(changed[index], pictures[index], atol=1e-5)]
    assert mirrored
    assert sorted(mirrored + plain) == list(range(6))


def test_a_quarter_turn_by_hand(pictures):
    turn = torch.tensor([[0.0, -1, 0], [1, 0, 0]]).expand(6, 2, 3)
    turned = resampled(pictures, turn, 48)
    torch.testing.assert_close(turned, pictures.rot90(1, (2, 3)), atol=1e-5, rtol=0)


def test_rotation_stays_in_its_range(random):
    """The brightest spot of a picture, right of the centre, tells by how much it was turned."""
    spot = torch.zeros(400, 1, 49, 49)
    spot[:, 0, 23:26, 42:45] = 1
    only = FaceAugmentation(30, *[0] * 12)
    turned = moved(spot, only, random, 49).flatten(1).argmax(1)
    rows, columns = turned // 49 - 24, turned % 49 - 24
    degrees = torch.atan2(rows.float(), columns.abs().float()).abs() * 180 / math.pi
    assert 20 < degrees.max() < 33
    assert 8 < degrees.square().mean().sqrt() < 16  # the small ones are the most frequent


def test_blur_is_gaussian():
    picture = torch.zeros(1, 1, 21, 21)
    picture[0, 0, 10, 10] = 1
    blurry = blur(picture, torch.tensor([1.0]))[0, 0]
    assert float(blurry.sum()) == pytest.approx(1, abs=1e-4)
    assert float(blurry[10, 12] / blurry[10, 10]) == pytest.approx(math.exp(-2), rel=1e-4)
    torch.testing.assert_close(blurry, blurry.T)


def test_blurring_a_flat_picture_changes_nothing():
    flat = torch.full((2, 1, 16, 16), 0.3)
    torch.testing.assert_close(blur(flat, torch.tensor([0.4, 1.5])), flat)


def test_each_change_changes(pictures, random):
    for change in (covered, dimmed, noisy, compressed, shrunk):
        changed = change(pictures.clone(), random)
        assert changed.shape == pictures.shape
        assert ((changed - pictures).abs().flatten(1).max(1).values > 0.002).all(), change.__name__
    assert not torch.allclose(shaded(pictures, FaceAugmentation(), random), pictures)


def test_a_rectangle_covers_part_of_a_picture(random):
    changed = covered(torch.full((50, 1, 48, 48), 0.5), random) != 0.5
    assert 0.01 < changed.float().mean() < 0.2
    assert changed.flatten(1).float().mean(1).max() < 0.3


def hidden_rows(random, **shares):
    """Return the share of the pictures in which each of 48 rows is changed, and the changes."""
    only = dataclasses.replace(NOTHING, **shares)
    pictures = torch.full((2000, 1, 48, 48), 0.4321) + 0.0001 * torch.arange(48)[:, None]
    changes = (hidden(pictures, only, random) - pictures)[:, 0].abs() > 1e-5
    return changes.any(2).float().mean(0), changes


def test_a_hidden_mouth_leaves_the_eyes(random):
    rows, changes = hidden_rows(random, no_mouth=0.5)
    assert rows[:24].max() == 0 and rows[34:42].min() > 0.3
    assert rows[24] < 0.1 < rows[28]  # the upper edge varies
    assert changes[:, 36].float().mean(0)[24] > changes[:, 36].float().mean(0)[0] > 0.1


def test_hidden_eyes_leave_the_mouth(random):
    rows, _ = hidden_rows(random, no_eyes=0.5)
    assert rows[30:].max() == 0 and rows[17:21].min() > 0.3
    assert rows[2] < rows[12] < rows[17]


def test_faces_are_hidden_as_often_as_is_said(random):
    _, changes = hidden_rows(random, no_mouth=0.2, no_eyes=0.1)
    mouths, eyes = (changes[:, row].any(1).float().mean() for row in (36, 19))
    assert 0.15 < mouths < 0.24 and 0.06 < eyes < 0.13
    assert not (changes[:, 36].any(1) & changes[:, 19].any(1)).any()


def test_what_hides_differs(pictures, random):
    many = pictures.repeat(20, 1, 1, 1)
    only = dataclasses.replace(NOTHING, no_mouth=1)
    mouths = hidden(many, only, random)[:, 0, 36:42, 8:40].flatten(1)
    flat = mouths.std(1) < 1e-6
    assert 0.4 < flat.float().mean() < 0.8  # shades and means; grain and other pictures
    assert mouths[flat].mean(1).std() > 0.15


def test_dim_pictures_are_in_steps_of_a_byte(pictures, random):
    dim = dimmed(pictures, random) * 255
    torch.testing.assert_close(dim, dim.round(), atol=1e-4, rtol=0)
    assert dim.mean() < 0.7 * pictures.mean() * 255


def test_jpeg_keeps_what_is_seen(pictures, random):
    assert (compressed(pictures, random) - pictures).abs().mean() < 0.05


def test_few_pixels_by_hand():
    picture = torch.tensor([[0.0, 1], [1, 0]]).repeat_interleave(2, 0).repeat_interleave(2, 1)
    assert float(enlarged(picture[None, None], 1).unique()) == 0.5
    assert float(enlarged(picture[None, None], 2)[0, 0, 0, 0]) == 0
