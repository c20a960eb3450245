import cv2
import numpy as np
import pytest

from maven_ros.senses.crops import Outline
from maven_ros.senses.flow import alike, follow, likeness, patch

data = pytest.importorskip('skimage.data')
FACE = Outline(170, 70, 100, 100)


@pytest.fixture(scope='module')
def portrait():
    return cv2.cvtColor(data.astronaut(), cv2.COLOR_RGB2GRAY)


def warp(grey, dx, dy, scale=1.0, angle_deg=0.0):
    matrix = cv2.getRotationMatrix2D(FACE.centre, angle_deg, scale)
    matrix[:, 2] += dx, dy
    height, width = grey.shape
    return cv2.warpAffine(grey, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)


@pytest.mark.parametrize(('dx', 'dy', 'scale', 'angle_deg'), [
    (0, 0, 1.0, 0), (12, -7, 1.0, 0), (-5, 3, 1.08, 0), (3, 3, 0.95, 8)])
def test_follows_a_face_that_moves(portrait, dx, dy, scale, angle_deg):
    moved = warp(portrait, dx, dy, scale, angle_deg)
    (face,) = follow(portrait, moved, [FACE])
    assert face.centre == pytest.approx((FACE.centre[0] + dx, FACE.centre[1] + dy), abs=0.7)
    assert face.width == pytest.approx(FACE.width * scale, rel=0.01)
    assert alike(patch(portrait, FACE), patch(moved, face))


def test_each_face_has_a_motion_of_its_own(portrait):
    twice = np.hstack([portrait, portrait])
    other = Outline(FACE.x + 512, FACE.y, 100, 100)
    moved = np.hstack([warp(portrait, 6, 0), warp(portrait, -4, 5)])
    one, two = follow(twice, moved, [FACE, other])
    assert one.x == pytest.approx(FACE.x + 6, abs=0.7)
    assert (two.x, two.y) == pytest.approx((other.x - 4, other.y + 5), abs=0.7)


def test_a_face_that_is_gone_is_not_followed(portrait):
    noise = np.random.default_rng(0).integers(0, 255, portrait.shape, np.uint8)
    assert follow(portrait, noise, [FACE]) == [None]
    assert follow(portrait, portrait, []) == []


def test_outside_the_picture_nothing_is_followed(portrait):
    assert follow(portrait, portrait, [Outline(600, 600, 80, 80)]) == [None]


def test_likeness(portrait):
    face = patch(portrait, FACE)
    assert likeness(face, face) == pytest.approx(1.0)
    assert likeness(face, 255 - face) == pytest.approx(-1.0)
    assert likeness(face, np.full_like(face, 80)) == 0.0
    darker = (face // 2 + 10).astype(np.uint8)
    assert likeness(face, darker) == pytest.approx(1.0, abs=0.01)
    assert not alike(face, patch(portrait, Outline(350, 350, 100, 100)))
