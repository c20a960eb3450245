"""How far mouths move: speech apart from heads that move and from smiles."""

import cv2
import numpy as np
import pytest

from maven_ros.senses.mouth import mouth_motion, shades


@pytest.fixture(scope='module')
def face():
    """A crop of a real face, 96 pixels a side, and its surroundings."""
    skimage = pytest.importorskip('skimage.data')
    return cv2.cvtColor(skimage.astronaut(), cv2.COLOR_RGB2BGR)


def cut(picture, x=0.0, y=0.0, angle_deg=0.0, scale=1.0):
    """Cut the face out, shifted in pixels, turned and scaled, as a tracker's jitter does."""
    side = 96
    turn = cv2.getRotationMatrix2D((221.0, 117.0), angle_deg, side / (106.0 * scale))
    turn[:, 2] += (side / 2 - 221.0 + x, side / 2 - 117.0 + y)
    return cv2.warpAffine(picture, turn, (side, side), flags=cv2.INTER_AREA)


def motion(before, now):
    return mouth_motion(shades(before), shades(now))


def opened(crop, px):
    """Open the mouth by a dark ellipse where the lips meet."""
    return cv2.ellipse(crop.copy(), (48, 78), (11, px), 0, 0, 360, (20, 10, 40), -1)


def test_a_face_that_does_not_change_does_not_move_its_mouth(face):
    assert motion(cut(face), cut(face)) < 0.003


@pytest.mark.parametrize('jitter', [
    {'x': 3.0, 'y': -2.0}, {'angle_deg': 4.0}, {'scale': 1.06},
    {'x': -2.0, 'angle_deg': -3.0, 'scale': 0.96}])
def test_the_heads_own_motion_is_none_of_the_mouths(face, jitter):
    moved = motion(cut(face), cut(face, **jitter))
    assert moved < 0.05
    assert motion(cut(face), opened(cut(face, **jitter), 8)) > 3 * moved


def test_light_and_contrast_are_no_motion(face):
    darker = cv2.convertScaleAbs(cut(face), alpha=0.6, beta=15)
    assert motion(cut(face), darker) < 0.02


def test_a_mouth_that_opens_wider_moves_more(face):
    shut = cut(face)
    moved = [motion(shut, opened(shut, px)) for px in (2, 5, 8)]
    assert moved == sorted(moved) and moved[-1] > 0.1


def test_crops_of_any_size_are_compared_alike(face):
    shut, wide = cut(face), opened(cut(face), 8)
    large = [cv2.resize(one, (224, 224), interpolation=cv2.INTER_CUBIC) for one in (shut, wide)]
    assert motion(*large) == pytest.approx(motion(shut, wide), rel=0.2)


def test_a_crop_without_contrast_is_no_face_to_compare():
    assert shades(np.full((48, 48, 3), 90, np.uint8)) is None


def test_faces_that_have_nothing_in_common_are_compared_all_the_same(face):
    noise = np.random.default_rng(0).integers(0, 256, (96, 96, 3), np.uint8)
    assert np.isfinite(motion(cut(face), noise)) and np.isfinite(motion(noise, cut(face)))
