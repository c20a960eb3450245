"""Draw the evidence strip: the shares of face, voice and words in the last seconds."""

from __future__ import annotations

import math
from collections import deque
from typing import Any

import numpy as np

from maven_ros.records import NS, AffectState, Modality, Pixels
from maven_ros.view.blueprint import EVIDENCE, SPAN_S, STRIP_PX, TIME
from maven_ros.view.require import require_rerun

#: Names and BGR colours, from bottom to top.
_PARTS = ((Modality.VIDEO, 'face', (70, 170, 90)), (Modality.AUDIO, 'voice', (200, 120, 140)),
          (Modality.TEXT, 'words', (50, 140, 230)))
_WIDTH_PX, _HEIGHT_PX = STRIP_PX
_LEGEND_PX = 24
_NOTHING, _BACK = (48, 44, 40), (30, 26, 24)
_GAP_NS = NS  # a state holds no longer than this
_PNG_FAST = 1


class EvidenceStrip:
    """
    A picture of the last seconds with stacked shares, one row per person.

    :param recording: Rerun's ``RecordingStream``.
    """

    def __init__(self, recording: Any) -> None:
        self._rerun = require_rerun()
        self._recording = recording
        self._shares: dict[str, deque[tuple[int, tuple[float, ...]]]] = {}
        self._end_ns = 0

    def show(self, state: AffectState) -> None:
        """Add a state; with the first state of a new window, draw the strip."""
        if state.window_end_ns != self._end_ns and self._shares:
            self._draw()
        self._end_ns = state.window_end_ns
        self._shares.setdefault(state.person_id, deque()).append(
            (state.window_end_ns, shares(state)))
        first_ns = self._end_ns - round(SPAN_S * NS)
        for person_id, own in list(self._shares.items()):
            while own and not first_ns <= own[0][0] <= self._end_ns:
                own.popleft()
            if not own:
                del self._shares[person_id]

    def _draw(self) -> None:
        import cv2

        # Rerun treats the pictures as a video, so their size must not change.
        strip = np.full((_HEIGHT_PX, _WIDTH_PX, 3), _BACK, np.uint8)
        _write_legend(strip)
        rows = {person_id: own for person_id, own in self._shares.items()
                if any(any(parts) for _, parts in own)}
        height = (_HEIGHT_PX - _LEGEND_PX) // max(1, len(rows))
        for index, (person_id, own) in enumerate(rows.items()):
            top = _LEGEND_PX + index * height
            _draw_row(strip[top:top + height], person_id, own, self._end_ns)
        done, png = cv2.imencode('.png', strip, [cv2.IMWRITE_PNG_COMPRESSION, _PNG_FAST])
        if done:
            self._recording.set_time(TIME, timestamp=np.datetime64(self._end_ns, 'ns'))
            self._recording.log(f'{EVIDENCE}/strip', self._rerun.EncodedImage(
                contents=png.tobytes(), media_type='image/png'))


def shares(state: AffectState) -> tuple[float, ...]:
    """
    Return the shares of face, voice and words; their sum is 1, or 0 without evidence.

    Present modalities get equal shares if the influence was not computed.
    """
    there = [bool(state.modalities & modality) for modality, _, _ in _PARTS]
    if any(math.isnan(one) for one in state.influence):
        return tuple(one / max(1, sum(there)) for one in there)
    return state.influence


def _draw_row(
    row: Pixels, person_id: str, own: deque[tuple[int, tuple[float, ...]]], end_ns: int,
) -> None:
    """Draw one person's shares; each state holds from its window's end until the next state."""
    row[2:] = _NOTHING
    height = len(row)
    stops_ns = [*[then_ns for then_ns, _ in own][1:], own[-1][0] + _GAP_NS]
    for (start_ns, parts), stop_ns in zip(own, stops_ns, strict=True):
        left, right = (max(0, round(_WIDTH_PX * (1.0 - (end_ns - one) / NS / SPAN_S))) for one in
                       (start_ns, min(stop_ns, start_ns + _GAP_NS)))
        bottom = 0.0
        for share, (_, _, colour) in zip(parts, _PARTS, strict=True):
            top = bottom + share
            row[2 + round((height - 2) * (1.0 - top)):2 + round((height - 2) * (1.0 - bottom)),
                left:right] = colour
            bottom = top
    _write(row, person_id or 'nobody in view', (8, 20))


def _write_legend(strip: Pixels) -> None:
    for index, (_, name, colour) in enumerate(_PARTS):
        left = 8 + 120 * index
        strip[5:19, left:left + 14] = colour
        _write(strip, name, (left + 22, 18))


def _write(picture: Pixels, text: str, at: tuple[int, int]) -> None:
    import cv2

    for thickness, ink in ((3, (0, 0, 0)), (1, (255, 255, 255))):
        cv2.putText(picture, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.5, ink, thickness, cv2.LINE_AA)
