"""
Faces that a detector of ROS4HRI (REP-155) has found, so that nothing is detected twice.

``humans/faces/tracked`` lists who is in a picture, ``humans/faces/<id>/roi`` and ``.../landmarks``
say where; all have the picture's stamp. A picture is held until its list has come, and goes on
with those faces. Crops are cut here: their geometry is the network's, the detector's is its own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from maven_ros.closing import Closing
from maven_ros.counters import Counters
from maven_ros.errors import GraphError
from maven_ros.graph.interface import SENSOR, Graph, Received, Subscription
from maven_ros.graph.messages import from_cdr, time_ns
from maven_ros.graph.topics import TRACKED_TOPIC
from maven_ros.records import NS, FoundFace, Frame

IDS_LIST = 'hri_msgs/msg/IdsList'
REGION = 'hri_msgs/msg/NormalizedRegionOfInterest2D'
LANDMARKS = 'hri_msgs/msg/FacialLandmarks'
TYPES = frozenset({IDS_LIST, REGION, LANDMARKS})

_PARTS = {'roi': REGION, 'landmarks': LANDMARKS}
_RIGHT_PUPIL, _LEFT_PUPIL = 68, 69  # in FacialLandmarks; the person's right is on our left
_WAIT_NS = NS // 4   # of a list, for its picture, and for regions that come behind it
_SILENT_NS = NS      # after so long without a list, faces are detected here again
_REMEMBERED = 60     # stamps of pictures that went on before the first list
_LEAST, _MOST = -1, 2  # shares of the picture where a face that is partly out of it may lie
_MOST_PLACES = 1000  # two parts of eight people in as many pictures


class TrackedFaces(Closing):
    """
    Pairs pictures with the lists of the faces in them.

    It begins with the first list that has the stamp of a picture that came, and ends when lists
    stop: a detector that watches another camera changes nothing.

    :param counters: where pictures that the detector left out are counted.
    :param put: called with each message from the transport's thread; :meth:`take` wants it back.
    :param wanted: False to listen to nobody: pictures go on as they come.
    """

    def __init__(
        self, graph: Graph, counters: Counters, put: Callable[[Received], None],
        wanted: bool = True,
    ) -> None:
        self._graph = graph
        self._counters = counters
        self._put = put
        self._wanted = wanted
        self._topic = graph.resolve(TRACKED_TOPIC)
        self._lists: Subscription | None = None
        self._people: dict[str, list[Subscription]] = {}
        self._refused = ''
        self.reset()

    def reset(self) -> None:
        """Forget all pictures and faces, as after a jump in time."""
        self._passed: deque[int] = deque(maxlen=_REMEMBERED)  # stamps, while nothing is held
        self._held: deque[Frame] = deque()
        self._waiting: deque[tuple[int, list[str]]] = deque()  # lists, by stamp
        self._places: dict[tuple[str, str, int], Any] = {}  # by id, part and stamp
        self._paired_ns: int | None = None  # stamp of the last list that had a picture

    @property
    def used(self) -> bool:
        """Whether faces come from there now."""
        return self._paired_ns is not None

    def look(self) -> None:
        """Subscribe to the lists while somebody publishes them."""
        published = (self._wanted and self._graph.topics().get(self._topic) == IDS_LIST
                     and self._graph.publisher_count(self._topic) > 0)
        if published and self._lists is None:
            self._lists = self._subscribe(self._topic, IDS_LIST)
        elif not published and self._lists is not None:
            self._unsubscribe()  # what is held goes on with the next pictures

    def take(self, received: Received) -> list[Frame]:
        """Take a message; return the pictures that go on with it."""
        message = from_cdr(received.cdr, received.msgtype)
        stamp_ns = time_ns(message.header.stamp)
        if received.msgtype == IDS_LIST:
            self._listen(message.ids)
            if self._waiting and stamp_ns < self._waiting[-1][0]:  # time has jumped back
                self._waiting.clear()
                self._places = {key: place for key, place in self._places.items()
                                if key[2] <= stamp_ns}
            self._waiting.append((stamp_ns, list(message.ids)))
        else:
            _, person_id, part = received.topic.rsplit('/', 2)
            self._places[person_id, part, stamp_ns] = message
            if len(self._places) > _MOST_PLACES:  # of whom no list comes
                del self._places[next(iter(self._places))]
        return self._go_on()

    def hold(self, frame: Frame) -> list[Frame]:
        """Take a picture; return those that go on now, with their faces where they are known."""
        if self._held and frame.stamp_ns <= self._held[-1].stamp_ns:
            return [*self._let_go(), frame]
        if self._paired_ns is None:
            self._passed.append(frame.stamp_ns)
            return [frame, *self._go_on()]  # its list may have been quicker
        self._held.append(frame)
        frames = self._go_on()
        if abs(frame.stamp_ns - self._paired_ns) > _SILENT_NS:  # lists stopped, or time jumped
            frames += self._let_go()
        return frames

    def close(self) -> None:
        """Close every subscription; held pictures are forgotten."""
        self._unsubscribe()
        self.reset()

    def _subscribe(self, topic: str, msgtype: str) -> Subscription | None:
        try:
            return self._graph.subscribe(topic, msgtype, SENSOR, self._put)
        except GraphError as error:  # hri_msgs is not installed, say
            if str(error) != self._refused:
                self._refused = str(error)
                self._counters.count('faces', 'unusable', str(error))
            return None

    def _unsubscribe(self) -> None:
        if self._lists is not None:
            self._lists.close()
            self._lists = None
        self._listen([])

    def _listen(self, ids: list[str]) -> None:
        """Follow those who are listed, and nobody else."""
        for gone in [person_id for person_id in self._people if person_id not in ids]:
            for subscription in self._people.pop(gone):
                subscription.close()
        base = self._topic.rpartition('/')[0]
        for person_id in ids:
            if person_id not in self._people:
                opened = [self._subscribe(f'{base}/{person_id}/{part}', msgtype)
                          for part, msgtype in _PARTS.items()]
                self._people[person_id] = [one for one in opened if one is not None]

    def _let_go(self) -> list[Frame]:
        """Return all that is held: its faces are looked for here."""
        frames = list(self._held)
        self.reset()
        return frames

    def _go_on(self) -> list[Frame]:
        """Return the pictures whose lists are there, and whole."""
        frames: list[Frame] = []
        if not self._waiting:
            return frames
        pictures_ns = [*self._passed, *(frame.stamp_ns for frame in self._held)]
        newest_picture_ns = max(pictures_ns, default=-1)
        newest_regions_ns = self._newest_regions()
        while self._waiting:
            stamp_ns, ids = self._waiting[0]
            newest_ns = max(newest_picture_ns, self._waiting[-1][0])  # lists are in order of time
            seen = stamp_ns <= newest_picture_ns  # a list is smaller than a picture
            whole = all(newest_regions_ns.get(person_id, -1) >= stamp_ns for person_id in ids)
            if (not (seen and whole) and newest_ns - stamp_ns < _WAIT_NS
                    and len(self._waiting) < _REMEMBERED):
                break
            self._waiting.popleft()
            frames += self._pair(stamp_ns, ids)
        return frames

    def _newest_regions(self) -> dict[str, int]:
        """
        Return the stamp of each person's newest region.

        They come in order: one that is older, and has not come, will not. A detector that misses
        a face for a picture or two still lists it.
        """
        newest_ns: dict[str, int] = {}
        for person_id, part, stamp_ns in self._places:
            if part == 'roi':
                newest_ns[person_id] = max(stamp_ns, newest_ns.get(person_id, stamp_ns))
        return newest_ns

    def _pair(self, stamp_ns: int, ids: list[str]) -> list[Frame]:
        while self._held and self._held[0].stamp_ns < stamp_ns:
            self._held.popleft()
            self._counters.count('video', 'thinned', normal=True)  # by the detector
        found = tuple(filter(None, (self._found(person_id, stamp_ns) for person_id in ids)))
        self._places = {key: place for key, place in self._places.items() if key[2] > stamp_ns}
        if self._held and self._held[0].stamp_ns == stamp_ns:
            self._paired_ns = stamp_ns
            return [replace(self._held.popleft(), faces=found)]
        if stamp_ns in self._passed:  # this one has gone on; the next are held
            self._paired_ns = stamp_ns
            self._passed.clear()
        return []

    def _found(self, person_id: str, stamp_ns: int) -> FoundFace | None:
        region = self._places.get((person_id, 'roi', stamp_ns))
        landmarks = self._places.get((person_id, 'landmarks', stamp_ns))
        if region is None:  # its topic was found too late
            return None
        eyes = None
        if landmarks is not None:
            left, right = landmarks.landmarks[_RIGHT_PUPIL], landmarks.landmarks[_LEFT_PUPIL]
            if left.c > 0 and right.c > 0:
                eyes = (float(left.x), float(left.y)), (float(right.x), float(right.y))
        box = (region.xmin, region.ymin, region.xmax, region.ymax)
        left_x, top_y, right_x, bottom_y = box
        width, height = right_x - left_x, bottom_y - top_y  # by which eyes may be out of the box
        # NaN is not in order, either.
        if not (_LEAST <= left_x < right_x <= _MOST and _LEAST <= top_y < bottom_y <= _MOST
                and all(left_x - width <= x <= right_x + width
                        and top_y - height <= y <= bottom_y + height for x, y in eyes or ())):
            self._counters.count(
                'faces', 'bad_region', f'{person_id}: box {box}, eyes {eyes}; allowed: shares of '
                f'the picture in [{_LEAST}, {_MOST}], the first corner before the second, and '
                'eyes in the box, or beside it')
            return None
        return FoundFace(person_id, box, eyes)
