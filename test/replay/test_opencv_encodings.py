"""Bags of pictures whose encoding is OpenCV's name of their type."""

import numpy as np
import pytest
from inputs import cases

from maven_ros.graph.bag.bag_graph import BagGraph
from maven_ros.graph.interface import STATE
from maven_ros.graph.messages import new, time_message
from maven_ros.intake.input_reader import InputReader
from maven_ros.records import NS
from maven_ros.replay.from_media import START_NS
from maven_ros.replay.replay import replay
from maven_ros.settings import AudioSettings, Settings

IMAGE = 'sensor_msgs/msg/Image'
QUIET = Settings().with_values({'speech.recogniser': 'none'})


def typed(path):
    """A bag as cv2_to_imgmsg fills it where no encoding is named."""
    channels = int(path.name[-1])
    with BagGraph(path, 'w') as bag:
        pictures = bag.advertise('/image', IMAGE, STATE)
        for bag.time_ns in range(START_NS, START_NS + 2 * NS, NS // 10):
            pictures.publish(new(
                IMAGE, header={'stamp': time_message(bag.time_ns)}, height=48, width=64,
                encoding=path.name, step=64 * channels,
                data=np.full((48, 64, channels), 9, np.uint8).tobytes()))
    return path


@pytest.mark.parametrize('case', [
    '8UC1', '8UC3', '8UC4', *cases('encodings_of_opencv/8UC*')])  # those by a real cv_bridge
def test_pictures_of_opencvs_types_are_read(tmp_path, case):
    bag = typed(tmp_path / case) if isinstance(case, str) else case
    summary = replay(bag, QUIET, tmp_path / 'out')
    assert summary.windows and not [name for name in summary.drops if 'encoding' in name]
    reader = InputReader(AudioSettings())
    with BagGraph(bag) as graph:
        pictures = [reader.read(one).decode() for one in graph.read([summary.topics['image']])]
    assert len(pictures) == summary.messages and {one.shape[2] for one in pictures} == {3}
    assert bag is case or all((one == 9).all() for one in pictures)
