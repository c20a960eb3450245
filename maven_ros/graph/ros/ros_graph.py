"""
ROS 2's graph, through rclpy: topics of a node, raw.

Names, remaps, clock, parameters for quality of service and discovery are the node's own; bytes
pass as they are. Nothing here is missing in Humble or has changed since.
"""

from __future__ import annotations

import importlib
import logging
import os
import re
import threading
from collections.abc import Callable, Sequence
from typing import Any

from maven_ros.closing import Closing
from maven_ros.counters import Counters
from maven_ros.errors import GraphError
from maven_ros.graph.interface import Qos, Received
from maven_ros.graph.messages import field_types, to_cdr
from maven_ros.graph.names import Names

_log = logging.getLogger(__name__)
#: Topics that come and go with a face. ROS keeps the parameters of a topic's quality of service
#: for good, and would gather some of everybody who ever passed by.
_OF_ONE_FACE = re.compile('/humans/faces/[^/]+/')


class RosPublisher:
    """
    The way out to one topic; from ``RosGraph.advertise``.

    :param graph: told when it closes.
    :param publisher: rclpy's.
    """

    def __init__(self, graph: RosGraph, topic: str, msgtype: str, publisher: Any) -> None:
        self.topic = topic
        self.msgtype = msgtype
        self._graph = graph
        self._publisher = publisher  # None once it is closed
        self._lock = threading.Lock()

    def publish(self, message: Any) -> None:
        """
        Send a message.

        :raises GraphError: when it is of another type, cannot be serialised, or after ``close``.
        """
        self.publish_cdr(to_cdr(message, self.msgtype))

    def publish_cdr(self, cdr: bytes, stamp_ns: int | None = None) -> None:
        """
        Send CDR bytes as they are.

        :param stamp_ns: of no effect: rclpy stamps them itself.
        :raises GraphError: for bytes without a CDR header, and after ``close``.
        """
        if len(cdr) < 4:
            raise GraphError(f'{self.topic}: {len(cdr)} bytes; allowed: CDR with a 4-byte header')
        with self._lock:
            if self._publisher is None:
                raise GraphError(f'{self.topic}: the publisher is closed')
            try:
                self._publisher.publish(cdr)
            except RuntimeError as error:  # the base of all that rclpy raises for ROS's own faults
                raise GraphError(f'{self.topic}: {error}') from error

    def subscription_count(self) -> int:
        """How many subscriptions match now; 0 after ``close``."""
        with self._lock:
            return 0 if self._publisher is None else int(self._publisher.get_subscription_count())

    def close(self) -> None:
        """Withdraw from the topic."""
        with self._lock:
            self._publisher = None
        self._graph.forget(self)


class RosSubscription:
    """
    The way in from one topic; from ``RosGraph.subscribe``.

    :param graph: whose clock and counters are used.
    """

    def __init__(
        self, graph: RosGraph, topic: str, msgtype: str, callback: Callable[[Received], None],
    ) -> None:
        self.topic = topic
        self.msgtype = msgtype
        self._graph = graph
        self._callback: Callable[[Received], None] | None = callback  # None once it is closed
        self._lock = threading.RLock()  # a callback may close its own subscription

    def publisher_count(self) -> int:
        """How many publishers match now; 0 after ``close``."""
        return 0 if self._callback is None else self._graph.publisher_count(self.topic)

    def close(self) -> None:
        """Stop: once this returns, no callback runs and none begins."""
        with self._lock:
            self._callback = None
        self._graph.forget(self)

    def deliver(self, cdr: bytes) -> None:
        """Run the callback on what has arrived."""
        with self._lock:
            if self._callback is None:
                return
            try:
                self._callback(Received(self.topic, self.msgtype, cdr, self._graph.now_ns()))
            except Exception as error:  # whatever it is, the other topics must go on
                self._graph.counters.count(self.topic, 'callback_error', repr(error))
                _log.debug('%s: the callback failed', self.topic, exc_info=True)


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
        self._open: dict[RosPublisher | RosSubscription, Any] = {}  # with rclpy's own of each
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
        opened = self._create(full, msgtype, lambda kind, options: self.node.create_publisher(
            kind, topic, _ros_qos(qos), callback_group=_own_group(),
            event_callbacks=_events().PublisherEventCallbacks(incompatible_qos=self._mismatch(
                full, 'a subscription asks for more than is offered and hears nothing')),
            qos_overriding_options=options))
        publisher = RosPublisher(self, full, msgtype, opened)
        self._open[publisher] = opened
        return publisher

    def subscribe(
        self, topic: str, msgtype: str, qos: Qos, callback: Callable[[Received], None]
    ) -> RosSubscription:
        """
        Listen to a topic. The callback comes on a thread of the executor and must be short.

        :raises GraphError: for a bad name or an unknown type, and after ``close``.
        """
        full = self.resolve(topic)
        subscription = RosSubscription(self, full, msgtype, callback)
        mismatch = self._mismatch(
            full, 'a publisher offers less than is asked for and is not heard')

        def create(kind: Any, options: Any, **more: Any) -> Any:
            return self.node.create_subscription(
                kind, topic, subscription.deliver, _ros_qos(qos), callback_group=_own_group(),
                event_callbacks=_events().SubscriptionEventCallbacks(
                    incompatible_qos=mismatch, **more),
                qos_overriding_options=options, raw=True)

        def create_and_count(kind: Any, options: Any) -> Any:
            try:
                return create(kind, options, message_lost=self._lost(full))
            except _events().UnsupportedEventTypeError:  # some middleware does not tell
                return create(kind, options)

        self._open[subscription] = self._create(full, msgtype, create_and_count)
        return subscription

    def resolve(self, topic: str) -> str:
        """
        Return the full name that a topic has here, after remaps and namespace.

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
        How many publishers a topic has now, ours included.

        :raises GraphError: for a bad name, and after ``close``.
        """
        return int(self.node.count_publishers(self.resolve(topic)))

    def forget(self, one: RosPublisher | RosSubscription) -> None:
        """Take what has closed off the node, once."""
        with self._lock:
            opened = self._open.pop(one, None)
        if opened is not None and isinstance(one, RosPublisher):
            self.node.destroy_publisher(opened)
        elif opened is not None:
            self.node.destroy_subscription(opened)

    def close(self) -> None:
        """Close every publisher and subscription; the node stays."""
        self._closed = True
        for one in list(self._open):
            one.close()

    def _create(self, topic: str, msgtype: str, create: Callable[[Any, Any], Any]) -> Any:
        from rclpy.exceptions import ParameterException
        from rclpy.qos_overriding_options import QoSOverridingOptions

        kind = message_class(msgtype)
        try:
            return create(kind, QoSOverridingOptions([]) if _OF_ONE_FACE.search(topic)
                          else QoSOverridingOptions.with_default_policies())
        except (RuntimeError, ParameterException) as error:
            raise GraphError(f'{topic} ({msgtype}): {error}') from error

    def _type(self, topic: str, msgtypes: Sequence[str]) -> str:
        if len(msgtypes) == 1:
            return msgtypes[0]
        published = [one.topic_type for one in self.node.get_publishers_info_by_topic(topic)]
        return (published or msgtypes)[0]

    def _mismatch(self, topic: str, text: str) -> Callable[[Any], None]:
        def count(event: Any) -> None:
            from rclpy.qos import qos_policy_name_from_kind

            self.counters.count(topic, 'incompatible_qos', f'{text} '
                                f'({qos_policy_name_from_kind(event.last_policy_kind)})')
        return count

    def _lost(self, topic: str) -> Callable[[Any], None]:
        def count(event: Any) -> None:
            self.counters.count(topic, 'message_lost', 'it came faster than it was taken',
                                n=event.total_count_change)
        return count


def message_class(msgtype: str) -> Any:
    """
    Return rclpy's class of a message type.

    :raises GraphError: for a type that is unknown, not installed, or another of the same name.
    """
    expected = field_types(msgtype, msgtype)
    package, _, name = msgtype.split('/')
    try:
        found = getattr(importlib.import_module(f'{package}.msg'), name)
    except (ImportError, AttributeError) as error:
        remedy = ('source the workspace after it is built, and let no other copy of maven_ros '
                  'come before it on PYTHONPATH' if package == 'maven_ros' else
                  f'apt install ros-{os.environ.get("ROS_DISTRO", "$ROS_DISTRO")}-'
                  f'{package.replace("_", "-")}')
        raise GraphError(f'{msgtype}: not installed ({error}); {remedy}') from error
    fields = list(found.get_fields_and_field_types())
    if len(fields) != len(expected):  # two families share the name audio_common_msgs
        raise GraphError(f'{msgtype}: the one that is installed has the fields '
                         f'{", ".join(fields)}; allowed: {", ".join(one for one, _ in expected)}')
    return found


def _ros_qos(qos: Qos) -> Any:
    from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST, depth=qos.depth,
        reliability=ReliabilityPolicy[qos.reliability.name],
        durability=DurabilityPolicy.VOLATILE)


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
