"""Media files as bags: what the player would have published."""

import pytest
from inputs import SAMPLE

from maven_ros.devices.media import available_ns, read_media
from maven_ros.devices.player import Player
from maven_ros.errors import ResourceError, SettingsError
from maven_ros.graph.bag.bag_graph import BagGraph
from maven_ros.intake.input_reader import InputReader
from maven_ros.replay.from_media import START_NS, bags_from_media
from maven_ros.settings import AudioSettings


def contents(path):
    with BagGraph(path) as bag:
        return bag.topics(), [(one.topic, one.cdr) for one in bag.read(bag.topics())]


@pytest.mark.parametrize(('storage', 'compressed'), [('mcap', True), ('sqlite3', False)])
def test_a_bag_holds_what_the_player_publishes_when_it_would(tmp_path, storage, compressed):
    made, = bags_from_media([SAMPLE], tmp_path / 'made', storage=storage, compressed=compressed,
                            width=64)
    with BagGraph(tmp_path / 'played', 'w') as bag:  # all at one time, as fast as possible
        bag.time_ns = START_NS
        report = Player(bag, SAMPLE, rate=0, subscribers=0, compressed=compressed,
                        width=64).run(_Never())
    topics, messages = contents(made.path)
    assert topics == {
        '/audio': 'maven_ros/msg/AudioChunk',
        '/camera/image_raw' + '/compressed' * compressed:
            'sensor_msgs/msg/' + 'Compressed' * compressed + 'Image'}
    assert sorted(messages) == sorted(contents(tmp_path / 'played')[1])
    assert made.report == report and made.skipped == {}
    reader = InputReader(AudioSettings())
    with BagGraph(made.path) as bag:
        arrivals = [(one.received_ns, available_ns(reader.read(one)))
                    for one in bag.read(bag.topics())]
    assert all(abs(came_ns - due_ns) <= 1 for came_ns, due_ns in arrivals)
    assert [came_ns for came_ns, _ in arrivals] == [
        available_ns(one) for one in read_media(SAMPLE, start_ns=START_NS)]


class _Never:
    def is_set(self):
        return False

    def wait(self, timeout=None):
        return False


def test_files_that_cannot_be_bags_leave_none(tmp_path):
    with pytest.raises(ResourceError, match=r'nowhere\.mp4: no such file'):
        bags_from_media([tmp_path / 'nowhere.mp4'], tmp_path)
    with pytest.raises(ResourceError, match=r'both would be .*sample; allowed: files of'):
        bags_from_media([SAMPLE, tmp_path / 'sample.mkv'], tmp_path)
    with pytest.raises(SettingsError, match='loop: 0; allowed: at least 1'):
        bags_from_media([SAMPLE], tmp_path, loop=0)
    (tmp_path / 'sample').mkdir()
    with pytest.raises(ResourceError, match='sample: exists already'):
        bags_from_media([SAMPLE], tmp_path)
    assert not list((tmp_path / 'sample').iterdir()) and len(list(tmp_path.iterdir())) == 1
