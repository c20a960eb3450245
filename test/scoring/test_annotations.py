"""Annotations: three forms read exactly, and everything wrong with them refused by name."""

import math

import numpy as np
import pytest

from maven_ros.affect import Affect
from maven_ros.errors import InputError, ResourceError
from maven_ros.graph.bag.bag_graph import BagGraph
from maven_ros.graph.convert import AFFECT_STATE, state_message
from maven_ros.graph.interface import STATE
from maven_ros.records import NS, AffectState, Modality, Status, VoiceAssigned
from maven_ros.scoring.annotations import (
    AnnotationFolder,
    check_people,
    read_file,
    read_topic,
)

EPOCH = 1_700_000_000 * NS
STAMPS = EPOCH + np.array([0, 40, 80, 125], np.int64) * 1_000_000  # the last picture is late


@pytest.fixture
def written(tmp_path):
    def write(text, name='talk.txt'):
        (tmp_path / name).write_text(text, encoding='utf-8')
        return tmp_path / name
    return write


def test_line_i_is_picture_i_and_minus_five_is_unlabelled(written):
    file = written('valence,arousal\n0.1,0.2\n-5,0.3\n0.5,-5\n-1,1\n\n')
    [one] = read_file(file, '', STAMPS)
    assert one.times_ns.tolist() == [STAMPS[0], STAMPS[3]]
    assert one.affect.tolist() == [[0.1, 0.2], [-1.0, 1.0]]
    assert (one.person, one.source, one.unlabelled) == ('', 'talk.txt', 2)


def test_times_count_from_the_first_picture_and_people_are_kept_apart(written):
    file = written('time_s,valence,arousal,person_id\n0,0.1,0.2,person_1\n0.5,0.3,0.4,person_2\n'
                   '1,-5,-5,person_1\n1.25,0.5,0.6,\n', 'talk.csv')
    first, second, rest = read_file(file, 'left', STAMPS)
    assert (first.person, second.person, rest.person) == ('person_1', 'person_2', 'left')
    assert (first.times_ns.tolist(), first.unlabelled) == ([EPOCH], 1)
    assert rest.times_ns.tolist() == [EPOCH + 1_250_000_000]


@pytest.mark.parametrize(('text', 'cause', 'message'), [
    ('0.1,0.2\n' * 4, 'missing_header', "begins with '0.1,0.2'; allowed: valence,arousal (a"),
    ('', 'missing_header', "begins with ''"),
    ('valence,arousal\n' + '0,0\n' * 5, 'line_count', '5 lines of values for 4 pictures'),
    ('valence,arousal\n0,0\n0,nan\n0,0\n0,0\n', 'bad_value', 'line 3: arousal is NaN; allowed'),
    ('valence,arousal\n0,0\n1.5,0\n', 'bad_value', 'line 3: valence is 1.5; allowed: [-1, 1]'),
    ('valence,arousal\n0,inf\n', 'bad_value', 'line 2: arousal is inf; allowed'),
    ('valence,arousal\n0,high\n', 'bad_value', "line 2: arousal is 'high'; allowed: a number"),
    ('valence,arousal\n0\n', 'bad_line', "line 2: '0'; allowed: valence,arousal"),
    ('time_s,valence,arousal\n', 'empty', 'holds no value'),
    ('time_s,valence,arousal\n1,0,0\n1,0,0\n', 'bad_time', 'line 3: time_s is 1; allowed: more'),
    ('time_s,valence,arousal\nnan,0,0\n', 'bad_time', 'line 2: time_s is nan'),
    ('time_s,valence,arousal\n1,0,0\n1e300,0,0\n', 'bad_time',
     'line 3: time_s is 1e300; allowed: more than 1, less than 1e+09'),
    ('time_s,valence,arousal\n-1e12,0,0\n', 'bad_time', 'allowed: more than -1e+09'),
    ('time_s,valence,arousal\n1,0\n', 'bad_line', "line 2: '1,0'; allowed: time_s,valence"),
    ('time_s,valence,arousal,mood\n1,0,0,0\n', 'missing_header', 'time_s,valence,arousal,mood'),
])
def test_a_bad_file_is_refused_with_its_line(written, text, cause, message):
    with pytest.raises(InputError) as refused:
        read_file(written(text), '', STAMPS)
    assert refused.value.cause == cause
    assert 'talk.txt: ' in str(refused.value) and message in str(refused.value)


def test_a_bag_without_pictures_and_a_file_that_is_no_text(written, tmp_path):
    with pytest.raises(InputError, match='no picture to count times from'):
        read_file(written('valence,arousal\n'), '', STAMPS[:0])
    (tmp_path / 'talk.txt').write_bytes(b'\xff\xfe\x00')
    with pytest.raises(InputError, match=r'talk.txt: cannot be read'):
        read_file(tmp_path / 'talk.txt', '', STAMPS)


def test_files_are_matched_by_name(written, tmp_path):
    for name in ('talk.txt', 'walk_left.txt', 'walk_right.csv', 'run_left.txt', 'other.txt'):
        written('valence,arousal\n', name)
    folder = AnnotationFolder(tmp_path, ['talk', 'walk', 'run_left', 'silent'])
    assert folder.of_bag('talk') == [(tmp_path / 'talk.txt', '')]
    assert folder.of_bag('walk') == [(tmp_path / 'walk_left.txt', 'left'),
                                     (tmp_path / 'walk_right.csv', 'right')]
    assert folder.of_bag('run_left') == [(tmp_path / 'run_left.txt', '')]
    assert folder.unmatched == [tmp_path / 'other.txt']
    with pytest.raises(InputError, match=r'silent: no annotation file has this name'):
        folder.of_bag('silent')


def test_two_files_about_the_same_person_are_refused(written, tmp_path):
    written('', 'talk.txt'), written('', 'talk.csv')
    with pytest.raises(InputError, match=r'talk: annotated more than once, by talk.csv, talk.txt'):
        AnnotationFolder(tmp_path, ['talk']).of_bag('talk')


def test_one_person_whom_two_files_name_is_annotated_twice(written, tmp_path):
    written('time_s,valence,arousal,person_id\n0,0,0,left\n0,1,1,right\n', 'talk.csv')
    written('time_s,valence,arousal\n0,0.5,0.5\n', 'talk_left.csv')
    found = [one for file, side in AnnotationFolder(tmp_path, ['talk']).of_bag('talk')
             for one in read_file(file, side, STAMPS)]
    check_people('talk', found[:2])
    with pytest.raises(InputError, match=r'talk: left is annotated 2 times, in talk.csv, '
                                         r'talk_left.csv; allowed: once') as refused:
        check_people('talk', found)
    assert refused.value.cause == 'ambiguous_annotation'


def test_a_folder_must_be_there_and_hold_some(tmp_path):
    with pytest.raises(ResourceError, match=r'nowhere: no such folder of annotations'):
        AnnotationFolder(tmp_path / 'nowhere', [])
    with pytest.raises(ResourceError, match=r'holds no annotations; allowed: NAME.txt'):
        AnnotationFolder(tmp_path, [])


@pytest.fixture
def annotated_bag(tmp_path):
    def write(*values, person='person_1'):
        with BagGraph(tmp_path / 'talk', 'w') as bag:
            topic = bag.advertise('affect/annotation', AFFECT_STATE, STATE)
            for index, (valence, arousal) in enumerate(values):
                bag.time_ns = EPOCH + index * NS
                topic.publish(state_message(AffectState(
                    bag.time_ns, bag.time_ns, Status.OK, person, Affect(valence, arousal), 0., 0.,
                    Modality.NONE, (0., 0., 0.), VoiceAssigned.NONE, '', None, '', ''), 0))
        return tmp_path / 'talk'
    return write


def test_a_topic_of_the_bag_is_read(annotated_bag):
    [one] = read_topic(annotated_bag((0.5, -0.25), (math.nan, 0.0), (1.0, 1.0)))
    assert one.times_ns.tolist() == [EPOCH, EPOCH + 2 * NS]
    assert one.affect.tolist() == [[0.5, -0.25], [1.0, 1.0]]
    assert (one.person, one.unlabelled) == ('person_1', 1)


def test_a_topic_with_a_bad_value_or_none_at_all_is_refused(annotated_bag):
    bag = annotated_bag((0.5, 0.5), (0.0, 1.5))
    with pytest.raises(InputError, match=r'/affect/annotation at \d+ ns: arousal is 1.5; allowed'):
        read_topic(bag)
    with pytest.raises(InputError, match=r'nothing on /mood; its topics: /affect/annotation'):
        read_topic(bag, 'mood')
