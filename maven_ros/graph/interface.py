"""
What a transport offers: topics, raw CDR messages and a clock. Nothing else knows which one it is.

A message travels as CDR bytes, which is what DDS carries, what a bag stores and what rclpy gives
and takes raw; :mod:`maven_ros.graph.messages` alone turns bytes into Python objects and back. A
callback therefore does next to nothing: it keeps a :class:`Received` and returns.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol

from maven_ros.errors import GraphError
from maven_ros.freezing import plain_data


class Reliability(enum.Enum):
    """
    Whether lost messages are sent again; a subscription may ask for it as publishers offer it.

    To ask for less than is offered is no way to hear everybody: a large message that comes in
    hundreds of fragments, of which one is lost and not asked for again, never comes at all.
    """

    BEST_EFFORT = 'best_effort'
    RELIABLE = 'reliable'
    AS_OFFERED = 'as_offered'


@dataclass(frozen=True, slots=True)
class Qos:
    """
    Quality of service: keep the last ``depth`` messages.

    :param waits: a reliable publisher of the embedded graph lets subscriptions confirm its last
        message before it sends the next, as long as it had nothing to send; 0.2 s at most.
    :param latched: publishers keep them for subscriptions that come later; a subscription asks
        for what was kept, and hears latched publishers alone; see :meth:`Graph.latched`.
    """

    reliability: Reliability
    depth: int
    waits: bool = False
    latched: bool = False

    def check_offer(self, topic: str) -> None:
        """
        Check that a publisher can offer it.

        :raises GraphError: for AS_OFFERED.
        """
        if self.reliability is Reliability.AS_OFFERED:
            raise GraphError(f'{topic}: a publisher offers as_offered; allowed: reliable, '
                             'best_effort')


#: What drivers of ROS offer, often; sound in chunks, of which 5 would be only 160 ms.
SENSOR = Qos(Reliability.BEST_EFFORT, 5)
SOUND = Qos(Reliability.BEST_EFFORT, 100)
#: What a node listens to: pictures, of which the newest matter, sound, of which all do, the rest.
IMAGE_INPUT = Qos(Reliability.AS_OFFERED, 5)
SOUND_INPUT = Qos(Reliability.AS_OFFERED, 100)
INPUT = Qos(Reliability.AS_OFFERED, 10)
#: Sources are reliable: they match every reader. A picture is hundreds of datagrams, and those of
#: the next one would get in the way of those that are sent again.
IMAGE_SOURCE = Qos(Reliability.RELIABLE, 5, waits=True)
SOUND_SOURCE = Qos(Reliability.RELIABLE, 100)
#: What is said once, such as what sound is like; beside a subscription that hears the others.
LATCHED = Qos(Reliability.RELIABLE, 1, latched=True)
#: What a node draws; it must never wait for who looks at it.
DRAWING = Qos(Reliability.RELIABLE, 5)
#: States, utterances, events.
STATE = Qos(Reliability.RELIABLE, 10)


@plain_data
@dataclass(frozen=True, slots=True)
class Received:
    """
    A message as it arrived.

    :param topic: its full name, such as ``/camera/image_raw``.
    :param msgtype: ROS type name, such as ``sensor_msgs/msg/Image``.
    :param cdr: the CDR bytes with their 4-byte header.
    :param received_ns: when it arrived, on the graph's clock.
    """

    topic: str
    msgtype: str
    cdr: bytes
    received_ns: int


class Publisher(Protocol):
    """The way out to one topic."""

    topic: str
    msgtype: str

    def publish(self, message: Any) -> None:
        """
        Send a message.

        :param message: an object of the publisher's type from ``messages.new``.
        :raises GraphError: when it is of another type or cannot be serialised.
        """

    def publish_cdr(self, cdr: bytes, stamp_ns: int | None = None) -> None:
        """
        Send CDR bytes as they are.

        :param stamp_ns: when that is, on the graph's clock; now when left out.
        """

    def subscription_count(self) -> int:
        """How many subscriptions match now."""

    def close(self) -> None:
        """Withdraw from the topic."""


class Subscription(Protocol):
    """The way in from one topic."""

    topic: str  # its full name
    msgtype: str
    reliability: Reliability  # what it asks of its publishers now

    def publisher_count(self) -> int:
        """How many publishers match now."""

    def close(self) -> None:
        """Stop: once this returns, no callback runs and none begins."""


class Graph(Protocol):
    """A place where topics live. A context manager; closing it closes all that came from it."""

    def now_ns(self) -> int:
        """Return the graph's time: the system's, simulated, or a bag's."""

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
        Listen to a topic. The callback comes on a thread of the transport and must be short.

        :param topic: absolute or relative to the graph's namespace.
        :raises GraphError: for a bad name or an unknown type.
        """

    def resolve(self, topic: str) -> str:
        """
        Return the full name that a topic has here, after remaps and namespace.

        :raises GraphError: for a bad name.
        """

    def topics(self) -> dict[str, str]:
        """All topics known now, with their types."""

    def publisher_count(self, topic: str) -> int:
        """
        How many publishers a topic has now, ours included.

        :raises GraphError: for a bad name.
        """

    def latched(self, topic: str) -> bool:
        """
        Tell whether somebody keeps what was published on a topic for who comes later.

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
