"""
How a head is turned, in closed form from five landmarks of a face.

Seen from the camera, the tip of the nose stands before the plane of eyes and mouth: it moves aside
as the head turns, and down as it nods. The angles are those against the line from the face to the
camera, so neither a lens nor a place in the picture is needed for them.

YuNet draws landmarks as if heads turned less than they do, as :mod:`face_detector` says of tilts.
How much less was measured where the truth is known by other means: on 609 real faces by how close
the eyes come to each other, and on a portrait that was turned in three dimensions. The nose shows
0.65 of what a yaw moves it by, and 0.3 of a pitch; the box, which reaches from the hair to the
chin, shows a pitch too: the part above the eyes grows as the part below the mouth shrinks. Read
so, that portrait's yaw is wrong by 6 degrees (RMS), its pitch by 10, 7 of them without the bias
that her build and her smile cause.
"""

from __future__ import annotations

import math

from maven_ros.records import HeadPose, Point
from maven_ros.senses.crops import Outline, turning

#: How far the nose stands out, in distances of the eyes: of a mean face, and as YuNet draws it.
_NOSE, _YUNET_NOSE = 0.55, 0.36
#: The nose's share of the way from the eyes to the mouth, of a level head, and by how much the
#: tangent of a pitch moves it; as landmarks are, and as YuNet draws them.
_LEVEL, _DOWN = 0.54, 0.50
_YUNET_LEVEL, _YUNET_DOWN = 0.565, 0.145
#: As the nose moves aside, YuNet draws it higher, too (8,166 real faces).
_YUNET_RISES = 0.4
#: The box above the eyes less that below the mouth, in heights of the box: likewise.
_YUNET_BALANCE, _YUNET_TILTED = 0.108, 0.25
#: Noise of one frame: yaw, pitch and roll, in radians. Clips gave 4, 4 and 2 degrees with eyes
#: 15 to 118 pixels apart; below that, noise grows.
_NOISE = (math.radians(4), math.radians(4), math.radians(2))
_FAR_ENOUGH_PX = 9.0
_MOST = math.radians(75)


def head_pose(face: Outline, by_yunet: bool = True) -> HeadPose | None:
    """
    Return how the head of a face is turned.

    :param face: in pixels of the frame.
    :param by_yunet: False if another detector drew the landmarks, which are then taken as exact.
    :returns: None without all five landmarks, or if they are not those of a face.
    """
    if len(face.landmarks) < 5:
        return None
    eye_line, mouth_line, nose, apart = _levelled(face)
    down = mouth_line - eye_line
    if apart <= 0 or down <= 0:
        return None
    aside = nose[0] / apart
    share = (nose[1] - eye_line) / down
    if by_yunet:
        balance = ((eye_line + face.height / 2) - (face.height / 2 - mouth_line)) / face.height
        yaw = math.atan(aside / _YUNET_NOSE)
        level = _YUNET_LEVEL - _YUNET_RISES * aside * aside
        pitch = (math.atan((share - level) / _YUNET_DOWN)
                 + math.atan((balance - _YUNET_BALANCE) / _YUNET_TILTED)) / 2
    else:
        yaw = math.atan(aside / _NOSE)
        pitch = math.atan((share - _LEVEL) / _DOWN)
    yaw, pitch = (max(-_MOST, min(_MOST, angle)) for angle in (yaw, pitch))
    noisier = math.hypot(1.0, _FAR_ENOUGH_PX * math.cos(yaw) / apart)
    return HeadPose(yaw, pitch, -face.angle_rad,
                    (noisier * _NOISE[0], noisier * _NOISE[1], noisier * _NOISE[2]))


def _levelled(face: Outline) -> tuple[float, float, Point, float]:
    """
    Measure a face along its own axes, from the middle of its box.

    :returns: height of the eyes and of the mouth; the nose, its x counted from between the eyes;
        and the distance of the eyes.
    """
    level = turning(face.angle_rad)
    right, left, nose, *mouth = (
        level @ (x - face.centre[0], y - face.centre[1]) for x, y in face.landmarks)
    eye_line = float(right[1] + left[1]) / 2
    mouth_line = sum(float(corner[1]) for corner in mouth) / 2
    middle = float(right[0] + left[0]) / 2
    return (eye_line, mouth_line, (float(nose[0]) - middle, float(nose[1])),
            float(left[0] - right[0]))
