"""
The embedded graph: ROS 2's wire protocol without ROS, on Cyclone DDS.

Names of topics and types, type hashes, quality of service and CDR payloads are those of ROS 2, so
both sides see each other's topics. The topic ``ros_discovery_info``, from which ROS 2 learns node
names, is left out: its type differs between Humble (identifiers of 24 bytes) and later
distributions (16), and both may be on one network. So ``ros2 node list`` does not show this
graph's nodes; ``ros2 topic list``, ``info``, ``echo`` and ``hz`` show their topics.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from maven_ros.closing import Closing
from maven_ros.counters import Counters
from maven_ros.errors import GraphError, ResourceError
from maven_ros.graph.dds import domain as dds_domain
from maven_ros.graph.dds.cdr_types import raw_type
from maven_ros.graph.dds.dds_publisher import DdsPublisher
from maven_ros.graph.dds.dds_service import DdsService, call_service
from maven_ros.graph.dds.dds_subscription import DdsSubscription, Reader
from maven_ros.graph.dds.discovered import Discovered
from maven_ros.graph.dds.domain import delete_all, discovery_of
from maven_ros.graph.interface import SERVICE, Answer, Qos, Received, Reliability
from maven_ros.graph.messages import type_hash
from maven_ros.graph.names import Names, dds_topic, dds_type
from maven_ros.records import NS

#: A writer whose queue is full would wait so long.
_MAX_BLOCKING_NS = NS // 5
#: How often it is looked for mismatches of quality of service and for lost messages,
_IDLE_NS = NS
#: and for the first message of a publisher, from which on they are counted: within these bounds
#: so that looks take this share of the time; once more, as soon as it is heard.
_FIRST_NS = NS // 20, NS // 4
_LOOKS = 1 / 30


class DdsGraph(Closing):
    """
    A participant on ROS 2's network; implements :class:`maven_ros.graph.interface.Graph`.

    One thread takes arriving messages and runs the callbacks. A subscription that is slower than
    its topic loses the oldest messages beyond its depth.

    :param namespace: namespace of relative names.
    :param remaps: from name to name, as ROS's ``from:=to``.
    :param node_name: the meaning of ``~/``; also the participant's name in DDS tools.
    :param domain: overrides ROS_DOMAIN_ID.
    :param counters: count lost messages, mismatches and failing callbacks.
    :raises GraphError: for a bad name or environment variable, or when DDS cannot be opened.
    :raises ResourceError: when cyclonedds is not installed.
    """

    def __init__(
        self, namespace: str = '', remaps: Mapping[str, str] | None = None,
        node_name: str = 'maven_ros', domain: int | None = None,
        counters: Counters | None = None,
    ) -> None:
        try:
            from cyclonedds.core import DDSException, GuardCondition, WaitSet
            from cyclonedds.domain import DomainParticipant
            from cyclonedds.qos import Policy
            from cyclonedds.qos import Qos as DdsQos
        except ImportError as error:
            raise ResourceError('cyclonedds: not installed; pip install "maven_ros[dds]"'
                                ) from error
        self.counters = counters or Counters()
        self._names = Names(namespace, remaps, node_name)
        self._discovery = discovery_of(os.environ, domain)
        self._monitor = dds_domain.acquire(self._discovery)
        try:
            self.participant = DomainParticipant(
                self._discovery.domain, DdsQos(Policy.EntityName(node_name)))
        except DDSException as error:
            dds_domain.release(self._discovery)
            raise GraphError(f'DDS domain {self._discovery.domain}: {error}') from error
        self.discovered = Discovered(self.participant)
        self._waitset = WaitSet(self.participant)
        self._wake = GuardCondition(self.participant)
        for condition in (self._wake, *self.discovered.conditions):
            self._waitset.attach(condition)
        self._lock = threading.Lock()
        self._publishers: list[DdsPublisher] = []
        self._subscriptions: list[DdsSubscription] = []
        self._services: list[DdsService] = []
        self._closing = False
        self._look_ns = _FIRST_NS[0]
        self._thread = threading.Thread(target=self._run, name='dds', daemon=True)
        self._thread.start()

    def now_ns(self) -> int:
        """Return the system's time."""
        return time.time_ns()

    def advertise(self, topic: str, msgtype: str, qos: Qos) -> DdsPublisher:
        """
        Open a topic for publishing.

        :raises GraphError: for a bad name or an unknown type, and after ``close``.
        """
        from cyclonedds.pub import DataWriter

        full, data_type = self.resolve(topic), raw_type(msgtype)
        qos.check_offer(full)
        publisher = DdsPublisher(
            full, msgtype, self._open(full, data_type, msgtype, qos, DataWriter), data_type,
            qos.waits, self.counters, self.forget)
        with self._lock:
            self._publishers.append(publisher)
        return publisher

    def subscribe(
        self, topic: str, msgtype: str, qos: Qos, callback: Callable[[Received], None]
    ) -> DdsSubscription:
        """
        Listen to a topic. The callback comes on the graph's thread and must be short.

        :raises GraphError: for a bad name or an unknown type, and after ``close``.
        """
        subscription = DdsSubscription(self, self.resolve(topic), msgtype, qos, callback)
        with self._lock:
            self._subscriptions.append(subscription)
        try:
            self._look()
            subscription.follow(self.now_ns())
        except GraphError:
            self.forget(subscription)
            raise
        return subscription

    def serve(self, service: str, srvtype: str, answer: Answer) -> DdsService:
        """
        Answer a service, for clients of this graph and of ``rmw_cyclonedds_cpp``.

        :raises GraphError: for a bad name or an unknown type, and after ``close``.
        """
        served = DdsService(self, self.resolve(service), srvtype, answer)
        with self._lock:
            self._services.append(served)
        return served

    def call(self, service: str, srvtype: str, request: Any, timeout_s: float = 5.0) -> Any:
        """
        Call a service and return its response.

        :param request: an object of ``SRVTYPE_Request`` from ``messages.new``.
        :raises GraphError: for a bad name or an unknown type, and if nobody answers in time.
        """
        return call_service(self, self.resolve(service), srvtype, request, timeout_s)

    def resolve(self, topic: str) -> str:
        """
        Return the full name of a topic.

        :raises GraphError: for a bad name.
        """
        return self._names.resolve(topic)

    def topics(self) -> dict[str, str]:
        """All ROS topics on the network with their types, ours included; a publisher's first."""
        self._look()
        return self.discovered.topics()

    def publisher_count(self, topic: str) -> int:
        """
        Return the number of a topic's publishers, including those of this graph.

        :raises GraphError: for a bad name.
        """
        self._look()
        return self.discovered.publisher_count(self.resolve(topic))

    def latched(self, topic: str) -> bool:
        """
        Tell whether a publisher keeps a topic's messages for later subscriptions.

        :raises GraphError: for a bad name.
        """
        self._look()
        return self.discovered.latched(self.resolve(topic))

    def close(self) -> None:
        """Close every publisher and subscription, then the graph."""
        with self._lock:
            if self._closing:
                return
            self._closing = True
            ours: list[DdsSubscription | DdsPublisher | DdsService] = [
                *self._subscriptions, *self._publishers, *self._services]
        self._wake.set(True)
        if threading.current_thread() is not self._thread:  # a callback may close the graph
            self._thread.join()
        for one in ours:
            one.close()
        delete_all([self._waitset, self._wake])
        self.discovered.close()
        delete_all([self.participant])
        dds_domain.release(self._discovery)

    def _look(self) -> None:
        """Read the news of discovery, and pass them to the thread."""
        if self.discovered.look():
            self._wake.set(True)

    def _run(self) -> None:
        followed = prompt_ns = 0
        checked_ns = looked_ns = time.monotonic_ns()
        while not self._closing:
            awaited = any(one.awaits_first for one in self._listed())
            self._waitset.wait(self._look_ns if awaited else _IDLE_NS)
            self._wake.take()
            self.discovered.look()
            version = self.discovered.version  # who subscribes from here on has seen this one
            subscriptions = self._listed()
            if version > followed:
                followed = version
                self._follow(subscriptions)
            for subscription in subscriptions:
                if self._closing:
                    return
                subscription.deliver(self.now_ns())
            now_ns = time.monotonic_ns()
            waiting = [one for one in subscriptions if one.awaits_first]
            if now_ns - checked_ns >= _IDLE_NS:
                checked_ns = looked_ns = now_ns
                self._check(subscriptions)
            elif waiting and now_ns - looked_ns >= self._look_ns:
                looked_ns = now_ns
                self._count_lost(waiting, settle=False)
            elif now_ns - prompt_ns >= self._look_ns and any(one.heard_first for one in waiting):
                prompt_ns = now_ns  # what follows the first message is counted from here on
                self._count_lost(waiting, settle=False)

    def _follow(self, subscriptions: list[DdsSubscription]) -> None:
        for subscription in subscriptions:
            try:
                subscription.follow(self.now_ns())
            except GraphError as error:  # DDS has no more room, say; what is open stays
                self.counters.count(subscription.topic, 'unusable', str(error))

    def _listed(self) -> list[DdsSubscription]:
        with self._lock:
            return [*self._subscriptions]

    def _check(self, subscriptions: list[DdsSubscription]) -> None:
        with self._lock:
            checked: list[DdsSubscription | DdsPublisher] = [*subscriptions, *self._publishers]
        for one in checked:
            one.check_qos()
        if subscriptions:
            self._count_lost(subscriptions, settle=True)

    def _count_lost(self, subscriptions: list[DdsSubscription], settle: bool) -> None:
        began_ns = time.monotonic_ns()
        newest = self._monitor.newest() if self._monitor is not None else {}
        soonest_ns, latest_ns = _FIRST_NS
        took_ns = time.monotonic_ns() - began_ns
        self._look_ns = min(max(soonest_ns, round(took_ns / _LOOKS)), latest_ns)
        if newest:  # else it does not answer, and is asked again
            for subscription in subscriptions:
                subscription.count_lost(newest, self.now_ns(), settle)

    def open_reader(self, topic: str, msgtype: str, qos: Qos) -> Reader:
        """
        Open a reader for a subscription, whose data wake the graph's thread.

        :raises GraphError: for an unknown type, and after ``close``.
        """
        from cyclonedds.core import InstanceState, ReadCondition, SampleState, ViewState
        from cyclonedds.sub import DataReader

        entities = self._open(topic, raw_type(msgtype), msgtype, qos, DataReader)
        waiting = ReadCondition(
            entities[0], SampleState.Any | ViewState.Any | InstanceState.Any)
        with self._lock:
            self._waitset.attach(waiting)
        return Reader(entities[0], waiting, [waiting, *entities])

    def close_reader(self, reader: Reader) -> None:
        """Close a reader from :meth:`open_reader`."""
        with self._lock:
            self._waitset.detach(reader.condition)
        delete_all(reader.entities)

    def open_end(self, service: str, dds_name: str, msgtype: str, to_read: bool) -> list[Any]:
        """
        Open a reader or writer of a service; the caller deletes it.

        :param dds_name: name on the wire of what is asked, or of what is answered.
        :raises GraphError: for an unknown type, and after ``close``.
        """
        from cyclonedds.pub import DataWriter
        from cyclonedds.sub import DataReader

        return self._open(service, raw_type(msgtype), msgtype, SERVICE,
                          DataReader if to_read else DataWriter, dds_name)

    def _open(
        self, name: str, data_type: Any, msgtype: str, qos: Qos, kind: Callable[..., Any],
        dds_name: str = '',
    ) -> list[Any]:
        """Return a reader or writer and its topic, in the order of their deletion."""
        from cyclonedds.core import DDSException
        from cyclonedds.topic import Topic

        if self._closing:
            raise GraphError(f'{name}: the graph is closed')
        try:
            dds = Topic(self.participant, dds_name or dds_topic(name), data_type)
            return [kind(self.participant, dds, _dds_qos(qos, msgtype)), dds]
        except DDSException as error:
            raise GraphError(f'{name} ({dds_type(msgtype)}): {error}') from error

    def forget_service(self, one: DdsService) -> None:
        """Forget a closed service."""
        with self._lock:
            if one in self._services:
                self._services.remove(one)

    def forget(self, one: DdsPublisher | DdsSubscription) -> None:
        """Forget a closed publisher or subscription."""
        with self._lock:
            if isinstance(one, DdsPublisher):
                if one in self._publishers:
                    self._publishers.remove(one)
            elif one in self._subscriptions:
                self._subscriptions.remove(one)


def _dds_qos(qos: Qos, msgtype: str) -> Any:
    from cyclonedds.qos import Policy
    from cyclonedds.qos import Qos as DdsQos

    reliability = Policy.Reliability.BestEffort
    if qos.reliability is Reliability.RELIABLE:
        reliability = Policy.Reliability.Reliable(_MAX_BLOCKING_NS)
    return DdsQos(
        reliability,
        Policy.Durability.TransientLocal if qos.latched else Policy.Durability.Volatile,
        Policy.History.KeepLast(qos.depth),
        Policy.WriterDataLifecycle(autodispose=False),
        Policy.DataRepresentation(use_cdrv0_representation=True),
        Policy.Userdata(f'typehash={type_hash(msgtype)};'.encode()))

