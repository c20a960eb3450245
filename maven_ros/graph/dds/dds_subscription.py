"""Subscriptions of the embedded graph."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from maven_ros.graph.callbacks import call_back
from maven_ros.graph.dds.discovered import Offer
from maven_ros.graph.dds.domain import matched
from maven_ros.graph.dds.lost_messages import LostMessages
from maven_ros.graph.interface import Qos, Received, Reliability
from maven_ros.graph.names import dds_topic, dds_type

if TYPE_CHECKING:
    from maven_ros.graph.dds.dds_graph import DdsGraph

_RELIABILITY_POLICY = 11  # DDS's number for it
#: A publisher that has said nothing for so long is waited for with less care.
_NEW_S = 3.0


@dataclass(frozen=True, slots=True)
class Reader:
    """
    DDS's reader of a topic.

    :param condition: that something waits to be taken.
    :param entities: all that belongs to it, in the order in which it is deleted.
    """

    reader: Any
    condition: Any
    entities: list[Any]


class DdsSubscription:
    """
    A subscription to one topic, from ``DdsGraph.subscribe``.

    With the reliability as offered, it has a reader for each kind of publisher. A best-effort
    reader also receives reliable publishers, but never asks for a lost fragment again; after
    sixteen such messages Cyclone permanently stops assembling that publisher's messages.

    :param graph: opens and closes readers, knows the publishers, and counts.
    """

    def __init__(
        self, graph: DdsGraph, topic: str, msgtype: str, qos: Qos,
        callback: Callable[[Received], None],
    ) -> None:
        self.topic = topic
        self.msgtype = msgtype
        #: What it asks of its publishers now; reliable where they are of both kinds.
        self.reliability = Reliability.RELIABLE
        self._qos = qos
        self._graph = graph
        self._callback = callback
        self._lock = threading.RLock()  # a callback may close its own subscription
        self._readers: dict[Reliability, Reader] = {}
        self._closed = False
        self._offered: dict[int, Offer] = {}
        self._new_until_s = 0.0
        self._unheard = False  # nothing has come of some publisher, not even in parts
        self._twice: set[tuple[int, int]] = set()  # what a reader that is new has, heard already
        self._lost = LostMessages()

    @property
    def awaits_first(self) -> bool:
        """Whether there is a new publisher from which no message has arrived."""
        return self._unheard and time.monotonic() < self._new_until_s

    @property
    def heard_first(self) -> bool:
        """Whether the first message of a new publisher has arrived since the last look."""
        with self._lock:
            return self.awaits_first and self._lost.awaits_look

    def publisher_count(self) -> int:
        """Return the number of matching publishers; 0 after ``close``."""
        with self._lock:
            return len({handle for one in self._readers.values()
                        for handle in matched(one.reader.get_matched_publications)})

    def close(self) -> None:
        """Stop receiving; after the return, no callback runs or starts."""
        self._graph.forget(self)
        with self._lock:
            self._closed = True
            for kind in list(self._readers):
                self._graph.close_reader(self._readers.pop(kind))

    def follow(self, received_ns: int) -> None:
        """
        Open and close readers as publishers ask for it.

        :raises GraphError: when DDS refuses a reader.
        """
        with self._lock:
            if self._closed:
                return
            offered = self._graph.discovered.offered(dds_topic(self.topic), dds_type(self.msgtype))
            if offered.keys() - self._offered.keys():
                self._unheard, self._new_until_s = True, time.monotonic() + _NEW_S
            self._offered = offered
            wanted = self._wanted()
            waiting = []
            for kind in wanted - self._readers.keys():
                opened = self._graph.open_reader(
                    self.topic, self.msgtype, replace(self._qos, reliability=kind))
                if kind is Reliability.RELIABLE:
                    waiting += self._hand_over()
                self._readers[kind] = opened
            for kind in self._readers.keys() - wanted:
                waiting += self._take(kind)
                self._graph.close_reader(self._readers.pop(kind))
            self.reliability = (Reliability.RELIABLE if Reliability.RELIABLE in wanted
                                else Reliability.BEST_EFFORT)
        self._hear(waiting, received_ns)

    def deliver(self, received_ns: int) -> None:
        """Take what has arrived and run the callback on it."""
        with self._lock:
            samples = [one for kind in list(self._readers) for one in self._take(kind)]
        self._hear(samples, received_ns)

    def check_qos(self) -> None:
        """Count a publisher that cannot be heard, if one has appeared since."""
        with self._lock:
            for one in self._readers.values():
                status = one.reader.get_requested_incompatible_qos_status()
                if status.total_count_change and not (
                        self._qos.reliability is Reliability.AS_OFFERED
                        and status.last_policy_id == _RELIABILITY_POLICY):
                    self._graph.counters.count(
                        self.topic, 'incompatible_qos',
                        'a publisher offers less than is asked for and is not heard')

    def count_lost(self, newest: Mapping[str, int], received_ns: int, settle: bool) -> None:
        """
        Count what was sent and never came.

        :param newest: the number of each publisher's newest message, by GUID.
        :param settle: False for a look at publishers that are new alone.
        """
        with self._lock:
            numbers = {handle: newest[one.guid] for handle, one in self._offered.items()
                       if one.guid in newest}
            # One that has just been found may be missing among the numbers.
            self._unheard = sum(map(bool, numbers.values())) < len(self._offered)
            self._lost.look(numbers)
        if not settle:
            return
        self.deliver(received_ns)  # what is here by now is not on its way
        with self._lock:
            lost = self._lost.settle(numbers, {
                handle for handle, one in self._offered.items()
                if one.reliability is Reliability.RELIABLE})
        if lost:
            self._graph.counters.count(
                self.topic, 'lost', 'of what was sent not all has come; smaller messages or a '
                'larger receive buffer (maven-ros doctor) help', n=lost)

    def _wanted(self) -> set[Reliability]:
        if self._qos.reliability is not Reliability.AS_OFFERED:
            return {self._qos.reliability}
        # Without any the readers stay: who has gone may come back.
        return ({one.reliability for one in self._offered.values()}
                or set(self._readers) or {Reliability.RELIABLE})

    def _hand_over(self) -> list[Any]:
        """Let a reliable reader, open beside a best-effort one, go on where that one is."""
        if Reliability.BEST_EFFORT not in self._readers:
            return []
        taken = self._take(Reliability.BEST_EFFORT)
        self._twice = {_name(one) for one in taken}
        return taken

    def _take(self, kind: Reliability) -> list[Any]:
        samples = [one for one in self._readers[kind].reader.take(self._qos.depth)
                   if one.sample_info.valid_data]  # else it tells that a writer went away
        if kind is Reliability.RELIABLE and self._twice:
            samples = [one for one in samples if _name(one) not in self._twice]
        elif kind is Reliability.BEST_EFFORT and Reliability.RELIABLE in self._readers:
            samples = [one for one in samples if not self._is_reliable(one)]
        for one in samples:
            self._lost.hear(one.sample_info.publication_handle)
        return samples

    def _is_reliable(self, sample: Any) -> bool:
        handle = sample.sample_info.publication_handle
        offer = self._graph.discovered.offer(handle)
        if offer is None:
            self._graph.discovered.look()
            offer = self._graph.discovered.offer(handle)
        return offer is not None and offer.reliability is Reliability.RELIABLE

    def _hear(self, samples: list[Any], received_ns: int) -> None:
        for sample in samples:
            with self._lock:
                if self._closed:
                    return
                call_back(self._callback,
                          Received(self.topic, self.msgtype, sample.cdr, received_ns),
                          self._graph.counters)


def _name(sample: Any) -> tuple[int, int]:
    return sample.sample_info.publication_handle, sample.sample_info.source_timestamp
