import numpy as np
import pytest

from maven_ros.records import Box
from maven_ros.senses.crops import EYE_DISTANCE, EYE_LINE, Outline, crop, reduced


def dots(shape, points, radius_px=4):
    """Return a black picture with a white dot at each point, measured from its corner."""
    import cv2

    pixels = np.zeros((*shape, 3), np.uint8)
    for x, y in points:
        cv2.circle(pixels, (round(x - 0.5), round(y - 0.5)), radius_px, (255, 255, 255), -1)
    return pixels


def centre_of(pixels):
    ys, xs = np.nonzero(pixels[..., 0] > 100)
    return xs.mean() + 0.5, ys.mean() + 0.5


@pytest.mark.parametrize('angle_deg', [-50, -20, 0, 35])
@pytest.mark.parametrize('apart', [20, 70, 200])
def test_eyes_come_to_their_places(apart, angle_deg):
    angle = np.radians(angle_deg)
    half = np.array([np.cos(angle), np.sin(angle)]) * apart / 2
    eyes = [tuple(np.array([400.0, 300.0]) + sign * half) for sign in (-1, 1)]
    face = Outline((400.0, 300.0), 2 * apart, 2 * apart, (eyes[0], eyes[1]))
    for eye, share in zip(eyes, (0.5 - EYE_DISTANCE / 2, 0.5 + EYE_DISTANCE / 2), strict=True):
        got = centre_of(crop(dots((600, 800), [eye], radius_px=apart // 8 + 1), face, 96))
        assert got == pytest.approx((96 * share, 96 * EYE_LINE), abs=1.5)


@pytest.mark.parametrize('angle_deg', [0, 60])
def test_a_head_turned_aside_is_scaled_by_its_height(angle_deg):
    angle = np.radians(angle_deg)
    across, down = np.array([np.cos(angle), np.sin(angle)]), [-np.sin(angle), np.cos(angle)]
    eyes = [tuple(np.array([395.0, 282.0]) + sign * 5 * across) for sign in (-1, 1)]
    face = Outline((390.0, 300.0), 80, 160, (eyes[0], eyes[1]))
    chin = np.array([395.0, 282.0]) + 68 * np.array(down)
    got = centre_of(crop(dots((600, 800), [chin]), face, 100))
    assert got == pytest.approx((50, 100 * (EYE_LINE + 68 / 160)), abs=1.5)


def test_without_eyes_it_is_the_box():
    ramp = np.zeros((200, 300, 3), np.uint8)
    ramp[..., 0], ramp[..., 1] = np.arange(300) % 256, np.arange(200)[:, None]
    assert np.array_equal(crop(ramp, Outline((54, 64), 48, 48), 48), ramp[40:88, 30:78])


def test_shrinking_averages():
    stripes = np.zeros((256, 256, 3), np.uint8)
    stripes[:, ::2] = 255
    assert np.all(np.abs(crop(stripes, Outline((128, 128), 256, 256), 32).astype(int) - 127) <= 1)


def test_the_border_is_repeated():
    grey = np.full((60, 60, 3), 90, np.uint8)
    assert np.all(crop(grey, Outline((10, 60), 80, 80), 32) == 90)


def test_channels_stay_bgr():
    blue = np.zeros((60, 60, 3), np.uint8)
    blue[..., 0] = 200
    assert crop(blue, Outline((25, 25), 40, 40), 32)[16, 16].tolist() == [200, 0, 0]


def test_box_is_clipped_to_the_picture():
    assert Outline((10, 55), 40, 100).box(64, 48) == Box(0, 5, 30, 43)
    assert Outline((90, 55), 40, 100).box(64, 48).width == 0


def test_moved_turns_scales_and_shifts():
    quarter = np.array([[0.0, -2.0, 100.0], [2.0, 0.0, 0.0]])  # 90 degrees, twice as large
    face = Outline((12, 24), 4, 8, ((11.0, 22.0), (13.0, 22.0))).moved(quarter)
    assert face.centre == (52.0, 24.0) and (face.width, face.height) == pytest.approx((8, 16))
    assert face.landmarks == ((56.0, 22.0), (56.0, 26.0))
    assert face.box(100, 100) == Box(44, 20, 16, 8)  # upright about it


def test_overlap_is_a_share_of_the_smaller_box():
    face = Outline((12, 24), 4, 8)
    assert face.overlap(face) == 1.0
    assert face.overlap(Outline((12, 24), 40, 80)) == 1.0
    assert face.overlap(Outline((14, 28), 4, 8)) == pytest.approx(0.25)
    assert face.overlap(Outline((16, 24), 4, 8)) == 0.0


def test_a_rest_of_broken_blocks_is_left_out():
    ramp = np.broadcast_to(np.arange(11, dtype=np.uint8)[None, :, None], (7, 11, 3))
    small, scale = reduced(ramp, 3)
    assert small[:, :, 0].tolist() == [[1, 4, 7]] * 2
    assert scale.tolist() == [1 / 3, 1 / 3]
    small, scale = reduced(ramp, 20)  # fewer than one block
    assert small.tolist() == [[[5, 5, 5]]] and scale.tolist() == [1 / 11, 1 / 7]
