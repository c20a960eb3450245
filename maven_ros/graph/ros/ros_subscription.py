"""Subscriptions of ROS 2's graph, through rclpy."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from maven_ros.graph.callbacks import call_back
from maven_ros.graph.interface import Received, Reliability

if TYPE_CHECKING:
    from maven_ros.graph.ros.ros_graph import RosGraph

#: rclpy's subscription, made to ask for this and to call that with what arrives.
Create = Callable[[Reliability, Callable[[bytes], None]], Any]


class RosSubscription:
    """
    The way in from one topic; from ``RosGraph.subscribe``.

    :param graph: whose clock and counters are used.
    :param adapts: whether it asks for what is offered.
    :param create: makes rclpy's own.
    """

    def __init__(
        self, graph: RosGraph, topic: str, msgtype: str, adapts: bool, create: Create,
        callback: Callable[[Received], None],
    ) -> None:
        self.topic = topic
        self.msgtype = msgtype
        self.adapts = adapts
        #: What it asks of its publishers now.
        self.reliability = Reliability.RELIABLE
        self._graph = graph
        self._create = create
        self._callback: Callable[[Received], None] | None = callback  # None once it is closed
        self._lock = threading.RLock()  # a callback may close its own subscription
        self._own: list[Any] = []  # rclpy's; two while a new one has not been heard yet
        self._made = self._heard = 0

    def publisher_count(self) -> int:
        """Return the number of matching publishers; 0 after ``close``."""
        return 0 if self._callback is None else self._graph.publisher_count(self.topic)

    def close(self) -> None:
        """Stop receiving; after the return, no callback runs or starts."""
        with self._lock:
            self._callback = None
            own, self._own = self._own, []
        for one in own:
            self._graph.node.destroy_subscription(one)
        self._graph.forget(self)

    def follow(self, reliability: Reliability) -> None:
        """
        Ask publishers for this; what asked for something else stays until the new one is heard.

        :raises GraphError: when rclpy refuses it.
        """
        with self._lock:
            if self._callback is None:
                return
            if reliability is not self.reliability or not self._own:
                self._made += 1
                self._own.append(self._create(
                    reliability, functools.partial(self._deliver, self._made)))
                self.reliability = reliability
            gone = self._own[:-1] if self._heard == self._made else []
            self._own = self._own[len(gone):]
        for one in gone:
            self._graph.node.destroy_subscription(one)

    def _deliver(self, number: int, cdr: bytes) -> None:
        """Run the callback on what has arrived."""
        with self._lock:
            if self._callback is None or number < self._heard:
                return
            self._heard = number
            call_back(self._callback,
                      Received(self.topic, self.msgtype, cdr, self._graph.now_ns()),
                      self._graph.counters)
