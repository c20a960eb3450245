import cv2
import numpy as np
import pytest
from inputs import YUNET

from maven_ros.errors import ResourceError
from maven_ros.senses import detectors
from maven_ros.senses.crops import EYE_DISTANCE
from maven_ros.senses.detectors import HaarDetector, YunetDetector, open_detector
from maven_ros.settings import FaceSettings

data = pytest.importorskip('skimage.data')


@pytest.fixture(scope='module')
def portrait():
    return cv2.resize(np.ascontiguousarray(data.astronaut()[..., ::-1]), (320, 320))


@pytest.fixture(params=['haar', *['yunet'] * YUNET.is_file()])
def detector(request):
    return open_detector(FaceSettings(
        detector=request.param, yunet_model=str(YUNET) if request.param == 'yunet' else ''))


def test_finds_the_face_once(detector, portrait):
    (found,) = detector.detect(portrait, (), whole=True)
    assert found.sure
    assert found.outline.centre == pytest.approx((139, 77), abs=6)
    assert 50 < found.outline.size < 85


def test_finds_it_once_when_it_is_known_as_well(detector, portrait):
    (found,) = detector.detect(portrait, (), whole=True)
    (again,) = detector.detect(portrait, (found.outline,), whole=True)
    assert again.sure
    assert again.outline.centre == pytest.approx(found.outline.centre, abs=4)


def test_haar_searches_only_near_known_faces_if_asked(portrait):
    detector = HaarDetector(0.1)
    (known,) = detector.detect(portrait, (), whole=True)
    assert detector.detect(portrait, (known.outline,), whole=False)[0].sure
    assert not detector.detect(portrait, (), whole=False)
    assert not detector.detect(portrait, (known.outline.moved(
        np.array([[1.0, 0, 150], [0, 1, 150]])),), whole=False)
    assert not detector.detect(portrait, (known.outline.moved(
        np.array([[1.0, 0, -999], [0, 1, 0]])),), whole=False)


def test_smaller_than_min_size_is_no_face(portrait):
    assert not HaarDetector(0.5).detect(portrait, (), whole=True)


def test_yunet_gives_level_eyes_and_obeys_min_size(portrait, shared_data):
    (found,) = YunetDetector(YUNET, 0.1).detect(portrait, (), whole=True)
    (left_x, left_y), (right_x, right_y) = found.outline.eyes
    assert right_x - left_x == pytest.approx(EYE_DISTANCE * found.outline.height, rel=0.2)
    assert abs(right_y - left_y) < 0.3 * (right_x - left_x)
    assert not YunetDetector(YUNET, 0.5).detect(portrait, (), whole=True)


@pytest.mark.parametrize('shape', [(1, 1), (2, 3), (1, 320), (23, 40), (32, 320), (33, 33)])
def test_small_pictures_of_noise_hold_no_face(detector, shape):
    random = np.random.default_rng(1)
    for _ in range(5):
        picture = random.integers(0, 255, (*shape, 3), np.uint8)
        assert detector.detect(picture, (), whole=True) == ()


def test_a_file_that_is_no_yunet_is_named(tmp_path):
    path = tmp_path / 'yunet.onnx'
    path.write_bytes(b'not a network')
    with pytest.raises(ResourceError, match=r'faces\.yunet_model: .*yunet\.onnx is not a YuNet'):
        YunetDetector(path, 0.1)


def test_a_missing_cascade_is_named(monkeypatch):
    monkeypatch.setattr(HaarDetector, '_CASCADE', 'no_such_cascade.xml')
    with pytest.raises(ResourceError, match=r'no_such_cascade\.xml: not found in .*opencv-data'):
        HaarDetector(0.1)


def test_a_broken_cascade_is_named(monkeypatch, tmp_path):
    path = tmp_path / 'broken.xml'
    path.write_text('<opencv_storage></opencv_storage>')
    monkeypatch.setattr(detectors, '_cascade_file', lambda name: path)
    with pytest.raises(ResourceError, match=r'broken\.xml: not a Haar cascade'):
        HaarDetector(0.1)
