"""Bags of pictures whose encoding is OpenCV's name of their type."""

import numpy as np
import pytest
from inputs import SHARED_CASES

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
TYPES = ('8UC1', '8UC3', '8UC4')


@pytest.fixture(params=TYPES)
def typed(request, tmp_path):
    """A bag as cv2_to_imgmsg fills it where no encoding is named."""
    channels = int(request.param[-1])
    with BagGraph(tmp_path / request.param, 'w') as bag:
        pictures = bag.advertise('/image', IMAGE, STATE)
        for bag.time_ns in range(START_NS, START_NS + 2 * NS, NS // 10):
            pictures.publish(new(
                IMAGE, header={'stamp': time_message(bag.time_ns)}, height=48, width=64,
                encoding=request.param, step=64 * channels,
                data=np.full((48, 64, channels), 9, np.uint8).tobytes()))
    return bag.path


def read_whole(bag, out):
    summary = replay(bag, QUIET, out)
    assert summary.windows and not [name for name in summary.drops if 'encoding' in name]
    reader = InputReader(AudioSettings())
    with BagGraph(bag) as graph:
        return [reader.read(one).decode() for one in graph.read(
            [topic for topic, kind in graph.topics().items() if kind == IMAGE])]


def test_pictures_of_opencvs_types_are_read(typed, tmp_path):
    pictures = read_whole(typed, tmp_path / 'out')
    assert len(pictures) == 20 and all((one == 9).all() for one in pictures)


@pytest.mark.skipif(not SHARED_CASES.is_dir(), reason='no shared cases')
@pytest.mark.parametrize('name', TYPES)
def test_those_of_a_real_cv_bridge_are_read(tmp_path, name):
    pictures = read_whole(SHARED_CASES / 'encodings_of_opencv' / name, tmp_path / 'out')
    assert len(pictures) == 13 and all(one.shape[2] == 3 for one in pictures)
