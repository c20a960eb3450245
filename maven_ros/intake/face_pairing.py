"""
Pairs pictures with the faces that a detector of ROS4HRI (REP-155) has found in them.

``humans/faces/tracked`` lists who is in a picture, ``humans/faces/<id>/roi`` and ``.../landmarks``
say where; all have the picture's stamp. A picture is held until its list has come, and goes on
with those faces. Crops are cut here: their geometry is the network's, the detector's is its own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, ClassVar, NamedTuple, TypeAlias

from maven_ros.counters import Counters
from maven_ros.errors import InputError
from maven_ros.freezing import Freezing
from maven_ros.graph.interface import Received
from maven_ros.graph.messages import from_cdr, time_ns
from maven_ros.graph.topics import OWN_ID
from maven_ros.records import NS, FoundFace, Frame, Point

IDS_LIST = 'hri_msgs/msg/IdsList'
REGION = 'hri_msgs/msg/NormalizedRegionOfInterest2D'
LANDMARKS = 'hri_msgs/msg/FacialLandmarks'
#: What tells of one face, by the last part of its topic's name.
PARTS = {'roi': REGION, 'landmarks': LANDMARKS}
TYPES = frozenset({IDS_LIST, *PARTS.values()})

#: In FacialLandmarks: pupils, tip of the nose and outer corners of the mouth; the person's right,
#: which is on our left, comes first.
EYES, LOWER = (68, 69), (30, 48, 54)
_WAIT_NS = NS // 4   # of a list, for its picture, and for regions that come behind it
_SILENT_NS = NS      # after so long without a list, faces are detected here again
_REMEMBERED = 60     # stamps of pictures that went on before the first list
_LEAST, _MOST = -1, 2  # shares of the picture where a face that is partly out of it may lie
_MOST_IDS, _LONGEST_ID = 64, 64
_MOST_PLACES = 1000  # two parts of eight people in as many pictures

_Box: TypeAlias = tuple[float, float, float, float]
_Marks: TypeAlias = tuple[Point, ...]  # of EYES and, behind them, of LOWER; where known


class _Held(NamedTuple):
    """A picture that waits for its list, and the message that it was read from."""

    received: Received
    frame: Frame


class FacePairing(Freezing):
    """
    Holds pictures for the lists of the faces in them.

    It begins with the first list that has the stamp of a picture that came, and ends when lists
    stop: a detector that watches another camera changes nothing.

    :param read: reads a picture that was held when all was written down.
    :param counters: where pictures that the detector left out are counted.
    """

    _fixed: ClassVar[frozenset[str]] = frozenset({'_read', '_counters'})

    def __init__(self, read: Callable[[Received], Any], counters: Counters) -> None:
        self._read = read
        self._counters = counters
        #: Who is in the newest list.
        self.listed: tuple[str, ...] = ()
        self.reset()

    def reset(self) -> None:
        """Forget all pictures and faces, as after a jump in time."""
        self._passed: deque[int] = deque(maxlen=_REMEMBERED)  # stamps, while nothing is held
        self._held: deque[_Held] = deque()
        self._waiting: deque[tuple[int, tuple[str, ...]]] = deque()  # lists, by stamp
        self._boxes: dict[tuple[str, int], _Box] = {}          # by id and stamp, as
        self._marks: dict[tuple[str, int], _Marks] = {}        # these
        self._paired_ns: int | None = None  # stamp of the last list that had a picture

    def freeze(self) -> dict[str, Any]:
        """Return what was gathered; pictures as the messages that they came in."""
        return {**super().freeze(), '_held': [one.received for one in self._held]}

    def thaw(self, state: dict[str, Any]) -> None:
        """Go on; pictures are read again."""
        held = deque(_Held(received, self._read(received)) for received in state['_held'])
        super().thaw({**state, '_held': held})

    @property
    def used(self) -> bool:
        """Whether faces come from there now."""
        return self._paired_ns is not None

    def take(self, received: Received) -> list[Frame]:
        """Take a message of the detector; return the pictures that go on with it."""
        message = from_cdr(received.cdr, received.msgtype)
        stamp_ns = time_ns(message.header.stamp)
        if received.msgtype == IDS_LIST:
            _check_ids(message.ids)
            if any(map(OWN_ID.fullmatch, message.ids)):
                return []  # another affect node's, which sees no more than this one
            self.listed = tuple(message.ids)
            self._expect(stamp_ns)
        elif received.msgtype == REGION:
            self._boxes[_person(received), stamp_ns] = (
                float(message.xmin), float(message.ymin), float(message.xmax), float(message.ymax))
        else:
            self._marks[_person(received), stamp_ns] = _marks(message.landmarks)
        for places in (self._boxes, self._marks):
            if len(places) > _MOST_PLACES // 2:  # of whom no list comes
                del places[next(iter(places))]
        return self._go_on()

    def hold(self, received: Received, frame: Frame) -> list[Frame]:
        """
        Take a picture; return those that go on now, with their faces where they are known.

        :param received: the message that it was read from.
        """
        if self._held and frame.stamp_ns <= self._held[-1].frame.stamp_ns:
            return [*self._let_go(), frame]
        if self._paired_ns is None:
            self._passed.append(frame.stamp_ns)
            return [frame, *self._go_on()]  # its list may have been quicker
        self._held.append(_Held(received, frame))
        frames = self._go_on()
        if abs(frame.stamp_ns - self._paired_ns) > _SILENT_NS:  # lists stopped, or time jumped
            frames += self._let_go()
        return frames

    # --- inside ------------------------------------------------------------------------------

    def _expect(self, stamp_ns: int) -> None:
        """Wait for the picture of the list that has just come."""
        if self._waiting and stamp_ns < self._waiting[-1][0]:  # time has jumped back
            self._waiting.clear()
            self._forget(lambda of_ns: of_ns > stamp_ns)
        self._waiting.append((stamp_ns, self.listed))

    def _forget(self, gone: Callable[[int], bool]) -> None:
        """Forget the places at some stamps."""
        self._boxes = {key: box for key, box in self._boxes.items() if not gone(key[1])}
        self._marks = {key: marks for key, marks in self._marks.items() if not gone(key[1])}

    def _let_go(self) -> list[Frame]:
        """Return all that is held: its faces are looked for here."""
        frames = [one.frame for one in self._held]
        self.reset()
        return frames

    def _go_on(self) -> list[Frame]:
        """Return the pictures whose lists are there, and whole."""
        frames: list[Frame] = []
        if not self._waiting:
            return frames
        pictures_ns = [*self._passed, *(one.frame.stamp_ns for one in self._held)]
        newest_picture_ns = max(pictures_ns, default=-1)
        newest_boxes_ns = self._newest_boxes()
        while self._waiting:
            stamp_ns, ids = self._waiting[0]
            newest_ns = max(newest_picture_ns, self._waiting[-1][0])  # lists are in order of time
            seen = stamp_ns <= newest_picture_ns  # a list is smaller than a picture
            whole = all(newest_boxes_ns.get(person_id, -1) >= stamp_ns for person_id in ids)
            if (not (seen and whole) and newest_ns - stamp_ns < _WAIT_NS
                    and len(self._waiting) < _REMEMBERED):
                break
            self._waiting.popleft()
            frames += self._pair(stamp_ns, ids)
        return frames

    def _newest_boxes(self) -> dict[str, int]:
        """
        Return the stamp of each person's newest region.

        They come in order: one that is older, and has not come, will not. A detector that misses
        a face for a picture or two still lists it.
        """
        newest_ns: dict[str, int] = {}
        for person_id, stamp_ns in self._boxes:
            newest_ns[person_id] = max(stamp_ns, newest_ns.get(person_id, stamp_ns))
        return newest_ns

    def _pair(self, stamp_ns: int, ids: Iterable[str]) -> list[Frame]:
        while self._held and self._held[0].frame.stamp_ns < stamp_ns:
            self._held.popleft()
            self._counters.count('video', 'thinned', normal=True)  # by the detector
        found = tuple(filter(None, (self._found(person_id, stamp_ns) for person_id in ids)))
        self._forget(lambda of_ns: of_ns <= stamp_ns)
        if self._held and self._held[0].frame.stamp_ns == stamp_ns:
            self._paired_ns = stamp_ns
            return [replace(self._held.popleft().frame, faces=found)]
        if stamp_ns in self._passed:  # this one has gone on; the next are held
            self._paired_ns = stamp_ns
            self._passed.clear()
        return []

    def _found(self, person_id: str, stamp_ns: int) -> FoundFace | None:
        box = self._boxes.get((person_id, stamp_ns))
        marks = self._marks.get((person_id, stamp_ns), ())
        if box is None:  # its topic was found too late
            return None
        left_x, top_y, right_x, bottom_y = box
        width, height = right_x - left_x, bottom_y - top_y  # by which eyes may be out of the box
        def near(point: Point) -> bool:
            return (left_x - width <= point[0] <= right_x + width
                    and top_y - height <= point[1] <= bottom_y + height)

        eyes = (marks[0], marks[1]) if marks else None
        # NaN is not in order, either.
        if not (_LEAST <= left_x < right_x <= _MOST and _LEAST <= top_y < bottom_y <= _MOST
                and all(map(near, eyes or ()))):
            self._counters.count(
                'faces', 'bad_region', f'{person_id}: box {box}, eyes {eyes}; allowed: shares of '
                f'the picture in [{_LEAST}, {_MOST}], the first corner before the second, and '
                'eyes in the box, or beside it')
            return None
        lower = marks[len(EYES):]
        if not all(map(near, lower)):
            self._counters.count(
                'faces', 'bad_landmarks', f'{person_id}: nose and mouth {lower}; allowed: in the '
                f'box {box}, or beside it; the face is used without them')
            lower = ()
        return FoundFace(person_id, box, eyes, (lower[0], lower[1], lower[2]) if lower else None)


def _check_ids(ids: Sequence[str]) -> None:
    """Refuse a list that no camera can fill: two topics are opened for each id."""
    longest = max(map(len, ids), default=0)
    if len(ids) > _MOST_IDS or longest > _LONGEST_ID:
        raise InputError('too_long', f'IdsList: {len(ids)} ids of up to {longest} characters; '
                                     f'allowed: {_MOST_IDS} of {_LONGEST_ID}')


def _person(received: Received) -> str:
    """Return the id of the face that a message tells of: the last part but one of its topic."""
    return received.topic.rsplit('/', 2)[1]


def _marks(landmarks: Any) -> _Marks:
    """Return the eyes where both are known, and behind them the rest where all are."""
    def known(indices: tuple[int, ...]) -> _Marks:
        points = [landmarks[index] for index in indices]
        if not all(point.c > 0 for point in points):
            return ()
        return tuple((float(point.x), float(point.y)) for point in points)

    return known(EYES + LOWER) or known(EYES)
