"""What every transport must do; one more is added by one more class in TRANSPORTS."""

from __future__ import annotations

import re
import time
from contextlib import ExitStack

import numpy as np
import pytest
from waiting import eventually

from maven_ros.errors import GraphError
from maven_ros.graph.bag.bag_graph import BagGraph
from maven_ros.graph.convert import audio_message, image_message
from maven_ros.graph.dds.dds_graph import DdsGraph
from maven_ros.graph.interface import INPUT, SENSOR, SOUND, STATE, Reliability
from maven_ros.graph.messages import from_cdr, new, to_cdr
from maven_ros.graph.ros.ros_node import RosNodeGraph
from maven_ros.records import AudioChunk

BOOL = 'std_msgs/msg/Bool'
COUNT = 'std_msgs/msg/UInt32'


class Dds:
    """Two participants; what is published arrives while both are there."""

    own_topics = ()  # that the transport itself needs

    def __init__(self, tmp_path):
        pass

    def fresh(self):
        return self

    def sender(self, **names):
        return DdsGraph(**names)

    def receiver(self, **names):
        return DdsGraph(**names)

    def exchange(self, listen, publish, done, sender=None, receiver=None):
        with self.receiver(**receiver or {}) as inward, self.sender(**sender or {}) as outward:
            listen(inward)
            publish(outward)
            eventually(done)


class Bag:
    """A bag that is written, then played."""

    storage = 'mcap'
    own_topics = ()

    def __init__(self, tmp_path):
        self.path = tmp_path / 'bag'

    def fresh(self):
        return type(self)(self.path.with_name('fresh'))

    def sender(self, **names):
        return BagGraph(self.path, 'w', self.storage, **names)

    def receiver(self, **names):
        if not self.path.exists():
            self.sender().close()
        return BagGraph(self.path, **names)

    def exchange(self, listen, publish, done, sender=None, receiver=None):
        with self.sender(**sender or {}) as outward:
            publish(outward)
        with self.receiver(**receiver or {}) as inward:
            listen(inward)
            inward.play()
        assert done()


class SqliteBag(Bag):
    storage = 'sqlite3'


class Ros(Dds):
    """Two nodes of rclpy."""

    own_topics = ('/rosout', '/parameter_events')

    def sender(self, **names):
        return RosNodeGraph(**names)

    def receiver(self, **names):
        return RosNodeGraph(**names)

    def exchange(self, *work, **names):
        try:
            super().exchange(*work, **names)
        except GraphError as error:  # not there, or the other family of that name
            if str(error).startswith(('audio_common_msgs/', 'hri_msgs/')):
                pytest.skip(str(error))
            raise


TRANSPORTS = [Dds, Bag, SqliteBag, pytest.param(Ros, marks=pytest.mark.ros)]


@pytest.fixture(params=TRANSPORTS, ids=lambda transport: transport.__name__)
def transport(request, tmp_path):
    return request.param(tmp_path)


def publishing(topic, msgtype, messages, qos=STATE):
    def publish(graph):
        publisher = graph.advertise(topic, msgtype, qos)
        eventually(lambda: publisher.subscription_count() >= 1)
        for message in messages:
            publisher.publish(message)
            time.sleep(0.001)  # depth 5 is not a test of speed
    return publish


def examples():
    pixels = np.arange(480 * 640 * 3, dtype=np.uint8).reshape(480, 640, 3)
    sound = AudioChunk(9, np.linspace(-1, 1, 512, dtype=np.float32)[:, None], 16_000, 3)
    return [
        ('sensor_msgs/msg/Image', SENSOR, [image_message(i, pixels + i) for i in range(5)]),
        ('maven_ros/msg/AudioChunk', SOUND, [audio_message(sound, 'mic', 'F32LE')] * 20),
        ('maven_ros/msg/AffectState', STATE, [
            new('maven_ros/msg/AffectState', valence=float('nan'), transcript='grüß dich',
                person_id=str(i)) for i in range(10)]),
        ('audio_common_msgs/msg/AudioStamped', SOUND, [
            new('audio_common_msgs/msg/AudioStamped',
                audio={'audio_data': {'int16_data': [1, -2, i]}}) for i in range(10)]),
        ('maven_ros/msg/Utterance', STATE, [new('maven_ros/msg/Utterance', words=[
            new('maven_ros/msg/Word', text='a' * i)] * i) for i in range(5)]),
        ('maven_ros/msg/Attention', STATE, [
            new('maven_ros/msg/Attention', yaw=float('nan'), engagement=i) for i in range(5)]),
        ('sensor_msgs/msg/CameraInfo', SENSOR, [
            new('sensor_msgs/msg/CameraInfo', width=640, d=[0.1] * 5, k=range(9))]),
        ('hri_msgs/msg/IdsList', STATE, [
            new('hri_msgs/msg/IdsList', ids=['mv3fa9c'] * i) for i in range(5)]),
        ('hri_msgs/msg/IdsMatch', STATE, [
            new('hri_msgs/msg/IdsMatch', id1='a', id1_type=2, id2='b', id2_type=4,
                confidence=0.5)]),
        ('hri_msgs/msg/NormalizedRegionOfInterest2D', STATE, [
            new('hri_msgs/msg/NormalizedRegionOfInterest2D', xmin=0.25, c=i) for i in range(5)]),
        ('hri_msgs/msg/FacialLandmarks', STATE, [
            new('hri_msgs/msg/FacialLandmarks', landmarks=[{'x': 0.5, 'c': 1.0}] * 70)]),
        ('hri_msgs/msg/EngagementLevel', STATE, [
            new('hri_msgs/msg/EngagementLevel', level=i) for i in range(5)]),
    ]


@pytest.mark.parametrize('msgtype, qos, messages', examples(), ids=lambda value: (
    value.split('/')[-1] if isinstance(value, str) else ''))
def test_what_is_published_arrives_equal_and_in_order(transport, msgtype, qos, messages):
    got = []
    before_ns = time.time_ns()
    transport.exchange(
        lambda graph: graph.subscribe('/a/topic', msgtype, qos, got.append),
        publishing('/a/topic', msgtype, messages, STATE), lambda: len(got) == len(messages))
    assert [received.cdr for received in got] == [to_cdr(one, msgtype) for one in messages]
    assert {(received.topic, received.msgtype) for received in got} == {('/a/topic', msgtype)}
    assert all(type(received.cdr) is bytes for received in got)
    times_ns = [received.received_ns for received in got]
    assert times_ns == sorted(times_ns) and before_ns <= times_ns[0] <= time.time_ns()


@pytest.mark.parametrize('offered', [SENSOR, STATE], ids=lambda qos: qos.reliability.value)
def test_what_is_asked_for_as_it_is_offered_is_heard(transport, offered):
    got, heard = [], {}

    def listen(graph):
        heard['by'] = graph.subscribe('/x', COUNT, INPUT, got.append)

    transport.exchange(listen, publishing('/x', COUNT, [new(COUNT, data=7)], offered),
                       lambda: len(got) == 1)
    assert from_cdr(got[0].cdr, COUNT).data == 7
    assert heard['by'].reliability in (offered.reliability, Reliability.RELIABLE)


def test_what_is_offered_is_no_as_offered(transport):
    with transport.sender() as graph, pytest.raises(
            GraphError, match='/x: a publisher offers as_offered; allowed: reliable, best_effort'):
        graph.advertise('/x', COUNT, INPUT)


def test_two_topics_and_two_listeners(transport):
    got, got_too, other = [], [], []

    def listen(graph):
        graph.subscribe('/x', COUNT, STATE, got.append)
        graph.subscribe('/x', COUNT, STATE, got_too.append)
        graph.subscribe('/y', BOOL, STATE, other.append)

    def publish(graph):
        publishing('/x', COUNT, [new(COUNT, data=i) for i in range(3)])(graph)
        publishing('/y', BOOL, [new(BOOL, data=True)])(graph)

    transport.exchange(listen, publish, lambda: len(got_too) == len(got) == 3 and other)
    assert [from_cdr(one.cdr, COUNT).data for one in got] == [0, 1, 2]
    assert [one.topic for one in other] == ['/y']


@pytest.mark.parametrize('out, names_out, full', [
    ('image', {'namespace': 'robot1'}, '/robot1/image'),
    ('image', {'namespace': '/robot1/left/'}, '/robot1/left/image'),
    ('/image', {'namespace': 'robot1'}, '/image'),
    ('~/image', {'namespace': 'robot1', 'node_name': 'cam'}, '/robot1/cam/image'),
    ('image', {'remaps': {'image': '/camera/raw'}}, '/camera/raw'),
    ('image', {'namespace': 'r', 'remaps': {'image': 'raw'}}, '/r/raw'),
    ('/r/image', {'namespace': 'r', 'remaps': {'image': 'raw'}}, '/r/raw'),
    ('image', {'namespace': 'r', 'remaps': {'/r/image': '/x'}}, '/x'),
    ('image', {'namespace': 'r', 'remaps': {'/image': '/x'}}, '/r/image'),
])
def test_names_are_resolved_as_in_ros(transport, out, names_out, full):
    got = []
    transport.exchange(lambda graph: graph.subscribe(full, BOOL, STATE, got.append),
                       publishing(out, BOOL, [new(BOOL, data=True)]), lambda: len(got) == 1,
                       sender=names_out)
    assert got[0].topic == full
    with transport.receiver(**names_out) as graph:
        assert graph.resolve(out) == full
        assert graph.subscribe(out, BOOL, STATE, got.append).topic == full


def opened(transport, stack):
    """Return both ends' ways to open a topic."""
    receiver = stack.enter_context(transport.receiver())
    sender = stack.enter_context(transport.fresh().sender())
    return (lambda topic, msgtype: sender.advertise(topic, msgtype, STATE),
            lambda topic, msgtype: receiver.subscribe(topic, msgtype, STATE, print))


@pytest.mark.parametrize('name', ['', '/', '//a', '/a/', 'a b', '2a', '/a/2b', 'a-b', 'ä', '~a',
                                  'x' * 300])
def test_bad_names_are_refused(transport, name):
    with ExitStack() as stack:
        for open_topic in opened(transport, stack):
            with pytest.raises(GraphError, match=re.escape(f'topic: {name!r} is no ROS name;')):
                open_topic(name, BOOL)


def test_unknown_types_are_refused(transport):
    with ExitStack() as stack:
        for open_topic in opened(transport, stack):
            with pytest.raises(GraphError, match="'std_msgs/msg/Bol' is unknown; did you mean"):
                open_topic('/a', 'std_msgs/msg/Bol')


def test_bad_namespaces_and_node_names_are_refused(transport):
    with pytest.raises(GraphError, match="namespace: '/a b' is no ROS name"):
        transport.sender(namespace='a b')
    with pytest.raises(GraphError, match="node name: 'a/b'; allowed: letters"):
        transport.sender(node_name='a/b')
    with pytest.raises(GraphError, match="topic: 'a b' is no ROS name"):
        transport.sender(remaps={'x': 'a b'})


def test_what_is_no_such_message_is_refused(transport):
    with transport.sender() as graph:
        publisher = graph.advertise('/a', BOOL, STATE)
        with pytest.raises(GraphError, match='a std_msgs/msg/UInt32 is not a std_msgs/msg/Bool'):
            publisher.publish(new(COUNT))
        with pytest.raises(GraphError, match='/a: 3 bytes; allowed: CDR with a 4-byte header'):
            publisher.publish_cdr(b'abc')


def test_closing_stops(transport):
    got = []

    def listen(graph):
        first = graph.subscribe('/x', COUNT, STATE, lambda received: (
            got.append(received), first.close()))
        second = graph.subscribe('/x', COUNT, STATE, got.append)
        second.close()
        second.close()
        assert second.publisher_count() == 0

    def publish(graph):
        publisher = graph.advertise('/x', COUNT, STATE)
        eventually(lambda: publisher.subscription_count() == 1)
        publisher.publish(new(COUNT, data=1))
        publisher.publish(new(COUNT, data=2))
        time.sleep(0.1)
        publisher.close()
        publisher.close()
        assert publisher.subscription_count() == 0
        with pytest.raises(GraphError, match='/x: the publisher is closed'):
            publisher.publish(new(COUNT))

    transport.exchange(listen, publish, lambda: len(got) == 1)
    assert from_cdr(got[0].cdr, COUNT).data == 1


def test_a_closed_graph_closes_what_came_from_it(transport):
    graph = transport.sender()
    publisher = graph.advertise('/x', COUNT, STATE)
    graph.close()
    graph.close()
    with pytest.raises(GraphError, match='/x'):
        publisher.publish(new(COUNT))
    with pytest.raises(GraphError, match='/y'):
        graph.advertise('/y', COUNT, STATE)
    receiver = transport.receiver()
    subscription = receiver.subscribe('/x', COUNT, STATE, print)
    receiver.close()
    assert subscription.publisher_count() == 0
    with pytest.raises(GraphError, match='/y'):
        receiver.subscribe('/y', COUNT, STATE, print)


def test_counts_and_topics(transport):
    seen = {}

    def listen(graph):
        seen['graph'] = graph
        seen['subscription'] = graph.subscribe('/x', COUNT, STATE, lambda received: seen.update(
            topics=graph.topics(), publishers=seen['subscription'].publisher_count(),
            others=[graph.publisher_count('x'), graph.publisher_count('/nobody')]))

    def publish(graph):
        graph.advertise('/other', BOOL, SENSOR)
        publishing('/x', COUNT, [new(COUNT)])(graph)

    transport.exchange(listen, publish, lambda: 'topics' in seen)
    topics = {topic: msgtype for topic, msgtype in seen['topics'].items()
              if topic not in transport.own_topics}
    assert topics == {'/other': BOOL, '/x': COUNT}
    assert seen['publishers'] == 1 and seen['others'] == [1, 0]
