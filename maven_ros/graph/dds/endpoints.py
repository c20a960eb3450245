"""Publishers and subscriptions of the embedded graph."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

from maven_ros.counters import Counters
from maven_ros.errors import GraphError
from maven_ros.graph.dds.domain import delete_all
from maven_ros.graph.interface import Received
from maven_ros.graph.messages import to_cdr

_log = logging.getLogger(__name__)


class DdsPublisher:
    """
    The way out to one topic; from ``DdsGraph.advertise``.

    :param entities: the writer and what is deleted after it.
    :param data_type: of the writer's samples.
    :param forget: told when it closes.
    """

    def __init__(
        self, topic: str, msgtype: str, entities: list[Any], data_type: Any, counters: Counters,
        forget: Callable[[DdsPublisher], None],
    ) -> None:
        self.topic = topic
        self.msgtype = msgtype
        self._entities = entities  # empty once it is closed
        self._writer = entities[0]
        self._type = data_type
        self._counters = counters
        self._forget = forget
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

        :param stamp_ns: DDS's source timestamp; now when left out.
        :raises GraphError: for bytes without a CDR header, and after ``close``.
        """
        from cyclonedds.core import DDSException

        if len(cdr) < 4:
            raise GraphError(f'{self.topic}: {len(cdr)} bytes; allowed: CDR with a 4-byte header')
        with self._lock:
            if not self._entities:
                raise GraphError(f'{self.topic}: the publisher is closed')
            try:
                self._writer.write(self._type(cdr), stamp_ns)
            except DDSException as error:
                if error.code != DDSException.DDS_RETCODE_TIMEOUT:
                    raise GraphError(f'{self.topic}: {error}') from error
                self._counters.count(self.topic, 'write_timeout',
                                     'a reliable subscription does not keep up')

    def subscription_count(self) -> int:
        """How many subscriptions match now; 0 after ``close``."""
        with self._lock:
            return len(self._writer.get_matched_subscriptions()) if self._entities else 0

    def close(self) -> None:
        """Withdraw from the topic."""
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


class DdsSubscription:
    """
    The way in from one topic; from ``DdsGraph.subscribe``.

    :param entities: the condition that data wait, the reader and what is deleted after them.
    :param depth: at most so many messages are taken at once.
    :param forget: told when it closes.
    """

    def __init__(
        self, topic: str, msgtype: str, entities: list[Any], depth: int,
        callback: Callable[[Received], None], counters: Counters,
        forget: Callable[[DdsSubscription], None],
    ) -> None:
        self.topic = topic
        self.msgtype = msgtype
        self.condition = entities[0]
        self._entities = entities  # empty once it is closed
        self._reader = entities[1]
        self._depth = depth
        self._callback = callback
        self._counters = counters
        self._forget = forget
        self._lock = threading.RLock()  # a callback may close its own subscription

    def publisher_count(self) -> int:
        """How many publishers match now; 0 after ``close``."""
        with self._lock:
            return len(self._reader.get_matched_publications()) if self._entities else 0

    def close(self) -> None:
        """Stop: once this returns, no callback runs and none begins."""
        self._forget(self)
        with self._lock:
            delete_all(self._entities)

    def deliver(self, received_ns: int) -> None:
        """Take what has arrived and run the callback on it."""
        with self._lock:
            samples = self._reader.take(self._depth) if self._entities else []
        for sample in samples:
            if not sample.sample_info.valid_data:  # tells that a writer went away
                continue
            with self._lock:
                if not self._entities:
                    return
                self._call(Received(self.topic, self.msgtype, sample.cdr, received_ns))

    def _call(self, received: Received) -> None:
        try:
            self._callback(received)
        except Exception as error:  # whatever it is, the other topics must go on
            self._counters.count(self.topic, 'callback_error', repr(error))
            _log.debug('%s: the callback failed', self.topic, exc_info=True)

    def check_qos(self) -> None:
        """Count a publisher that cannot be heard, if one has appeared since."""
        from cyclonedds.core import DDSStatus

        with self._lock:
            if self._entities and self._reader.take_status(DDSStatus.RequestedIncompatibleQos):
                self._counters.count(
                    self.topic, 'incompatible_qos',
                    'a publisher offers less than is asked for and is not heard')
