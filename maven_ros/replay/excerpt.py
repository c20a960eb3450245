"""The part of a bag that is replayed."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from maven_ros.graph.bag.bag_graph import BagGraph
from maven_ros.graph.interface import Received
from maven_ros.records import NS
from maven_ros.replay.sources import Sources


@dataclass(frozen=True, slots=True)
class Excerpt:
    """
    The part of a bag that is replayed.

    :param start_ns: time of arrival from which messages are taken; None for the beginning.
    :param end_ns: time of arrival before which messages are taken; None for the end.
    :param skip: number of first messages that have been taken already.
    :param rest_every_ns: time between saved states.
    """

    bag: Path
    sources: Sources
    start_ns: int | None = None
    end_ns: int | None = None
    skip: int = 0
    rest_every_ns: int = 30 * NS

    def read(self, graph: BagGraph) -> Iterator[Received]:
        """Yield the messages; errors are those of :meth:`BagGraph.read`."""
        messages = graph.read(self.sources.topics(graph), self.start_ns, self.end_ns)
        return itertools.islice(messages, self.skip, None)
