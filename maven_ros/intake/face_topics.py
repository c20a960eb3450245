"""The topics on which a detector of ROS4HRI (REP-155) tells of faces: one list, two a face."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from maven_ros.closing import Closing
from maven_ros.counters import Counters
from maven_ros.errors import GraphError
from maven_ros.graph.interface import IMAGE_INPUT, Graph, Received, Subscription
from maven_ros.graph.topics import TRACKED_TOPIC
from maven_ros.intake.face_pairing import IDS_LIST, PARTS


def part_topics(lists: str, known: Mapping[str, str]) -> list[str]:
    """
    Return the topics that say where faces are.

    :param lists: full name of the topic of the lists.
    :param known: topics, with their types.
    """
    base = lists.rpartition('/')[0]
    parts = {f'{base}/{person_id}/{part}': msgtype
             for person_id in {topic[len(base) + 1:].partition('/')[0] for topic in known}
             for part, msgtype in PARTS.items()}
    return [topic for topic, msgtype in known.items() if parts.get(topic) == msgtype]


class FaceTopics(Closing):
    """
    Listens to them on a live graph: to the lists while there are some, and to who is listed.

    :param put: called with each message, from the transport's thread.
    :param wanted: False to listen to nobody.
    :param own: returns how many lists this node publishes itself.
    """

    def __init__(
        self, graph: Graph, counters: Counters, put: Callable[[Received], None],
        wanted: bool = True, own: Callable[[], int] = lambda: 0,
    ) -> None:
        self._graph = graph
        self._counters = counters
        self._put = put
        self._wanted = wanted
        self._own = own
        self._topic = graph.resolve(TRACKED_TOPIC)
        self._lists: Subscription | None = None
        self._people: dict[str, list[Subscription]] = {}
        self._refused = ''

    def look(self) -> None:
        """Subscribe to the lists while somebody publishes them."""
        published = (self._wanted and self._graph.topics().get(self._topic) == IDS_LIST
                     and self._graph.publisher_count(self._topic) > self._own())
        if published and self._lists is None:
            self._lists = self._subscribe(self._topic, IDS_LIST)
        elif not published and self._lists is not None:
            self.close()  # what is held goes on with the next pictures

    def follow(self, ids: Collection[str]) -> None:
        """Listen to those who are listed now, and to nobody else."""
        wanted = ids if self._lists is not None else ()
        for gone in [person_id for person_id in self._people if person_id not in wanted]:
            for subscription in self._people.pop(gone):
                subscription.close()
        base = self._topic.rpartition('/')[0]
        for person_id in wanted:
            if person_id not in self._people:
                opened = [self._subscribe(f'{base}/{person_id}/{part}', msgtype)
                          for part, msgtype in PARTS.items()]
                self._people[person_id] = [one for one in opened if one is not None]

    def close(self) -> None:
        """Close every subscription."""
        if self._lists is not None:
            self._lists.close()
            self._lists = None
        self.follow(())

    def _subscribe(self, topic: str, msgtype: str) -> Subscription | None:
        try:
            return self._graph.subscribe(topic, msgtype, IMAGE_INPUT, self._put)
        except GraphError as error:  # hri_msgs is not installed, say
            if str(error) != self._refused:
                self._refused = str(error)
                self._counters.count('faces', 'unusable', str(error))
            return None
