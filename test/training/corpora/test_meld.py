import pytest

from maven_ros.errors import ResourceError
from maven_ros.training.corpora.meld import Meld
from maven_ros.training.targets import valence_arousal

HEAD = 'dialogue,utterance,speaker,emotion,text'


def write(folder, *lines, file='train.csv'):
    (folder / file).write_text('\n'.join((HEAD, *lines)) + '\n', encoding='utf-8')
    return Meld(folder)


def test_a_line_has_the_point_of_its_emotion(tmp_path):
    lines = write(tmp_path, '0,0,Ann,joy,"Oh, you came!"', '0,1,Bob,disgust,Ew.').read('train')
    assert lines.evidence == ('Oh, you came!', 'Ew.')
    assert lines.targets.tolist() == [pytest.approx(valence_arousal(one))
                                      for one in ('happy', 'disgusted')]
    assert not lines.rated.any()
    assert [lines.emotions[row.argmax()] for row in lines.shares] == ['happy', 'disgusted']


def test_dev_validates(tmp_path):
    corpus = write(tmp_path, '0,0,Ann,neutral,So.', file='dev.csv')
    assert corpus.read('valid').evidence == ('So.',)
    with pytest.raises(ResourceError, match="has no split 'test'; allowed: train, valid"):
        corpus.read('test')


def test_a_fault_is_named(tmp_path):
    with pytest.raises(ResourceError, match="line 2: 'bored' is no emotion; allowed: neut"):
        write(tmp_path, '0,0,Ann,bored,So.').read('train')
    with pytest.raises(ResourceError, match=r'dev\.csv: cannot be read'):
        Meld(tmp_path).read('valid')
    (tmp_path / 'train.csv').write_text('a,b\n')
    with pytest.raises(ResourceError, match='has no column emotion, text'):
        Meld(tmp_path).read('train')
