"""Draw people on the circumplex with fading trails, and a small circumplex at each face."""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np

from maven_ros.affect import OCTANTS, Affect
from maven_ros.records import NS, AffectState, Box, Status
from maven_ros.view.blueprint import CAMERA, CIRCUMPLEX, TIME
from maven_ros.view.require import require_rerun

_TRAIL_NS = 8 * NS
_LEAST_RADIUS, _MOST_RADIUS = 0.02, 0.12  # radius of the point at confidence 0 and 1
_PALE, _DIM = (225, 225, 225), (90, 94, 102)
_CIRCLE = np.stack([np.cos(np.linspace(0, math.tau, 65)), np.sin(np.linspace(0, math.tau, 65))], 1)


class Circumplex:
    """
    The circumplex with the points of all people; valence to the right, arousal up.

    :param recording: Rerun's ``RecordingStream``.
    """

    def __init__(self, recording: Any) -> None:
        self._rerun = require_rerun()
        self._recording = recording
        self._trails: dict[str, deque[tuple[int, Affect]]] = {}
        axes = [[(-1.0, 0.0), (1.0, 0.0)], [(0.0, -1.0), (0.0, 1.0)]]
        recording.log(f'{CIRCUMPLEX}/ground', self._rerun.LineStrips2D(
            [_CIRCLE, 0.5 * _CIRCLE, *axes], colors=_DIM, radii=0.004), static=True)
        angles = [index * math.pi / 4 for index in range(8)]
        recording.log(f'{CIRCUMPLEX}/names', self._rerun.Points2D(
            [(1.13 * math.cos(one), -1.13 * math.sin(one)) for one in angles], labels=OCTANTS,
            colors=_PALE, radii=0.001, show_labels=True), static=True)

    def show(self, state: AffectState) -> None:
        """Move a person's point; its radius is the confidence. Without evidence it is removed."""
        path = self._path(state.person_id)
        self._recording.set_time(TIME, timestamp=np.datetime64(state.window_end_ns, 'ns'))
        if state.status is Status.NO_EVIDENCE:
            self.forget(state.person_id, state.window_end_ns)
            return
        trail = self._trails.setdefault(state.person_id, deque())
        trail.append((state.window_end_ns, state.affect))
        while not 0 <= state.window_end_ns - trail[0][0] <= _TRAIL_NS:
            trail.popleft()
        places = [_place(affect) for _, affect in trail]
        share = [1.0 - (state.window_end_ns - then_ns) / _TRAIL_NS for then_ns, _ in trail]
        self._recording.log(f'{path}/trail', self._rerun.LineStrips2D(
            [list(pair) for pair in itertools.pairwise(places)],
            colors=[(*affect.colour, round(220 * fade))
                    for (_, affect), fade in list(zip(trail, share, strict=True))[1:]],
            radii=0.012))
        radius = _LEAST_RADIUS + (_MOST_RADIUS - _LEAST_RADIUS) * state.confidence
        self._recording.log(f'{path}/point', self._rerun.Points2D(
            [places[-1]], radii=[radius], colors=[state.affect.colour],
            labels=[state.person_id or 'nobody in view'], show_labels=True))

    def forget(self, person_id: str, now_ns: int) -> None:
        """Remove a person."""
        if self._trails.pop(person_id, None) is not None:
            self._recording.set_time(TIME, timestamp=np.datetime64(now_ns, 'ns'))
            self._recording.log(self._path(person_id), self._rerun.Clear(recursive=True))

    def show_at_faces(self, now_ns: int, people: Sequence[AffectState], scale: float) -> None:
        """
        Draw a box, the id and a small circumplex with an arrow at each face.

        :param people: the newest state of each person; states without a face are left out.
        :param scale: size of the shown picture relative to the camera's.
        """
        seen = [(state, _scaled(face, scale)) for state in people
                if (face := state.face) is not None]
        colours = [state.affect.colour for state, _ in seen]
        boxes = [box for _, box in seen]
        radii = [0.28 * box.width for box in boxes]
        middles = [(box.x + box.width, max(radius, box.y))
                   for box, radius in zip(boxes, radii, strict=True)]
        known = [index for index, (state, _) in enumerate(seen)
                 if state.status is not Status.NO_EVIDENCE]
        self._recording.set_time(TIME, timestamp=np.datetime64(now_ns, 'ns'))
        self._recording.log(f'{CAMERA}/faces', self._rerun.Boxes2D(
            array=[(box.x, box.y, box.width, box.height) for box in boxes],
            array_format=self._rerun.Box2DFormat.XYWH, colors=colours, radii=1.5,
            labels=[state.person_id for state, _ in seen], show_labels=True))
        self._recording.log(f'{CAMERA}/rings', self._rerun.LineStrips2D(
            [np.asarray(middles[one]) + radii[one] * _CIRCLE for one in known],
            colors=(230, 230, 230, 160), radii=1.0))
        self._recording.log(f'{CAMERA}/arrows', self._rerun.Arrows2D(
            origins=[middles[one] for one in known],
            vectors=[radii[one] * np.asarray(_place(seen[one][0].affect)) for one in known],
            colors=[colours[one] for one in known], radii=2.5))

    def _path(self, person_id: str) -> str:
        return (f'{CIRCUMPLEX}/people/'
                f'{self._rerun.escape_entity_path_part(person_id or "nobody in view")}')


def _place(affect: Affect) -> tuple[float, float]:
    """Return the drawing's coordinates; Rerun's second axis points down."""
    return affect.valence, -affect.arousal


def _scaled(box: Box, scale: float) -> Box:
    return Box(*(round(scale * part) for part in (box.x, box.y, box.width, box.height)))
