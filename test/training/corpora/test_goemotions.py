import numpy as np
import pytest

from maven_ros.errors import ResourceError, SettingsError
from maven_ros.training.corpora.goemotions import GROUPS, Goemotions, read_goemotions

NAMES = [name for members in GROUPS.values() for name in members]


def write(data, train, names=NAMES):
    (data / 'labels.txt').write_text('\n'.join(names) + '\n', encoding='utf-8')
    (data / 'train.tsv').write_text('\n'.join(train) + '\n', encoding='utf-8')
    return data


def test_labels_and_their_points(tmp_path):
    joy, grief = NAMES.index('joy'), NAMES.index('grief')
    comments = read_goemotions(
        write(tmp_path, [f'I love you\t{joy}\tx1', f'Oh, bittersweet\t{joy},{grief}\tx2']),
        'train')
    assert len(comments) == 2
    assert comments.texts == ('I love you', 'Oh, bittersweet')
    assert comments.labels.sum(1).tolist() == [1, 2]
    assert comments.labels[1, [joy, grief]].tolist() == [1, 1]
    happy, sad = np.array([0.81, 0.51]), np.array([-0.63, -0.27])
    assert comments.targets == pytest.approx(np.array([happy, (happy + sad) / 2]), abs=1e-6)


def test_examples_are_the_comments_as_named(tmp_path):
    joy, grief = NAMES.index('joy'), NAMES.index('grief')
    examples = Goemotions(write(tmp_path, [f'Oh, bittersweet\t{joy},{grief}\tx2'])).read('train')
    assert examples.evidence == ('Oh, bittersweet',) and examples.emotions == tuple(NAMES)
    assert examples.shares[0, [joy, grief]].tolist() == [0.5, 0.5] and not examples.rated.any()
    assert examples.targets[0] == pytest.approx([(0.81 - 0.63) / 2, (0.51 - 0.27) / 2])


def test_all_emotions_are_in_one_group():
    assert len(NAMES) == len(set(NAMES)) == 28


def test_placeholders_are_no_words(tmp_path):
    comments = read_goemotions(write(tmp_path, ['[NAME] is a [RELIGION] man\t0\tx']), 'train')
    assert comments.texts == ('  is a   man',)


def test_an_unknown_split(tmp_path):
    with pytest.raises(SettingsError, match="split: 'dev' is not one of train, valid, test"):
        read_goemotions(tmp_path, 'dev')


@pytest.mark.parametrize('line', ['no tab', 'text\t28\tx', 'text\t\tx', 'text\t1,x\tx'])
def test_a_line_that_is_no_comment(tmp_path, line):
    data = write(tmp_path, ['fine\t0\tx', line])
    with pytest.raises(ResourceError, match=r'train\.tsv: line 2: .* is not a comment; allow'):
        read_goemotions(data, 'train')


def test_missing_files(tmp_path):
    with pytest.raises(ResourceError, match=r'labels\.txt: cannot be read'):
        read_goemotions(tmp_path, 'train')
    with pytest.raises(ResourceError, match=r'dev\.tsv: cannot be read'):
        read_goemotions(write(tmp_path, []), 'valid')


def test_other_emotions(tmp_path):
    data = write(tmp_path, ['fine\t0\tx'], names=[*NAMES[1:], 'boredom'])
    with pytest.raises(ResourceError, match='missing or unknown: anger, boredom'):
        read_goemotions(data, 'train')
