"""
Follows people's faces through a camera's frames, and cuts a crop of each for the network.

Who is known is looked for in every frame, near the place where the motion so far leads; the whole
frame is searched now and then, for others. A face that is not found is not reported, but
remembered for ``forget_s``, so that somebody who comes back keeps the id.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np

from maven_ros.counters import Counters
from maven_ros.errors import InputError
from maven_ros.freezing import Freezing, plain_data
from maven_ros.records import NS, Face, FoundFace, Pixels, nanoseconds
from maven_ros.senses.crops import Outline, crop, cut
from maven_ros.senses.face_detector import Detection, FaceDetector, distinct
from maven_ros.senses.face_tracks import FaceTrack, Sighting, match
from maven_ros.senses.head_pose import head_pose
from maven_ros.settings import FaceSettings

_LOOKED_FOR_NS = NS  # so long a face that is lost is looked for where it should be


class FaceTracker(Freezing):
    """
    Finds faces and keeps them apart by id: ``person_1``, ``person_2``, ..., never used twice.

    :param settings: detector, rates, sizes and times.
    :param crop_px: side of the crops.
    :param counters: where events are counted, under ``video``.
    :raises ResourceError: names a detector file that is missing or unusable.
    """

    _fixed: ClassVar[frozenset[str]] = frozenset({'_settings', '_counters', '_detector'})

    def __init__(self, settings: FaceSettings, crop_px: int, counters: Counters) -> None:
        self._crop_px = crop_px
        self._counters = counters
        self._detector = FaceDetector(settings)
        self._people = 0  # so far
        self._use(settings)
        self.reset()

    def change(self, settings: FaceSettings) -> None:
        """Go on with other rates, sizes and times; the detector stays."""
        self._use(settings)
        self._searches.change(settings.detect_hz)

    def _use(self, settings: FaceSettings) -> None:
        self._settings = settings
        self._confirm_ns = nanoseconds(settings.confirm_s)
        self._forget_ns = nanoseconds(settings.forget_s)

    def reset(self) -> None:
        """Forget all faces, as after a jump in time; the ids go on counting."""
        self._tracks: list[FaceTrack] = []
        self._size: tuple[int, int] | None = None  # width and height of the frame before
        self._stamp_ns: int | None = None
        self._searches = _Every(self._settings.detect_hz)

    def update(self, stamp_ns: int, pixels: Pixels) -> tuple[Face, ...]:
        """
        Look at the next frame.

        :param stamp_ns: later than that of the frame before.
        :param pixels: uint8 (height, width, 3) BGR.
        :returns: the confirmed faces in this frame, the largest first.
        :raises InputError: for pixels of another kind, or a stamp that is not later.
        """
        self._check(stamp_ns, pixels)
        self._stamp_ns = stamp_ns
        self._rescale(pixels)
        self._tracks = [
            track for track in self._tracks if stamp_ns - track.seen_ns <= self._forget_ns]
        found = sorted(
            self._find(stamp_ns, pixels), key=lambda one: one.outline.square.side, reverse=True)
        seen = self._assign(stamp_ns, [
            Sighting.of(one, pixels) for one in found[:self._settings.max_people]])
        height, width = pixels.shape[:2]
        return tuple(
            Face(stamp_ns, track.person_id, track.outline.box(width, height),
                 cut(pixels, track.view, self._crop_px), track.outline.landmarks,
                 head_pose(track.outline), score=track.score)
            for track in seen if track.person_id)

    def accept(
        self, stamp_ns: int, pixels: Pixels, found: Collection[FoundFace],
    ) -> tuple[Face, ...]:
        """
        Take over what another detector has found in the next frame; else as :meth:`update`.

        Its ids are kept. What was tracked here is forgotten.
        """
        self._check(stamp_ns, pixels)
        self.reset()
        self._stamp_ns = stamp_ns
        height, width = pixels.shape[:2]
        faces = []
        for one in found:
            left, top, right, bottom = one.box
            outline = Outline(((left + right) / 2 * width, (top + bottom) / 2 * height),
                              (right - left) * width, (bottom - top) * height)
            box = outline.box(width, height)
            if box.width and box.height:
                seen = (*(one.eyes or ()), *((one.lower or ()) if one.eyes else ()))
                outline = replace(outline, landmarks=tuple(
                    (x * width, y * height) for x, y in seen))
                faces.append(Face(
                    stamp_ns, one.person_id, box, crop(pixels, outline, self._crop_px),
                    outline.landmarks, head_pose(outline, by_yunet=False)))
        faces.sort(key=lambda face: max(face.box.width, face.box.height), reverse=True)
        return tuple(faces[:self._settings.max_people])

    def _check(self, stamp_ns: int, pixels: Pixels) -> None:
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
            raise InputError(
                'bad_pixels', f'a frame of {pixels.dtype} {pixels.shape} is not uint8 of shape '
                '(height, width, 3)')
        if self._stamp_ns is not None and stamp_ns <= self._stamp_ns:
            raise InputError(
                'out_of_order', f'a frame of {stamp_ns} ns is not later than the one before, '
                f'{self._stamp_ns} ns')

    def _rescale(self, pixels: Pixels) -> None:
        """Move the faces to a picture of another size; they must be found there again."""
        height, width = pixels.shape[:2]
        before, self._size = self._size, (width, height)
        if before is None or before == self._size:
            return
        self._counters.count(
            'video', 'size_changed', f'the frames were {before[0]}x{before[1]} and are '
            f'{width}x{height} now; faces are looked for anew')
        scales = np.diag([width / before[0], height / before[1]]) @ np.eye(2, 3)
        for track in self._tracks:
            track.outline = track.outline.moved(scales)
            track.view = track.outline.square
            track.velocity, track.in_view = (0.0, 0.0), False

    def _find(self, stamp_ns: int, pixels: Pixels) -> list[Detection]:
        """Look where faces are expected; then, if it is time or one has slipped, everywhere."""
        looked = [(track, self._detector.look(pixels, track.expected(stamp_ns)))
                  for track in self._tracks
                  if track.in_view or stamp_ns - track.seen_ns <= _LOOKED_FOR_NS]
        slipped = any(track.in_view and one is None for track, one in looked)
        found = distinct(sorted((one for _, one in looked if one is not None),
                                key=lambda one: one.score, reverse=True))
        if self._searches.due(stamp_ns) or slipped:
            known, view = len(found), 0 if slipped else self._searches.count - 1
            for other in distinct([*found, *self._detector.search(pixels, view)])[known:]:
                if (closer := self._detector.look(pixels, other.outline.square)) is not None:
                    found.append(closer)
        return distinct(found)

    def _assign(self, stamp_ns: int, sightings: Sequence[Sighting]) -> list[FaceTrack]:
        """
        Give each face that was found to who it is, or start somebody new with it.

        :returns: who is in view, in the order of the sightings.
        """
        pairs = match(self._tracks, sightings, stamp_ns)
        for track in [track for track in self._tracks if track not in pairs]:
            track.in_view = False
            if not track.person_id:
                self._tracks.remove(track)  # nobody: it was not there for long enough
        for track, sighting in pairs.items():
            track.found(stamp_ns, sighting)
        known = {sighting: track for track, sighting in pairs.items()}
        for sighting in sightings:
            if sighting.detection.is_sure and sighting not in known:
                known[sighting] = FaceTrack.start(stamp_ns, sighting)
                self._tracks.append(known[sighting])
        seen = {known[sighting]: sighting for sighting in sightings if sighting in known}
        for track, sighting in seen.items():
            long_enough = stamp_ns - track.first_ns >= self._confirm_ns
            if not track.person_id and sighting.detection.is_sure and long_enough:
                self._people += 1
                track.person_id = f'person_{self._people}'
        return list(seen)


@plain_data
class _Every:
    """Tells once in each period that it is due, by the stamps that it is shown."""

    def __init__(self, rate_hz: float) -> None:
        self.count = 0  # how often it was due
        self._period: int | None = None
        self.change(rate_hz)

    def change(self, rate_hz: float) -> None:
        self._period_ns = max(1, round(NS / rate_hz))

    def due(self, stamp_ns: int) -> bool:
        period = stamp_ns // self._period_ns
        due, self._period = period != self._period, period
        self.count += due
        return due
