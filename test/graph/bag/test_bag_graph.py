from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading

import pytest
from counted import COUNT, count, record

from maven_ros.errors import GraphError, ResourceError
from maven_ros.graph.bag.bag_graph import BagGraph
from maven_ros.graph.interface import SENSOR, STATE
from maven_ros.graph.messages import new, type_hash

STATE_TYPE = 'maven_ros/msg/AffectState'
STAMPED = 'audio_common_msgs/msg/AudioStamped'


def heard(path, topic='/x', msgtype=COUNT):
    got = []
    with BagGraph(path) as graph:
        graph.subscribe(topic, msgtype, STATE, got.append)
        graph.play()
    return got


def test_arrival_times_are_kept_and_order_is_that_of_time(tmp_path):
    with BagGraph(tmp_path / 'bag', 'w') as graph:
        publisher = graph.advertise('/x', COUNT, STATE)
        for stamp_ns in (30, 10, 20):
            publisher.publish_cdr(count(stamp_ns), stamp_ns)
    assert [one.received_ns for one in heard(tmp_path / 'bag')] == [10, 20, 30]


def test_time_is_the_bags_while_it_plays(tmp_path):
    times = []
    with BagGraph(record(tmp_path / 'bag')) as graph:
        assert graph.now_ns() == 1000
        graph.subscribe('/x', COUNT, STATE, lambda _: times.append(graph.now_ns()))
        assert graph.play() == 3
    assert times == [1000, 1001, 1002]


def test_a_replay_writes_at_the_time_of_its_source(tmp_path):
    source = record(tmp_path / 'in')
    with BagGraph(source) as inward, BagGraph(tmp_path / 'out', 'w') as outward:
        states = outward.advertise('/affect/state', STATE_TYPE, STATE)

        def state(received):
            outward.time_ns = inward.now_ns()
            states.publish(new(STATE_TYPE))

        inward.subscribe('/x', COUNT, STATE, state)
        inward.play()
    assert [one.received_ns for one in heard(tmp_path / 'out', '/affect/state', STATE_TYPE)] == [
        1000, 1001, 1002]


def test_play_can_be_stopped_and_a_failing_callback_is_seen(tmp_path):
    stop, got = threading.Event(), []
    with BagGraph(record(tmp_path / 'bag')) as graph:
        graph.subscribe('/x', COUNT, STATE, lambda one: (got.append(one), stop.set()))
        assert graph.play(stop) == 1
    with BagGraph(tmp_path / 'bag') as graph:
        graph.subscribe('/x', COUNT, STATE, lambda _: graph.close())
        assert graph.play() == 1

    def fail(_):
        raise ZeroDivisionError

    with BagGraph(tmp_path / 'bag') as graph:
        graph.subscribe('/x', COUNT, STATE, fail)
        with pytest.raises(ZeroDivisionError):
            graph.play()


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_what_ros2_bag_needs_is_inside(tmp_path, storage):
    from rosbags.rosbag2 import Reader

    with BagGraph(tmp_path / 'bag', 'w', storage) as graph:
        graph.advertise('/audio', STAMPED, SENSOR).publish(new(STAMPED))
    with Reader(tmp_path / 'bag') as reader:
        [connection] = reader.connections
    assert connection.digest == type_hash(STAMPED)
    assert 'audio_common_msgs/Audio audio' in connection.msgdef.data
    assert 'int16[] int16_data' in connection.msgdef.data  # of this family, not the other
    [qos] = connection.ext.offered_qos_profiles
    assert (qos.depth, qos.reliability.name, qos.durability.name) == (5, 'BEST_EFFORT', 'VOLATILE')
    metadata = (tmp_path / 'bag' / 'metadata.yaml').read_text()
    assert 'version: 9' in metadata and 'history: keep_last' in metadata


def test_an_empty_bag_can_be_read(tmp_path):
    record(tmp_path / 'bag', ())
    assert heard(tmp_path / 'bag') == []
    with BagGraph(tmp_path / 'bag') as graph:
        assert graph.topics() == {'/x': COUNT} and graph.now_ns() == 0
        assert graph.play() == 0  # nobody listens


@pytest.mark.parametrize('mode', ['message', 'file'])
def test_compressed_bags_are_read(tmp_path, mode):
    from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
    from rosbags.typesys import Stores, get_typestore

    writer = Writer(tmp_path / 'bag', version=9, storage_plugin=StoragePlugin.SQLITE3)
    writer.set_compression(CompressionMode[mode.upper()], CompressionFormat.ZSTD)
    with writer:
        connection = writer.add_connection(
            '/x', COUNT, typestore=get_typestore(Stores.ROS2_JAZZY))
        writer.write(connection, 5, count(7))
    assert [one.cdr for one in heard(tmp_path / 'bag')] == [count(7)]


def test_a_type_that_is_defined_otherwise_is_refused(tmp_path):
    from rosbags.rosbag2 import StoragePlugin, Writer
    from rosbags.typesys import get_types_from_msg
    from rosbags.typesys.store import Typestore

    store = Typestore()
    store.register(get_types_from_msg('string incremental\nstring final\n',
                                      'hri_msgs/msg/LiveSpeech'))
    for storage in StoragePlugin:
        path = tmp_path / storage.name
        with Writer(path, version=9, storage_plugin=storage) as writer:
            writer.add_connection('/speech', 'hri_msgs/msg/LiveSpeech', typestore=store)
        # A bag of Humble has no hashes, only definitions.
        for hashes in (True, False):
            if not hashes:
                metadata = path / 'metadata.yaml'
                metadata.write_text(re.sub('RIHS01_[0-9a-f]+', "''", metadata.read_text()))
            with BagGraph(path) as graph, pytest.raises(GraphError, match=(
                    r'/speech: .* has another definition of hri_msgs/msg/LiveSpeech:\n'
                    r'string incremental\nstring final\nallowed:\nstd_msgs/Header header')):
                graph.subscribe('/speech', 'hri_msgs/msg/LiveSpeech', STATE, print)


def test_a_topic_has_one_type(tmp_path):
    with BagGraph(tmp_path / 'bag', 'w') as graph:
        graph.advertise('/x', COUNT, STATE).publish(new(COUNT))
        graph.advertise('/x', COUNT, SENSOR).publish(new(COUNT))  # a second publisher is fine
        with pytest.raises(GraphError, match=f'/x: is {COUNT} in .*bag, not std_msgs/msg/Bool'):
            graph.advertise('/x', 'std_msgs/msg/Bool', STATE)
    assert len(heard(tmp_path / 'bag')) == 2
    with BagGraph(tmp_path / 'bag') as graph, pytest.raises(
            GraphError, match=f'/x: is {COUNT} in .*bag, not std_msgs/msg/Bool'):
        graph.subscribe('/x', 'std_msgs/msg/Bool', STATE, print)


def test_modes_are_kept_apart(tmp_path):
    with pytest.raises(GraphError, match="mode: 'a'; allowed: 'r', 'w'"):
        BagGraph(tmp_path / 'bag', 'a')
    with pytest.raises(GraphError, match="storage: 'zip'; allowed: mcap, sqlite3"):
        BagGraph(tmp_path / 'bag', 'w', 'zip')
    with BagGraph(tmp_path / 'bag', 'w') as graph:
        with pytest.raises(GraphError, match=r'/x: .* is not open for reading'):
            graph.subscribe('/x', COUNT, STATE, print)
        with pytest.raises(GraphError, match='is not open for reading'):
            graph.play()
    with BagGraph(tmp_path / 'bag') as graph, pytest.raises(
            GraphError, match=r'/x: .* is not open for writing'):
        graph.advertise('/x', COUNT, STATE)


def test_paths_that_cannot_be_used_are_named(tmp_path):
    with pytest.raises(ResourceError, match='none: no such bag; allowed: the folder of a rosbag2'):
        BagGraph(tmp_path / 'none')
    with pytest.raises(ResourceError, match=r'holds no metadata.yaml and no .mcap or .db3; al'):
        BagGraph(tmp_path)
    with pytest.raises(ResourceError, match='exists already; allowed: a path where nothing is ye'):
        BagGraph(tmp_path, 'w')
    (tmp_path / 'file').write_text('')
    with pytest.raises(ResourceError, match=r'file/bag: cannot be written: .*Not a directory'):
        BagGraph(tmp_path / 'file' / 'bag', 'w')
    with pytest.raises(ResourceError, match=r'file: no file of a bag; allowed: .mcap, .db3, or'):
        BagGraph(tmp_path / 'file')


@pytest.mark.parametrize('storage, suffix', [('mcap', 'mcap'), ('sqlite3', 'db3')])
@pytest.mark.parametrize('share', [0.0, 0.3, 0.9])
def test_a_truncated_bag_is_named(tmp_path, storage, suffix, share):
    record(tmp_path / 'bag', range(50_000 if share > 0.5 else 500), storage)
    [data] = (tmp_path / 'bag').glob(f'*.{suffix}')
    data.write_bytes(data.read_bytes()[:int(share * data.stat().st_size)])
    with pytest.raises(ResourceError, match=f'{re.escape(str(tmp_path / "bag"))}: '
                                            '(cannot be read|is damaged): '):
        heard(tmp_path / 'bag')


def test_a_damaged_chunk_is_named_and_what_came_before_is_heard(tmp_path):
    record(tmp_path / 'bag', range(60_000))  # more than one chunk
    data = tmp_path / 'bag' / 'bag.mcap'
    content = bytearray(data.read_bytes())
    content[2_000_000:2_000_100] = b'\xff' * 100
    data.write_bytes(content)
    got = []
    with BagGraph(tmp_path / 'bag') as graph:
        graph.subscribe('/x', COUNT, STATE, got.append)
        with pytest.raises(ResourceError, match='bag: is damaged: '):
            graph.play()
    assert len(got) > 1000


def test_a_missing_or_broken_part_is_named(tmp_path):
    record(tmp_path / 'bag')
    metadata = tmp_path / 'bag' / 'metadata.yaml'
    (tmp_path / 'bag' / 'bag.mcap').rename(tmp_path / 'bag' / 'bag.zip')
    with pytest.raises(ResourceError, match=r'bag\.mcap: metadata.yaml names them, and they are'):
        BagGraph(tmp_path / 'bag')
    metadata.write_text(metadata.read_text().replace('bag.mcap', 'bag.zip'))
    with pytest.raises(ResourceError, match=r'bag\.zip: is no file of a bag; allowed: .mcap'):
        BagGraph(tmp_path / 'bag')
    metadata.write_text('a: [')
    with pytest.raises(ResourceError, match='it holds no file of a bag'):
        BagGraph(tmp_path / 'bag')


WRITER = """
import signal, sys, time
from maven_ros.graph.bag.bag_graph import BagGraph
from maven_ros.graph.interface import STATE
from maven_ros.graph.messages import new
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
with BagGraph(sys.argv[1], 'w') as graph:
    publisher = graph.advertise('/x', 'std_msgs/msg/UInt32', STATE)
    publisher.publish(new('std_msgs/msg/UInt32'))
    print('ready', flush=True)
    while True:
        publisher.publish(new('std_msgs/msg/UInt32'))
        time.sleep(0.001)
"""


def test_a_writer_that_is_told_to_stop_leaves_a_readable_bag(tmp_path):
    process = subprocess.Popen([sys.executable, '-c', WRITER, tmp_path / 'bag'],
                               stdout=subprocess.PIPE)
    assert process.stdout.readline() == b'ready\n'
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert process.returncode == 0
    assert len(heard(tmp_path / 'bag')) >= 1
