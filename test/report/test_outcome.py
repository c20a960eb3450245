"""What is scored and what is not: stale replays, broken bags, and bags whose time goes back."""

import json
import re
import shutil
import threading
from contextlib import nullcontext

import numpy as np
import pytest

from maven_ros.affect import Affect
from maven_ros.cli.main import main
from maven_ros.errors import InputError, ResourceError
from maven_ros.graph.bag.bag_graph import BagGraph
from maven_ros.graph.convert import (
    AFFECT_STATE,
    LIVE_SPEECH,
    audio_message,
    image_message,
    state_message,
)
from maven_ros.graph.interface import STATE
from maven_ros.graph.messages import new, time_message
from maven_ros.graph.sound import AUDIO_CHUNK
from maven_ros.records import NS, AffectState, AudioChunk, Modality, Status, VoiceAssigned
from maven_ros.replay.from_media import START_NS
from maven_ros.replay.pictures import picture_stamps
from maven_ros.replay.replayed import ReplayTask, run_replay
from maven_ros.replay.sources import Sources
from maven_ros.report.benchmark import BenchmarkPlan, replay_all
from maven_ros.report.console import as_text
from maven_ros.report.kept import write_sets
from maven_ros.report.outcome import score_replays
from maven_ros.report.page import write_report
from maven_ros.scoring.resultset import read_result_set
from maven_ros.settings import Settings

IMAGE = 'sensor_msgs/msg/Image'
QUIET = Settings().with_values({'speech.recogniser': 'none'})


def record(path, count=30, stamp=lambda at_ns: at_ns, topics=('/image',), annotated=False,
           sounds=(), valence=0.5):
    """Write a bag of ten pictures and words a second, and what somebody said of it."""
    pixels = np.random.default_rng(0).integers(0, 255, (160, 200, 3), np.uint8)
    with BagGraph(path, 'w') as bag:
        said = bag.advertise('affect/annotation', AFFECT_STATE, STATE) if annotated else None
        pictures = [bag.advertise(topic, IMAGE, STATE) for topic in topics]
        heard = [bag.advertise(topic, AUDIO_CHUNK, STATE) for topic in sounds]
        words = bag.advertise('/speech', LIVE_SPEECH, STATE)
        for bag.time_ns in range(START_NS, START_NS + count * NS // 10, NS // 10):
            for one in pictures:
                one.publish(image_message(stamp(bag.time_ns), pixels, 'camera'))
            words.publish(new(LIVE_SPEECH, header={'stamp': time_message(bag.time_ns)},
                              final='well', confidence=1.0))
            for one in heard:
                one.publish(audio_message(AudioChunk(
                    bag.time_ns, np.zeros((1600, 1), np.float32), 16000)))
            if said:
                said.publish(state_message(AffectState(
                    bag.time_ns, bag.time_ns, Status.OK, '', Affect(valence, 0.5), 0., 0.,
                    Modality.NONE, (0., 0., 0.), VoiceAssigned.NONE, '', None, '', ''), 0))
    return path


def cut(bag):
    [data] = bag.glob('*.mcap')
    data.write_bytes(data.read_bytes()[:data.stat().st_size // 2])
    return bag


def scored(tmp_path, *bags, annotations=None):
    return scored_by(BenchmarkPlan(bags, annotations, tmp_path / 'out', QUIET, draws=10))


def scored_by(plan):
    errors = replay_all(plan, threading.Event(), lambda name: nullcontext(lambda *_: None))
    outcome = score_replays(plan, errors)
    write_sets(outcome)
    write_report(outcome, plan.out / 'report.html')
    return outcome


def test_a_replay_of_which_anything_is_otherwise_is_no_result(tmp_path):
    bag = record(tmp_path / 'two', topics=('/a/image', '/b/image'))
    task = ReplayTask(bag, tmp_path / 'out', QUIET, sources=Sources(image='/a/image'))
    run_replay(task)
    run_replay(task)
    with pytest.raises(ResourceError, match=(
            r"out: was made differently \(image topic was '/a/image' and is '/b/image'\); remove "
            'it, or use the same settings')):
        run_replay(ReplayTask(bag, task.out, QUIET, sources=Sources(image='/b/image')))
    path = task.out / 'summary.json'
    written = path.read_text()
    for name in ('model', 'device', 'torch', 'bag'):
        content = json.loads(written)
        content['identity'][name] = 'another'
        path.write_text(json.dumps(content))
        with pytest.raises(ResourceError, match=rf"differently \({name} was 'another' and is '"):
            run_replay(task)
    path.write_text(json.dumps({'of': 'another version'}))
    with pytest.raises(ResourceError, match='json: was written by another version of maven_ros; '
                                            'remove the folder to replay again'):
        run_replay(task)
    path.write_text(written)
    shutil.rmtree(bag)
    record(bag, 31, topics=('/a/image', '/b/image'))
    with pytest.raises(ResourceError, match=r'differently \(files was '):
        run_replay(task)


def test_a_truncated_bag_is_scored_as_far_as_it_is_whole_and_takes_no_other_with_it(tmp_path):
    folder = tmp_path / 'annotations'
    folder.mkdir()
    bags = [record(tmp_path / 'whole'), cut(record(tmp_path / 'timed')),
            cut(record(tmp_path / 'counted'))]
    lines = ''.join(f'{index / 10},0,0\n' for index in range(30))
    for name in ('whole', 'timed'):
        (folder / f'{name}.csv').write_text(f'time_s,valence,arousal\n{lines}')
    (folder / 'counted.txt').write_text('valence,arousal\n' + '0,0\n' * 30)
    outcome = scored(tmp_path, *bags, annotations=folder)
    assert not outcome.failed and outcome.cases[1].replayed.summary.broken
    assert [one.bag for one in outcome.lossy] == ['timed', 'counted'] and not outcome.complete
    assert sorted(outcome.sets[0][1].bags) == ['timed', 'whole']
    [excluded] = outcome.excluded
    assert excluded.bag == 'counted' and '30 lines of values for ' in excluded.reason


def test_lossy_bags_are_named_first_everywhere_and_no_result_of_them_is_complete(
        tmp_path, capsys):
    whole = record(tmp_path / 'whole', annotated=True)
    frozen = record(tmp_path / 'frozen', stamp=lambda at_ns: START_NS, annotated=True)
    outcome = scored(tmp_path, whole, frozen)
    assert {one.bag for one in outcome.lossy} == {'frozen'} and not outcome.excluded
    assert not outcome.complete
    said = 'all 30 stamps of /image are 946684800000000000 ns; its driver does not advance them'
    assert f'LOSSY: frozen: {said}' in as_text(outcome).splitlines()[0]
    written = json.loads((tmp_path / 'out' / 'scores.json').read_text())
    assert written['lossy'][0] == {'bag': 'frozen', 'source': str(frozen), 'reason': said}
    page = (tmp_path / 'out' / 'report.html').read_text()
    assert page.index('Incomplete: 1 of 2 bags') < page.index('All bags together')
    assert f'<li>frozen: {said}; ' in page
    arguments = ['--out', str(tmp_path / 'out'), '--speech.recogniser', 'none', '--draws', '10']
    assert main(['evaluate', 'bags', str(whole), str(frozen), *arguments]) == 1
    assert main(['evaluate', 'bags', str(whole), '--out', str(tmp_path / 'whole_alone'),
                 *arguments[2:]]) == 0
    assert 'LOSSY: frozen' in capsys.readouterr().out


def test_unlabelled_frames_are_counted_and_a_file_of_them_alone_is_not_scored(tmp_path):
    folder = tmp_path / 'annotations'
    folder.mkdir()
    (folder / 'talk.txt').write_text('valence,arousal\n' + '0,0\n' * 23 + '-5,0\n' * 7)
    (folder / 'walk.csv').write_text('time_s,valence,arousal,person_id\n' + ''.join(
        f'{index / 10},-5,-5,ann\n{index / 10},{-5 * (index < 3)},0,\n' for index in range(30)))
    (folder / 'none.txt').write_text('valence,arousal\n' + '-5,-5\n' * 30)
    bags = [record(tmp_path / name) for name in ('talk', 'walk', 'none')]
    outcome = scored(tmp_path, *bags, annotations=folder)
    assert [(one.bag, one.source, one.reason) for one in outcome.excluded] == [
        ('walk', 'walk.csv', 'walk: all 30 values of ann in walk.csv are unlabelled'),
        ('none', 'none.txt', 'none: all 30 values in none.txt are unlabelled')]
    assert not outcome.complete
    text = as_text(outcome)
    assert '2 of 3 bags scored, 50 annotated frames' in text
    assert '  10 more frames are unlabelled: talk 7, walk 3' in text
    written = json.loads((tmp_path / 'out' / 'scores.json').read_text())
    assert [written['bags'][name]['unlabelled'] for name in ('talk', 'walk')] == [7, 3]
    assert written['overall']['unlabelled'] == 10 and not written['complete']
    assert '; 10 more are unlabelled' in (tmp_path / 'out' / 'report.html').read_text()
    assert [one.unlabelled for one in read_result_set(tmp_path / 'out').pairs] == [7, 3]


def test_where_no_annotated_frame_has_a_state_the_result_is_not_complete(tmp_path):
    folder = tmp_path / 'annotations'
    folder.mkdir()
    (folder / 'talk.csv').write_text('time_s,valence,arousal\n99,0,0\n')
    outcome = scored(tmp_path, record(tmp_path / 'talk'), annotations=folder)
    assert not outcome.excluded and not outcome.lossy and not outcome.complete
    text = as_text(outcome)
    assert '0 of 1 bags scored, 1 annotated frames, 0.0% of them' in text
    assert 'without a state: 1 no window' in text and 'CCC' not in text


def test_pictures_that_cannot_be_counted_are_told_with_their_bag_and_number(tmp_path):
    with BagGraph(tmp_path / 'depth', 'w') as bag:
        pictures = bag.advertise('/image', IMAGE, STATE)
        for bag.time_ns in (START_NS, START_NS + NS):
            message = image_message(bag.time_ns, np.zeros((4, 4, 3), np.uint8), 'camera')
            message.encoding = 'bgr8' if bag.time_ns == START_NS else '32FC1'
            pictures.publish(message)
    with pytest.raises(InputError, match=(
            r"depth: picture 2 cannot be counted: Image\.encoding: '32FC1'")) as refused:
        picture_stamps(tmp_path / 'depth', '/image')
    assert refused.value.cause == 'unknown_encoding'


def test_topics_that_are_named_hold_for_the_counting_of_pictures_too(tmp_path):
    folder = tmp_path / 'annotations'
    folder.mkdir()
    (folder / 'two.txt').write_text('valence,arousal\n' + '0,0\n' * 30)
    bag = record(tmp_path / 'two', topics=('/a/image', '/b/image'),
                 sounds=('/a/sound', '/b/sound'))
    plan = BenchmarkPlan((bag,), folder, tmp_path / 'out', QUIET, draws=10,
                sources=Sources(image='/a/image', audio='/b/sound'))
    outcome = scored_by(plan)
    assert not outcome.excluded and outcome.sets[0][1].overall.frames == 30


def test_what_a_truncated_bag_says_of_itself_is_listed_with_the_break(tmp_path):
    outcome = scored(tmp_path, record(tmp_path / 'whole', annotated=True),
                     cut(record(tmp_path / 'cut', annotated=True)))
    assert list(outcome.sets[0][1].bags) == ['whole'] and not outcome.failed
    [excluded] = outcome.excluded
    assert excluded.source == '/affect/annotation' and 'broken at byte' in excluded.reason


def test_a_bag_whose_stamps_begin_anew_is_not_scored_on_a_mixture(tmp_path):
    folder = tmp_path / 'annotations'
    folder.mkdir()
    (folder / 'loop.txt').write_text('valence,arousal\n' + '0,0\n' * 60)
    loop = record(tmp_path / 'loop', 60, lambda at_ns: START_NS + (at_ns - START_NS) % (3 * NS))
    outcome = scored(tmp_path, loop, annotations=folder)
    [excluded] = outcome.excluded
    assert not outcome.sets[0][0].pairs and excluded.source == 'loop.txt'
    assert 'loop: picture 31 has the stamp 946684800000000000 ns and the one before' \
        in excluded.reason


def test_a_person_whom_two_files_name_is_not_scored_twice(tmp_path):
    folder = tmp_path / 'annotations'
    folder.mkdir()
    (folder / 'talk.csv').write_text('time_s,valence,arousal,person_id\n0,0,0,left\n')
    (folder / 'talk_left.csv').write_text('time_s,valence,arousal\n0,0.5,0.5\n')
    [excluded] = scored(tmp_path, record(tmp_path / 'talk'), annotations=folder).excluded
    assert excluded.source == 'talk.csv, talk_left.csv'
    assert 'talk: left is annotated 2 times, in talk.csv, talk_left.csv' in excluded.reason


def test_what_people_said_is_in_the_report_only_if_asked(tmp_path):
    folder = tmp_path / 'annotations'
    folder.mkdir()
    (folder / 'talk.txt').write_text('valence,arousal\n' + '0,0\n' * 30)
    outcome = scored(tmp_path, record(tmp_path / 'talk'), annotations=folder)
    path = tmp_path / 'out' / 'report.html'
    assert 'well' not in path.read_text()
    write_report(outcome, path, words=True)
    page = path.read_text()
    assert re.search(r'<p class="small">“well well.*”</p>', page)  # of the worst seconds
    assert re.search(r'</time> well</li>', page) and '>well<' in page  # the list, the timeline
    assert 'This report holds the words of the people recorded; pictures are not in it' in page
