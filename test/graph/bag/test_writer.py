"""What a kill or a full disk leaves of a bag that is written."""

import signal
import subprocess
import sys
import threading

import pytest
from full_disk import largest_file
from waiting import eventually

from maven_ros.errors import GraphError, ResourceError
from maven_ros.graph.bag.bag_graph import BagGraph
from maven_ros.graph.interface import STATE
from maven_ros.graph.messages import new, to_cdr
from maven_ros.nodes.recorder import Recorder

COUNT, BYTES = 'std_msgs/msg/UInt32', 'std_msgs/msg/UInt8MultiArray'
STORAGES = ['mcap', 'sqlite3']

WRITER = """
import sys, time
from maven_ros.graph.bag.bag_graph import BagGraph
from maven_ros.graph.interface import STATE
from maven_ros.graph.messages import new
graph = BagGraph(sys.argv[1], 'w', sys.argv[2])
publisher = graph.advertise('/x', 'std_msgs/msg/UInt32', STATE)
for i in range(46):
    publisher.publish(new('std_msgs/msg/UInt32', data=i))
graph.secure()
publisher.publish(new('std_msgs/msg/UInt32', data=46))
print('ready', flush=True)
time.sleep(600)
"""


def held(path):
    """Return how many messages there are, read to the end, as their bag declares them."""
    with BagGraph(path) as graph:
        try:
            count = 0
            for _ in graph.read([*graph.topics()]):
                count += 1
        except ResourceError as error:  # an MCAP without its end
            assert 'broken at byte' in str(error)
        assert sum(graph.message_counts().values()) == count
    return count


def is_held(path, count):
    try:
        return held(path) == count
    except ResourceError:  # nothing is on the disk so far
        return False


@pytest.mark.parametrize('storage', STORAGES)
def test_a_kill_leaves_what_was_secured(tmp_path, storage):
    process = subprocess.Popen([sys.executable, '-c', WRITER, tmp_path / 'bag', storage],
                               stdout=subprocess.PIPE)
    assert process.stdout.readline() == b'ready\n'
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=20)
    assert held(tmp_path / 'bag') == 46


@pytest.mark.parametrize('storage', STORAGES)
def test_a_recorder_secures_what_it_wrote(graph, tmp_path, storage):
    stop, path = threading.Event(), tmp_path / 'bag'

    def record():
        with BagGraph(path, 'w', storage) as bag:
            Recorder(graph, bag, ['/x']).run(stop)

    thread = threading.Thread(target=record)
    thread.start()
    try:
        publisher = graph.advertise('/x', COUNT, STATE)
        eventually(publisher.subscription_count, what='nobody records /x')
        publisher.publish(new(COUNT, data=1))
        eventually(lambda: is_held(path, 1), what='nothing is on the disk while it records')
    finally:
        stop.set()
        thread.join()


def test_after_a_full_disk_metadata_tell_of_what_is_there(tmp_path):
    path, message = tmp_path / 'bag', to_cdr(new(BYTES, data=bytes(50_000)), BYTES)
    graph = BagGraph(path, 'w', 'sqlite3')
    publisher = graph.advertise('/x', BYTES, STATE)
    for i in range(20):
        publisher.publish_cdr(message, i)
    graph.secure()
    with largest_file((path / 'bag.db3').stat().st_size + 200_000), \
            pytest.raises(ResourceError, match='bag: cannot be written: '):
        for i in range(20, 200):
            publisher.publish_cdr(message, i)
    graph.close()
    assert held(path) == 20
    assert 'message_count: 20' in (path / 'metadata.yaml').read_text()


def test_only_what_is_written_can_be_secured(tmp_path):
    with BagGraph(tmp_path / 'bag', 'w') as graph:
        graph.advertise('/x', COUNT, STATE).publish(new(COUNT))
        graph.secure()
        graph.secure()
    assert held(tmp_path / 'bag') == 1
    with BagGraph(tmp_path / 'bag') as graph, pytest.raises(
            GraphError, match='bag: is not open for writing'):
        graph.secure()
