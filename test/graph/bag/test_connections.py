"""Types under other names than ROS 2's."""

import re

import numpy as np
import pytest
from inputs import cases
from rosbags.rosbag2 import StoragePlugin, Writer

from maven_ros.errors import GraphError
from maven_ros.graph.bag.bag_graph import BagGraph
from maven_ros.graph.convert import image_message
from maven_ros.graph.interface import STATE
from maven_ros.graph.messages import definition, to_cdr, type_hash
from maven_ros.replay.replay import replay
from maven_ros.settings import Settings

IMAGE = 'sensor_msgs/msg/Image'


def record(path, storage, name, text=None, fmt='cdr', pictures=3):
    """Write a bag of pictures, ten a second, whose type has such a name."""
    with Writer(path, version=9, storage_plugin=StoragePlugin[storage]) as writer:
        connection = writer.add_connection(
            '/image', name, msgdef=text or definition(IMAGE), rihs01=type_hash(IMAGE),
            serialization_format=fmt)
        for stamp_ns in range(10**18, 10**18 + pictures * 10**8, 10**8):
            picture = image_message(stamp_ns, np.zeros((48, 64, 3), np.uint8))
            writer.write(connection, stamp_ns, to_cdr(picture, IMAGE))
    return path


@pytest.mark.parametrize('name', ['sensor_msgs/Image', 'sensor_msgs::msg::dds_::Image_',
                                  'sensor_msgs::msg::Image'])
@pytest.mark.parametrize('storage', ['MCAP', 'SQLITE3'])
def test_other_names_of_a_type_are_read_as_ros_2s(tmp_path, storage, name):
    bag = record(tmp_path / 'bag', storage, name)
    [data] = (one for one in bag.iterdir() if one.suffix in ('.mcap', '.db3'))
    metadata = bag / 'metadata.yaml'
    for place, said in ((bag, name), (data, name), (bag, IMAGE)):
        metadata.write_text(metadata.read_text().replace(f'type: {name}\n', f'type: {said}\n'))
        with BagGraph(place) as graph:
            assert graph.topics() == {'/image': IMAGE}
            heard = []
            graph.subscribe('/image', IMAGE, STATE, heard.append)
            assert graph.play() == len(heard) == 3
            assert {one.msgtype for one in heard} == {IMAGE}


def test_a_short_name_hides_no_other_definition(tmp_path):
    bag = record(tmp_path / 'bag', 'MCAP', 'sensor_msgs/Image', 'uint32 height\n')
    for place in (bag, bag / 'bag.mcap'):
        if place == bag:  # as older bags have it, without hashes
            said = (bag / 'metadata.yaml').read_text()
            (bag / 'metadata.yaml').write_text(re.sub('RIHS01_[0-9a-f]+', "''", said))
        with BagGraph(place) as graph, pytest.raises(GraphError, match='another definition of'):
            graph.subscribe('/image', IMAGE, STATE, print)


def test_other_formats_keep_their_names(tmp_path):
    bag = record(tmp_path / 'bag', 'MCAP', 'sensor_msgs/Image', fmt='ros1')
    with BagGraph(bag / 'bag.mcap') as graph:
        assert graph.topics() == {'/image': 'sensor_msgs/Image'}


@pytest.mark.parametrize('case', [None, *cases('type_name_of_two_parts/short.mcap')])
def test_a_recording_with_short_names_is_replayed(tmp_path, case):
    path = case or record(
        tmp_path / 'bag', 'MCAP', 'sensor_msgs/Image', pictures=30) / 'bag.mcap'
    with BagGraph(path) as graph:
        pictures = graph.message_counts()
    summary = replay(path, Settings().with_values({'speech.recogniser': 'none'}), tmp_path / 'out')
    assert {summary.topics['image']: summary.messages} == pictures and summary.windows
