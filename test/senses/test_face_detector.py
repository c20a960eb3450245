"""Faces in single pictures: scikit-image's portrait, whole, small, turned and on gravel."""

import math
from dataclasses import replace

import cv2
import numpy as np
import pytest

from maven_ros.errors import ResourceError
from maven_ros.resources import resource
from maven_ros.senses import face_detector
from maven_ros.senses.crops import Square, cut
from maven_ros.senses.face_detector import FaceDetector
from maven_ros.settings import FaceSettings

data = pytest.importorskip('skimage.data')
FACE = Square((222.0, 112.0), 122.0)  # in the portrait


@pytest.fixture(scope='module')
def portrait():
    return np.ascontiguousarray(data.astronaut()[..., ::-1])


@pytest.fixture(scope='module')
def detector():
    return FaceDetector(FaceSettings())


def tilted(picture, angle_deg):
    """Return a picture turned clockwise about the face, and where the face is."""
    turned = cut(picture, replace(FACE, side=512.0, angle_rad=math.radians(-angle_deg)), 512)
    return turned, Square((256.0, 256.0), FACE.side, math.radians(angle_deg))


def assert_face(found, square, angle_rad=None):
    assert math.dist(found.outline.square.centre, square.centre) < 0.15 * square.side
    assert found.outline.square.side == pytest.approx(square.side, rel=0.15)
    if angle_rad is not None:
        off = found.outline.square.angle_rad - angle_rad
        assert abs(math.remainder(off, math.tau)) < math.radians(12)


def test_finds_the_face_once(detector, portrait):
    (found,) = detector.search(portrait)
    assert found.is_sure
    assert_face(found, FACE, 0.0)


def test_the_landmarks_are_in_their_order_and_the_frames_pixels(detector, portrait):
    large = cv2.resize(portrait, (1280, 1280))
    found = detector.look(large, Square((555.0, 280.0), 305.0))
    right_eye, left_eye, nose, right_corner, left_corner = found.outline.landmarks
    assert right_eye == pytest.approx((500, 255), abs=20)  # on our left
    assert left_eye == pytest.approx((617, 257), abs=20)
    assert right_eye[1] < nose[1] < right_corner[1]
    assert right_corner[0] < nose[0] < left_corner[0]


@pytest.mark.parametrize('angle_deg', [0, 20, 35, 60, 90, 180, -60])
def test_a_known_face_is_found_surely_however_it_is_tilted(detector, portrait, angle_deg):
    picture, square = tilted(portrait, angle_deg)
    expected = replace(square, centre=(square.centre[0] + 20, square.centre[1] - 15),
                       angle_rad=square.angle_rad + math.radians(8), side=square.side * 1.1)
    found = detector.look(picture, expected)
    assert found.is_sure
    assert_face(found, square, square.angle_rad)


@pytest.mark.parametrize('angle_deg', [0, 25, 45, 60, -25, -45, -60])
def test_of_four_searches_one_finds_who_is_tilted(detector, portrait, angle_deg):
    picture, square = tilted(portrait, angle_deg)
    looked = [detector.look(picture, found.outline.square)
              for view in range(4) for found in detector.search(picture, view)]
    best = max(filter(None, looked), key=lambda one: one.score)
    assert best.is_sure
    assert_face(detector.look(picture, best.outline.square), square, square.angle_rad)


@pytest.mark.parametrize('height_px', [24, 32, 60, 200, 440])
def test_sizes_of_faces_that_are_found(detector, portrait, height_px):
    scale = height_px / FACE.side
    head = cv2.resize(portrait[:300, 100:350], None, fx=scale, fy=scale,
                      interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    gravel = cv2.cvtColor(cv2.resize(data.gravel(), (640, 480)), cv2.COLOR_GRAY2BGR)
    height, width = min(480, head.shape[0]), min(640, head.shape[1])
    x, y = (640 - width) // 2, (480 - height) // 2
    gravel[y:y + height, x:x + width] = head[:height, :width]
    (found,) = detector.search(gravel)
    closer = detector.look(gravel, found.outline.square)
    assert closer.is_sure
    assert_face(closer, Square(
        (x + (FACE.centre[0] - 100) * scale, y + FACE.centre[1] * scale), height_px))


def test_smaller_than_min_size_is_no_face(portrait):
    strict = FaceDetector(FaceSettings(min_size=0.5))
    assert strict.search(portrait) == []
    assert strict.look(portrait, FACE) is None


def test_nothing_is_found_where_nothing_is(detector, portrait):
    assert detector.look(portrait, Square((400.0, 420.0), 122.0)) is None
    assert detector.look(portrait, Square((9000.0, -9000.0), 122.0)) is None


def test_the_smallest_face_of_a_strip_is_a_share_of_its_length(detector, portrait):
    height, width = portrait.shape[:2]
    for longer, found in ((4 * height, True), (40 * height, False)):
        strip = np.zeros((height, max(longer, width), 3), np.uint8)
        strip[:, :width] = portrait
        assert bool(detector.search(strip)) == found


@pytest.mark.parametrize('view', range(4))
@pytest.mark.parametrize('shape', [
    (1, 1), (2, 3), (1, 320), (23, 40), (32, 320), (33, 33), (3, 900)])
def test_small_pictures_of_noise_hold_no_face(detector, shape, view):
    random = np.random.default_rng(1)
    for _ in range(3):
        picture = random.integers(0, 255, (*shape, 3), np.uint8)
        assert not any(one.is_sure for one in detector.search(picture, view))


# --- files -----------------------------------------------------------------------------------


def onnx_that_does_nothing():
    """Return a network in ONNX: its output is its input."""
    def field(number, *parts):
        content = b''.join(one if isinstance(one, bytes) else one.encode() for one in parts)
        return bytes([number << 3 | 2, len(content)]) + content

    sizes = b''.join(field(1, bytes([0x08, size])) for size in (1, 3, 64, 64))
    tensor = field(2, field(1, b'\x08\x01', field(2, sizes)))  # of floats
    node = field(1, field(1, 'input'), field(2, 'output'), field(4, 'Identity'))
    graph = (node, field(2, 'nothing'), field(11, field(1, 'input'), tensor),
             field(12, field(1, 'output'), tensor))
    content = b'\x08\x08' + field(7, *graph) + field(8, b'\x10\x0b')  # IR version 8, opset 11
    assert not cv2.dnn.readNetFromONNX(np.frombuffer(content, np.uint8)).empty()
    return content


@pytest.mark.parametrize('content', [
    pytest.param(lambda shipped: b'', id='empty'),
    pytest.param(lambda shipped: b'not a network', id='text'),
    pytest.param(lambda shipped: shipped[:100_000], id='cut'),
    pytest.param(lambda shipped: onnx_that_does_nothing(), id='another network'),
])
def test_a_file_that_is_no_yunet_is_named(tmp_path, content):
    path = tmp_path / 'yunet.onnx'
    path.write_bytes(content(resource(face_detector.SHIPPED).read_bytes()))
    with pytest.raises(ResourceError, match=r'faces\.yunet_model: .*yunet\.onnx is not a YuNet '
                                            r'ONNX file that OpenCV .* can run'):
        FaceDetector(FaceSettings(yunet_model=str(path)))


def test_a_yunet_of_ones_own_is_taken(tmp_path, portrait):
    path = tmp_path / 'mine.onnx'
    path.write_bytes(resource(face_detector.SHIPPED).read_bytes())
    assert len(FaceDetector(FaceSettings(yunet_model=str(path))).search(portrait)) == 1


def test_the_shipped_file_is_held_to_its_hash(tmp_path, monkeypatch):
    path = tmp_path / 'yunet.onnx'
    path.write_bytes(resource(face_detector.SHIPPED).read_bytes() + b'\0')
    monkeypatch.setattr(face_detector, 'resource', lambda name: path)
    with pytest.raises(ResourceError, match=r'yunet\.onnx: is not the file that ships: its sha256 '
                                            r'is [0-9a-f]{64}, not ebafce4e.*faces\.yunet_model'):
        FaceDetector(FaceSettings())
