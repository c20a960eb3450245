"""
Follows people's faces through a camera's frames, and cuts a crop of each for the network.

Detections start a face and correct where it is; optical flow carries it in between and over
short failures of the detector. A face that is neither detected nor followed is lost: it is not
reported, but remembered for ``forget_s``, so that somebody who comes back keeps the id.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from maven_ros.counters import Counters
from maven_ros.errors import InputError
from maven_ros.freezing import Freezing, plain_data
from maven_ros.records import NS, Face, FoundFace, Pixels, nanoseconds
from maven_ros.senses.crops import Outline, crop
from maven_ros.senses.detectors import Detection, open_detector
from maven_ros.senses.flow import alike, follow, patch
from maven_ros.settings import FaceSettings

_MAX_MISSES = 3  # detections in a row that a face may miss while the flow still carries it
_MIN_IOU = 0.3  # of a detection with the face that it is
_REACH = 1.5  # sizes that a face may jump between detections and still be the same
_MAX_GROWTH = 2.0  # and how many times as large, or as small, it may be


@plain_data
@dataclass(eq=False)
class _Track:
    """
    One face through time.

    :param outline: in pixels of the reduced picture.
    :param patch: what it looked like when it was last detected.
    :param first_ns: when it was first detected.
    :param seen_ns: when it was last in view.
    :param person_id: empty until it is confirmed.
    :param in_view: whether it was detected in the newest frame, or followed into it.
    :param misses: detections in a row that did not find it.
    """

    outline: Outline
    patch: Pixels
    first_ns: int
    seen_ns: int = 0
    person_id: str = ''
    in_view: bool = True
    misses: int = 0

    def detected(self, stamp_ns: int, outline: Outline, patch: Pixels) -> None:
        """Take over where and how it was detected just now."""
        self.outline, self.patch, self.seen_ns = outline, patch, stamp_ns
        self.in_view, self.misses = True, 0


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
        self._detector = open_detector(settings)
        self._people = 0  # so far
        self._use(settings)
        self.reset()

    def change(self, settings: FaceSettings) -> None:
        """Go on with other rates, sizes and times; the detector stays."""
        self._use(settings)
        self._detections.change(settings.detect_hz)
        self._scans.change(settings.scan_hz)

    def _use(self, settings: FaceSettings) -> None:
        self._settings = settings
        self._confirm_ns = nanoseconds(settings.confirm_s)
        self._forget_ns = nanoseconds(settings.forget_s)

    def reset(self) -> None:
        """Forget all faces, as after a jump in time; the ids go on counting."""
        self._tracks: list[_Track] = []
        self._grey: Pixels | None = None
        self._stamp_ns: int | None = None
        self._detections = _Every(self._settings.detect_hz)
        self._scans = _Every(self._settings.scan_hz)

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
        picture, grey = self._reduce(pixels)
        self._forget(stamp_ns)
        slipped = self._follow(stamp_ns, grey)
        if self._detections.due(stamp_ns) or slipped:
            nobody = not any(track.in_view for track in self._tracks)
            whole = self._scans.due(stamp_ns) or nobody
            near = [track.outline for track in self._tracks]
            found = self._detector.detect(picture, near, whole=whole)
            largest = sorted(found, key=lambda one: one.outline.size, reverse=True)
            self._assign(stamp_ns, grey, largest[:self._settings.max_people])
        self._grey = grey
        return self._faces(stamp_ns, pixels, grey)

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
            outline = Outline(left, top, right - left, bottom - top, one.eyes)
            outline = outline.scaled(width, height)
            box = outline.box(width, height)
            if box.width and box.height:
                faces.append(Face(
                    stamp_ns, one.person_id, box, crop(pixels, outline, self._crop_px)))
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

    def _reduce(self, pixels: Pixels) -> tuple[Pixels, Pixels]:
        """Return the picture that is searched, in colour and grey."""
        import cv2

        height, width = pixels.shape[:2]
        scale = min(1.0, self._settings.detect_width_px / width)
        size = (round(width * scale), max(1, round(height * scale)))
        picture = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
        return picture, np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), np.uint8)

    def _forget(self, stamp_ns: int) -> None:
        self._tracks = [
            track for track in self._tracks if stamp_ns - track.seen_ns <= self._forget_ns]

    def _follow(self, stamp_ns: int, grey: Pixels) -> bool:
        """
        Carry the faces in view into this frame.

        :returns: whether some could not be carried: they are lost unless detected at once.
        """
        if self._grey is None:
            return False
        if self._grey.shape != grey.shape:
            self._rescale(self._grey, grey)
            return True
        visible = [track for track in self._tracks if track.in_view]
        moved = follow(self._grey, grey, [track.outline for track in visible])
        for track, outline in zip(visible, moved, strict=True):
            if outline is not None and alike(track.patch, patch(grey, outline)):
                track.outline, track.seen_ns = outline, stamp_ns
            else:
                track.in_view = False
        return not all(track.in_view for track in visible)

    def _rescale(self, before: Pixels, now: Pixels) -> None:
        """Move the faces to a picture of another size; they must be detected there again."""
        (old_height, old_width), (height, width) = before.shape, now.shape
        self._counters.count(
            'video', 'size_changed', f'the frames, reduced, were {old_width}x{old_height} and are '
            f'{width}x{height} now; faces are looked for anew')
        for track in self._tracks:
            track.outline = track.outline.scaled(width / old_width, height / old_height)
            track.in_view = False

    def _assign(self, stamp_ns: int, grey: Pixels, detections: list[Detection]) -> None:
        """Give each detection to the face that it is, or start a new face with it."""
        pairs = self._pair(detections)
        for track in [track for track in self._tracks if track not in pairs]:
            track.misses += 1
            if not track.person_id:
                self._tracks.remove(track)  # nobody yet, and not confirmed by this detection
            elif track.misses > _MAX_MISSES:
                track.in_view = False
        known = set(pairs.values())
        for detection in detections:
            if detection.sure and detection not in known:
                track = _Track(detection.outline, patch(grey, detection.outline), stamp_ns)
                self._tracks.append(track)
                pairs[track] = detection
        for track, detection in pairs.items():
            track.detected(stamp_ns, detection.outline, patch(grey, detection.outline))
            long_enough = stamp_ns - track.first_ns >= self._confirm_ns
            if not track.person_id and detection.sure and long_enough:
                self._people += 1
                track.person_id = f'person_{self._people}'

    def _pair(self, detections: list[Detection]) -> dict[_Track, Detection]:
        """Match by place; then those that jumped or came back; then the only one."""
        pairs = _match(self._tracks, detections, _overlap)
        missing = [track for track in self._tracks if track.person_id and track not in pairs]
        known = set(pairs.values())
        sure = [one for one in detections if one.sure and one not in known]
        pairs |= _match(missing, sure, _nearness)
        alone = len(self._tracks) == len(detections) == len(missing) == len(sure) == 1
        if alone and not pairs and not missing[0].in_view:
            pairs[missing[0]] = sure[0]
        return pairs

    def _faces(self, stamp_ns: int, pixels: Pixels, grey: Pixels) -> tuple[Face, ...]:
        """Return the confirmed faces in view, the largest first."""
        height, width = pixels.shape[:2]
        x, y = width / grey.shape[1], height / grey.shape[0]
        faces = []
        for track in sorted(self._tracks, key=lambda one: one.outline.size, reverse=True):
            outline = track.outline.scaled(x, y)
            box = outline.box(width, height)
            track.in_view &= box.width > 0 and box.height > 0
            if track.in_view and track.person_id:
                faces.append(Face(
                    stamp_ns, track.person_id, box, crop(pixels, outline, self._crop_px)))
        return tuple(faces[:self._settings.max_people])


@plain_data
class _Every:
    """Tells once in each period that it is due, by the stamps that it is shown."""

    def __init__(self, rate_hz: float) -> None:
        self._period: int | None = None
        self.change(rate_hz)

    def change(self, rate_hz: float) -> None:
        self._period_ns = max(1, round(NS / rate_hz))

    def due(self, stamp_ns: int) -> bool:
        period = stamp_ns // self._period_ns
        due, self._period = period != self._period, period
        return due


def _match(
    tracks: list[_Track], detections: list[Detection],
    affinity: Callable[[_Track, Detection], float],
) -> dict[_Track, Detection]:
    """Pair each track with at most one detection, best affinity first; 0 is no match."""
    ranked = sorted(
        ((affinity(track, one), i, j) for i, track in enumerate(tracks)
         for j, one in enumerate(detections)), reverse=True)
    pairs: dict[int, int] = {}
    for value, i, j in ranked:
        if value > 0 and i not in pairs and j not in pairs.values():
            pairs[i] = j
    return {tracks[i]: detections[j] for i, j in pairs.items()}


def _overlap(track: _Track, detection: Detection) -> float:
    """Return the intersection over the union; 0 where it is no match."""
    a, b = track.outline, detection.outline
    common = a.intersection(b)
    iou = common / (a.width * a.height + b.width * b.height - common)
    return iou if iou >= _MIN_IOU else 0.0


def _nearness(track: _Track, detection: Detection) -> float:
    """Return 1 for the same place, down to 0 where it is too far or of another size."""
    a, b = track.outline, detection.outline
    small, large = sorted((a.size, b.size))
    if large > _MAX_GROWTH * small:
        return 0.0
    return max(0.0, 1 - math.dist(a.centre, b.centre) / (_REACH * large))
