"""Where faces are as seen from the camera, with a calibration and without."""

import math

import numpy as np
import pytest
from turned_heads import MEAN_FACE, rotation, seen

from maven_ros.counters import Counters
from maven_ros.records import Box, Camera, Face
from maven_ros.senses.crops import Outline
from maven_ros.senses.head_pose import head_pose
from maven_ros.senses.lens import Lens
from maven_ros.settings import AttentionSettings

FOCAL_PX = 600.0
CALIBRATED = Camera(0, (480, 480), (FOCAL_PX, FOCAL_PX), (240.0, 240.0))


def face(yaw_deg=0.0, distance_mm=1000.0, aside_mm=0.0, share=1.0):
    points, _ = seen(MEAN_FACE, rotation(yaw_deg, 0, 0), FOCAL_PX, distance_mm, 480, aside_mm)
    marks = tuple(map(tuple, points * share))
    x, y = points.mean(0) * share
    pose = head_pose(Outline((x, y), 100.0, 120.0, marks), by_yunet=False)
    return Face(0, 'p', Box(round(x) - 50, round(y) - 60, 100, 120), np.zeros((2, 2, 3), np.uint8),
                marks, pose)


def placed(lens, one, size=(480, 480)):
    [found] = lens.place([one], *size)
    return found.place


@pytest.fixture
def counters():
    return Counters()


@pytest.fixture
def lens(counters):
    return Lens(AttentionSettings(), counters)


@pytest.mark.parametrize('yaw_deg', [0, 20, -40])
@pytest.mark.parametrize('distance_mm', [600.0, 2500.0])
def test_the_distance_is_told_from_the_eyes_however_the_head_is_turned(
        lens, yaw_deg, distance_mm):
    lens.take(CALIBRATED)
    place = placed(lens, face(yaw_deg, distance_mm))
    assert place.calibrated and place.distance_m == pytest.approx(distance_mm / 1e3, rel=0.12)
    assert 0.08 < place.distance_std_m / place.distance_m < 0.3


def test_left_and_up_are_positive(lens):
    lens.take(CALIBRATED)
    left = placed(lens, face(aside_mm=-400.0))
    assert math.degrees(left.azimuth) == pytest.approx(21.8, abs=0.5)
    assert abs(math.degrees(left.elevation)) < 1.0
    low = Face(0, 'p', Box(190, 400, 100, 80), np.zeros((2, 2, 3), np.uint8))
    place = placed(lens, low)
    assert math.degrees(place.elevation) == pytest.approx(-18.4, abs=0.5)
    assert math.isnan(place.distance_m) and math.isnan(place.distance_std_m)


def test_without_a_camera_info_the_stated_field_of_view_stands_in_and_it_says_so_once(
        lens, counters, caplog):
    caplog.set_level('INFO', 'maven_ros')
    for _ in range(3):
        place = placed(lens, face(aside_mm=-400.0))
    focal_px = 240 / math.tan(math.radians(30))
    assert not place.calibrated
    assert math.tan(place.azimuth) == pytest.approx(0.4 * FOCAL_PX / focal_px, abs=0.01)
    assert placed(lens, face()).distance_m == pytest.approx(focal_px / FOCAL_PX, rel=0.1)
    assert not counters.snapshot()
    assert caplog.messages == ['no CameraInfo: a field of view of 60 degrees is assumed '
                               '(attention.field_of_view_deg)']
    lens.change(AttentionSettings(field_of_view_deg=90.0))
    assert math.tan(placed(lens, face(aside_mm=-400.0)).azimuth) == pytest.approx(1.0, abs=0.01)


def test_a_calibration_of_another_resolution_is_scaled(lens, counters):
    lens.take(CALIBRATED)
    for share in (0.5, 2.0):
        size = round(480 * share), round(480 * share)
        place = placed(lens, face(aside_mm=-400.0, share=share), size)
        assert place.calibrated and place.distance_m == pytest.approx(1.0, rel=0.1)
        assert math.degrees(place.azimuth) == pytest.approx(21.8, abs=0.5)
    assert not counters.snapshot()


def test_a_calibration_of_another_ratio_is_counted_and_not_used(lens, counters):
    lens.take(CALIBRATED)
    for _ in range(3):
        assert not placed(lens, face(), (640, 480)).calibrated
    assert counters.snapshot() == {'camera_info.other_size': 1}
    assert counters.detail('camera_info', 'other_size').startswith(
        'calibrated for 480x480, and pictures are 640x480; allowed: the same ratio; a field of v')
    assert placed(lens, face()).calibrated


def test_a_camera_that_says_it_has_no_calibration_has_none(lens, counters, caplog):
    caplog.set_level('INFO', 'maven_ros')
    lens.take(Camera(0, (480, 480), (0.0, 0.0), (0.0, 0.0)))
    assert not placed(lens, face()).calibrated
    assert not counters.snapshot()
    assert caplog.messages[0].startswith('the CameraInfo is that of no calibrated camera: a field')


@pytest.mark.parametrize(('fisheye', 'distortion'), [
    (False, (-0.2, 0.05, 0.0, 0.0, 0.0)), (True, (-0.02, 0.01, 0.0, 0.0))])
def test_the_distortion_of_a_lens_is_undone(lens, fisheye, distortion):
    import cv2

    matrix = np.float64([[FOCAL_PX, 0, 240], [0, FOCAL_PX, 240], [0, 0, 1]])
    ray = np.float64([[[0.3, -0.1, 1.0]]])
    project = cv2.fisheye.projectPoints if fisheye else cv2.projectPoints
    [[[x, y]]] = project(ray, np.zeros(3), np.zeros(3), matrix, np.float64(distortion))[0].tolist()
    lens.take(Camera(0, (480, 480), (FOCAL_PX, FOCAL_PX), (240.0, 240.0), distortion, fisheye))
    box = Box(round(x) - 50, round(y) - 60, 100, 120)
    place = placed(lens, Face(0, 'p', box, np.zeros((2, 2, 3), np.uint8)))
    assert math.tan(place.azimuth) == pytest.approx(-0.3, abs=0.002)
