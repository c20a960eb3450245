"""
The interface of a transport: topics, raw CDR messages and a clock.

Messages travel as CDR bytes: DDS carries them, bags store them, and rclpy reads and writes them.
Only :mod:`maven_ros.graph.messages` converts between bytes and Python objects. Callbacks should
only keep a :class:`Received` and return.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, TypeAlias

from maven_ros.errors import GraphError
from maven_ros.freezing import plain_data


class Reliability(enum.Enum):
    """
    Whether lost messages are sent again. A subscription may follow the publishers' offer.

    A subscription should not request less than is offered: a large message has hundreds of
    fragments, and without a new request one lost fragment loses the message.
    """

    BEST_EFFORT = 'best_effort'
    RELIABLE = 'reliable'
    AS_OFFERED = 'as_offered'


@dataclass(frozen=True, slots=True)
class Qos:
    """
    Quality of service: keep the last ``depth`` messages.

    :param waits: whether a reliable publisher of the embedded graph lets subscriptions confirm a
        message before it sends the next. It waits at most as long as it had nothing to send, and
        at most 0.2 s.
    :param latched: a publisher keeps its messages for later subscriptions; a subscription
        receives kept messages, from latched publishers only; see :meth:`Graph.latched`.
    """

    reliability: Reliability
    depth: int
    waits: bool = False
    latched: bool = False

    def check_offer(self, topic: str) -> None:
        """
        Check that a publisher can offer this quality of service.

        :raises GraphError: for AS_OFFERED.
        """
        if self.reliability is Reliability.AS_OFFERED:
            raise GraphError(f'{topic}: a publisher offers as_offered; allowed: reliable, '
                             'best_effort')


#: Frequent choices of ROS drivers. Sound needs a deeper queue: 5 chunks would be only 160 ms.
SENSOR = Qos(Reliability.BEST_EFFORT, 5)
SOUND = Qos(Reliability.BEST_EFFORT, 100)
#: Inputs of a node: pictures, of which the newest matter, sound, of which all matter, and others.
IMAGE_INPUT = Qos(Reliability.AS_OFFERED, 5)
SOUND_INPUT = Qos(Reliability.AS_OFFERED, 100)
INPUT = Qos(Reliability.AS_OFFERED, 10)
#: Sources are reliable, because this matches every reader. A picture has hundreds of datagrams,
#: and those of the next picture would delay those that are sent again.
IMAGE_SOURCE = Qos(Reliability.RELIABLE, 5, waits=True)
SOUND_SOURCE = Qos(Reliability.RELIABLE, 100)
#: Messages that are sent once, such as the format of sound; used beside a normal subscription.
LATCHED = Qos(Reliability.RELIABLE, 1, latched=True)
#: Drawn pictures; the node must never wait for their subscribers.
DRAWING = Qos(Reliability.RELIABLE, 5)
#: States, utterances, events.
STATE = Qos(Reliability.RELIABLE, 10)
#: Requests and answers, as ROS's default for services.
SERVICE = Qos(Reliability.RELIABLE, 10)

#: Takes a request of a service and returns its response, both from ``messages.new``.
Answer: TypeAlias = Callable[[Any], Any]


@plain_data
@dataclass(frozen=True, slots=True)
class Received:
    """
    A received message.

    :param topic: full name, such as ``/camera/image_raw``.
    :param msgtype: ROS type name, such as ``sensor_msgs/msg/Image``.
    :param cdr: the CDR bytes with their 4-byte header.
    :param received_ns: time of arrival on the graph's clock.
    """

    topic: str
    msgtype: str
    cdr: bytes
    received_ns: int


class Publisher(Protocol):
    """A publisher of one topic."""

    topic: str
    msgtype: str

    def publish(self, message: Any) -> None:
        """
        Send a message.

        :param message: an object of the publisher's type from ``messages.new``.
        :raises GraphError: if it has another type or cannot be serialised.
        """

    def publish_cdr(self, cdr: bytes, stamp_ns: int | None = None) -> None:
        """
        Send CDR bytes unchanged.

        :param stamp_ns: time of sending on the graph's clock; the present time if omitted.
        """

    def subscription_count(self) -> int:
        """Return the number of matching subscriptions."""

    def close(self) -> None:
        """Stop publishing."""


class Subscription(Protocol):
    """A subscription to one topic."""

    topic: str  # the full name
    msgtype: str
    reliability: Reliability  # as requested from the publishers at present

    def publisher_count(self) -> int:
        """Return the number of matching publishers."""

    def close(self) -> None:
        """Stop receiving; after the return, no callback runs or starts."""


class Service(Protocol):
    """A service that is answered."""

    service: str  # the full name
    srvtype: str

    def close(self) -> None:
        """Stop answering."""


class Graph(Protocol):
    """A set of topics and a clock. A context manager; closing it closes all its parts."""

    def now_ns(self) -> int:
        """Return the graph's time: the system's, a simulated one, or a bag's."""

    def advertise(self, topic: str, msgtype: str, qos: Qos) -> Publisher:
        """
        Open a topic for publishing.

        :param topic: absolute (``/audio``) or relative to the graph's namespace (``audio``).
        :raises GraphError: for a bad name or an unknown type, and for AS_OFFERED.
        """

    def subscribe(
        self, topic: str, msgtype: str, qos: Qos, callback: Callable[[Received], None]
    ) -> Subscription:
        """
        Subscribe to a topic. The callback runs on a thread of the transport and must be short.

        :param topic: absolute or relative to the graph's namespace.
        :raises GraphError: for a bad name or an unknown type.
        """

    def serve(self, service: str, srvtype: str, answer: Answer) -> Service:
        """
        Answer a service. The answer runs on a thread of the transport.

        :param service: absolute or relative to the graph's namespace.
        :param srvtype: such as ``maven_ros/srv/GetAffect``.
        :raises GraphError: for a bad name or an unknown type, and for a bag, which has none.
        """

    def resolve(self, topic: str) -> str:
        """
        Return the full name of a topic, after remaps and namespace.

        :raises GraphError: for a bad name.
        """

    def topics(self) -> dict[str, str]:
        """Return all known topics with their types."""

    def publisher_count(self, topic: str) -> int:
        """
        Return the number of a topic's publishers, including those of this graph.

        :raises GraphError: for a bad name.
        """

    def latched(self, topic: str) -> bool:
        """
        Tell whether a publisher keeps a topic's messages for later subscriptions.

        :raises GraphError: for a bad name.
        """

    def close(self) -> None:
        """Close every publisher and subscription, then the graph."""

    def __enter__(self) -> Graph:
        """Return itself."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
