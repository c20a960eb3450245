"""Services of ROS 2's graph, through rclpy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from maven_ros.graph.ros.ros_graph import RosGraph


class RosService:
    """
    A service that is answered; from ``RosGraph.serve``.

    :param service: the full name.
    :param opened: rclpy's own.
    """

    def __init__(self, graph: RosGraph, service: str, srvtype: str, opened: Any) -> None:
        self.service, self.srvtype = service, srvtype
        self._graph = graph
        self._opened = opened  # None once it is closed

    def close(self) -> None:
        """Stop answering."""
        opened, self._opened = self._opened, None
        if opened is not None:
            self._graph.node.destroy_service(opened)
        self._graph.forget(self)
