"""
A rosbag2 as a graph: topics of a recording, in the recording's own time.

Opened for reading, subscriptions get what was recorded when :meth:`BagGraph.play` runs; opened
for writing, publishers record. Bags are those of ``ros2 bag`` (Jazzy's format when written):
definitions, type hashes and quality of service are inside, and bytes are never re-encoded.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from maven_ros.closing import Closing
from maven_ros.errors import GraphError, ResourceError
from maven_ros.graph.bag.storage import bag_qos, hash_in_bag, open_reader, open_writer, translated
from maven_ros.graph.cdr_publisher import CdrPublisher
from maven_ros.graph.interface import Answer, Qos, Received, Reliability, Service
from maven_ros.graph.messages import definition, type_hash
from maven_ros.graph.names import Names

STORAGES = ('mcap', 'sqlite3')


class BagPublisher(CdrPublisher):
    """Records one topic, at the graph's time if no other is given."""

    def __init__(self, graph: BagGraph, topic: str, msgtype: str, connection: Any) -> None:
        super().__init__(topic, msgtype)
        self._graph = graph
        self._connection = connection  # None once it is closed

    def _is_closed(self) -> bool:
        return self._connection is None

    def _send(self, cdr: bytes, stamp_ns: int | None) -> None:
        self._graph._write(self._connection, cdr, stamp_ns)

    def subscription_count(self) -> int:
        """Return 1, the bag; 0 after ``close``."""
        return 0 if self._connection is None else 1

    def close(self) -> None:
        """Record no more; what is recorded stays."""
        self._connection = None


class BagSubscription:
    """Hears one topic of a bag while it plays; from :meth:`BagGraph.subscribe`."""

    def __init__(
        self, topic: str, msgtype: str, connections: list[Any],
        callback: Callable[[Received], None],
    ) -> None:
        self.topic = topic
        self.msgtype = msgtype
        self.reliability = Reliability.RELIABLE  # a bag loses nothing
        self.connections = connections
        self._callback: Callable[[Received], None] | None = callback
        self._lock = threading.RLock()  # a callback may close its own subscription

    def publisher_count(self) -> int:
        """How many publishers the bag recorded; 0 after ``close``."""
        return len(self.connections)

    def close(self) -> None:
        """Stop receiving; after the return, no callback runs or starts."""
        with self._lock:
            self._callback = None
            self.connections = []

    def _deliver(self, cdr: bytes, stamp_ns: int) -> int:
        with self._lock:
            if self._callback is None:
                return 0
            self._callback(Received(self.topic, self.msgtype, cdr, stamp_ns))
            return 1


class BagGraph(Closing):
    """
    A bag, implementing :class:`maven_ros.graph.interface.Graph`.

    :param path: folder of the bag; for reading also a single storage file.
    :param mode: ``'r'`` to read; ``'w'`` to write, to a path where nothing is yet.
    :param storage: what to write: mcap, or sqlite3, which only the thread that opened it may
        write. Any is read, compressed or not.
    :param namespace: relative names are below it.
    :param remaps: from name to name, as ROS's ``from:=to``.
    :param node_name: what ``~/`` stands for.
    :raises GraphError: for another mode or storage, or a bad name.
    :raises ResourceError: when the bag cannot be opened, or there is one already.
    """

    def __init__(
        self, path: str | Path, mode: str = 'r', storage: str = 'mcap', namespace: str = '',
        remaps: Mapping[str, str] | None = None, node_name: str = 'maven_ros',
    ) -> None:
        if mode not in ('r', 'w'):
            raise GraphError(f"mode: {mode!r}; allowed: 'r', 'w'")
        if storage not in STORAGES:
            raise GraphError(f'storage: {storage!r}; allowed: {", ".join(STORAGES)}')
        self.path = Path(path)
        #: The graph's time. Play moves it; who writes may set it, else it is the system's.
        self.time_ns: int | None = None
        self._names = Names(namespace, remaps, node_name)
        self._lock = threading.Lock()
        self._reader: Any = None
        self._writer: Any = None
        self._subscriptions: list[BagSubscription] = []
        self._publishers: list[BagPublisher] = []
        self._connections: dict[str, Any] = {}
        if mode == 'r':
            self._reader = open_reader(self.path)
            self.time_ns = self._reader.start_time if self._reader.message_count else 0
        else:
            self._writer = open_writer(self.path, storage)

    def now_ns(self) -> int:
        """Return the bag's time: that of the message being played, or that was set."""
        return time.time_ns() if self.time_ns is None else self.time_ns

    def advertise(self, topic: str, msgtype: str, qos: Qos) -> BagPublisher:
        """
        Open a topic for recording.

        :raises GraphError: for a bad name or an unknown type, a topic that has another type, and
            when the bag is not open for writing.
        :raises ResourceError: when it cannot be written.
        """
        full = self.resolve(topic)
        qos.check_offer(full)
        with self._lock:
            if self._writer is None:
                raise GraphError(f'{full}: {self.path} is not open for writing')
            known = self._connections.get(full)
            if known is not None and known.msgtype != msgtype:
                raise GraphError(f'{full}: is {known.msgtype} in {self.path}, not {msgtype}')
            if known is None:
                with translated(self.path, 'cannot be written'):
                    known = self._connections[full] = self._writer.add_connection(
                        full, msgtype, msgdef=definition(msgtype), rihs01=type_hash(msgtype),
                        offered_qos_profiles=[bag_qos(qos)])
            publisher = BagPublisher(self, full, msgtype, known)
            self._publishers.append(publisher)
        return publisher

    def subscribe(
        self, topic: str, msgtype: str, qos: Qos, callback: Callable[[Received], None]
    ) -> BagSubscription:
        """
        Listen to a topic of the bag; the callback comes from :meth:`play`, on its thread.

        :param qos: of no effect: every message is heard.
        :raises GraphError: for a bad name or an unknown type, a topic that has another type or
            another definition of it in the bag, and when the bag is not open for reading.
        """
        full = self.resolve(topic)
        subscription = BagSubscription(full, msgtype, self._checked(full, msgtype), callback)
        self._subscriptions.append(subscription)
        return subscription

    def _checked(self, full: str, msgtype: str) -> list[Any]:
        """Return what the bag has of a topic, if it is of that type and definition."""
        expected = type_hash(msgtype)
        if self._reader is None:
            raise GraphError(f'{full}: {self.path} is not open for reading')
        connections = [one for one in self._reader.connections if one.topic == full]
        for one in connections:
            if one.msgtype != msgtype:
                raise GraphError(f'{full}: is {one.msgtype} in {self.path}, not {msgtype}')
            if hash_in_bag(one) not in ('', expected):
                raise GraphError(f'{full}: {self.path} has another definition of {msgtype}:\n'
                                 f'{one.msgdef.data.strip()}\nallowed:\n{definition(msgtype)}')
        return connections

    def resolve(self, topic: str) -> str:
        """
        Return the full name of a topic.

        :raises GraphError: for a bad name.
        """
        return self._names.resolve(topic)

    def topics(self) -> dict[str, str]:
        """All topics of the bag, or that are recorded, with their types."""
        source = self._connections.values() if self._reader is None else self._reader.connections
        return {one.topic: one.msgtype for one in sorted(source, key=lambda one: one.topic)}

    def publisher_count(self, topic: str) -> int:
        """
        How many publishers of a topic were recorded, or record.

        :raises GraphError: for a bad name.
        """
        full = self.resolve(topic)
        if self._reader is None:
            return sum(one.topic == full and one.subscription_count() for one in self._publishers)
        return sum(one.topic == full for one in self._reader.connections)

    def serve(self, service: str, srvtype: str, answer: Answer) -> Service:
        """
        Refuse: a bag has no services.

        :raises GraphError: always.
        """
        raise GraphError(f'{service}: a bag has no services')

    def latched(self, topic: str) -> bool:
        """Return False: nobody comes later than a bag, which hands out all to everybody."""
        return False

    def message_counts(self) -> dict[str, int]:
        """How many messages each topic has, in a bag that is open for reading."""
        counts: dict[str, int] = {}
        for one in self._reader.connections if self._reader is not None else ():
            counts[one.topic] = counts.get(one.topic, 0) + one.msgcount
        return counts

    @property
    def span_ns(self) -> tuple[int, int]:
        """Time of the first message, and just after the last; (0, 0) when there is none."""
        if self._reader is None or not self._reader.message_count:
            return 0, 0
        return self._reader.start_time, self._reader.end_time

    def read(
        self, topics: Collection[str], start_ns: int | None = None, end_ns: int | None = None,
    ) -> Iterator[Received]:
        """
        Yield what was recorded on some topics, in order of arrival; at one time, of topics.

        :param topics: full names.
        :param start_ns: only what arrived from then on; a later start changes no order.
        :param end_ns: only what arrived before.
        :raises GraphError: as :meth:`subscribe`.
        :raises ResourceError: when the bag is damaged; what came before was yielded.
        """
        known = self.topics()
        connections = [
            one for topic in topics
            for one in self._checked(self.resolve(topic), known.get(topic, ''))]
        together: list[Received] = []
        try:
            for connection, stamp_ns, cdr in self._messages(connections, start_ns, end_ns):
                if together and together[0].received_ns != stamp_ns:
                    yield from sorted(together, key=lambda one: one.topic)
                    together = []
                together.append(Received(connection.topic, connection.msgtype, cdr, stamp_ns))
        except ResourceError:
            yield from sorted(together, key=lambda one: one.topic)
            raise
        yield from sorted(together, key=lambda one: one.topic)

    def play(self, stop: threading.Event | None = None) -> int:
        """
        Run the callbacks for all that was recorded, in order of time, as fast as they return.

        What a callback raises comes out here.

        :param stop: ends it early when set.
        :returns: how many messages were heard.
        :raises GraphError: when the bag is not open for reading.
        :raises ResourceError: when the bag is damaged; what came before was heard.
        """
        if self._reader is None:
            raise GraphError(f'{self.path}: is not open for reading')
        heard = 0
        wanted = [connection for connection in self._reader.connections
                  if any(connection in one.connections for one in self._subscriptions)]
        for connection, stamp_ns, cdr in self._messages(wanted):
            if self._reader is None or (stop is not None and stop.is_set()):
                break
            self.time_ns = stamp_ns
            for subscription in [*self._subscriptions]:
                if connection in subscription.connections:
                    heard += subscription._deliver(cdr, stamp_ns)
        return heard

    def secure(self) -> None:
        """
        Put what was recorded where a kill leaves it.

        :raises GraphError: when the bag is not open for writing.
        :raises CannotWrite: when there is no room; a later call may succeed.
        :raises ResourceError: when it cannot be written.
        """
        with self._lock:
            if self._writer is None:
                raise GraphError(f'{self.path}: is not open for writing')
            with translated(self.path, 'cannot be written'):
                self._writer.secure()

    @property
    def undone(self) -> int:
        """How many published messages the storage undid when there was no room."""
        return 0 if self._writer is None else self._writer.undone

    def close(self) -> None:
        """
        Close every publisher and subscription, then the bag; a written one is complete then.

        :raises ResourceError: when it cannot be completed.
        """
        with self._lock:
            reader, self._reader = self._reader, None
            writer, self._writer = self._writer, None
        for one in self._publishers:
            one.close()
        for subscription in self._subscriptions:
            subscription.close()
        if reader is not None:
            reader.close()
        if writer is not None:
            with translated(self.path, 'cannot be completed'):
                writer.close()

    def _write(self, connection: Any, cdr: bytes, stamp_ns: int | None) -> None:
        with self._lock:
            if self._writer is None:
                raise GraphError(f'{connection.topic}: {self.path} is closed')
            with translated(self.path, 'cannot be written'):
                self._writer.write(connection, self.now_ns() if stamp_ns is None else stamp_ns,
                                   cdr)

    def _messages(
        self, wanted: list[Any], start_ns: int | None = None, end_ns: int | None = None,
    ) -> Iterator[tuple[Any, int, bytes]]:
        """Yield what was recorded, in order of time."""
        if not wanted:  # rosbags would take that for all
            return
        with translated(self.path, 'is damaged'):
            messages = self._reader.messages(wanted, start_ns, end_ns)
        count = 0
        while True:
            with translated(self.path, 'is damaged'):
                found = next(messages, None)
                if found is None and self._reader is not None:
                    self._reader.check_end(wanted, start_ns, end_ns, count)
            if found is None:
                return
            count += 1
            connection, stamp_ns, cdr = found
            if type(stamp_ns) is not int or not isinstance(cdr, bytes | bytearray | memoryview):
                raise ResourceError(f'{self.path}: is damaged: a message of {connection.topic} is '
                                    f'{type(cdr).__name__} at {stamp_ns!r:.50}; allowed: bytes at '
                                    'a whole number of nanoseconds')
            yield connection, stamp_ns, bytes(cdr)
