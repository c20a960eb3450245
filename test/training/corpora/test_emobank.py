import numpy as np
import pytest

from maven_ros.errors import ResourceError, SettingsError
from maven_ros.training.corpora.emobank import Emobank, read_emobank

LINES = [
    'id,split,V,A,D,text',
    'a,train,3.0,4.0,3.2,"He said ""no"", twice."',
    'b,dev,1.0,5.0,3.0,Help!',
    'c,test,5.0,3.0,3.0,Bliss.',
    'd,train,2.5,3.0,3.0,Not so good.',
]


def write(data, lines):
    path = data / 'emobank.csv'
    path.write_text('\n'.join(lines) + '\n', encoding='utf-8')
    return data


def test_one_to_five_becomes_minus_one_to_one(tmp_path):
    train = read_emobank(write(tmp_path, LINES), 'train')
    assert len(train) == 2
    assert train.texts == ('He said "no", twice.', 'Not so good.')
    assert train.targets.tolist() == [[0, 0.5], [-0.25, 0]]
    assert train.targets.dtype == np.float32


def test_examples_are_the_sentences_as_rated(tmp_path):
    examples = Emobank(write(tmp_path, LINES)).read('train')
    assert examples.evidence == ('He said "no", twice.', 'Not so good.')
    # 1.8 times as far: the middle of the scale is where raters of sentences stay.
    np.testing.assert_allclose(examples.targets, [[0, 0.9], [-0.45, 0]], rtol=1e-6)
    assert examples.rated.all() and examples.emotions == () and not examples.spreads.any()


@pytest.mark.parametrize(('split', 'text', 'target'), [
    ('valid', 'Help!', [-1, 1]), ('test', 'Bliss.', [1, 0])])
def test_splits_are_the_files(tmp_path, split, text, target):
    some = read_emobank(write(tmp_path, LINES), split)
    assert some.texts == (text,)
    assert some.targets.tolist() == [target]


def test_an_unknown_split(tmp_path):
    with pytest.raises(SettingsError, match="split: 'dev' is not one of train, valid, test"):
        read_emobank(write(tmp_path, LINES), 'dev')


def test_a_missing_file(tmp_path):
    with pytest.raises(ResourceError, match=r'emobank\.csv: cannot be read'):
        read_emobank(tmp_path, 'train')


def test_a_missing_column(tmp_path):
    with pytest.raises(ResourceError, match=r'emobank\.csv: has no column A, split'):
        read_emobank(write(tmp_path, ['id,V,D,text', 'a,3,3,x']), 'train')


@pytest.mark.parametrize('value', ['0.5', 'high', '', '6', 'nan'])
def test_what_is_no_rating(tmp_path, value):
    lines = [LINES[0], f'a,train,{value},3.0,3.0,x']
    with pytest.raises(ResourceError, match=f"line 2: '{value}' is not a rating; allowed: 1 to 5"):
        read_emobank(write(tmp_path, lines), 'train')


def test_a_line_cut_short(tmp_path):
    with pytest.raises(ResourceError, match='line 3: None is not a rating'):
        read_emobank(write(tmp_path, [*LINES[:2], 'a,train,3.0']), 'train')


def test_a_split_without_sentences(tmp_path):
    with pytest.raises(ResourceError, match="has no sentence of split 'dev'"):
        read_emobank(write(tmp_path, LINES[:2]), 'valid')
