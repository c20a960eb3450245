import numpy as np
import pytest

from maven_ros.errors import ResourceError
from maven_ros.training.corpora.posts import Posts

HEAD = 'text,valence_1,valence_2,arousal_1,arousal_2'


def write(folder, lines):
    (folder / 'train.csv').write_text('\n'.join(lines) + '\n', encoding='utf-8')
    return Posts(folder)


def test_two_ratings_become_one_target(tmp_path):
    lines = [HEAD, *(f'post {index},9,8,2,1' for index in range(40))]
    train, valid, test = (write(tmp_path, lines).read(split)
                          for split in ('train', 'valid', 'test'))
    assert len(train) + len(valid) == 40 and len(valid) > 0 and len(test) == 0
    assert not set(train.evidence) & set(valid.evidence)
    np.testing.assert_allclose(train.targets[0], [1.0, (1.5 - 3.33) * 0.15], rtol=1e-5)
    assert train.rated.all()


def test_a_post_that_is_there_twice_is_in_one_split(tmp_path):
    lines = [HEAD, *(f'"Post {index % 20}{" " * (index // 20)}",5,5,5,5' for index in range(40))]
    train, valid = (write(tmp_path, lines).read(split) for split in ('train', 'valid'))
    assert not {one.strip() for one in train.evidence} & {one.strip() for one in valid.evidence}


@pytest.mark.parametrize(('lines', 'message'), [
    (['text,valence_1'], 'has no column arousal_1, arousal_2, valence_2'),
    ([HEAD, 'a,1,2,3,10'], "line 2: arousal_2 is '10'; allowed: 1 to 9"),
    ([HEAD, 'a,1,2,3'], 'line 2: arousal_2 is None; allowed: 1 to 9'),
    ([HEAD, 'a,x,2,3,4'], "line 2: valence_1 is 'x'; allowed: 1 to 9")])
def test_a_fault_is_named(tmp_path, lines, message):
    with pytest.raises(ResourceError, match=message):
        write(tmp_path, lines).read('train')


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ResourceError, match=r'train\.csv: cannot be read'):
        Posts(tmp_path).read('train')
