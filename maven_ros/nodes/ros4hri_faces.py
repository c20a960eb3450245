"""
Publish the faces of each frame in the form of ROS4HRI (REP-155), as its face detectors do.

They are published while no other node publishes ``humans/faces/tracked``. Whatever nobody
subscribes to is not made.
"""

from __future__ import annotations

import random
import uuid
from typing import Any

import numpy as np

from maven_ros.closing import Closing
from maven_ros.graph.images import IMAGE, image_message
from maven_ros.graph.interface import DRAWING, STATE, Graph, Publisher
from maven_ros.graph.messages import new, time_message
from maven_ros.graph.topics import TRACKED_TOPIC
from maven_ros.intake.face_pairing import EYES, IDS_LIST, LANDMARKS, LOWER, REGION
from maven_ros.records import Box, Face, Pixels, Seen
from maven_ros.senses.crops import Outline, cut

#: REP-155's default side of cropped and aligned faces, in pixels.
SIDE_PX = 128
#: Parts of a face's topics; the expression is published with the states.
PARTS = {'roi': REGION, 'landmarks': LANDMARKS, 'cropped': IMAGE, 'aligned': IMAGE}
#: Another detector must be found before the first list; who yields waits longer, by chance.
_PATIENCE_S, _YIELDS_S = 1.0, 3.0
_MOST_POINTS = 70
_MOST_IDS = 10_000  # of people of long ago


def new_id() -> str:
    """Return a random id as REP-155 recommends, which OWN_ID matches."""
    return f'mv{uuid.uuid4().hex[:5]}'


class FaceOutputs(Closing):
    """
    The topics of all faces in view.

    :param now_s: a steady clock.
    """

    def __init__(self, graph: Graph, now_s: float) -> None:
        self._graph = graph
        self._topic = graph.resolve(TRACKED_TOPIC)
        self._list: Publisher | None = None
        self._faces: dict[str, dict[str, Publisher]] = {}
        self._ids: dict[str, str] = {}  # of people who were found here
        self._quiet_s = now_s + _PATIENCE_S

    @property
    def lists(self) -> int:
        """How many lists of faces are published here."""
        return int(self._list is not None)

    def id_of(self, person_id: str) -> str:
        """Return the face's id of a person; another detector's stays as it is."""
        return self._ids.get(person_id, person_id)

    def look(self, now_s: float) -> None:
        """Yield to another detector, or take over if there is none."""
        others = self._graph.publisher_count(self._topic) - self.lists
        if others > 0:
            self.close()
            self._quiet_s = now_s + _PATIENCE_S + random.uniform(0, _YIELDS_S)
        elif self._list is None and now_s >= self._quiet_s:
            self._list = self._graph.advertise(self._topic, IDS_LIST, STATE)

    def publish(self, seen: Seen) -> None:
        """Publish the list of faces in a frame, and each face."""
        self._name(seen)
        if self._list is None or seen.elsewhere:
            return
        found = {self.id_of(face.person_id): face for face in seen.faces}
        for gone in [one for one in self._faces if one not in found]:
            for publisher in self._faces.pop(gone).values():
                publisher.close()
        header = {'stamp': time_message(seen.stamp_ns), 'frame_id': seen.frame_id}
        self._list.publish(new(IDS_LIST, header=header, ids=list(found)))
        for face_id, face in found.items():
            if face_id not in self._faces:
                self._faces[face_id] = {
                    part: self._graph.advertise(
                        f'humans/faces/{face_id}/{part}', msgtype,
                        DRAWING if msgtype == IMAGE else STATE)
                    for part, msgtype in PARTS.items()}
            for part, publisher in self._faces[face_id].items():
                if publisher.subscription_count():
                    publisher.publish(_MAKERS[part](seen, face, header))

    def close(self) -> None:
        """Close all topics; ids stay."""
        for parts in self._faces.values():
            for publisher in parts.values():
                publisher.close()
        self._faces.clear()
        if self._list is not None:
            self._list.close()
            self._list = None

    def _name(self, seen: Seen) -> None:
        """Give ids to those who are found here."""
        for face in seen.faces:
            if seen.elsewhere:
                self._ids.pop(face.person_id, None)
            elif face.person_id not in self._ids:
                self._ids[face.person_id] = new_id()
                if len(self._ids) > _MOST_IDS:
                    del self._ids[next(iter(self._ids))]


def _roi(seen: Seen, face: Face, header: Any) -> Any:
    height, width = seen.pixels.shape[:2]
    box = face.box
    return new(REGION, header=header, xmin=box.x / width, ymin=box.y / height,
               xmax=(box.x + box.width) / width, ymax=(box.y + box.height) / height,
               c=face.score)


def _landmarks(seen: Seen, face: Face, header: Any) -> Any:
    """Build FacialLandmarks; the confidence of points that are not known is 0."""
    height, width = seen.pixels.shape[:2]
    points: list[dict[str, float]] = [{} for _ in range(_MOST_POINTS)]
    for index, (x, y) in zip(EYES + LOWER, face.landmarks, strict=False):
        points[index] = {'x': x / width, 'y': y / height, 'c': face.score}
    return new(LANDMARKS, header=header, landmarks=points, height=height, width=width)


def _cropped(seen: Seen, face: Face, header: Any) -> Any:
    return image_message(seen.stamp_ns, cropped(seen.pixels, face.box), seen.frame_id)


def _aligned(seen: Seen, face: Face, header: Any) -> Any:
    return image_message(seen.stamp_ns, aligned(seen.pixels, face), seen.frame_id)


_MAKERS = {'roi': _roi, 'landmarks': _landmarks, 'cropped': _cropped, 'aligned': _aligned}


def cropped(pixels: Pixels, box: Box) -> Pixels:
    """
    Return a face's box, scaled and centred in a square, with 0 beside it.

    :returns: uint8 (SIDE_PX, SIDE_PX, 3) BGR.
    """
    import cv2

    scale = SIDE_PX / max(box.width, box.height, 1)
    width, height = (max(1, min(SIDE_PX, round(scale * side))) for side in (box.width, box.height))
    picture = np.zeros((SIDE_PX, SIDE_PX, 3), np.uint8)
    part = pixels[box.y:box.y + box.height, box.x:box.x + box.width]
    if part.size:
        left, top = (SIDE_PX - width) // 2, (SIDE_PX - height) // 2
        picture[top:top + height, left:left + width] = cv2.resize(
            part, (width, height), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    return picture


def aligned(pixels: Pixels, face: Face) -> Pixels:
    """
    Return a face with level eyes, as far as they are known; of the same size as cropped.

    :returns: uint8 (SIDE_PX, SIDE_PX, 3) BGR.
    """
    box = face.box
    outline = Outline((box.x + box.width / 2, box.y + box.height / 2), box.width, box.height,
                      face.landmarks)
    return cut(pixels, outline.square, SIDE_PX)
