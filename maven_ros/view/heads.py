"""Draw an arrow at each face that points where the nose does."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from maven_ros.records import NS, AffectState, Attention, nose_direction
from maven_ros.view.blueprint import CAMERA, TIME
from maven_ros.view.require import require_rerun

_ATTENDS, _ELSEWHERE = (120, 255, 140), (160, 160, 160)
_SHOWN_NS = NS


class Heads:
    """
    The heads in the camera's picture.

    :param recording: Rerun's ``RecordingStream``.
    """

    def __init__(self, recording: Any) -> None:
        self._rerun = require_rerun()
        self._recording = recording
        self._attentions: dict[str, Attention] = {}

    def show(self, attention: Attention) -> None:
        """Take a person's attention; it is drawn with the next faces."""
        self._attentions[attention.person_id] = attention

    def show_at_faces(self, now_ns: int, people: Iterable[AffectState], scale: float) -> None:
        """
        Draw the arrows.

        :param people: the newest state of each person; states without a face are left out.
        :param scale: size of the shown picture relative to the camera's.
        """
        self._attentions = {
            person_id: one for person_id, one in self._attentions.items()
            if 0 <= now_ns - one.stamp_ns < _SHOWN_NS and math.isfinite(one.angle)}
        seen = [(face, self._attentions[state.person_id]) for state in people
                if (face := state.face) is not None and state.person_id in self._attentions]
        self._recording.set_time(TIME, timestamp=np.datetime64(now_ns, 'ns'))
        self._recording.log(f'{CAMERA}/heads', self._rerun.Arrows2D(
            origins=[(scale * (face.x + face.width / 2), scale * (face.y + face.height / 2))
                     for face, _ in seen],
            vectors=[scale * face.width * np.asarray(nose_direction(one.pose))
                     for face, one in seen],
            colors=[_ATTENDS if one.attending else _ELSEWHERE for _, one in seen], radii=1.5,
            labels=[one.text for _, one in seen], show_labels=True))
