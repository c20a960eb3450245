"""What ROS's transport says where ROS or a package is missing; test_contract.py has the rest."""

import importlib.util
import re
import sys
import time
import types

import pytest
from waiting import eventually

from maven_ros.errors import GraphError, ResourceError
from maven_ros.graph.interface import INPUT, SENSOR, STATE, Reliability
from maven_ros.graph.messages import from_cdr, new, to_cdr
from maven_ros.graph.ros.ros_graph import RosGraph, interface_class, message_class
from maven_ros.graph.ros.ros_node import RosNodeGraph

DATA = 'audio_common_msgs/msg/AudioData'


def installed(monkeypatch, msgtype, *fields):
    """Let a message type be installed that has those fields."""
    package, _, name = msgtype.split('/')
    kind = type(name, (), {'get_fields_and_field_types': lambda: dict.fromkeys(fields, 'uint8')})
    for module in (package, f'{package}.msg'):
        monkeypatch.setitem(sys.modules, module, types.ModuleType(module))
    setattr(sys.modules[f'{package}.msg'], name, kind)
    return kind


@pytest.mark.skipif(importlib.util.find_spec('rclpy') is not None, reason='rclpy is here')
def test_without_rclpy_the_remedy_is_named():
    with pytest.raises(ResourceError, match=r'^rclpy: not there .* source ROS 2'):
        RosNodeGraph()
    with pytest.raises(GraphError, match="'/a b' is no ROS name"):
        RosNodeGraph(namespace='a b')


def test_a_message_package_that_is_missing_is_named_with_its_remedy(monkeypatch):
    monkeypatch.setenv('ROS_DISTRO', 'jazzy')
    monkeypatch.setitem(sys.modules, 'hri_msgs', None)
    monkeypatch.setitem(sys.modules, 'maven_ros.msg', None)
    with pytest.raises(GraphError, match=r'; apt install ros-jazzy-hri-msgs$'):
        message_class('hri_msgs/msg/LiveSpeech')
    with pytest.raises(GraphError, match='let no other copy of maven_ros come before it'):
        message_class('maven_ros/msg/AffectState')


def test_the_two_families_of_audio_common_are_told_apart(monkeypatch):
    ours = installed(monkeypatch, DATA, 'data')
    assert message_class(DATA) is ours
    installed(monkeypatch, DATA, 'float32_data', 'int32_data')
    with pytest.raises(GraphError, match=re.escape(
            f'{DATA}: the one that is installed has the fields float32_data, int32_data; '
            'allowed: data')):
        message_class(DATA)


@pytest.mark.ros
def test_no_parameter_is_left_behind_for_a_topic_of_one_face():
    kind = 'std_msgs/msg/Bool'
    with RosNodeGraph() as graph:
        graph.advertise('humans/faces/abcde/expression', kind, STATE)
        graph.subscribe('humans/faces/abcde/roi', kind, SENSOR, lambda received: None)
        graph.advertise('flag', kind, STATE)
        declared = graph.node.get_parameters_by_prefix('qos_overrides')
    assert any(name.startswith('/flag.publisher') for name in declared)
    assert not any('/humans/faces/' in name for name in declared)


@pytest.mark.ros
def test_publishers_are_asked_for_what_they_offer_and_followed():
    kind, got = 'std_msgs/msg/Bool', []
    with RosNodeGraph(node_name='here') as here, RosNodeGraph(node_name='there') as there:
        subscription = here.subscribe('/x', kind, INPUT, got.append)
        for qos in (SENSOR, STATE):
            publisher = there.advertise('/x', kind, qos)
            eventually(lambda qos=qos: subscription.reliability is qos.reliability)
            got.clear()
            while not got:  # it takes a moment until they know each other
                publisher.publish(new(kind))
                time.sleep(0.02)
            publisher.close()
            eventually(lambda: subscription.publisher_count() == 0)
        assert here.counters.get('/x', 'incompatible_qos') == 0
        name = 'qos_overrides./x.subscription.reliability'
        assert here.node.get_parameter(name).value == 'as_offered'


@pytest.mark.ros
def test_the_parameter_of_a_topic_has_the_last_word():
    arguments = ['--ros-args', '-p', 'qos_overrides./x.subscription.reliability:=best_effort',
                 '-p', 'qos_overrides./y.subscription.reliability:=sometimes']
    kind = 'std_msgs/msg/Bool'
    with RosNodeGraph(arguments=arguments) as graph:
        graph.advertise('/x', kind, STATE)
        subscription = graph.subscribe('/x', kind, INPUT, lambda received: None)
        assert subscription.reliability is Reliability.BEST_EFFORT
        with pytest.raises(GraphError, match=r'^qos_overrides\./y\.subscription\.reliability: .*; '
                                             'allowed: best_effort, reliable, as_offered'):
            graph.subscribe('/y', kind, INPUT, lambda received: None)


def test_a_service_is_answered_through_rclpy_s_own_messages(monkeypatch):
    """Fake rclpy: bytes in place of its messages, and a node that keeps what it is asked for."""
    srvtype, opened = 'maven_ros/srv/GetAffect', {}
    response = type('GetAffect_Response', (), {'cdr': b''})
    modules = {
        'rclpy': {}, 'rclpy.callback_groups': {'MutuallyExclusiveCallbackGroup': object},
        'rclpy.serialization': {
            'serialize_message': lambda message: message,
            'deserialize_message': lambda cdr, kind: (kind, cdr)},
        'maven_ros.srv': {'GetAffect': 'the class of GetAffect'}}
    for name, values in modules.items():
        module = types.ModuleType(name)
        vars(module).update(values)
        monkeypatch.setitem(sys.modules, name, module)

    class Node:
        def get_namespace(self):
            return '/robot'

        def get_name(self):
            return 'node'

        def resolve_topic_name(self, name):
            return f'/robot/{name}'

        def create_service(self, kind, name, callback, *, callback_group):
            opened.update(kind=kind, name=name, callback=callback)
            return 'the service'

        def destroy_service(self, service):
            opened['destroyed'] = service

    with RosGraph(Node()) as graph:
        served = graph.serve('affect/get_affect', srvtype, lambda request: new(
            f'{srvtype}_Response', success=True, message=request.person_id))
        assert served.service == '/robot/affect/get_affect'
        asked = to_cdr(new(f'{srvtype}_Request', person_id='ann'), f'{srvtype}_Request')
        kind, cdr = opened['callback'](asked, response())
        assert kind is response
        assert from_cdr(cdr, f'{srvtype}_Response').message == 'ann'
    assert (opened['kind'], opened['name']) == ('the class of GetAffect', 'affect/get_affect')
    assert opened['destroyed'] == 'the service'
    monkeypatch.setitem(sys.modules, 'maven_ros.srv', None)
    with pytest.raises(GraphError, match=r'maven_ros/srv/GetAffect: not installed .* source the'):
        interface_class(srvtype)
