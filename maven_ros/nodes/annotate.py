"""Draw faces and affect onto a picture."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from maven_ros.records import (
    AffectState,
    Attention,
    Box,
    Pixels,
    Status,
    VoiceAssigned,
    nose_direction,
)

_GREEN, _GREY, _BLACK = (80, 220, 80), (160, 160, 160), (0, 0, 0)
_TEXT_SCALE = 0.5
_LINE_PX = 18


def annotated(
    pixels: Pixels, states: Iterable[AffectState],
    attentions: Mapping[str, Attention] | None = None,
) -> Pixels:
    """
    Return a copy of a picture with a box around each face and the affect above it.

    An arrow from the middle of the face points where the nose does.

    :param pixels: uint8 (height, width, 3) BGR.
    :param states: the newest state of each person; states without a face are left out.
    :param attentions: the newest of each person, by id.
    """
    import cv2

    picture: Pixels = pixels.copy()
    for state in states:
        box = state.face
        if box is None:
            continue
        sure = state.status is not Status.NO_EVIDENCE
        colour = _GREEN if sure else _GREY
        cv2.rectangle(picture, (box.x, box.y), (box.x + box.width, box.y + box.height), colour, 2)
        speaks = state.voice_assigned is VoiceAssigned.SELF
        lines = [f'{state.person_id} speaks' if speaks else state.person_id]
        if sure:
            lines.append(f'v {state.affect.valence:+.2f} a {state.affect.arousal:+.2f} '
                         f'{state.affect.octant}')
        attention = (attentions or {}).get(state.person_id)
        if attention is not None and math.isfinite(attention.angle):
            lines.append(attention.text)
            _point(picture, box, attention, colour)
        _write(picture, box, lines, colour)
    return picture


def _point(
    picture: Pixels, box: Box, attention: Attention, colour: tuple[int, int, int],
) -> None:
    import cv2

    x, y = box.x + box.width // 2, box.y + box.height // 2
    right, down = nose_direction(attention.pose)
    tip = (x + round(box.width * right), y + round(box.width * down))
    cv2.arrowedLine(picture, (x, y), tip, colour, 2, cv2.LINE_AA, tipLength=0.2)


def _write(picture: Pixels, box: Box, lines: list[str], colour: tuple[int, int, int]) -> None:
    import cv2

    top = max(_LINE_PX, box.y - _LINE_PX * (len(lines) - 1) - 6)
    for index, line in enumerate(lines):
        at = (box.x, top + index * _LINE_PX)
        for thickness, ink in ((3, _BLACK), (1, colour)):  # outlined, to be readable anywhere
            cv2.putText(picture, line, at, cv2.FONT_HERSHEY_SIMPLEX, _TEXT_SCALE, ink, thickness,
                        cv2.LINE_AA)
