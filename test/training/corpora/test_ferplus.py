import numpy as np
import pytest

from maven_ros.errors import ResourceError, SettingsError
from maven_ros.training.corpora.ferplus import EMOTIONS, POINTS, Faces, Ferplus, read_ferplus


def faces(*votes):
    return Faces(np.zeros((len(votes), 48, 48), np.uint8), np.array(votes, np.float32))


def test_the_rule_by_hand():
    some = faces([3, 3, 1, 1, 0, 0, 0, 0],   # the first of two majorities
                 [1, 0, 3, 0, 0, 0, 0, 0],   # only 3 votes that somebody shares
                 [0, 0, 0, 0, 2, 2, 0, 1],
                 [0, 0, 0, 0, 0, 0, 0, 0])
    assert some.counted.tolist() == [True, False, True, False]
    assert some.majority[[0, 2]].tolist() == [0, 4]
    assert some.of(some.counted).votes.tolist() == [some.votes[0].tolist(), some.votes[2].tolist()]


def test_targets_are_the_mean_over_the_votes():
    some = faces([4, 4, 2, 0, 0, 0, 0, 0], [0] * 8)
    assert some.shares[0].tolist() == pytest.approx([0.4, 0.4, 0.2, 0, 0, 0, 0, 0])
    assert some.targets[0] == pytest.approx((0.4 * 0.81 + 0.2 * 0.40, 0.4 * 0.51 + 0.2 * 0.67))
    assert np.isnan(some.targets[1]).all()


def test_points_are_in_the_order_of_the_votes():
    assert POINTS[EMOTIONS.index('fear')] == pytest.approx((-0.64, 0.60))
    assert POINTS[EMOTIONS.index('contempt')] == pytest.approx((-0.23, 0.31))


def flat(*shades):
    """A flat picture of each shade."""
    return np.array(shades, np.uint8)[:, None, None] * np.ones((48, 48), np.uint8)


def write(folder, **changes):
    """Write all splits, of two flat pictures each; the changes are of train."""
    for first, split in enumerate(('train', 'valid', 'test')):
        arrays = {'images': flat(2 * first, 2 * first + 1), 'votes': np.ones((2, 10), np.uint8),
                  'emotions': np.array([*EMOTIONS, 'unknown', 'NF']),
                  **(changes if split == 'train' else {})}
        np.savez(folder / f'ferplus_{split}.npz', **arrays)


def test_votes_for_no_emotion_are_dropped(tmp_path):
    write(tmp_path, votes=np.array([[0, 4, 0, 0, 0, 0, 0, 0, 5, 1], [0] * 9 + [10]], np.uint8))
    some = read_ferplus(tmp_path, 'train')
    assert some.votes.tolist() == [[0, 4, 0, 0, 0, 0, 0, 0], [0] * 8]
    assert some.counted.tolist() == [True, False]


def test_examples_are_the_faces_that_count_with_the_error_of_their_mean(tmp_path):
    votes = np.array([[0, 6, 0, 2, 0, 0, 0, 0, 1, 0], [1] * 8 + [0, 0]], np.uint8)
    write(tmp_path, votes=votes, images=np.arange(2 * 48 * 48).reshape(2, 48, 48).astype(np.uint8))
    examples = Ferplus(tmp_path).read('train')
    assert len(examples) == 1 and (examples.evidence == read_ferplus(
        tmp_path, 'train').images[:1]).all()
    assert dict(zip(examples.emotions, examples.shares[0].tolist(), strict=True)) == {
        'neutral': 0, 'happy': 0.75, 'surprised': 0, 'sad': 0.25, 'angry': 0, 'disgusted': 0,
        'fearful': 0, 'contempt': 0}
    happy, sad = np.array([0.81, 0.51]), np.array([-0.63, -0.27])
    mean = 0.75 * happy + 0.25 * sad
    assert examples.targets[0] == pytest.approx(mean)
    assert examples.spreads[0] == pytest.approx(np.sqrt(
        (0.75 * (happy - mean) ** 2 + 0.25 * (sad - mean) ** 2) / 8))


def test_a_picture_of_several_splits_is_in_none_and_a_repeated_one_counts_once(tmp_path):
    """
    Faces were scored that had been trained on.

    313 of FER+'s 3,564 scored test faces are byte-identical to one in train or valid.
    """
    votes = np.zeros((7, 10), np.uint8)
    votes[:, 0] = np.arange(7)
    write(tmp_path, images=flat(9, 3, 4, 8, 9, 7, 8), votes=votes)
    shades = {split: read_ferplus(tmp_path, split).images[:, 0, 0].tolist()
              for split in ('train', 'valid', 'test')}
    assert shades == {'train': [9, 8, 7], 'valid': [2], 'test': [5]}
    assert read_ferplus(tmp_path, 'train').votes[:, 0].tolist() == [0, 3, 5]


@pytest.mark.parametrize(('changes', 'message'), [
    ({'emotions': np.array(['joy'] * 10)}, 'emotions begin with joy, .* not with neutral, happi'),
    ({'images': np.zeros((2, 64, 64), np.uint8)},
     r'images are uint8 \(2, 64, 64\), not uint8 \(faces, 48, 48\)'),
    ({'votes': np.ones((3, 10), np.uint8)}, r'votes are \(3, 10\), not \(2, 10\), one row per f'),
])
def test_broken_files_are_named(tmp_path, changes, message):
    write(tmp_path, **changes)
    with pytest.raises(ResourceError, match=f'ferplus_train.npz: {message}'):
        read_ferplus(tmp_path, 'train')


def test_missing_files_and_splits_are_named(tmp_path):
    with pytest.raises(ResourceError, match=r'ferplus_valid.npz: cannot be read: .* it needs arr'):
        read_ferplus(tmp_path, 'valid')
    with pytest.raises(SettingsError, match="split: 'dev' is not one of train, valid, test"):
        read_ferplus(tmp_path, 'dev')
    write(tmp_path)
    (tmp_path / 'ferplus_test.npz').write_bytes(b'PK\x03\x04 cut off')
    with pytest.raises(ResourceError, match=r'ferplus_test.npz: cannot be read'):
        read_ferplus(tmp_path, 'test')


def test_the_real_ones_are_whole(shared_data):
    counts = {split: len(read_ferplus(shared_data / 'faces', split))
              for split in ('train', 'valid', 'test')}
    assert counts == {'train': 26804, 'valid': 3258, 'test': 3252}
    valid = read_ferplus(shared_data / 'faces', 'valid')
    assert np.bincount(valid.majority[valid.counted]).tolist() == [
        1281, 857, 333, 373, 299, 24, 59, 20]
