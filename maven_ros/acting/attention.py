"""
Decide whether people attend to the robot, from how their heads are turned.

Each angle of a head is a random walk that is seen with the noise of one frame; a Kalman filter per
angle follows it. Somebody *faces* the camera while the nose points at it to within
``attention.angle_deg``, and no longer at ``attention.margin_deg`` beyond that. In between, nothing
changes. Who faces it for ``attention.dwell_s`` attends; who does not for as long, or is not seen,
attends no more.

A head says where a person looks only roughly: the eyes may look elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from maven_ros.freezing import Freezing, plain_data
from maven_ros.records import (
    NS,
    Attention,
    Engagement,
    Face,
    HeadPose,
    Place,
    nanoseconds,
    off_axis,
    seconds,
)
from maven_ros.settings import AttentionSettings

#: A head that was not seen for so long may be anywhere.
_UNSEEN_NS = NS // 2
#: What no filter removes, in radians: yaw, pitch and roll that a face's build feigns. A portrait
#: that was turned by up to 35 degrees was misread by 6, 10 and 6 degrees (RMS), noise included.
_BUILD = (math.radians(6), math.radians(9), math.radians(4))
_UNKNOWN = HeadPose(math.nan, math.nan, math.nan, (math.nan, math.nan, math.nan))


@plain_data
@dataclass(slots=True)
class Angle:
    """One angle of a head, in radians; its variance is that of the filter alone."""

    value: float
    variance: float

    def see(self, value: float, std: float, moved: float) -> None:
        """Take a measurement; ``moved`` is the variance gained since the last one."""
        variance = self.variance + moved
        gain = variance / (variance + std * std)
        self.value += gain * (value - self.value)
        self.variance = (1 - gain) * variance


@plain_data
@dataclass(slots=True)
class Head:
    """
    What is known of one person's head.

    :param angles: yaw, pitch and roll; empty before the first pose.
    :param seen_ns: stamp of the newest frame with a pose.
    :param place: where the face was then.
    :param facing: whether it faces the camera; None if that is not known.
    :param turned_ns: the time from which that is so.
    :param attending: whether the person attends, which began or ended at ``since_ns``.
    """

    since_ns: int
    angles: list[Angle] = field(default_factory=list)
    seen_ns: int = 0
    place: Place | None = None
    facing: bool | None = None
    turned_ns: int = 0
    attending: bool = False


class Attentions(Freezing):
    """Follow the heads of all people, window after window."""

    _fixed: ClassVar[frozenset[str]] = frozenset({'_settings'})

    def __init__(self, settings: AttentionSettings) -> None:
        self._settings = settings
        self.reset()

    def change(self, settings: AttentionSettings) -> None:
        """Go on with other thresholds and times."""
        self._settings = settings

    def reset(self) -> None:
        """Forget everybody."""
        self._heads: dict[str, Head] = {}
        self._taken_ns = -1  # the newest frame that has been looked at

    def keep(self, people: Collection[str]) -> None:
        """Forget everybody else."""
        self._heads = {one: head for one, head in self._heads.items() if one in people}

    def take(self, end_ns: int, frame_id: str, faces: Sequence[Face]) -> list[Attention]:
        """
        Return the attention of everybody whose face is in a window.

        :param end_ns: end of the window.
        :param faces: its faces in order of time; windows must be in order, too.
        """
        here: dict[str, None] = {}
        for face in faces:
            here[face.person_id] = None
            if face.stamp_ns > self._taken_ns:
                self._look(face)
        self._taken_ns = max((face.stamp_ns for face in faces), default=self._taken_ns)
        return [self._tell(person_id, end_ns, frame_id) for person_id in here]

    # --- inside ------------------------------------------------------------------------------

    def _look(self, face: Face) -> None:
        head = self._heads.setdefault(face.person_id, Head(face.stamp_ns))
        pose = face.pose
        if pose is None:
            return
        measured = (pose.yaw, pose.pitch, pose.roll)
        passed_ns = face.stamp_ns - head.seen_ns
        if not head.angles or passed_ns > _UNSEEN_NS:
            head.angles = [Angle(value, std * std)
                           for value, std in zip(measured, pose.stds, strict=True)]
        else:
            moved = math.radians(self._settings.turn_deg)**2 * seconds(passed_ns)
            for angle, value, std in zip(head.angles, measured, pose.stds, strict=True):
                angle.see(value, std, moved)
        head.seen_ns, head.place = face.stamp_ns, face.place
        self._turn(head, self._facing(head), face.stamp_ns)

    def _facing(self, head: Head) -> bool:
        """Tell whether a head faces the camera, with hysteresis."""
        yaw, pitch, roll = (angle.value for angle in head.angles)
        off_deg = math.degrees(off_axis(HeadPose(yaw, pitch, roll, (0.0, 0.0, 0.0))))
        if off_deg <= self._settings.angle_deg:
            return True
        if off_deg > self._settings.angle_deg + self._settings.margin_deg:
            return False
        return bool(head.facing)

    def _turn(self, head: Head, facing: bool | None, at_ns: int) -> None:
        if bool(facing) is not bool(head.facing):  # who is not seen does not face it
            head.turned_ns = at_ns
        head.facing = facing

    def _tell(self, person_id: str, end_ns: int, frame_id: str) -> Attention:
        head = self._heads.setdefault(person_id, Head(end_ns))
        seen = bool(head.angles) and end_ns - head.seen_ns <= _UNSEEN_NS
        if not seen:
            self._turn(head, None, head.seen_ns)
        if (bool(head.facing) is not head.attending
                and end_ns - head.turned_ns >= nanoseconds(self._settings.dwell_s)):
            head.attending, head.since_ns = bool(head.facing), head.turned_ns
        return Attention(end_ns, person_id, _engagement(head), head.since_ns,
                         _pose(head) if seen else _UNKNOWN, head.place if seen else None, frame_id)


def _engagement(head: Head) -> Engagement:
    if head.attending:
        return Engagement.ENGAGED if head.facing else Engagement.DISENGAGING
    if head.facing is None:
        return Engagement.UNKNOWN
    return Engagement.ENGAGING if head.facing else Engagement.DISENGAGED


def _pose(head: Head) -> HeadPose:
    """Return the smoothed pose, as unsure as a face's build makes it."""
    yaw, pitch, roll = head.angles
    stds = tuple(math.sqrt(angle.variance + build * build)
                 for angle, build in zip(head.angles, _BUILD, strict=True))
    return HeadPose(yaw.value, pitch.value, roll.value, (stds[0], stds[1], stds[2]))
