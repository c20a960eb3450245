"""
ROS 2's graph, through rclpy: topics of a node, raw.

Names, remaps, clock, parameters for quality of service and discovery are the node's own. Bytes
pass unchanged. All functions used here exist in Humble and have not changed since.
"""

from __future__ import annotations

import dataclasses
import importlib
import os
import re
import threading
from collections.abc import Callable, Sequence
from typing import Any

from maven_ros.closing import Closing
from maven_ros.counters import Counters
from maven_ros.errors import GraphError
from maven_ros.graph.interface import Answer, Qos, Received, Reliability
from maven_ros.graph.messages import field_types, from_cdr, to_cdr
from maven_ros.graph.names import Names
from maven_ros.graph.ros.ros_publisher import RosPublisher
from maven_ros.graph.ros.ros_service import RosService
from maven_ros.graph.ros.ros_subscription import RosSubscription

#: How often it is looked whether publishers offer something else.
_FOLLOW_S = 0.5
#: Topics that come and go with a face. ROS keeps the parameters of a topic's quality of service
#: for good, and would gather some of everybody who ever passed by.
_OF_ONE_FACE = re.compile('/humans/faces/[^/]+/')


class RosGraph(Closing):
    """
    The topics of a node; implements :class:`maven_ros.graph.interface.Graph`.

    Quality of service can be overridden by ROS's parameters ``qos_overrides.TOPIC...``.

    :param node: rclpy's, which somebody spins and destroys after this is closed.
    :param counters: where lost messages, mismatches and failing callbacks are counted.
    """

    def __init__(self, node: Any, counters: Counters | None = None) -> None:
        self.node = node
        self.counters = counters or Counters()
        self._names = Names(node.get_namespace(), None, node.get_name())
        self._lock = threading.Lock()
        self._open: list[RosPublisher | RosSubscription | RosService] = []
        self._timer: Any = None  # of those that adapt
        self._closed = False

    def now_ns(self) -> int:
        """Return the node's time; with ``use_sim_time`` 0 until the clock begins."""
        now_ns: int = self.node.get_clock().now().nanoseconds
        return now_ns

    def advertise(self, topic: str, msgtype: str, qos: Qos) -> RosPublisher:
        """
        Open a topic for publishing.

        :raises GraphError: for a bad name or an unknown type, and after ``close``.
        """
        full = self.resolve(topic)
        qos.check_offer(full)
        opened = self._create(full, msgtype, lambda kind, options: self.node.create_publisher(
            kind, topic, _ros_qos(qos), callback_group=_own_group(),
            event_callbacks=_events().PublisherEventCallbacks(incompatible_qos=self._mismatch(
                full, 'a subscription asks for more than is offered and hears nothing')),
            qos_overriding_options=options))
        publisher = RosPublisher(self, full, msgtype, opened)
        with self._lock:
            self._open.append(publisher)
        return publisher

    def subscribe(
        self, topic: str, msgtype: str, qos: Qos, callback: Callable[[Received], None]
    ) -> RosSubscription:
        """
        Listen to a topic. The callback comes on a thread of the executor and must be short.

        :raises GraphError: for a bad name or an unknown type, and after ``close``.
        """
        full = self.resolve(topic)
        adaptable = qos.reliability is Reliability.AS_OFFERED
        if adaptable:
            qos = dataclasses.replace(qos, reliability=self._chosen(full))
        adapts = qos.reliability is Reliability.AS_OFFERED
        mismatch = self._mismatch(
            full, 'a publisher offers less than is asked for and is not heard', adapts)

        def create(reliability: Reliability, deliver: Callable[[bytes], None]) -> Any:
            asked = _ros_qos(dataclasses.replace(qos, reliability=reliability))

            def subscribe(kind: Any, options: Any, **more: Any) -> Any:
                return self.node.create_subscription(
                    kind, topic, deliver, asked, callback_group=_own_group(),
                    event_callbacks=_events().SubscriptionEventCallbacks(
                        incompatible_qos=mismatch, **more),
                    qos_overriding_options=options, raw=True)

            def subscribe_and_count(kind: Any, options: Any) -> Any:
                try:
                    return subscribe(kind, options, message_lost=self._lost(full))
                except _events().UnsupportedEventTypeError:  # some middleware does not tell
                    return subscribe(kind, options)

            return self._create(
                full, msgtype, subscribe_and_count, adaptable, overridable=not qos.latched)

        subscription = RosSubscription(self, full, msgtype, adapts, create, callback)
        subscription.follow(self._offered(full) or Reliability.RELIABLE if adapts
                            else qos.reliability)
        with self._lock:
            self._open.append(subscription)
            if adapts and self._timer is None:
                self._timer = self.node.create_timer(
                    _FOLLOW_S, self._follow, _own_group(), _steady())
        return subscription

    def serve(self, service: str, srvtype: str, answer: Answer) -> RosService:
        """
        Answer a service. The answer runs on a thread of the executor.

        :raises GraphError: for a bad name or a type that is not installed, and after ``close``.
        """
        from rclpy.serialization import deserialize_message, serialize_message

        kind, full = interface_class(srvtype), self.resolve(service)

        def serve(request: Any, response: Any) -> Any:
            asked = from_cdr(serialize_message(request), f'{srvtype}_Request')
            said = to_cdr(answer(asked), f'{srvtype}_Response')
            return deserialize_message(said, type(response))

        try:
            opened = self.node.create_service(kind, service, serve, callback_group=_own_group())
        except RuntimeError as error:
            raise GraphError(f'{full} ({srvtype}): {error}') from error
        served = RosService(self, full, srvtype, opened)
        with self._lock:
            self._open.append(served)
        return served

    def resolve(self, topic: str) -> str:
        """
        Return the full name of a topic, after remaps and namespace.

        :raises GraphError: for a bad name, and after ``close``.
        """
        self._names.resolve(topic)  # refuses what ROS would, in our words
        if self._closed:
            raise GraphError(f'{topic}: the graph is closed')
        full: str = self.node.resolve_topic_name(topic)
        return full

    def topics(self) -> dict[str, str]:
        """All topics known now, with their types; where there are several, a publisher's."""
        if self._closed:
            return {}
        return {topic: self._type(topic, msgtypes)
                for topic, msgtypes in sorted(self.node.get_topic_names_and_types())}

    def publisher_count(self, topic: str) -> int:
        """
        Return the number of a topic's publishers, including those of this graph.

        :raises GraphError: for a bad name, and after ``close``.
        """
        return int(self.node.count_publishers(self.resolve(topic)))

    def forget(self, one: RosPublisher | RosSubscription | RosService) -> None:
        """Look no more after what has closed."""
        with self._lock:
            if one in self._open:
                self._open.remove(one)

    def latched(self, topic: str) -> bool:
        """
        Tell whether a publisher keeps a topic's messages for later subscriptions.

        :raises GraphError: for a bad name, and after ``close``.
        """
        from rclpy.qos import DurabilityPolicy

        return any(one.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL
                   for one in self.node.get_publishers_info_by_topic(self.resolve(topic)))

    def close(self) -> None:
        """Close every publisher and subscription; the node stays."""
        self._closed = True
        with self._lock:
            timer, self._timer = self._timer, None
        if timer is not None:
            self.node.destroy_timer(timer)
        for one in list(self._open):
            one.close()

    def _follow(self) -> None:
        """Ask for what publishers offer by now."""
        for one in list(self._open):
            if isinstance(one, RosSubscription) and one.adapts:
                try:
                    one.follow(self._offered(one.topic) or one.reliability)
                except GraphError as error:  # what is open stays
                    self.counters.count(one.topic, 'unusable', str(error))

    def _offered(self, topic: str) -> Reliability | None:
        """Return what hears every publisher of a topic; None where it has none."""
        from rclpy.qos import ReliabilityPolicy

        offered = {one.qos_profile.reliability
                   for one in self.node.get_publishers_info_by_topic(topic)}
        if not offered:
            return None
        return (Reliability.RELIABLE if offered == {ReliabilityPolicy.RELIABLE}
                else Reliability.BEST_EFFORT)

    def _chosen(self, topic: str) -> Reliability:
        """Return what the topic's parameter says; ROS's own would fix what is asked for first."""
        from rcl_interfaces.msg import ParameterDescriptor
        from rclpy.exceptions import ParameterException

        if _OF_ONE_FACE.search(topic):
            return Reliability.AS_OFFERED
        name = f'qos_overrides.{topic}.subscription.reliability'
        try:
            if not self.node.has_parameter(name):
                self.node.declare_parameter(
                    name, Reliability.AS_OFFERED.value, ParameterDescriptor(read_only=True))
            return Reliability(self.node.get_parameter(name).value)
        except (ParameterException, ValueError) as error:
            raise GraphError(f'{name}: {error}; allowed: '
                             f'{", ".join(one.value for one in Reliability)}') from error

    def _create(
        self, topic: str, msgtype: str, create: Callable[[Any, Any], Any],
        adaptable: bool = False, overridable: bool = True,
    ) -> Any:
        from rclpy.exceptions import ParameterException
        from rclpy.qos import QoSPolicyKind
        from rclpy.qos_overriding_options import QoSOverridingOptions

        kind = message_class(msgtype)
        policies = [] if _OF_ONE_FACE.search(topic) or not overridable else [
            QoSPolicyKind.HISTORY, QoSPolicyKind.DEPTH,
            *([] if adaptable else [QoSPolicyKind.RELIABILITY])]
        try:
            return create(kind, QoSOverridingOptions(policies))
        except (RuntimeError, ParameterException) as error:
            raise GraphError(f'{topic} ({msgtype}): {error}') from error

    def _type(self, topic: str, msgtypes: Sequence[str]) -> str:
        if len(msgtypes) == 1:
            return msgtypes[0]
        published = [one.topic_type for one in self.node.get_publishers_info_by_topic(topic)]
        return (published or msgtypes)[0]

    def _mismatch(self, topic: str, text: str, adapts: bool = False) -> Callable[[Any], None]:
        def count(event: Any) -> None:
            from rclpy.qos import qos_policy_name_from_kind

            policy = qos_policy_name_from_kind(event.last_policy_kind)
            if not (adapts and policy == 'RELIABILITY'):  # about to be asked for as it is offered
                self.counters.count(topic, 'incompatible_qos', f'{text} ({policy})')
        return count

    def _lost(self, topic: str) -> Callable[[Any], None]:
        def count(event: Any) -> None:
            self.counters.count(topic, 'lost', 'the network lost it, or it came faster than it '
                                'was taken', n=event.total_count_change)
        return count


def message_class(msgtype: str) -> Any:
    """
    Return rclpy's class of a message type.

    :raises GraphError: for a type that is unknown, not installed, or another of the same name.
    """
    found, expected = interface_class(msgtype), field_types(msgtype, msgtype)
    fields = list(found.get_fields_and_field_types())
    if len(fields) != len(expected):  # two families share the name audio_common_msgs
        raise GraphError(f'{msgtype}: the one that is installed has the fields '
                         f'{", ".join(fields)}; allowed: {", ".join(one for one, _ in expected)}')
    return found


def interface_class(name: str) -> Any:
    """
    Return rclpy's class of a type of messages or services.

    :raises GraphError: for a type that is not installed.
    """
    package, kind, last = name.split('/')
    try:
        return getattr(importlib.import_module(f'{package}.{kind}'), last)
    except (ImportError, AttributeError) as error:
        remedy = ('source the workspace after it is built, and let no other copy of maven_ros '
                  'come before it on PYTHONPATH' if package == 'maven_ros' else
                  f'apt install ros-{os.environ.get("ROS_DISTRO", "$ROS_DISTRO")}-'
                  f'{package.replace("_", "-")}')
        raise GraphError(f'{name}: not installed ({error}); {remedy}') from error


def _ros_qos(qos: Qos) -> Any:
    from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST, depth=qos.depth,
        reliability=ReliabilityPolicy[qos.reliability.name],
        durability=(DurabilityPolicy.TRANSIENT_LOCAL if qos.latched
                    else DurabilityPolicy.VOLATILE))


def _steady() -> Any:
    """Return a clock that goes on also where ``/clock`` stands still."""
    from rclpy.clock import Clock, ClockType

    return Clock(clock_type=ClockType.STEADY_TIME)


def _own_group() -> Any:
    """
    Return a group in which messages stay in order.

    Nothing shares it: rclpy may leave a group for ever busy with an entity that was destroyed.
    """
    from rclpy.callback_groups import MutuallyExclusiveCallbackGroup

    return MutuallyExclusiveCallbackGroup()


def _events() -> Any:
    try:
        return importlib.import_module('rclpy.event_handler')
    except ImportError:  # Humble
        return importlib.import_module('rclpy.qos_event')
