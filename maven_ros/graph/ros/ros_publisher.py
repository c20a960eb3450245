"""Publishers of ROS 2's graph, through rclpy."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from maven_ros.errors import GraphError
from maven_ros.graph.messages import to_cdr

if TYPE_CHECKING:
    from maven_ros.graph.ros.ros_graph import RosGraph


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
        """Return the number of matching subscriptions; 0 after ``close``."""
        with self._lock:
            return 0 if self._publisher is None else int(self._publisher.get_subscription_count())

    def close(self) -> None:
        """Stop publishing."""
        with self._lock:
            own, self._publisher = self._publisher, None
        if own is not None:
            self._graph.node.destroy_publisher(own)
        self._graph.forget(self)
