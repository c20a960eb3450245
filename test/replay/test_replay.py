"""Bags replayed: the same states every time, after any interruption, from any bag."""

import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from dataclasses import replace as changed

import numpy as np
import pytest
from stopping import After

from maven_ros.cli.bag_commands import described
from maven_ros.cli.main import main
from maven_ros.errors import GraphError, ResourceError, SettingsError
from maven_ros.freezing import decode, encode
from maven_ros.graph.bag.bag_graph import BagGraph
from maven_ros.graph.convert import audio_message, event_record, image_message
from maven_ros.graph.interface import STATE
from maven_ros.graph.messages import from_cdr, new, to_cdr
from maven_ros.graph.topics import hear_affect
from maven_ros.records import NS, AudioChunk, EventKind, Modality, Status
from maven_ros.replay import results
from maven_ros.replay.from_media import START_NS
from maven_ros.replay.journal import read_checkpoint
from maven_ros.replay.replay import ReplayOptions, default_out, replay
from maven_ros.replay.replayed import read_replayed
from maven_ros.replay.sources import Sources
from maven_ros.replay.state_table import read_states
from maven_ros.replay.summary import read_summary
from maven_ros.settings import Settings

QUIET = Settings().with_values({'speech.recogniser': 'none'})
IMAGE, CHUNK = 'sensor_msgs/msg/Image', 'maven_ros/msg/AudioChunk'
STAMPED, DATA = 'audio_common_msgs/msg/AudioStamped', 'audio_common_msgs/msg/AudioData'
BOOL, SPEECH = 'std_msgs/msg/Bool', 'hri_msgs/msg/LiveSpeech'
TABLES = ('states.parquet', 'states.csv')
RESTS = ReplayOptions(rest_s=2.0, duration_s=8.0)
T0 = START_NS


@pytest.fixture(scope='module')
def whole(sample, tmp_path_factory):
    """Its replay, which nobody interrupted."""
    out = tmp_path_factory.mktemp('whole') / 'out'
    return out, replay(sample, Settings(), out, RESTS)


@pytest.fixture(scope='module')
def begun(sample, tmp_path_factory):
    """The folder of a replay that was interrupted, and its bag."""
    out = tmp_path_factory.mktemp('begun') / 'out'
    assert replay(sample, QUIET, out, ReplayOptions(rest_s=0.5), After(150)) is None
    return out, sample


def tables(out):
    return [(out / name).read_bytes() for name in TABLES]


def made(out):
    """Return the smoothed states and the events of a replay, as bytes, and when they came."""
    heard = []
    with BagGraph(out / 'bag') as bag:
        for topic, msgtype in bag.topics().items():
            if topic in ('/affect/state_smoothed', '/affect/event'):
                bag.subscribe(topic, msgtype, STATE, heard.append)
        bag.play()
    return heard


def picture(stamp_ns, value=0):
    return image_message(stamp_ns, np.full((48, 64, 3), value, np.uint8), 'camera')


def sound(stamp_ns, n=1600):
    return audio_message(AudioChunk(stamp_ns, np.zeros((n, 1), np.float32), 16000))


def write(path, messages, storage='mcap'):
    """Write a bag of (topic, type, message, arrival in ns)."""
    with BagGraph(path, 'w', storage) as bag:
        publishers = {}
        for topic, msgtype, message, at_ns in messages:
            if topic not in publishers:
                publishers[topic] = bag.advertise(topic, msgtype, STATE)
            publishers[topic].publish_cdr(to_cdr(message, msgtype), at_ns)
    return path


def moments(seconds=2.0, begin_ns=T0):
    return [begin_ns + i * NS // 10 for i in range(round(seconds * 10))]


def camera(seconds=2.0, stamp=lambda at_ns: at_ns, topic='/camera/image_raw'):
    return [(topic, IMAGE, picture(stamp(at)), at) for at in moments(seconds)]


def microphone(seconds=2.0, topic='/audio', stamp=lambda at_ns: at_ns):
    return [(topic, CHUNK, sound(stamp(at)), at + NS // 10) for at in moments(seconds)]


# --- the same every time ---------------------------------------------------------------------


def test_all_that_a_replay_leaves_says_the_same(sample, whole):
    out, summary = whole
    heard, utterances, arrivals = [], [], []
    with BagGraph(out / 'bag') as bag:
        hear_affect(bag, lambda state, latency_s: heard.append((state, latency_s)),
                    utterances.append)
        bag.subscribe('/affect/state', 'maven_ros/msg/AffectState', STATE,
                      lambda received: arrivals.append(received.received_ns))
        bag.play()
    kinds = [event_record(from_cdr(one.cdr, one.msgtype)).kind for one in made(out)
             if one.topic == '/affect/event']
    assert len(kinds) == summary.events and kinds[0] is EventKind.APPEARED
    assert len(made(out)) == summary.states + summary.events
    states = read_states(out / 'states.parquet')
    assert repr(states) == repr([state for state, _ in heard])  # NaN is not equal to itself
    assert len(states) == summary.states >= summary.windows >= 38
    assert summary == read_summary(out) and summary.people == ['person_1']
    assert sum(one.is_final for one in utterances) == summary.utterances >= 2
    assert any(state.modalities == 7 for state in states)
    # Latency is what waiting took in the bag's own time; computing is not in it.
    for (state, latency_s), arrival_ns in zip(heard, arrivals, strict=True):
        assert latency_s * NS == pytest.approx(arrival_ns - state.window_end_ns, abs=1000)
    assert max(latency_s for _, latency_s in heard) < 0.3
    lines = (out / 'states.csv').read_text().splitlines()
    assert len(lines) == len(states) + 1 and lines[0].startswith('"window_start_ns","window_end')
    assert len((out / 'timing.csv').read_text().splitlines()) > 38
    assert {path.name for path in out.iterdir()} == {
        'bag', 'summary.json', 'timing.csv', *TABLES}
    with pytest.raises(ResourceError, match='out: holds a finished replay'):
        replay(sample, Settings(), out)


def test_an_interrupted_replay_goes_on_to_the_same_table(sample, whole, tmp_path):
    for taken in (250, 0, 230):  # the second is interrupted before it does anything
        assert replay(sample, Settings(), tmp_path, RESTS, After(taken)) is None
        assert (tmp_path / 'unfinished' / 'checkpoint').exists()
    summary = replay(sample, Settings(), tmp_path, RESTS)
    assert tables(tmp_path) == tables(whole[0])
    assert made(tmp_path) == made(whole[0])
    assert summary.resumed and not (tmp_path / 'unfinished').exists()
    expected = changed(whole[1], wall_s=0, inference_ms={}, resumed=True)
    assert changed(summary, wall_s=0, inference_ms={}) == expected


def test_a_signal_ends_the_command_in_order_and_the_same_command_goes_on(
        sample, tmp_path, capsys):
    command = ['replay', str(sample), '--out', str(tmp_path / 'out'), '--speech.recogniser',
               'none', '--duration', '3']
    first = subprocess.Popen([sys.executable, '-m', 'maven_ros', *command, '--rate', '0.5'],
                             stderr=subprocess.PIPE, text=True)
    journal = tmp_path / 'out' / 'unfinished' / 'journal'
    while (not journal.exists() or not journal.stat().st_size) and first.poll() is None:
        time.sleep(0.01)
    first.send_signal(signal.SIGTERM)
    _, said = first.communicate(timeout=60)
    assert first.returncode == 128 + signal.SIGTERM
    assert 'interrupted; the same command continues' in said
    assert main(command) == 0
    said = capsys.readouterr().out
    assert 'times real time' in said and str(tmp_path / 'out') in said
    assert read_summary(tmp_path / 'out').windows >= 13


def test_what_was_begun_otherwise_is_refused_by_what_differs(begun):
    out, bag = begun
    with pytest.raises(ResourceError, match=r"begun differently \(faces.rate_hz was '10.0' and is "
                                            r"'5.0'\); remove it"):
        replay(bag, QUIET.with_values({'faces.rate_hz': 5.0}), out, ReplayOptions(rest_s=0.5))


@pytest.mark.parametrize(('part', 'name', 'said'), [
    (('intake',), 'stamps', "'stamps'"), (('pipeline',), 'speaker', "'speaker'"),
    (('pipeline', 'windows'), '_frame_id', 'Windows: _frame_id')])
def test_what_another_version_gathered_is_refused_by_what_it_lacks(
        begun, tmp_path, part, name, said):
    shutil.copytree(begun[0], tmp_path / 'out')
    path = tmp_path / 'out' / 'unfinished' / 'checkpoint'
    found = read_checkpoint(path)
    state = decode(found.state)
    lacking = state
    for key in part:
        lacking = lacking[key]
    del lacking[name]
    changed(found, state=encode(state)).write(path)
    with pytest.raises(ResourceError, match=f'another version of maven_ros, which differs in '
                                            f'{said}; remove it, or choose another folder'):
        replay(begun[1], QUIET, tmp_path / 'out', ReplayOptions(rest_s=0.5))


def test_a_part_of_a_bag_is_replayed_at_a_rate(sample, tmp_path):
    began = time.monotonic()
    summary = replay(sample, QUIET, tmp_path, ReplayOptions(
        start_s=2.0, duration_s=1.0, rate=2.0, storage='sqlite3'))
    assert time.monotonic() - began >= 0.45
    states = read_states(tmp_path / 'states.parquet')
    assert 1 <= summary.windows <= 6
    assert START_NS + 2 * NS < states[0].window_end_ns < states[-1].window_end_ns <= \
        START_NS + 3 * NS
    assert list((tmp_path / 'bag').glob('*.db3'))


@pytest.mark.parametrize(('options', 'message'), [
    ({'start_s': -1.0}, r'start_s: -1.0; allowed: \[0, 1e9\)'),
    ({'rate': float('nan')}, 'rate: nan'), ({'storage': 'zip'}, "storage: 'zip'; allowed: mcap")])
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(SettingsError, match=message):
        ReplayOptions(**options)


def test_nothing_in_the_time_asked_for_is_an_error(sample, tmp_path):
    with pytest.raises(GraphError, match='nothing was recorded in'):
        replay(sample, QUIET, tmp_path, ReplayOptions(start_s=100.0))


# --- what is there already -------------------------------------------------------------------


def test_nothing_is_overwritten_or_removed_that_no_replay_has_left(tmp_path):
    bag = write(tmp_path / 'rec' / 'bag', camera())
    [data] = bag.glob('*.mcap')
    for source, out in ((bag, tmp_path / 'rec'), (data, tmp_path / 'rec'), (bag, bag)):
        with pytest.raises(ResourceError, match=r'rec\S*: the result would be in .*/bag, and the '
                                                r'bag is .*; allowed: a folder apart'):
            replay(source, QUIET, out)
    mine = tmp_path / 'mine'
    (mine / 'unfinished').mkdir(parents=True)
    for name in ('states.csv', 'unfinished/thesis.txt'):
        (mine / name).write_text('mine')
    with pytest.raises(ResourceError, match=r'mine: holds states.csv, unfinished that no replay '
                                            r'has written; allowed: a folder without'):
        replay(bag, QUIET, mine)
    assert {path.read_text() for path in mine.rglob('*') if path.is_file()} == {'mine'}
    assert replay(bag, QUIET, tmp_path / 'out').messages == 20


def test_what_appears_while_a_replay_runs_stays_and_it_can_be_ended_later(tmp_path):
    class Meddler(threading.Event):
        def is_set(self):
            (tmp_path / 'out' / 'bag').mkdir(exist_ok=True)
            return False

    bag = write(tmp_path / 'rec', camera())
    with pytest.raises(ResourceError, match='out: holds bag that no replay has written'):
        replay(bag, QUIET, tmp_path / 'out', stop=Meddler())
    (tmp_path / 'out' / 'bag').rmdir()
    assert replay(bag, QUIET, tmp_path / 'out').messages == 20


def test_a_replay_that_died_while_it_put_its_results_in_place_is_ended(tmp_path, monkeypatch):
    bag = write(tmp_path / 'rec', camera())
    with monkeypatch.context() as patch:
        def die(summary, path):
            raise KeyboardInterrupt

        patch.setattr('maven_ros.replay.summary.Summary.write', die)
        with pytest.raises(KeyboardInterrupt):
            replay(bag, QUIET, tmp_path / 'out')
    assert (tmp_path / 'out' / 'bag').exists()
    assert replay(bag, QUIET, tmp_path / 'out').messages == 20
    assert {path.name for path in (tmp_path / 'out').iterdir()} == {
        'bag', 'summary.json', 'timing.csv', *TABLES}


def test_no_other_replay_comes_between_while_results_are_written(tmp_path, monkeypatch):
    bag, refused = write(tmp_path / 'rec', camera()), []
    write_tables = results.write_tables

    def with_another(*arguments):
        with pytest.raises(ResourceError, match='journal: another replay is writing it'):
            replay(bag, QUIET, tmp_path / 'out')
        refused.append(True)
        write_tables(*arguments)

    monkeypatch.setattr(results, 'write_tables', with_another)
    summary = replay(bag, QUIET, tmp_path / 'out')
    assert len(refused) == 2
    assert len(read_states(tmp_path / 'out' / 'states.parquet')) == summary.states > 0


def test_the_bag_one_is_in_is_replayed_beside_it(tmp_path, monkeypatch):
    bag = write(tmp_path / 'rec', camera())
    monkeypatch.chdir(bag)
    assert main(['replay', '.', '--speech.recogniser', 'none']) == 0
    assert read_summary(tmp_path / 'rec_affect').bag == str(bag.resolve())


def test_humbles_sqlite_that_carries_no_definitions_is_read(tmp_path):
    bag = write(tmp_path / 'humble', camera() + microphone(), 'sqlite3')
    [data] = bag.glob('*.db3')
    with sqlite3.connect(data) as database:
        for statement in ('DROP TABLE message_definitions', 'DROP TABLE metadata',
                          'UPDATE schema SET schema_version = 3',
                          'ALTER TABLE topics DROP COLUMN type_description_hash'):
            database.execute(statement)
    text = (bag / 'metadata.yaml').read_text().replace('version: 9', 'version: 5')
    (bag / 'metadata.yaml').write_text(re.sub(r'\s*type_description_hash:\s*\S+', '', text))
    summary = replay(bag, QUIET, tmp_path / 'out')
    assert summary.topics == {'image': '/camera/image_raw', 'audio': '/audio'}
    assert summary.windows >= 8 and set(summary.drops) <= {'windows.closed_without_video'}


# --- inputs ----------------------------------------------------------------------------------


def test_every_kind_of_input_reaches_the_pipeline(tmp_path):
    hello = new(SPEECH, header={'stamp': {'sec': T0 // NS + 1}}, final='hello there',
                confidence=0.9)
    speech = ('/humans/voices/v1/speech', SPEECH, hello, T0 + NS)
    robot = ('/r2/robot_speaking', BOOL, new(BOOL, data=True), T0)
    bag = write(tmp_path / 'bag', [robot, *camera(3.0), speech, *microphone(3.0)])
    summary = replay(bag, QUIET, tmp_path / 'out')
    assert summary.topics == {
        'image': '/camera/image_raw', 'audio': '/audio',
        'robot_speaking': '/r2/robot_speaking', 'speech': '/humans/voices/v1/speech'}
    assert summary.drops['audio.robot_speaking'] > 16000
    assert summary.drops['speech.robot_speaking'] == 2  # its words were the robot's own


def test_the_calibration_beside_the_pictures_is_read(tmp_path):
    info = new('sensor_msgs/msg/CameraInfo', width=640, height=480, k=[500.0, 0, 320, 0, 500, 240,
                                                                       0, 0, 1])
    told = ('/camera/camera_info', 'sensor_msgs/msg/CameraInfo', info, T0)
    other = ('/depth/camera_info', 'sensor_msgs/msg/CameraInfo', info, T0)
    summary = replay(write(tmp_path / 'bag', [told, other, *camera(1.0)]), QUIET, tmp_path / 'out')
    assert summary.topics == {'image': '/camera/image_raw', 'camera_info': '/camera/camera_info'}


def test_the_echo_of_what_the_robot_plays_is_no_evidence(sample, tmp_path):
    with BagGraph(sample) as bag:
        heard = [(one.topic, CHUNK, from_cdr(one.cdr, CHUNK), one.received_ns)
                 for one in bag.read(['/audio'])]
    played = [('/r2/robot_audio', CHUNK, message, at_ns - NS // 10)
              for _, _, message, at_ns in heard]
    bag = write(tmp_path / 'bag', sorted([*heard, *played], key=lambda one: one[3]))
    summary = replay(bag, QUIET, tmp_path / 'out')
    assert summary.topics == {'audio': '/audio', 'robot_audio': '/r2/robot_audio'}
    assert summary.drops['audio.robot_audio'] > 3 * 16000
    states = read_states(tmp_path / 'out' / 'states.parquet')
    assert states and not any(state.modalities & Modality.AUDIO for state in states)
    before = replay(write(tmp_path / 'alone', heard), QUIET, tmp_path / 'out_alone')
    states = read_states(tmp_path / 'out_alone' / 'states.parquet')
    assert before.topics == {'audio': '/audio'}
    assert any(state.modalities & Modality.AUDIO for state in states)


def test_silence_between_messages_lets_time_pass_as_in_the_node(tmp_path):
    late = [('/camera/image_raw', IMAGE, picture(at), at) for at in moments(1.0, T0 + 6 * NS)]
    bag = write(tmp_path / 'bag', camera(1.0) + late)
    states = read_states((replay(bag, QUIET, tmp_path / 'out'), tmp_path / 'out')[1]
                         / 'states.parquet')
    ends = [state.window_end_ns for state in states]
    assert ends == list(range(ends[0], ends[-1] + 1, NS // 5))  # no hole


@pytest.mark.parametrize(('messages', 'message'), [
    (camera() + camera(topic='/b/image'), 'image may be any of /b/image, /camera/image_raw; '
                                          'name one with --image-topic'),
    (microphone() + microphone(topic='/b/sound'), 'audio may be any of /audio, /b/sound'),
    ([('/x', BOOL, new(BOOL), T0)], r'neither pictures nor sound .*its topics: /x \(std_msgs/msg/'
                                    r'Bool, 1\)')])
def test_a_bag_without_the_wanted_topics_or_with_too_many_lists_them(
        tmp_path, messages, message):
    with pytest.raises(GraphError, match=message):
        replay(write(tmp_path / 'bag', messages), QUIET)


def test_a_bag_whose_pictures_are_of_an_unknown_type_says_so(tmp_path, caplog):
    points = ('/camera/packets', 'std_msgs/msg/ByteMultiArray', new('std_msgs/msg/ByteMultiArray'),
              T0)
    summary = replay(write(tmp_path / 'bag', [*microphone(), points]), QUIET, tmp_path / 'out')
    assert summary.topics == {'audio': '/audio'}
    assert 'replayed without pictures' in caplog.text and '/camera/packets (std' in caplog.text
    with pytest.raises(ResourceError, match='unfinished: cannot be made: Not a directory'):
        replay(tmp_path / 'bag', QUIET, tmp_path / 'out' / 'states.csv' / 'out')


def test_named_topics_are_checked(tmp_path):
    bag = write(tmp_path / 'bag', camera(0.5) + camera(0.5, topic='/b/image') + microphone(0.5))
    for sources, message in (
            (Sources(image='/nobody'), r'/nobody: is not in .*its topics: /audio \('),
            (Sources(image='/audio'), '/audio: is maven_ros/msg/AudioChunk; allowed for image: ')):
        with pytest.raises(GraphError, match=message):
            replay(bag, QUIET, options=ReplayOptions(sources=sources))
    assert not default_out(bag).exists()
    summary = replay(bag, QUIET, options=ReplayOptions(sources=Sources(image='/b/image')))
    assert summary.topics['image'] == '/b/image'
    assert (tmp_path / 'bag_affect' / 'summary.json').exists()


# --- bad bags --------------------------------------------------------------------------------


def test_of_a_truncated_mcap_the_whole_part_is_replayed_and_the_break_is_named(sample, tmp_path):
    [data] = sample.glob('*.mcap')
    cut = tmp_path / 'cut.mcap'
    cut.write_bytes(data.read_bytes()[:data.stat().st_size * 2 // 3])
    summary = replay(cut, QUIET, tmp_path / 'out')
    assert 'broken at byte' in summary.broken and 'are whole' in summary.broken
    assert summary.drops['bag.broken'] == 1
    assert 30 <= summary.windows < 60
    shutil.copytree(sample, tmp_path / 'folder')  # its metadata.yaml tells of more
    [data] = (tmp_path / 'folder').glob('*.mcap')
    shutil.copy(cut, data)
    assert replay(tmp_path / 'folder', QUIET, tmp_path / 'out2').windows == summary.windows
    assert tables(tmp_path / 'out') == tables(tmp_path / 'out2')


def test_what_cannot_be_used_is_counted_by_cause(tmp_path):
    depth = picture(T0)
    depth.encoding = '32FC1'
    bad = [('/camera/image_raw', IMAGE, depth, T0 + NS // 2),
           ('/camera/image_raw', IMAGE, picture(T0 + 7 * NS // 10, 9), T0 + NS),
           ('/audio', CHUNK, sound(T0 + 7 * NS // 10, 9), T0 + NS)]
    summary = replay(write(tmp_path / 'bag', camera() + microphone() + bad), QUIET,
                     tmp_path / 'out')
    assert summary.drops['/camera/image_raw.unknown_encoding'] == 1
    assert summary.drops['video.late'] == 1
    assert summary.drops['audio.out_of_order'] == 1
    assert "'32FC1'" in summary.details['/camera/image_raw.unknown_encoding']


def test_stamps_of_zero_are_those_of_arrival_or_refused(tmp_path):
    bag = write(tmp_path / 'bag', camera(3.0, lambda at_ns: 0) + microphone(3.0))
    summary = replay(bag, QUIET, tmp_path / 'out')
    assert summary.windows >= 10 and 'video.late' not in summary.drops
    [said] = summary.flaws
    assert said == ('all 30 stamps of /camera/image_raw are 0: its driver sets none; the time of '
                    'arrival stands in')
    strict = replay(bag, QUIET.with_values({'time.unstamped': 'refuse'}), tmp_path / 'strict')
    assert strict.drops['/camera/image_raw.unstamped'] == 30
    assert any('allowed: one, or time.unstamped: arrival' in one for one in strict.flaws)


def test_stamps_of_another_epoch_end_no_replay_and_are_seen(tmp_path):
    # a driver that counts from its own start
    bag = write(tmp_path / 'bag', camera(3.0, lambda at_ns: at_ns - T0 + 5 * NS) + microphone(3.0))
    summary = replay(bag, QUIET, tmp_path / 'out')
    assert sum(n for name, n in summary.drops.items() if name.startswith('video.')) >= 15
    states = read_states(tmp_path / 'out' / 'states.parquet')
    assert all(state.status is not Status.OK or not state.modalities & Modality.VIDEO
               for state in states)


@pytest.mark.parametrize(('messages', 'said'), [
    (camera(1.0, lambda at_ns: T0),
     f'no window closed; stamps run from {T0} to {T0} ns: all 10 stamps of /camera/image_raw are '
     f'{T0} ns; its driver does not advance them'),
    (camera(0.1), f'no window closed; stamps run from {T0} to {T0} ns: too short, a window ends '
                  'at each multiple of 0.2 s'),
    (camera(1.0, lambda at_ns: at_ns - T0) + microphone(1.0),
     '/audio and /camera/image_raw have no time in common: stamps from 946684800000000000 to '
     '946684800900000000 ns, and from 0 to 900000000 ns; their clocks differ'),
    (camera(1.0) + microphone(1.0), '')])
def test_what_is_wrong_with_stamps_is_said_and_where_no_window_closed_why(
        tmp_path, messages, said, recwarn):
    replay(write(tmp_path / 'bag', messages), QUIET, tmp_path / 'out')
    found = read_replayed(tmp_path / 'out')  # of no windows, too
    assert [one for one in found.summary.flaws
            if ' ns: ' in one or 'clocks' in one] == [said] * bool(said)
    assert len(found.inference_ms) == len(found.summary.inference_ms) == 0 or found.states
    assert not recwarn.list
    assert '\n  '.join([described(found.summary).splitlines()[0], *found.summary.flaws]) == \
        described(found.summary)


def test_what_the_robot_does_not_have_is_not_replayed(tmp_path, caplog):
    bag = write(tmp_path / 'bag', camera() + microphone())
    summary = replay(bag, QUIET.with_values({'inputs.microphone': False}), tmp_path / 'out')
    assert summary.topics == {'image': '/camera/image_raw'} and summary.audio_clock == 'none'
    assert 'replayed without' not in caplog.text


DATA, INFO = 'audio_common_msgs/msg/AudioData', 'audio_common_msgs/msg/AudioInfo'


def test_what_a_bag_says_of_its_sound_later_counts_from_the_beginning(tmp_path):
    """Its recorder began between two of the driver's AudioInfos."""
    def record(name, said_ns):
        told = new(INFO, sample_rate=48000, channels=2, sample_format='S16LE',
                   coding_format='wave')
        sound = new(DATA, data=np.zeros(4800 * 2 * 2, np.uint8))
        messages = [('/audio', DATA, sound, at + NS // 10) for at in moments(2.0)]
        bag = write(tmp_path / name, [*messages, ('/audio_info', INFO, told, said_ns)])
        replay(bag, QUIET, tmp_path / f'{name}_out')
        return read_replayed(tmp_path / f'{name}_out')

    late, early = record('late', T0 + NS), record('early', T0)
    assert late.summary.drops == early.summary.drops == {}
    assert late.summary.windows == early.summary.windows >= 9


def test_undecodable_bytes_are_counted(tmp_path):
    with BagGraph(write(tmp_path / 'whole', camera())) as source, \
            BagGraph(tmp_path / 'bag', 'w') as bag:
        images = bag.advertise('/camera/image_raw', IMAGE, STATE)
        for number, one in enumerate(source.read(['/camera/image_raw'])):
            images.publish_cdr(os.urandom(64) if number == 5 else one.cdr, one.received_ns)
    summary = replay(tmp_path / 'bag', QUIET, tmp_path / 'out')
    assert summary.drops['/camera/image_raw.bad_payload'] == 1 and summary.messages == 20


def test_a_recogniser_that_cannot_be_opened_is_named(sample, tmp_path):
    settings = Settings().with_values({
        'speech.recogniser': 'vosk', 'speech.vosk_model': str(tmp_path)})
    with pytest.raises(ResourceError, match=r'speech\.vosk_model'):
        replay(sample, settings, tmp_path / 'out')
