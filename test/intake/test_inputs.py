"""What is listened to follows what is published."""

import time

import pytest
from waiting import eventually

from maven_ros.counters import Counters
from maven_ros.graph.interface import LATCHED, SENSOR, STATE
from maven_ros.graph.messages import new
from maven_ros.intake.inputs import Inputs, InputTopics

IMAGE, JPEG = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'
CHUNK, STAMPED = 'maven_ros/msg/AudioChunk', 'audio_common_msgs/msg/AudioStamped'


class Rig:
    def __init__(self, graph):
        self.counters, self.got = Counters(), []
        self.inputs = Inputs(graph, vars(InputTopics()), self.counters,
                             lambda role, received: self.got.append((role, received.msgtype)))
        self._graph = graph

    def hears(self, publisher, role):
        """Publish until the inputs hear it."""
        del self.got[:]
        deadline = time.monotonic() + 10
        while (role, publisher.msgtype) not in self.got:
            assert time.monotonic() < deadline, self.counters.details()
            self.inputs.look()
            publisher.publish(new(publisher.msgtype))
            time.sleep(0.02)


@pytest.fixture
def rig(graph):
    rig = Rig(graph)
    with rig.inputs:
        yield rig


def test_pictures_are_taken_as_they_are_published(graph, rig):
    jpeg = graph.advertise('camera/image_raw/compressed', JPEG, SENSOR)
    graph.subscribe('camera/image_raw', IMAGE, SENSOR, print)  # a viewer makes no camera
    rig.hears(jpeg, 'image')
    raw = graph.advertise('camera/image_raw', IMAGE, SENSOR)
    rig.hears(jpeg, 'image')  # it stays with what it has
    jpeg.close()
    rig.hears(raw, 'image')


def test_sound_may_change_its_type(graph, rig):
    chunks = graph.advertise('audio', CHUNK, STATE)
    rig.hears(chunks, 'audio')
    chunks.close()
    rig.hears(graph.advertise('audio', STAMPED, STATE), 'audio')


def test_what_the_robot_plays_must_say_its_form(graph, rig):
    played = graph.advertise('robot_audio', STAMPED, STATE)
    rig.hears(played, 'robot_audio')
    played.close()
    graph.advertise('robot_audio', 'audio_common_msgs/msg/AudioData', STATE)

    def refused():
        rig.inputs.look()
        return rig.counters.detail('robot_audio', 'wrong_type')

    eventually(refused, 5, rig.counters.details)
    assert refused() == ('/robot_audio is audio_common_msgs/msg/AudioData; understood: '
                         'maven_ros/msg/AudioChunk, audio_common_msgs/msg/AudioStamped')


def test_a_type_that_cannot_be_used_costs_its_input_alone(graph, rig, monkeypatch):
    from maven_ros.errors import GraphError

    def refuse(*_):
        raise GraphError('audio_common_msgs/msg/AudioStamped: not installed')

    graph.advertise('audio', STAMPED, STATE)
    monkeypatch.setattr(rig.inputs, '_listen', refuse)
    for _ in range(3):
        rig.inputs.look()
    assert rig.counters.snapshot() == {'audio.unusable': 1}
    assert 'not installed' in rig.counters.details()['audio.unusable']
    assert rig.inputs.awaited() == ['/camera/image_raw', '/audio']


INFO = 'audio_common_msgs/msg/AudioInfo'


def test_a_description_that_was_latched_is_heard_by_who_comes_later(graph, rig):
    latched = graph.advertise('audio_info', INFO, LATCHED)
    latched.publish(new(INFO, sample_rate=48000))

    def heard():
        rig.inputs.look()
        return ('audio_info', INFO) in rig.got

    eventually(heard, 5, 'the latched AudioInfo was not heard')
    assert not rig.counters.snapshot() and not graph.counters.snapshot()


def test_a_description_that_is_not_latched_is_heard_and_no_mismatch(graph, rig):
    rig.hears(graph.advertise('audio_info', INFO, STATE), 'audio_info')
    time.sleep(1.2)  # quality of service is checked once a second
    assert not graph.counters.snapshot()
