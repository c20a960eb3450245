import cv2
import numpy as np
import pytest
from tiny_corpora import LANDMARKS, drawn_face
from tiny_corpora import write_wild as write

from maven_ros.errors import ResourceError, SettingsError
from maven_ros.senses.crops import EYE_DISTANCE, EYE_LINE
from maven_ros.training.corpora.wild import FILE, NAMES, Wild, read_wild, validates
from maven_ros.training.corpus import check_examples
from maven_ros.training.targets import points_of


def turned(degrees):
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return ((LANDMARKS - 48) @ turn.T + 48).astype(np.float32)


def test_faces_are_cut_and_levelled_as_by_the_node(tmp_path):
    write(tmp_path, ['sad'] * 3, np.stack([turned(degrees) for degrees in (0, 25, -40)]))
    images, emotions = read_wild(tmp_path / FILE)
    assert images.shape == (3, 48, 48) and images.dtype == np.uint8
    assert emotions.tolist() == [NAMES.index('sad')] * 3
    for image in images:
        for x in (0.5 - EYE_DISTANCE / 2, 0.5 + EYE_DISTANCE / 2):
            row, column = round(EYE_LINE * 48 - 0.5), round(x * 48 - 0.5)
            assert image[row - 1:row + 2, column - 1:column + 2].mean() > 190


def test_a_face_turned_aside_is_scaled_by_its_height(tmp_path):
    aside = LANDMARKS.copy()
    aside[:2, 0] = 45, 51  # 6 pixels apart: by them the crop would be 17 pixels wide
    write(tmp_path, ['happy'], aside[None])
    (image,), _ = read_wild(tmp_path / FILE)
    bright = np.flatnonzero(image[round(EYE_LINE * 48)] > 190)
    assert 3 < bright.max() - bright.min() < 12


def test_the_splits_are_examples_and_test_has_none(tmp_path):
    emotions = ['neutral'] * 16 + ['happy'] * 12 + ['disgusted'] * 4
    corpus = Wild(write(tmp_path, emotions))
    train, valid = corpus.read('train'), corpus.read('valid')
    check_examples(train, 'video', 'train')
    check_examples(valid, 'video', 'valid')
    assert (len(train), len(valid), len(corpus.read('test'))) == (24, 8, 0)
    assert valid.shares.sum(0)[[0, 1, NAMES.index('disgusted')]].tolist() == [4, 3, 1]
    assert (train.targets == train.shares @ points_of(NAMES)).all()
    assert np.unique(valid.weights).tolist() == [1]
    assert train.weights.mean() == pytest.approx(1)
    rare, often = train.weights[train.shares[:, 5] > 0], train.weights[train.shares[:, 0] > 0]
    assert rare[0] / often[0] == pytest.approx((12 / 3) ** 0.5)
    again = corpus.read('valid')
    assert (again.evidence == valid.evidence).all()


def test_a_group_is_in_one_split():
    groups = np.array([0, 1, 1, 2, 3, 4, 4, 4, 5, 6])
    emotions = np.array([0, 1, 0, 0, 0, 0, 0, 1, 1, 1])  # 1 is rarer, so 1 and 4 are of it
    held_out = validates(groups, emotions)
    assert sorted(set(groups[held_out])) == [6]  # of 1, 4, 5, 6 the fourth; 0, 2, 3 are too few
    assert validates(np.zeros(0, np.int64), np.zeros(0, np.int64)).tolist() == []


def test_frames_of_one_video_are_in_one_split(tmp_path):
    random = np.random.default_rng(0)
    pictures = [drawn_face(random, LANDMARKS) for _ in range(8)]
    frames = [cv2.convertScaleAbs(one, alpha=gain) for one in pictures for gain in (1, 0.8)]
    data = [cv2.imencode('.jpg', frame)[1] for frame in frames]
    write(tmp_path, ['neutral'] * 16, jpeg=np.concatenate(data),
          offsets=np.cumsum([0, *map(len, data)]))
    assert (len(Wild(tmp_path).read('train')), len(Wild(tmp_path).read('valid'))) == (12, 4)
    valid = Wild(tmp_path).read('valid').evidence.astype(float)
    for one, other in ((0, 1), (2, 3)):
        assert np.corrcoef(valid[one].ravel(), valid[other].ravel())[0, 1] > 0.98


@pytest.mark.parametrize(('changes', 'message'), [
    ({'emotion': np.array(['sad', 'joy'])}, 'emotions: joy; allowed: neutral, happy'),
    ({'offsets': np.array([0, 5])}, r'offsets are \(2,\), not \(3,\), for 2 emotions'),
    ({'landmarks': np.zeros((2, 4, 2), np.float32)},
     r'landmarks are \(2, 4, 2\), not \(2, 5, 2\), for 2 emotions'),
    ({'jpeg': np.zeros(9000, np.uint8)}, 'face 0: is not a picture'),
    ({'offsets': np.array([0, 0, 10])}, 'face 0: is not a picture'),
    ({'landmarks': np.full((2, 5, 2), np.nan, np.float32)}, 'face 0: landmarks are not finite'),
])
def test_broken_files_are_named(tmp_path, changes, message):
    write(tmp_path, ['sad', 'happy'], **changes)
    with pytest.raises(ResourceError, match=f'{FILE}: {message}'):
        Wild(tmp_path).read('train')


def test_missing_files_and_splits_are_named(tmp_path):
    with pytest.raises(ResourceError, match=rf'{FILE}: cannot be read: .* it needs arrays jpeg'):
        Wild(tmp_path).read('train')
    (tmp_path / FILE).write_bytes(b'PK\x03\x04 cut off')
    with pytest.raises(ResourceError, match=f'{FILE}: cannot be read'):
        Wild(tmp_path).read('valid')
    with pytest.raises(SettingsError, match="split: 'dev' is not one of train, valid, test"):
        Wild(tmp_path).read('dev')


def test_the_real_ones_are_held_out_by_a_quarter(shared_data):
    corpus = Wild(shared_data / 'faces')
    train, valid = corpus.read('train'), corpus.read('valid')
    assert (len(train), len(valid)) == (6150, 2016)
    assert valid.shares.sum(0).tolist() == [1012, 842, 54, 38, 38, 28, 3, 1]
