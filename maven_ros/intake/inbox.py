"""What has arrived and waits to be looked at: the one thing that callbacks touch."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping

from maven_ros.counters import Counters
from maven_ros.graph.interface import Received


class Inbox:
    """
    Bounded queues, one a role, emptied in order of arrival.

    A full queue drops its oldest message, counted by role and :attr:`cause`: the newest
    matters.

    :param limits: how many messages of each role may wait.
    """

    def __init__(self, limits: Mapping[str, int], counters: Counters) -> None:
        self._limits = dict(limits)
        self._counters = counters
        self._queues: dict[str, deque[Received]] = {role: deque() for role in limits}
        self._ready = threading.Condition()
        #: Why messages wait too long now, as it is counted.
        self.cause = 'overflow'

    def put(self, role: str, received: Received) -> None:
        """Add a message; never blocks for long."""
        with self._ready:
            queue = self._queues[role]
            queue.append(received)
            full = len(queue) > self._limits[role]
            if full:
                queue.popleft()
            self._ready.notify()
        if full:
            self._counters.refuse(role, self.cause, f'more than {self._limits[role]} messages of '
                                                    f'{received.topic} waited')

    def clear(self) -> None:
        """Forget all that waits, counted as ``ROLE.unread``."""
        with self._ready:
            waited = {role: len(queue) for role, queue in self._queues.items() if queue}
            for queue in self._queues.values():
                queue.clear()
        for role, count in waited.items():
            self._counters.count(role, 'unread', n=count, normal=True)

    def get(self, timeout_s: float) -> Received | None:
        """Take the message that arrived first; None when none does within the time."""
        with self._ready:
            if not self._ready.wait_for(lambda: any(self._queues.values()), timeout_s):
                return None
            first = min((queue for queue in self._queues.values() if queue),
                        key=lambda queue: queue[0].received_ns)
            return first.popleft()
