from __future__ import annotations

import re
import subprocess
import sys
import threading
import time

import pytest
from waiting import eventually

from maven_ros.counters import Counters
from maven_ros.errors import GraphError
from maven_ros.graph.dds.cdr_types import raw_type
from maven_ros.graph.dds.dds_graph import DdsGraph
from maven_ros.graph.dds.domain import (
    Discovery,
    cyclone_config,
    discovery_of,
    stay_on_this_machine,
    transport_config,
)
from maven_ros.graph.interface import SENSOR, SOUND, STATE, Qos, Reliability
from maven_ros.graph.messages import from_cdr, new, type_hash, types
from maven_ros.graph.names import dds_topic, dds_type, ros_topic, ros_type

IMAGE = 'sensor_msgs/msg/Image'
COUNT = 'std_msgs/msg/UInt32'

PUBLISHER = """
import sys, time
from maven_ros.graph.dds.dds_graph import DdsGraph
from maven_ros.graph.interface import STATE
from maven_ros.graph.messages import new
with DdsGraph(sys.argv[1]) as graph:
    publisher = graph.advertise('image', 'sensor_msgs/msg/Image', STATE)
    print('open', flush=True)
    while not publisher.subscription_count():
        time.sleep(0.01)
    for i in range(20):
        publisher.publish(new('sensor_msgs/msg/Image', height=i, data=bytes(640 * 480 * 3)))
        time.sleep(0.02)
    sys.stdin.read()
"""


def publisher_process(name, **options):
    return subprocess.Popen(
        [sys.executable, '-c', PUBLISHER, name], stdin=subprocess.PIPE, **options)


def test_another_process_is_found_and_heard():
    got = []
    with DdsGraph() as graph:
        subscription = graph.subscribe('/robot1/image', IMAGE, STATE, got.append)
        process = publisher_process('robot1')
        try:
            eventually(lambda: len(got) == 20)
            assert graph.topics() == {'/robot1/image': IMAGE}
            assert subscription.publisher_count() == 1
        finally:
            process.communicate(timeout=20)
        assert process.returncode == 0
        eventually(lambda: subscription.publisher_count() == 0 and len(got) == 20)
    assert [from_cdr(one.cdr, IMAGE).height for one in got] == list(range(20))


def test_what_has_gone_is_listed_and_counted_no_more():
    with DdsGraph() as graph, DdsGraph() as other:
        for one in (graph, other):
            publisher = one.advertise('/x', COUNT, STATE)
            eventually(lambda: graph.topics() == {'/x': COUNT}
                       and graph.publisher_count('/x') == 1)
            publisher.close()
            eventually(lambda: graph.topics() == {} and graph.publisher_count('/x') == 0)


def test_discovery_tells_what_ros_tells():
    from cyclonedds.builtin import BuiltinDataReader, BuiltinTopicDcpsPublication
    from cyclonedds.domain import DomainParticipant
    from cyclonedds.qos import Policy

    with DdsGraph() as graph:
        graph.advertise('/camera/image_raw', IMAGE, STATE)
        other = DomainParticipant(graph._discovery.domain)
        reader = BuiltinDataReader(other, BuiltinTopicDcpsPublication)
        [found] = [one for one in reader.read(100) if one.topic_name.startswith('rt/')]
        assert found.topic_name == 'rt/camera/image_raw'
        assert found.type_name == 'sensor_msgs::msg::dds_::Image_'
        assert found.qos[Policy.Userdata].data == f'typehash={type_hash(IMAGE)};'.encode()
        assert found.qos[Policy.Durability] == Policy.Durability.Volatile
        assert found.qos[Policy.DataRepresentation].use_cdrv0_representation
        assert isinstance(found.qos[Policy.Reliability], Policy.Reliability.Reliable)


def test_every_type_can_be_described_to_dds():
    for msgtype in types():
        data_type = raw_type(msgtype)
        data_type.__idl__.populate()
        assert data_type.__idl__.idl_transformed_typename == dds_type(msgtype)
        assert data_type.deserialize(b'bytes').serialize() == b'bytes'


def test_names_on_the_wire():
    assert ros_topic(dds_topic('/a/b')) == '/a/b'
    assert ros_type(dds_type('maven_ros/msg/AffectState')) == 'maven_ros/msg/AffectState'
    assert ros_topic('rq/a/srv') is None and ros_topic('DCPSTopic') is None
    assert ros_type('Shapes::Circle') is None


def test_a_callback_that_fails_is_counted_and_the_others_go_on():
    got, counters = [], Counters()

    def fail(received):
        raise RuntimeError('the callback is broken')

    with DdsGraph(counters=counters) as graph:
        graph.subscribe('/x', COUNT, STATE, fail)
        graph.subscribe('/x', COUNT, STATE, got.append)
        publisher = graph.advertise('/x', COUNT, STATE)
        for _ in range(3):
            publisher.publish(new(COUNT))
        eventually(lambda: len(got) == 3 and counters.get('/x', 'callback_error') == 3)
    assert 'the callback is broken' in counters.details()['/x.callback_error']


def test_quality_of_service_that_does_not_match_is_counted():
    sending, receiving = Counters(), Counters()
    with DdsGraph(counters=sending) as a, DdsGraph(counters=receiving) as b:
        publisher = a.advertise('/x', COUNT, SENSOR)
        b.subscribe('/x', COUNT, STATE, print)
        eventually(lambda: receiving.get('/x', 'incompatible_qos') == 1
                   and sending.get('/x', 'incompatible_qos') == 1)
        assert publisher.subscription_count() == 0
    assert 'offers less than is asked for' in receiving.details()['/x.incompatible_qos']


def test_a_slow_subscription_keeps_the_newest():
    entered, go, got = threading.Event(), threading.Event(), []

    def slow(received):
        entered.set()
        go.wait(10)
        got.append(from_cdr(received.cdr, COUNT).data)

    with DdsGraph() as a, DdsGraph() as b:
        b.subscribe('/x', COUNT, Qos(Reliability.BEST_EFFORT, 3), slow)
        publisher = a.advertise('/x', COUNT, SOUND)
        eventually(lambda: publisher.subscription_count() == 1)
        publisher.publish(new(COUNT, data=0))
        assert entered.wait(10)
        for i in range(1, 10):
            publisher.publish(new(COUNT, data=i))
        go.set()
        eventually(lambda: len(got) >= 4)
    assert got == [0, 7, 8, 9]


def test_no_callback_runs_once_close_has_returned():
    open_now, late = threading.Event(), []
    with DdsGraph() as a, DdsGraph() as b:
        publisher = a.advertise('/x', COUNT, SOUND)
        stop = threading.Event()

        def flood():
            while not stop.wait(0.0005):
                publisher.publish(new(COUNT))

        def check(received):
            time.sleep(0.001)
            if not open_now.is_set():
                late.append(received)

        thread = threading.Thread(target=flood)
        thread.start()
        try:
            for _ in range(30):
                open_now.set()
                subscription = b.subscribe('/x', COUNT, SOUND, check)
                time.sleep(0.01)
                subscription.close()
                open_now.clear()
        finally:
            stop.set()
            thread.join()
    assert not late


def test_a_callback_may_close_the_graph():
    graph, closed = DdsGraph(), threading.Event()
    graph.subscribe('/x', COUNT, STATE, lambda _: (graph.close(), closed.set()))
    with DdsGraph() as other:
        publisher = other.advertise('/x', COUNT, STATE)
        eventually(lambda: publisher.subscription_count() == 1)
        publisher.publish(new(COUNT))
        assert closed.wait(10)


def test_a_stranger_of_the_same_domain_with_another_tag_is_not_heard(monkeypatch):
    """Two runs of the tests, or of the demo, chose one domain by chance, and heard each other."""
    got = {'/friend/image': [], '/stranger/image': []}
    with DdsGraph() as graph:
        heard = [graph.subscribe(topic, IMAGE, STATE, into.append) for topic, into in got.items()]
        with monkeypatch.context() as patch:
            patch.setenv('MAVEN_ROS_DISCOVERY_TAG', 'stranger')
            stranger = publisher_process('stranger', stdout=subprocess.PIPE)
        try:
            assert stranger.stdout.readline() == b'open\n'
            friend = publisher_process('friend')  # comes later, and is heard
            eventually(lambda: len(got['/friend/image']) == 20)
            assert [one.publisher_count() for one in heard] == [1, 0]
            assert not got['/stranger/image'] and stranger.poll() is None
            friend.communicate(timeout=20)
        finally:
            stranger.kill()
            stranger.communicate()


def test_a_domain_that_nobody_chose_gets_a_tag():
    chosen = {'ROS_DOMAIN_ID': '7', 'ROS_AUTOMATIC_DISCOVERY_RANGE': 'SUBNET'}
    same = dict(chosen)
    stay_on_this_machine(same)
    assert same == chosen  # as the README says: two shells that choose the same meet
    some, others = {}, {}
    stay_on_this_machine(some)
    stay_on_this_machine(others)
    one, other = discovery_of(some), discovery_of(others)
    assert one.range == 'LOCALHOST' and 1 <= one.domain == other.domain <= 100
    assert one.tag and other.tag and one.tag != other.tag


def test_opening_and_closing_leaves_no_thread_behind():
    before = threading.active_count()
    for _ in range(5):
        with DdsGraph() as graph:
            graph.subscribe('/x', COUNT, STATE, print)
    assert threading.active_count() == before


def test_one_process_has_one_configuration_of_a_domain(monkeypatch):
    with DdsGraph(domain=77):
        monkeypatch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'OFF')
        with pytest.raises(GraphError, match='DDS domain 77: open in this process with'):
            DdsGraph(domain=77)
    with DdsGraph(domain=77) as graph:  # free again
        assert graph.topics() == {}


def test_a_broken_cyclonedds_uri_is_named(monkeypatch):
    monkeypatch.setenv('CYCLONEDDS_URI', '<CycloneDDS><Domain><Nonsense/></Domain></CycloneDDS>')
    with pytest.raises(GraphError, match=r'\(CYCLONEDDS_URI is part of it\)'):
        DdsGraph()


def test_variables_mean_what_they_mean_in_ros():
    assert discovery_of({}) == Discovery(0, 'SUBNET', ())
    assert discovery_of({'ROS_DOMAIN_ID': '', 'ROS_LOCALHOST_ONLY': '0'}) == Discovery(0)
    assert discovery_of({'ROS_DOMAIN_ID': '7'}, domain=8).domain == 8
    assert discovery_of({'ROS_DOMAIN_ID': '232'}).domain == 232
    peers = {'ROS_STATIC_PEERS': '192.0.2.1;;robot.local'}
    assert discovery_of(peers).peers == ('192.0.2.1', 'robot.local')
    tag = {'MAVEN_ROS_DISCOVERY_TAG': 'ours'}
    assert discovery_of(tag) == Discovery(0, tag='ours')
    # The deprecated variable overrules the two others.
    assert discovery_of({'ROS_LOCALHOST_ONLY': '1', 'ROS_AUTOMATIC_DISCOVERY_RANGE': 'OFF',
                         **peers, **tag}) == Discovery(0, 'LOCALHOST', tag='ours')


@pytest.mark.parametrize('variable, value, allowed', [
    ('ROS_DOMAIN_ID', 'x', 'whole numbers 0 to 232'), ('ROS_DOMAIN_ID', '-1', 'whole numbers'),
    ('ROS_DOMAIN_ID', '233', 'whole numbers 0 to 232'), ('ROS_LOCALHOST_ONLY', 'yes', '0, 1'),
    ('ROS_AUTOMATIC_DISCOVERY_RANGE', 'subnet', 'SUBNET, LOCALHOST, OFF, SYSTEM_DEFAULT'),
])
def test_variables_that_make_no_sense_are_refused(variable, value, allowed, monkeypatch):
    with pytest.raises(GraphError, match=re.escape(f'{variable}: {value!r}; allowed: {allowed}')):
        discovery_of({variable: value})
    monkeypatch.setenv(variable, value)
    with pytest.raises(GraphError, match=f'^{variable}: '):
        DdsGraph()


def test_configurations_are_those_of_rmw_cyclonedds():
    auto = ('<ParticipantIndex>auto</ParticipantIndex>'
            '<MaxAutoParticipantIndex>32</MaxAutoParticipantIndex>')
    quiet = '<General><AllowMulticast>false</AllowMulticast></General>'

    def config(general, discovery):
        return (f'<CycloneDDS><Domain>{general}<Discovery>{discovery}</Discovery></Domain>'
                '</CycloneDDS>')

    assert cyclone_config(Discovery(0)) == config('', auto)
    assert cyclone_config(Discovery(0, 'SUBNET', ('a', 'b"<'))) == config(
        '', auto + '<Peers><Peer address="a"/><Peer address=\'b"&lt;\'/></Peers>')
    assert cyclone_config(Discovery(0, 'LOCALHOST', ('a',)), 'file:///mine.xml') == config(
        quiet, auto + '<Peers><Peer address="localhost"/><Peer address="a"/></Peers>')
    assert 'ros_discovery_off_' in cyclone_config(Discovery(0, 'OFF', ('a',)))
    assert cyclone_config(Discovery(0, 'SYSTEM_DEFAULT', ('a',))) == ''
    # The tag is our own.
    assert cyclone_config(Discovery(0, tag='a<b')) == config('', f'{auto}<Tag>a&lt;b</Tag>')
    assert cyclone_config(Discovery(0, 'SYSTEM_DEFAULT', tag='a')) == config('', '<Tag>a</Tag>')
    assert cyclone_config(Discovery(0, 'OFF', tag='a')) == cyclone_config(Discovery(0, 'OFF'))


def test_on_one_host_the_interface_is_named_that_ros_calls_on():
    local = '<Interfaces><NetworkInterface address="127.0.0.1"/>'
    assert f'{local}</Interfaces>' in cyclone_config(Discovery(0, 'LOCALHOST'), '<Tracing/>')
    # To reach others, it needs theirs, too.
    assert f'{local}<NetworkInterface autodetermine="true"/></Interfaces>' in cyclone_config(
        Discovery(0, 'LOCALHOST', ('a',)))
    assert 'Interface' not in cyclone_config(Discovery(0, 'OFF'))


def test_the_way_messages_travel_is_set_and_the_user_has_the_last_word():
    config = transport_config()
    assert '<SocketReceiveBufferSize max="16777216 B"/>' in config
    assert '<MonitorPort>' in config
    assert 'MonitorPort' not in transport_config('<MonitorPort>9</MonitorPort>')


@pytest.mark.usefixtures('embedded_graph')
def test_interfaces_that_the_user_chooses_are_alone(monkeypatch):
    monkeypatch.setenv('CYCLONEDDS_URI', '<CycloneDDS><Domain><General><Interfaces>'
                       '<NetworkInterface address="127.0.0.1"/>'
                       '</Interfaces></General></Domain></CycloneDDS>')
    with DdsGraph() as graph:
        assert graph.topics() == {}


@pytest.mark.parametrize('chosen', ['SUBNET', 'OFF', 'SYSTEM_DEFAULT'])
def test_every_range_opens(chosen, monkeypatch):
    monkeypatch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', chosen)
    with DdsGraph() as graph:
        graph.advertise('/x', COUNT, STATE)
        assert graph.topics()['/x'] == COUNT
