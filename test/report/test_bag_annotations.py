"""Annotations are checked before the first replay, and lines beyond the pictures are an option."""

import json

import pytest
from test_outcome import record

from maven_ros.cli.main import main


@pytest.fixture(scope='module')
def bags(tmp_path_factory):
    folder = tmp_path_factory.mktemp('bags')
    return [record(folder / name) for name in ('talk', 'walk')]


def evaluated(bags, labels, out, *more):
    return main(['evaluate', 'bags', *map(str, bags), '--annotations', str(labels), '--out',
                 str(out), '--speech.recogniser', 'none', '--draws', '10', *more])


def labels_of(tmp_path, **texts):
    folder = tmp_path / 'labels'
    folder.mkdir()
    for name, text in texts.items():
        (folder / f'{name}.txt').write_text(text)
    return folder


@pytest.mark.parametrize(('walk', 'fault'), [
    (None, 'walk: no annotation file has this name; allowed: walk.txt, walk.csv'),
    ('valence,arousal\n0,0\n0,high\n',
     "walk.txt: line 3: arousal is 'high'; allowed: a number"),
    ('valence,arousal\n1.5,0\n', 'walk.txt: line 2: valence is 1.5; allowed: [-1, 1], or '
     'unlabelled (-5 in a file, NaN on the topic)'),
    ('valence,arousal\n', 'walk.txt: holds no value; allowed: at least one line'),
])
def test_annotations_are_refused_before_the_first_replay(bags, tmp_path, capsys, walk, fault):
    """Hours of replays were made first, and then most of their bags were not scored."""
    texts = {'talk': 'valence,arousal\n0\n', 'walk': walk}
    labels = labels_of(tmp_path, **{name: text for name, text in texts.items() if text})
    out = tmp_path / 'out'
    assert evaluated(bags, labels, out) == 1
    assert capsys.readouterr().err == (
        f'maven-ros: {labels}: nothing is replayed, because of these annotations:\n'
        f"  talk.txt: line 2: '0'; allowed: valence,arousal\n  {fault}\n")
    assert not out.exists()


def test_a_folder_that_is_not_there_is_refused_before_the_first_replay(bags, tmp_path, capsys):
    assert evaluated(bags, tmp_path / 'lables', tmp_path / 'out') == 1
    assert 'lables: no such folder of annotations' in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()


def test_a_bad_value_on_the_topic_is_refused_before_the_first_replay(tmp_path, capsys):
    bag = record(tmp_path / 'loud', annotated=True, valence=1.5)
    assert main(['evaluate', 'bags', str(bag), '--out', str(tmp_path / 'out'),
                 '--speech.recogniser', 'none']) == 1
    assert 'loud: /affect/annotation at 946684800000000000 ns: valence is 1.5' in (
        capsys.readouterr().err)
    assert not (tmp_path / 'out').exists()


def test_of_many_faults_the_first_are_listed(tmp_path, capsys):
    bags = [tmp_path / f'bag_{number}' for number in range(20)]
    assert evaluated(bags, labels_of(tmp_path, other='valence,arousal\n0,0\n'),
                     tmp_path / 'out') == 1
    said = capsys.readouterr().err
    assert said.count('no annotation file has this name') == 12 and said.endswith('and 8 more\n')


def test_lines_beyond_the_pictures_are_cut_if_asked_and_told(bags, tmp_path, capsys):
    """Some files of Aff-Wild2 have a line or two more, or fewer, than their video has frames."""
    lines = 'valence,arousal\n' + '0.5,0.5\n'
    labels = labels_of(tmp_path, talk=lines + '0,0\n' * 31, walk=lines + '0,0\n' * 27)
    assert evaluated(bags, labels, tmp_path / 'out') == 1
    assert ('talk.txt: 32 lines of values for 30 pictures; allowed: one per picture, or '
            '`evaluate bags --mismatch cut` for the first 30') in capsys.readouterr().out
    assert evaluated(bags, labels, tmp_path / 'out', '--mismatch', 'cut') == 0
    said = capsys.readouterr().out
    for uneven in ('talk.txt: 32 lines of values for 30 pictures: the first 30 are used',
                   'walk.txt: 28 lines of values for 30 pictures: the first 28 are used'):
        assert uneven in said and uneven in (tmp_path / 'out' / 'report.html').read_text()
    assert json.loads((tmp_path / 'out' / 'scores.json').read_text())['overall']['frames'] == 58
