"""Sources of the fusion's input: stored features, or evidence that is encoded on the fly."""

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

HOP_S = 0.5             # between windows of evidence, the default of `data embed`
_VIDEOS_AT_ONCE = 64    # whose sound is kept in memory

#: A person, and the number of a window.
Row: TypeAlias = tuple[str, int]


class FusionSource(Protocol):
    """
    Windows of recorded people.

    :param grid: grid of every window.
    :param length_ns: length of every window.
    :param hop_ns: hop between windows; the first window ends after one hop.
    """

    @property
    def grid(self) -> Grid:
        """The grid of every window."""

    @property
    def length_ns(self) -> int:
        """Length of a window, in nanoseconds."""

    @property
    def hop_ns(self) -> int:
        """Hop between windows, in nanoseconds; the first window ends after one hop."""

    def windows(self, person: str) -> int:
        """Return the number of windows of a person."""

    def start_ns(self, window: int) -> int:
        """Return the start of a window, which may be before the video's."""

    @property
    def digest(self) -> str:
        """Digest of the data, and of the windows."""

    def encode(self, model: MavenModel, rows: Sequence[Row]) -> Features:
        """Return the encoded windows, on the model's device."""


class FeatureSource:
    """Windows of a :class:`FeatureSet`."""

    def __init__(self, features: FeatureSet) -> None:
        self._features = features
        self.grid, self.length_ns = features.grid, features.length_ns
        self.hop_ns = features.hop_ns
        self.windows, self.start_ns = features.windows, features.start_ns
        self.digest = features.digest

    def encode(self, model: MavenModel, rows: Sequence[Row]) -> Features:
        """Read the features; the model's encoders are not used."""
        device = model.device
        with torch.autocast('cpu', enabled=False):  # features are not rounded again
            features = self._features.batch(rows)
        video, audio, text = (
            Aligned(one.values.to(device, non_blocking=True),
                    one.mask.to(device, non_blocking=True)) for one in features.streams)
        return Features(video, audio, text, features.slot_s)


class _Known(NamedTuple):
    """The data of a video: the frames of its people, and the evidence in each window."""

    frames: Mapping[str, Frames]
    windows: Sequence[Mapping[str, Evidence]]


class EvidenceSource:
    """
    Windows of faces, sound and words, for encoders that are trained.

    :param checkpoint: checkpoint of the network that is trained, with its tokenizer.
    :param length_s: length of a window; everything else is as in the node and in ``data embed``.
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
        """Digest of the prepared people, and of the windows."""
        return digest_of(repr(self._windowing), sorted(
            [person.person, person.made_of] for person in self._people.values()))

    def windows(self, person: str) -> int:
        """Return the number of windows of a person."""
        return self._windowing.count(self._people[person].duration_s)

    def encode(self, model: MavenModel, rows: Sequence[Row]) -> Features:
        """Encode the windows; gradients reach the encoders."""
        encoder = IncrementalEncoder(model, self._tokenizer, self.grid, model.device,
                                     self._counters, Batches(self._counters))
        return encoder.encode([(Memory(), self.evidence(*row)) for row in rows])

    def evidence(self, person: str, window: int) -> Evidence:
        """Return the evidence in a window."""
        known = self._open(self._people[person].video)
        piece = known.windows[window][person]
        return replace(piece, faces=self._with_crops(piece.faces, known.frames[person]))

    def _with_crops(self, faces: Sequence[Face], frames: Frames) -> tuple[Face, ...]:
        """Read the crops of faces; a crop that cannot be read is counted and dropped."""
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
