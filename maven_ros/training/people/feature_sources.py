"""Where the fusion's input comes from: features that were encoded once, or the evidence itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple, Protocol, TypeAlias

import numpy as np
import torch
from tokenizers import Tokenizer

from maven_ros.counters import Counters
from maven_ros.model.compute import Batches
from maven_ros.model.fusion import Features
from maven_ros.model.incremental import IncrementalEncoder, Memory
from maven_ros.model.maven import MavenModel
from maven_ros.model.time_grid import Aligned, Grid
from maven_ros.records import Box, Evidence, Face, Word
from maven_ros.settings import Settings
from maven_ros.training.digests import digest_of
from maven_ros.training.people.evidence import WindowOfSound, crops_of, sound_of, words_of
from maven_ros.training.people.feature_spec import Windowing
from maven_ros.training.people.features import FeatureSet
from maven_ros.training.people.prepared import Frames, PreparedSet

HOP_S = 0.5             # between windows of evidence, as `data embed` has it by default
_PEOPLE_AT_ONCE = 64    # whose sound is held in memory
_NOWHERE = Box(0, 0, 0, 0)  # where in its picture a face was does not count

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
    """What there is of a person: frames, and sound and words by the number of their window."""

    frames: Frames
    sound: Mapping[int, WindowOfSound]
    words: Mapping[int, tuple[Word, ...]]


class EvidenceSource:
    """
    Windows of faces, sound and words themselves, for encoders that are trained.

    :param crop_px: side of the faces that the network takes.
    :param length_s: of a window; windows are otherwise those of the node and of ``data embed``.
    """

    def __init__(
        self, prepared: PreparedSet, tokenizer: Tokenizer, crop_px: int, length_s: float,
    ) -> None:
        self._prepared, self._tokenizer, self._crop_px = prepared, tokenizer, crop_px
        self._windowing = Windowing.of(
            Settings().with_values({'windows.length_s': length_s}), HOP_S)
        self.grid, self.length_ns = self._windowing.grid, self._windowing.length_ns
        self.hop_ns, self.start_ns = self._windowing.hop_ns, self._windowing.start_ns
        self._people = {person.person: person for person in prepared.people}
        self._counters = Counters()
        self._open = lru_cache(_PEOPLE_AT_ONCE)(self._read)

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
        start_ns = self.start_ns(window)
        end_ns = start_ns + self.length_ns
        piece = Evidence(start_ns, end_ns, person, self._faces(person, start_ns, end_ns))
        others = (one.person for one in self._people.values()
                  if one.video == self._people[person].video and one.person != person)
        if any(self._shown(one, start_ns, end_ns) for one in others):
            return piece  # whose voice it is nobody knows
        known = self._open(person)
        piece = replace(piece, words=known.words.get(window, ()))
        sound = known.sound.get(window)
        return replace(piece, waveform=sound.waveform, heard=sound.heard) if sound else piece

    def _shown(self, person: str, start_ns: int, end_ns: int) -> list[tuple[int, str]]:
        """Return stamp and crop of the first frame of each slot, where there is a face."""
        frames = self._open(person).frames
        first, after = np.searchsorted(frames.stamps_ns, (start_ns, end_ns)).tolist()
        slots = [self._windowing.slot(int(one)) for one in frames.stamps_ns[first:after]]
        return [(int(frames.stamps_ns[first + at]), frames.crops[first + at])
                for at, slot in enumerate(slots)
                if frames.crops[first + at] and (at == 0 or slot != slots[at - 1])]

    def _faces(self, person: str, start_ns: int, end_ns: int) -> tuple[Face, ...]:
        shown = self._shown(person, start_ns, end_ns)
        faces: list[Face] = []
        for numbers, crops in crops_of(
                self._prepared.folder, [path for _, path in shown], self._crop_px,
                max(1, len(shown)), self._counters):
            faces += [Face(shown[number][0], person, _NOWHERE, crop)
                      for number, crop in zip(numbers, crops, strict=True)]
        return tuple(faces)

    def _read(self, name: str) -> _Known:
        person, folder = self._people[name], self._prepared.folder
        return _Known(
            self._prepared.frames(name),
            {one.window: one for one in sound_of(
                folder, person, self._windowing, self._counters)},
            {one.window: one.words for one in words_of(folder, person, self._windowing)})
