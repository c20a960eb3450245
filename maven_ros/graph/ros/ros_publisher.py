"""Publishers of ROS 2's graph, through rclpy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from maven_ros.errors import GraphError
from maven_ros.graph.cdr_publisher import CdrPublisher

if TYPE_CHECKING:
    from maven_ros.graph.ros.ros_graph import RosGraph


class RosPublisher(CdrPublisher):
    """
    The way out to one topic; from ``RosGraph.advertise``.

    :param graph: told when it closes.
    :param publisher: rclpy's.
    """

    def __init__(self, graph: RosGraph, topic: str, msgtype: str, publisher: Any) -> None:
        super().__init__(topic, msgtype)
        self._graph = graph
        self._publisher = publisher  # None once it is closed

    def _is_closed(self) -> bool:
        return self._publisher is None

    def _send(self, cdr: bytes, stamp_ns: int | None) -> None:
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
