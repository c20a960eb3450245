"""Draw faces and affect onto a picture."""

from __future__ import annotations

from collections.abc import Iterable

from maven_ros.records import AffectState, Box, Pixels, Status, VoiceAssigned

_GREEN, _GREY, _BLACK = (80, 220, 80), (160, 160, 160), (0, 0, 0)
_TEXT_SCALE = 0.5
_LINE_PX = 18


def annotated(pixels: Pixels, states: Iterable[AffectState]) -> Pixels:
    """
    Return a copy of a picture with a box around each face and the affect above it.

    :param pixels: uint8 (height, width, 3) BGR.
    :param states: the newest state of each person; states without a face are left out.
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
        _write(picture, box, lines, colour)
    return picture


def _write(picture: Pixels, box: Box, lines: list[str], colour: tuple[int, int, int]) -> None:
    import cv2

    top = max(_LINE_PX, box.y - _LINE_PX * (len(lines) - 1) - 6)
    for index, line in enumerate(lines):
        at = (box.x, top + index * _LINE_PX)
        for thickness, ink in ((3, _BLACK), (1, colour)):  # outlined, to be readable anywhere
            cv2.putText(picture, line, at, cv2.FONT_HERSHEY_SIMPLEX, _TEXT_SCALE, ink, thickness,
                        cv2.LINE_AA)
