"""An evaluation is replaced only by one that has all of it: a typo costs no result."""

import json

import pytest
from test_outcome import QUIET, record, scored_by

from maven_ros.cli.main import main
from maven_ros.errors import ResourceError
from maven_ros.report.benchmark import BenchmarkPlan
from maven_ros.report.kept import check_out


@pytest.fixture(scope='module')
def place(tmp_path_factory):
    """Two bags with the labels of three, and an evaluation with an ablation."""
    folder = tmp_path_factory.mktemp('kept')
    (folder / 'labels').mkdir()
    for name in ('talk', 'walk', 'run'):
        (folder / 'labels' / f'{name}.txt').write_text('valence,arousal\n' + '0,0\n' * 30)
    for name in ('talk', 'walk'):
        record(folder / name)
    scored_by(plan(folder, 'talk', 'walk', without=('video',)))
    return folder


def plan(folder, *bags, labels='labels', **changed):
    return BenchmarkPlan(tuple(folder / name for name in bags), folder / labels,
                         folder / 'out', QUIET, draws=10, **changed)


def evaluated(folder, *bags, labels='labels', out='out', more=()):
    return main(['evaluate', 'bags', *(str(folder / name) for name in bags), '--annotations',
                 str(folder / labels), '--out', str(folder / out), '--speech.recogniser', 'none',
                 '--draws', '10', *more])


def contents(folder):
    return {path: path.read_bytes() for path in sorted((folder / 'out').rglob('*'))
            if path.is_file()}


@pytest.mark.parametrize(('bags', 'more', 'lost'), [
    (['tlak', 'walk'], ['--without', 'video'], 'bag {}/talk; bag {}/talk without video'),
    (['talk'], ['--without', 'video'], 'bag {}/walk; bag {}/walk without video'),
    (['talk', 'walk'], [], "the ablation 'without video'"),
    (['talk', 'walk'], ['--without', 'audio'], "the ablation 'without video'"),
])
def test_an_evaluation_of_less_is_refused_before_the_first_replay(place, capsys, bags, more, lost):
    """A mistyped bag replaced the last evaluation by one of 0 frames."""
    before = contents(place)
    assert evaluated(place, *bags, more=more) == 1
    said = capsys.readouterr()
    assert said.err == (
        f'maven-ros: {place}/out: holds an evaluation that this one does not replace, because it '
        f'has more ({lost.replace("{}", str(place))}); name another folder with --out, or remove '
        'this one\n')
    assert contents(place) == before and not said.out


def test_other_annotations_and_another_bag_of_a_name_replace_nothing(place, tmp_path):
    with pytest.raises(ResourceError, match=r'has more \(scores by \S+/labels; scores by'):
        check_out(plan(place, 'talk', 'walk', labels='others', without=('video',)))
    record(tmp_path / 'talk')
    with pytest.raises(ResourceError, match=rf'has more \(bag {place}/talk; '):
        check_out(BenchmarkPlan((tmp_path / 'talk', place / 'walk'), place / 'labels',
                                place / 'out', QUIET, without=('video',)))


def test_what_could_not_be_scored_leaves_the_old_one_alone(place, capsys):
    """The folder of annotations has another content now: nothing of it fits."""
    before = contents(place)
    label = place / 'labels' / 'walk.txt'
    held = label.read_text()
    label.write_text('valence,arousal\n0,0\n')
    try:
        assert evaluated(place, 'talk', 'walk', more=['--without', 'video']) == 1
    finally:
        label.write_text(held)
    said = capsys.readouterr()
    assert 'walk.txt: 1 lines of values for 30 pictures' in said.out
    assert 'has more (scores of walk; scores of walk without video); name another' in said.err
    assert contents(place) == before


def test_the_same_evaluation_and_one_of_more_replace_it(place):
    record(place / 'run')
    assert evaluated(place, 'talk', 'walk', 'run', more=['--without', 'video', 'audio']) == 0
    scores = json.loads((place / 'out' / 'scores.json').read_text())
    assert [*scores['bags']] == ['run', 'talk', 'walk']


def test_an_evaluation_of_nothing_is_no_obstacle(place):
    assert evaluated(place, 'tlak', out='first', labels='labels') == 1
    assert evaluated(place, 'talk', out='first') == 0


def test_some_bags_with_the_labels_of_all_end_with_0(place, capsys):
    assert evaluated(place, 'talk', out='some') == 0
    assert 'annotation files without a bag (2): run.txt, walk.txt' in capsys.readouterr().out


def test_results_of_another_version_are_not_replaced(tmp_path, place):
    (tmp_path / 'scores.json').write_text('{"name": "full"}')
    with pytest.raises(ResourceError, match=r'scores\.json: was written by another version of '
                                            r'maven_ros; name another folder with --out'):
        check_out(BenchmarkPlan((place / 'talk',), None, tmp_path, QUIET))
