"""A table of the publishers and subscriptions on the network, from DDS discovery."""

from __future__ import annotations

import logging
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from maven_ros.graph.dds.domain import delete_all
from maven_ros.graph.interface import Reliability
from maven_ros.graph.names import dds_topic, ros_topic, ros_type

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Offer:
    """
    A publisher, ours included.

    :param guid: as Cyclone's debug monitor writes it.
    :param topic: the name on the wire; ``msgtype`` likewise.
    """

    guid: str
    topic: str
    msgtype: str
    reliability: Reliability
    latched: bool = False


class Discovered:
    """
    The publishers and subscriptions of a domain, as a table that is cheap to read.

    Each entry is read once, when it appears: reading 400 topics four times a second took 14% of a
    core, and the binding leaks about 30 bytes for each entry that it reads.

    :param participant: the DDS participant whose built-in topics are read.
    """

    def __init__(self, participant: Any) -> None:
        from cyclonedds.builtin import (
            BuiltinDataReader,
            BuiltinTopicDcpsPublication,
            BuiltinTopicDcpsSubscription,
        )
        from cyclonedds.core import InstanceState, ReadCondition, SampleState, ViewState

        self._lock = threading.Lock()
        self._offers: dict[int, Offer] = {}  # by DDS's handle of the publisher,
        self._by_topic: dict[str, dict[int, Offer]] = {}  # and by the topic's name on the wire
        self._asked: dict[int, tuple[str, str]] = {}  # topic and type, by the subscription's
        self._topics: dict[str, str] | None = None  # until something changes
        #: Grows with each piece of news.
        self.version = 0
        self._readers = [
            BuiltinDataReader(participant, BuiltinTopicDcpsPublication),  # the first, always
            BuiltinDataReader(participant, BuiltinTopicDcpsSubscription)]
        #: Each is triggered while there is news.
        self.conditions = [
            ReadCondition(one, SampleState.Any | ViewState.Any | InstanceState.Any)
            for one in self._readers]

    def look(self) -> bool:
        """Read the news; return whether there were any."""
        from cyclonedds.core import InstanceState

        with self._lock:
            before = self.version
            for reader in self._readers:
                for one in _news(reader):
                    self.version += 1
                    handle = one.sample_info.instance_handle
                    if one.sample_info.instance_state != InstanceState.Alive:
                        self._drop(handle)
                    elif reader is self._readers[0]:
                        self._offers[handle] = offer = _offer(one)
                        self._by_topic.setdefault(offer.topic, {})[handle] = offer
                    else:
                        self._asked[handle] = one.topic_name, one.type_name
            if self.version > before:
                self._topics = None
            return self.version > before

    def topics(self) -> dict[str, str]:
        """Return ROS's topics with their types, sorted; a publisher's type where they differ."""
        with self._lock:
            if self._topics is None:
                pairs = [*self._asked.values(),
                         *((one.topic, one.msgtype) for one in self._offers.values())]
                named = ((ros_topic(topic), ros_type(kind)) for topic, kind in pairs)
                self._topics = dict(sorted(
                    {topic: kind for topic, kind in named if topic and kind}.items()))
            return dict(self._topics)

    def publisher_count(self, topic: str) -> int:
        """Return the number of a topic's publishers."""
        with self._lock:
            return len(self._by_topic.get(dds_topic(topic), ()))

    def latched(self, topic: str) -> bool:
        """Tell whether a publisher keeps a topic's messages for later subscriptions."""
        with self._lock:
            return any(one.latched for one in self._by_topic.get(dds_topic(topic), {}).values())

    def offered(self, topic: str, msgtype: str) -> dict[int, Offer]:
        """
        Return the publishers of a topic, by their handles.

        :param topic: the name on the wire; ``msgtype`` likewise.
        """
        with self._lock:
            return {handle: one for handle, one in self._by_topic.get(topic, {}).items()
                    if one.msgtype == msgtype}

    def offer(self, handle: int) -> Offer | None:
        """Return a publisher; None for one that is not known, or no more."""
        return self._offers.get(handle)

    def close(self) -> None:
        """Stop reading news."""
        with self._lock:
            delete_all([*self.conditions, *self._readers])
            self._readers = []
            self._offers, self._by_topic, self._asked, self._topics = {}, {}, {}, {}

    def _drop(self, handle: int) -> None:
        self._asked.pop(handle, None)
        gone = self._offers.pop(handle, None)
        if gone is not None:
            others = self._by_topic[gone.topic]
            del others[handle]
            if not others:
                del self._by_topic[gone.topic]


def _news(reader: Any) -> Iterator[Any]:
    from cyclonedds.core import DDSException

    while True:
        try:
            # One by one: the binding throws all away that it takes at once with a bad one.
            taken = reader.take(1)
        except DDSException:
            raise
        except Exception:  # which is what the binding raises for a name that is no UTF-8
            _log.debug('an endpoint that cannot be read', exc_info=True)
            continue
        if not taken:
            return
        yield from taken


def _offer(endpoint: Any) -> Offer:
    from cyclonedds.qos import Policy

    reliable = isinstance(endpoint.qos[Policy.Reliability], Policy.Reliability.Reliable)
    return Offer(
        '{:x}:{:x}:{:x}:{:x}'.format(*struct.unpack('>4I', endpoint.key.bytes)),
        endpoint.topic_name, endpoint.type_name,
        Reliability.RELIABLE if reliable else Reliability.BEST_EFFORT,
        Policy.Durability.TransientLocal in endpoint.qos)
