"""Where the fusion's input comes from: features that were encoded once, or the evidence itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple, Protocol, TypeAlias

import numpy as np
import torch

from maven_ros.counters import Counters
from maven_ros.model.checkpoint import Checkpoint
from maven_ros.model.compute import Batches
from maven_ros.model.fusion import Features
from maven_ros.model.incremental import IncrementalEncoder, Memory
from maven_ros.model.maven import MavenModel
from maven_ros.model.time_grid import Aligned
from maven_ros.records import Evidence, Face
from maven_ros.rules import Grid
from maven_ros.settings import Settings
from maven_ros.training.digests import digest_of
from maven_ros.training.people.evidence import RecordedVideo, crops_of, evidence_in
from maven_ros.training.people.feature_spec import Windowing
from maven_ros.training.people.features import FeatureSet
from maven_ros.training.people.prepared import Frames, PreparedSet

HOP_S = 0.5             # between windows of evidence, as `data embed` has it by default
_VIDEOS_AT_ONCE = 64    # whose sound is held in memory

#: A person and the number of one of their windows.
Row: TypeAlias = tuple[str, int]


class FusionSource(Protocol):
    """
    Windows of recorded people.

    :param grid: of every window.
    :param length_ns: of every window.
    :param hop_ns: from the end of one to the end of the next; the first ends at the first hop.
    """

    @property
    def grid(self) -> Grid:
        """The grid of every window."""

    @property
    def length_ns(self) -> int:
        """Length of a window."""

    @property
    def hop_ns(self) -> int:
        """From the end of one window to the end of the next; the first ends after one."""

    def windows(self, person: str) -> int:
        """Return how many windows of a person there are."""

    def start_ns(self, window: int) -> int:
        """Return when a window begins, which may be before the video does."""

    @property
    def digest(self) -> str:
        """Of what is read, and how it is cut into windows."""

    def encode(self, model: MavenModel, rows: Sequence[Row]) -> Features:
        """Return windows as the model's encoders have them, on its device."""


class FeatureSource:
    """Windows of a :class:`FeatureSet`."""

    def __init__(self, features: FeatureSet) -> None:
        self._features = features
        self.grid, self.length_ns = features.grid, features.length_ns
        self.hop_ns = features.hop_ns
        self.windows, self.start_ns = features.windows, features.start_ns
        self.digest = features.digest

    def encode(self, model: MavenModel, rows: Sequence[Row]) -> Features:
        """Read them; the model's encoders have no part in it."""
        device = model.device
        with torch.autocast('cpu', enabled=False):  # what was encoded is not rounded once more
            features = self._features.batch(rows)
        video, audio, text = (
            Aligned(one.values.to(device, non_blocking=True),
                    one.mask.to(device, non_blocking=True)) for one in features.streams)
        return Features(video, audio, text, features.slot_s)


class _Known(NamedTuple):
    """What there is of a video: frames of its people, and window by window what is whose."""

    frames: Mapping[str, Frames]
    windows: Sequence[Mapping[str, Evidence]]


class EvidenceSource:
    """
    Windows of faces, sound and words themselves, for encoders that are trained.

    :param checkpoint: of the network that is trained: its tokenizer and configuration.
    :param length_s: of a window; windows are otherwise those of the node and of ``data embed``.
    """

    def __init__(
        self, prepared: PreparedSet, checkpoint: Checkpoint, length_s: float,
    ) -> None:
        self._prepared, self._tokenizer = prepared, checkpoint.tokenizer
        self._crop_px = checkpoint.model.config.crop_px
        self._languages = checkpoint.model.config.languages
        self._windowing = Windowing.of(
            Settings().with_values({'windows.length_s': length_s}), HOP_S)
        self.grid, self.length_ns = self._windowing.grid, self._windowing.length_ns
        self.hop_ns, self.start_ns = self._windowing.hop_ns, self._windowing.start_ns
        self._people = {person.person: person for person in prepared.people}
        self._counters = Counters()
        self._open = lru_cache(_VIDEOS_AT_ONCE)(self._read)

    @property
    def digest(self) -> str:
        """Of the people as they were prepared, and of the windows."""
        return digest_of(repr(self._windowing), sorted(
            [person.person, person.made_of] for person in self._people.values()))

    def windows(self, person: str) -> int:
        """Return how many windows of a person there are."""
        return self._windowing.count(self._people[person].duration_s)

    def encode(self, model: MavenModel, rows: Sequence[Row]) -> Features:
        """Encode them; gradients reach the encoders."""
        encoder = IncrementalEncoder(model, self._tokenizer, self.grid, model.device,
                                     self._counters, Batches(self._counters))
        return encoder.encode([(Memory(), self.evidence(*row)) for row in rows])

    def evidence(self, person: str, window: int) -> Evidence:
        """Return what the node would have of a window."""
        known = self._open(self._people[person].video)
        piece = known.windows[window][person]
        return replace(piece, faces=self._with_crops(piece.faces, known.frames[person]))

    def _with_crops(self, faces: Sequence[Face], frames: Frames) -> tuple[Face, ...]:
        """Read the crops of faces; one that cannot be read is counted, and is no face."""
        paths = [frames.crops[place] for place in np.searchsorted(
            frames.stamps_ns, [face.stamp_ns for face in faces])]
        return tuple(
            replace(faces[number], crop=crop) for numbers, crops in crops_of(
                self._prepared.folder, paths, self._crop_px, max(1, len(paths)), self._counters)
            for number, crop in zip(numbers, crops, strict=True))

    def _read(self, video: str) -> _Known:
        people = [one for one in self._people.values() if one.video == video]
        frames = {one.person: self._prepared.frames(one.person) for one in people}
        return _Known(frames, list(evidence_in(
            RecordedVideo(self._prepared.folder, people, frames, self._crop_px, self._languages),
            self._windowing, self._counters)))
