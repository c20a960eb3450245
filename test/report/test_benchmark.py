"""A benchmark from bags to report: nothing is lost in silence, and workers change nothing."""

import json
import math
import re
import shutil
from pathlib import Path

import pytest
from inputs import SAMPLE

from maven_ros.affect import Affect
from maven_ros.cli.main import main
from maven_ros.errors import SettingsError
from maven_ros.graph.bag.bag_graph import BagGraph
from maven_ros.graph.convert import AFFECT_STATE, state_message
from maven_ros.graph.interface import SENSOR, STATE
from maven_ros.records import NS, AffectState, Modality, Status, VoiceAssigned
from maven_ros.replay.from_media import START_NS, bags_from_media
from maven_ros.replay.pictures import picture_stamps, pictures_at
from maven_ros.report.benchmark import BenchmarkPlan
from maven_ros.scoring.resultset import read_result_set
from maven_ros.settings import Settings

QUIET = ['--speech.recogniser', 'none']
LENGTH_NS = 5 * NS
PICTURES = '/camera/image_raw/compressed'


@pytest.fixture(scope='module')
def bags(tmp_path_factory):
    """Two short bags of the shipped clip; the second annotates itself."""
    folder = tmp_path_factory.mktemp('bags')
    whole = bags_from_media([SAMPLE], folder, width=320)[0].path
    for name in ('talk', 'walk'):
        with BagGraph(whole) as source, BagGraph(folder / name, 'w') as bag:
            topics = source.topics()
            out = {topic: bag.advertise(topic, kind, SENSOR) for topic, kind in topics.items()}
            for one in source.read([*topics], end_ns=START_NS + LENGTH_NS):
                out[one.topic].publish_cdr(one.cdr, one.received_ns)
            if name == 'walk':
                annotate(bag)
    return folder / 'talk', folder / 'walk'


def annotate(bag):
    topic = bag.advertise('affect/annotation', AFFECT_STATE, STATE)
    for index in range(30):
        bag.time_ns = START_NS + 2 * NS + index * NS // 10
        topic.publish(state_message(AffectState(
            bag.time_ns, bag.time_ns, Status.OK, '', Affect(math.sin(index), 0.5), 0., 0.,
            Modality.NONE, (0., 0., 0.), VoiceAssigned.NONE, '', None, '', ''), 0))


@pytest.fixture(scope='module')
def annotations(bags, tmp_path_factory):
    folder = tmp_path_factory.mktemp('annotations')
    count = len(picture_stamps(bags[0], PICTURES))
    lines = ''.join(f'{math.sin(index / 9):.3f},{math.cos(index / 7):.3f}\n'
                    for index in range(count - 1))
    (folder / 'talk.txt').write_text(f'valence,arousal\n{lines}-5,-5\n')
    for name in ('walk', 'broken'):
        (folder / f'{name}.txt').write_text('valence,arousal\n0,0\n')
    (folder / 'elsewhere.csv').write_text('time_s,valence,arousal\n0,0,0\n')
    return folder


@pytest.fixture(scope='module')
def done(bags, annotations, tmp_path_factory):
    """The whole command, with all that can be missing missing; its folder."""
    out = tmp_path_factory.mktemp('out') / 'evaluation'
    shutil.copytree(bags[0], bags[0].with_name('broken'))
    (bags[0].with_name('broken') / 'talk.mcap').write_text('nothing')
    code = main(['evaluate', 'bags', *map(str, bags), str(bags[0].with_name('broken')),
                 '--annotations', str(annotations), '--out', str(out), '--without', 'video',
                 '--offset-search', '0.5', '--pictures', *QUIET])
    assert code == 1
    return out


def test_what_could_not_be_scored_is_listed_and_the_rest_is_scored(bags, done):
    scores = json.loads((done / 'scores.json').read_text())
    assert {one['bag'] for one in scores['excluded']} == {'broken', 'walk'}
    reasons = ' '.join(one['reason'] for one in scores['excluded'])
    assert 'walk.txt: 1 lines of values for' in reasons and 'broken' in reasons
    assert list(scores['bags']) == ['talk']
    overall = scores['overall']
    assert overall['frames'] == len(picture_stamps(bags[0], PICTURES)) - 1
    assert overall['unlabelled'] == scores['bags']['talk']['unlabelled'] == 1
    assert scores['unmatched'] == ['elsewhere.csv'] and not scores['complete']
    evidence = scores['evidence']
    assert set(evidence['bags']) == {'talk', 'walk'} and evidence['people'][0]['bag'] == 'talk'
    for shares in (evidence['overall'], *evidence['bags'].values(),
                   evidence['people'][0]['evidence']):
        assert sum(shares.values()) == pytest.approx(1) and 'face + voice' in shares
    assert 0 < overall['coverage'] < 1 and overall['missing']['no_window'] > 0
    ccc = overall['scores']['valence_ccc']
    assert -1 <= ccc['value'] <= 1 and ccc['low'] is None
    assert 'no intervals: 1 blocks of 10 s' in overall['resampling']
    assert -0.5 <= scores['about']['offset_s'] <= 0.5


def test_the_report_stands_alone_and_says_what_is_missing(done):
    page = (done / 'report.html').read_text()
    links = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert all(link.startswith(('#', 'data:')) for link in links)
    assert '@import' not in page and '<script' not in page and '<link' not in page
    assert 'Untrained weights.' not in page
    for text in ('broken', 'walk.txt: 1 lines of values', 'elsewhere.csv',
                 'without video', 'Worst ten seconds', 'Delay of the raters'):
        assert text in page
    assert 'This report holds pictures of the people recorded; their words are not in' in page
    assert page.count('data:image/jpeg;base64,') == 6 and page.count('<svg') >= 5


def test_an_ablation_is_a_result_of_its_own(done, capsys):
    full, blind = read_result_set(done), read_result_set(done / 'without_video')
    assert (full.name, blind.name) == ('full', 'without video')
    assert sum(one.covered.sum() for one in blind.pairs) < sum(
        one.covered.sum() for one in full.pairs)
    assert main(['compare', str(done), str(done / 'without_video')]) == 0
    said = capsys.readouterr().out
    assert 'frames with a state in both' in said and '0 in without video alone' in said


def test_workers_change_nothing(bags, done, tmp_path):
    out = tmp_path / 'two'
    assert main(['evaluate', 'bags', *map(str, bags), '--out', str(out), *QUIET,
                 '--workers', '2']) == 0
    for name in ('talk', 'walk'):
        for table in ('states.parquet', 'states.csv'):
            assert (out / 'replays' / name / table).read_bytes() == (
                done / 'replays' / name / table).read_bytes()
    scores = json.loads((out / 'scores.json').read_text())
    assert list(scores['bags']) == ['walk'] and scores['overall']['frames'] == 30
    page = (out / 'report.html').read_text()
    assert 'not scored' in page and page.count('id="bag-') == 2
    assert 'Worst ten seconds' in page and 'data:image/jpeg' not in page
    assert 'No pictures and no words of the people recorded are in this report' in page


def test_a_ray_cluster_changes_nothing(bags, done, tmp_path, monkeypatch):
    pytest.importorskip('ray', reason='ray is not installed')
    from ray.cluster_utils import Cluster

    monkeypatch.setenv('RAY_USAGE_STATS_ENABLED', '0')
    monkeypatch.setenv('RAY_worker_niceness', '0')  # by default they give way to all else
    cluster = Cluster(initialize_head=True, head_node_args={'num_cpus': 1})
    try:
        cluster.add_node(num_cpus=1)
        code = main(['evaluate', 'bags', *map(str, bags), '/nowhere/bag', '--out',
                     str(tmp_path / 'ray'), '--ray', cluster.address, *QUIET])
    finally:
        cluster.shutdown()
    assert code == 1  # for the bag that is nowhere
    for name in ('states.parquet', 'states.csv'):
        assert (tmp_path / 'ray' / 'replays' / 'talk' / name).read_bytes() == (
            done / 'replays' / 'talk' / name).read_bytes()
    assert '/nowhere/bag: no such bag' in (tmp_path / 'ray' / 'report.html').read_text()


def test_a_replay_that_was_made_otherwise_is_no_result_and_replaces_none(
        bags, done, tmp_path, capsys):
    out = tmp_path / 'again'
    shutil.copytree(done / 'replays', out / 'replays')
    evaluate = ['evaluate', 'bags', str(bags[1]), '--out', str(out), *QUIET]
    assert main(evaluate) == 0
    before = contents(out)
    assert main([*evaluate, '--windows.hop_s', '0.5']) == 1
    said = capsys.readouterr()
    assert "was made differently (windows.hop_s was '0.2' and is '0.5')" in said.out
    assert f'{out}: holds an evaluation that this one does not replace' in said.err
    assert contents(out) == before


def contents(out):
    return {path: path.read_bytes() for path in out.iterdir() if path.is_file()}


def test_a_plan_that_cannot_be_carried_out_is_refused(tmp_path):
    def plan(**changed):
        return BenchmarkPlan(**{'bags': (tmp_path / 'a',), 'annotations': None, 'out': tmp_path,
                       'settings': Settings(), **changed})

    with pytest.raises(SettingsError, match=r"bags: 2 have the name 'a'"):
        plan(bags=(tmp_path / 'a', tmp_path / 'b' / 'a'))
    with pytest.raises(SettingsError, match=r"without: 'smell' is no modality or pathway"):
        plan(without=('smell',))
    with pytest.raises(SettingsError, match=r'offset-search: 31 is not in \[0, 30\] s'):
        plan(offset_search_s=31)


def test_a_plan_means_the_same_wherever_it_is_carried_out(tmp_path, monkeypatch):
    (tmp_path / 'vosk').mkdir()
    monkeypatch.chdir(tmp_path)
    plan = BenchmarkPlan((Path('a'),), None, Path('out'), Settings().with_values(
        {'speech.vosk_model': 'vosk'}))
    [task] = plan.tasks()
    assert (task.bag, task.out) == (tmp_path / 'a', tmp_path / 'out' / 'replays' / 'a')
    assert task.settings.speech.vosk_model == str(tmp_path / 'vosk')


def test_pictures_are_those_of_their_times(bags):
    stamps = picture_stamps(bags[0], PICTURES)
    assert (stamps[1:] > stamps[:-1]).all()
    asked = [int(stamps[0]) - 1, int(stamps[3]), int(stamps[10]) + 1, int(stamps[-1]) + 2 * NS]
    before, fourth, eleventh, after = pictures_at(bags[0], asked, PICTURES)
    assert before is None and after is None
    assert (fourth[0], eleventh[0]) == (stamps[3], stamps[10])
    assert fourth[1].shape[1:] == (320, 3)
