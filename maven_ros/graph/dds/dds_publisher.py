"""Publishers of the embedded graph."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from maven_ros.counters import Counters
from maven_ros.errors import GraphError
from maven_ros.graph.cdr_publisher import CdrPublisher
from maven_ros.graph.dds.domain import delete_all, matched
from maven_ros.records import NS

#: A message is waited for so long at most.
_PATIENCE_NS = NS // 5


class DdsPublisher(CdrPublisher):
    """
    A publisher of one topic, from ``DdsGraph.advertise``.

    :param entities: the writer and the entities that are deleted after it.
    :param data_type: type of the writer's samples.
    :param waits: as of :class:`Qos`.
    :param forget: told when it closes.
    """

    def __init__(
        self, topic: str, msgtype: str, entities: list[Any], data_type: Any, waits: bool,
        counters: Counters, forget: Callable[[DdsPublisher], None],
    ) -> None:
        super().__init__(topic, msgtype)
        self._entities = entities  # empty once it is closed
        self._writer = entities[0]
        self._type = data_type
        self._waits = waits
        self._sent_ns = 0  # when, on the steady clock, the last one was
        self._counters = counters
        self._forget = forget

    def _is_closed(self) -> bool:
        return not self._entities

    def _send(self, cdr: bytes, stamp_ns: int | None) -> None:
        from cyclonedds.core import DDSException

        if self._waits:
            self._wait()
        try:
            self._writer.write(self._type(cdr), stamp_ns)
        except DDSException as error:
            if error.code != DDSException.DDS_RETCODE_TIMEOUT:
                raise GraphError(f'{self.topic}: {error}') from error
            self._counters.count(self.topic, 'write_timeout',
                                 'a reliable subscription does not keep up')
        self._sent_ns = time.monotonic_ns()

    def _wait(self) -> None:
        """
        Let subscriptions confirm the last message, at most as long as there was nothing to send.

        So a source that has fallen behind, or was delayed by a hanging subscription, catches up.
        """
        patience_ns = min(_PATIENCE_NS, time.monotonic_ns() - self._sent_ns)
        # In cyclonedds 11.0.1 the public method fails at a timeout. If Cyclone waited within
        # write(), all Python threads would stop.
        if self._writer._wait_for_acks(self._writer._ref, patience_ns) != 0:
            self._counters.count(self.topic, 'unconfirmed', 'a subscription does not keep up, or '
                                 'hangs; it may lose messages')

    def subscription_count(self) -> int:
        """Return the number of matching subscriptions; 0 after ``close``."""
        with self._lock:
            return len(matched(self._writer.get_matched_subscriptions)) if self._entities else 0

    def close(self) -> None:
        """Stop publishing."""
        self._forget(self)
        with self._lock:
            delete_all(self._entities)

    def check_qos(self) -> None:
        """Count a subscription that cannot be served, if one has appeared since."""
        from cyclonedds.core import DDSStatus

        with self._lock:
            if self._entities and self._writer.take_status(DDSStatus.OfferedIncompatibleQos):
                self._counters.count(
                    self.topic, 'incompatible_qos',
                    'a subscription asks for more than is offered and hears nothing')
