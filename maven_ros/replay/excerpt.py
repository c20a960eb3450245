"""What part of a bag is replayed."""

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
    What part of a bag is replayed.

    :param start_ns: only what arrived from then on; None from the beginning.
    :param end_ns: only what arrived before; None to the end.
    :param skip: so many of the first messages were taken already.
    :param rest_every_ns: after so long, once nobody speaks, all comes to rest.
    """

    bag: Path
    sources: Sources
    start_ns: int | None = None
    end_ns: int | None = None
    skip: int = 0
    rest_every_ns: int = 30 * NS

    def read(self, graph: BagGraph) -> Iterator[Received]:
        """Yield its messages; errors are those of :meth:`BagGraph.read`."""
        messages = graph.read(self.sources.topics(graph), self.start_ns, self.end_ns)
        return itertools.islice(messages, self.skip, None)
