"""A node of ROS 2 for a graph: its context, and the threads that run its callbacks."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from maven_ros.closing import Closing
from maven_ros.counters import Counters
from maven_ros.errors import GraphError, ResourceError
from maven_ros.graph.names import Names
from maven_ros.graph.ros.ros_graph import RosGraph

_log = logging.getLogger(__name__)

#: One for data, one for parameters, one for the lifecycle, one to spare.
_THREADS = 4
_POLL_S = 0.2
#: Callbacks that run may end within this; loading a model cannot be stopped, and launch, whose
#: SIGINT it was, goes on to SIGTERM after 5 s.
_END_S = 2.0


class Spinning(Closing):
    """
    Run the callbacks of a node on separate threads, until it is closed.

    :param node: rclpy's; stays the caller's to destroy.
    """

    def __init__(self, node: Any) -> None:
        from rclpy.executors import MultiThreadedExecutor

        self._executor = MultiThreadedExecutor(_THREADS, context=node.context)
        self._executor.add_node(node)
        self._context = node.context
        self._closing = False
        self._thread = threading.Thread(target=self._run, name='spin', daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Start no more callbacks; running ones may end."""
        self._closing = True
        self._thread.join()
        # Callbacks that were handed out find what they take from still there; else rclpy prints,
        # at the end, that an exception was never retrieved.
        handed = list(getattr(self._executor, '_futures', ()))
        deadline_s = time.monotonic() + _END_S
        while not all(one.done() for one in handed) and time.monotonic() < deadline_s:
            time.sleep(0.01)
        self._executor.shutdown()
        for one in handed:
            if one.done():
                one.exception()

    def _run(self) -> None:
        from rclpy.exceptions import InvalidHandle

        while not self._closing and self._context.ok():
            try:
                self._executor.spin_once(timeout_sec=_POLL_S)
            except InvalidHandle:  # something was closed while it was waited for: rclpy #1206
                _log.debug('what was waited for has gone', exc_info=True)
            except Exception:  # of one callback; the others must go on
                if not self._closing:
                    _log.exception('a callback of the node failed')


class RosNodeGraph(RosGraph):
    """
    A graph with a ROS context and a node of its own.

    :param namespace: relative names are below it.
    :param remaps: from name to name, as ROS's ``from:=to``.
    :param node_name: unless ROS's arguments rename it.
    :param arguments: ROS's, as of a process; those of the context.
    :param counters: as for ``RosGraph``.
    :raises GraphError: for a bad name or bad arguments.
    :raises ResourceError: when rclpy is not there.
    """

    def __init__(
        self, namespace: str = '', remaps: Mapping[str, str] | None = None,
        node_name: str = 'maven_ros', arguments: Sequence[str] = (),
        counters: Counters | None = None,
    ) -> None:
        names = Names(namespace, remaps, node_name)  # refuses bad names in our words
        self._context = open_context(arguments)
        from rclpy.node import Node

        rules = [text for old, new in (remaps or {}).items() for text in ('-r', f'{old}:={new}')]
        super().__init__(
            Node(node_name, context=self._context, namespace=names.namespace or None,
                 cli_args=['--ros-args', *rules] if rules else None), counters)
        self._spinning = Spinning(self.node)

    def close(self) -> None:
        """Close every publisher and subscription, then the node."""
        if not self._closed:
            super().close()
            self._spinning.close()
            self.node.destroy_node()
            self._context.try_shutdown()


def open_context(arguments: Sequence[str]) -> Any:
    """
    Open ROS, with no signal handlers of its own: what is still known is published before it ends.

    :param arguments: those of the process, without its name.
    :raises GraphError: for arguments that ROS refuses.
    :raises ResourceError: when rclpy is not there.
    """
    try:
        import rclpy
        from rclpy.context import Context
        from rclpy.signals import SignalHandlerOptions
    except ImportError as error:
        raise ResourceError(f'rclpy: not there ({error}); source ROS 2, as in '
                            '". /opt/ros/jazzy/setup.bash"') from error
    context = Context()
    try:
        rclpy.init(args=list(arguments), context=context,
                   signal_handler_options=SignalHandlerOptions.NO)
    except RuntimeError as error:
        raise GraphError(f'ROS arguments {" ".join(arguments)!r}: {error}') from error
    return context
