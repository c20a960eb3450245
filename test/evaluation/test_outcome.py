"""What is scored and what is not: stale replays, broken bags, and bags whose time goes back."""

import json
import shutil
import threading
from contextlib import nullcontext

import numpy as np
import pytest

from maven_ros.affect import Affect
from maven_ros.errors import ResourceError
from maven_ros.evaluation.bags import START_NS
from maven_ros.evaluation.benchmark import Plan, replay_all
from maven_ros.evaluation.outcome import score_replays
from maven_ros.evaluation.replayed import run_replay
from maven_ros.evaluation.report import write_report
from maven_ros.evaluation.sources import Sources
from maven_ros.evaluation.workers import Task
from maven_ros.graph.bag import BagGraph
from maven_ros.graph.convert import AFFECT_STATE, image_message, state_message
from maven_ros.graph.interface import STATE
from maven_ros.records import NS, AffectState, Modality, Status, VoiceAssigned
from maven_ros.settings import Settings

IMAGE = 'sensor_msgs/msg/Image'
QUIET = Settings().with_values({'speech.recogniser': 'none'})


def record(path, count=30, stamp=lambda at_ns: at_ns, topics=('/image',), annotated=False):
    """Write a bag of ten pictures a second, ten a chunk, and what somebody said of it."""
    pixels = np.random.default_rng(0).integers(0, 255, (160, 200, 3), np.uint8)
    with BagGraph(path, 'w') as bag:
        said = bag.advertise('affect/annotation', AFFECT_STATE, STATE) if annotated else None
        pictures = [bag.advertise(topic, IMAGE, STATE) for topic in topics]
        for bag.time_ns in range(START_NS, START_NS + count * NS // 10, NS // 10):
            for one in pictures:
                one.publish(image_message(stamp(bag.time_ns), pixels, 'camera'))
            if said:
                said.publish(state_message(AffectState(
                    bag.time_ns, bag.time_ns, Status.OK, '', Affect(0.5, 0.5), 0., 0.,
                    Modality.NONE, (0., 0., 0.), VoiceAssigned.NONE, '', None, '', ''), 0))
    return path


def cut(bag):
    [data] = bag.glob('*.mcap')
    data.write_bytes(data.read_bytes()[:data.stat().st_size // 2])
    return bag


def scored(tmp_path, *bags, annotations=None):
    plan = Plan(bags, annotations, tmp_path / 'out', QUIET, draws=10)
    errors = replay_all(plan, threading.Event(), lambda name: nullcontext(lambda *_: None))
    outcome = score_replays(plan, errors)
    write_report(outcome, tmp_path / 'out' / 'report.html')
    return outcome


def test_a_replay_of_which_anything_is_otherwise_is_no_result(tmp_path):
    bag = record(tmp_path / 'two', topics=('/a/image', '/b/image'))
    task = Task(bag, tmp_path / 'out', QUIET, sources=Sources(image='/a/image'))
    run_replay(task)
    run_replay(task)
    with pytest.raises(ResourceError, match=(
            r"out: was made otherwise \(image topic was '/a/image' and is '/b/image'\); remove "
            'it, or make all the same')):
        run_replay(Task(bag, task.out, QUIET, sources=Sources(image='/b/image')))
    path = task.out / 'summary.json'
    written = path.read_text()
    for name in ('model', 'device', 'torch', 'bag'):
        content = json.loads(written)
        content['identity'][name] = 'another'
        path.write_text(json.dumps(content))
        with pytest.raises(ResourceError, match=rf"otherwise \({name} was 'another' and is '"):
            run_replay(task)
    path.write_text(written)
    shutil.rmtree(bag)
    record(bag, 31, topics=('/a/image', '/b/image'))
    with pytest.raises(ResourceError, match=r'otherwise \(files was '):
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
    assert sorted(outcome.sets[0][1].bags) == ['timed', 'whole']
    [excluded] = outcome.excluded
    assert excluded.bag == 'counted' and '30 lines of values for ' in excluded.reason


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
