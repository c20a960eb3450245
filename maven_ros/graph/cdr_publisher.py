"""What the publishers of all transports have in common."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from typing import Any

from maven_ros.errors import GraphError
from maven_ros.graph.messages import to_cdr


class CdrPublisher(ABC):
    """
    A publisher of one topic, from a graph's ``advertise``.

    Subclasses send bytes; ``_lock`` guards what they send them with.
    """

    def __init__(self, topic: str, msgtype: str) -> None:
        self.topic = topic
        self.msgtype = msgtype
        self._lock = threading.Lock()

    def publish(self, message: Any) -> None:
        """
        Send a message.

        :raises GraphError: if it has another type or cannot be serialised, and after ``close``.
        :raises ResourceError: if a bag cannot be written.
        """
        self.publish_cdr(to_cdr(message, self.msgtype))

    def publish_cdr(self, cdr: bytes, stamp_ns: int | None = None) -> None:
        """
        Send CDR bytes unchanged.

        :param stamp_ns: time of sending; the present time if omitted. rclpy ignores it.
        :raises GraphError: for bytes without a CDR header, and after ``close``.
        :raises ResourceError: if a bag cannot be written.
        """
        if len(cdr) < 4:
            raise GraphError(f'{self.topic}: {len(cdr)} bytes; allowed: CDR with a 4-byte header')
        with self._lock:
            if self._is_closed():
                raise GraphError(f'{self.topic}: the publisher is closed')
            self._send(cdr, stamp_ns)

    @abstractmethod
    def _is_closed(self) -> bool:
        """Tell whether ``close`` was called."""

    @abstractmethod
    def _send(self, cdr: bytes, stamp_ns: int | None) -> None:
        """Send bytes; called with the lock held, and not after ``close``."""
