"""
Read a set of features: the input of the fusion for a window, without an encoder.

It equals the features that the engine computes from the same evidence, up to float16 rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from maven_ros import rules
from maven_ros.errors import ResourceError
from maven_ros.model.fusion import Features
from maven_ros.model.maven import MavenModel
from maven_ros.model.time_grid import Aligned, interpolate, weigh, word_weights
from maven_ros.records import Word
from maven_ros.tables import read_table
from maven_ros.training.digests import digest_of
from maven_ros.training.people.feature_spec import (
    FORMAT,
    Windowing,
    describe,
    require_same,
    windows_key,
)
from maven_ros.training.people.prepared import RecordedPerson
from maven_ros.training.people.shards import COLUMNS, INDEX, made_of_rows, read_index, read_spec

#: A person, and the number of a window.
Place = tuple[str, int]


class _Entry(NamedTuple):
    """The location of a person's tensors of one modality."""

    shard: str
    key: str


class _Frames(NamedTuple):
    """The stamps and rows of the frames that the network sees, in order."""

    stamps_ns: NDArray[np.int64]
    rows: NDArray[np.int64]


class FeatureSet:
    """
    A folder of features.

    :param folder: folder that ``maven-ros data embed`` wrote.
    :raises ResourceError: if a file is missing or broken, or a shard belongs to another encoder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.spec = folder, read_spec(folder)
        if self.spec.get('format') != FORMAT:
            raise ResourceError(f'{folder}: features of format {self.spec.get("format")!r}; '
                                f'allowed: {FORMAT}')
        if not (folder / INDEX).is_file():
            raise ResourceError(f'{folder}: has no {INDEX}: it is not complete; run `maven-ros '
                                'data embed` again')
        table = read_table(folder / INDEX, COLUMNS)
        self._made_of = made_of_rows(read_index(folder, self.spec))
        self._entries: dict[tuple[str, str], _Entry] = {}
        for person, modality, shard, key in zip(
                table['person'], table['modality'], table['shard'], table['key'], strict=True):
            if (person, modality) not in self._made_of:
                raise ResourceError(f'{folder / shard}: is missing; {INDEX} has {modality} of '
                                    f'{person} in it')
            self._entries[person, modality] = _Entry(shard, key)
        self.windowing = Windowing.read(self.spec)
        self.grid = self.windowing.grid
        self.length_ns, self.hop_ns = self.windowing.length_ns, self.windowing.hop_ns
        #: The people with features.
        self.people = tuple(sorted({person for person, _ in self._entries}))
        self._shards: dict[str, Any] = {}
        self._tensor = lru_cache(maxsize=None)(self._read_whole)
        self._seen = lru_cache(maxsize=None)(self._read_frames)

    def check(self, model: MavenModel, tokenizer: Tokenizer) -> None:
        """
        Refuse a model with other encoders.

        :raises ResourceError: names the encoder.
        """
        require_same(self.spec, describe(model, tokenizer, self.windowing), str(self.folder))

    def check_people(self, people: Sequence[RecordedPerson]) -> None:
        """
        Refuse features of people who have been prepared again with other data.

        :raises ResourceError: names one of these people.
        """
        prepared = {person.person: person.made_of for person in people}
        for (name, modality), made_of in self._made_of.items():
            if prepared.get(name, made_of) != made_of:
                raise ResourceError(f'{self.folder}: has {modality} of {name} from an earlier '
                                    'preparation; run `maven-ros data embed` again')

    @property
    def digest(self) -> str:
        """Digest of the encoded data, and of the windows."""
        return digest_of(repr(self.windowing), sorted(
            [*key, made_of] for key, made_of in self._made_of.items()))

    def windows(self, person: str) -> int:
        """
        Return the number of windows of a person.

        :raises ResourceError: if there are no features of the person.
        """
        return len(self._windows(person, 'audio'))

    def start_ns(self, window: int) -> int:
        """Return the start of a window on the clock of the file, in nanoseconds."""
        return self.windowing.start_ns(window)

    def batch(self, places: Sequence[Place]) -> Features:
        """
        Return the features of windows: float32, on the host.

        :param places: at least one person and window.
        :raises ResourceError: if there are no features of a person.
        """
        return Features(self._video(places), self._audio(places), self._text(places),
                        self.grid.slot_s)

    # --- modalities ----------------------------------------------------------------------

    def _video(self, places: Sequence[Place]) -> Aligned:
        aligned = self._nothing('video', len(places))
        for number, (person, window) in enumerate(places):
            begin_ns = self.start_ns(window)
            end_ns = begin_ns + self.length_ns
            seen = self._seen(person)
            some = rules.holds(begin_ns, end_ns, seen.stamps_ns)
            slots = rules.newest_per_slot(
                seen.stamps_ns[some].tolist(), begin_ns, end_ns, self.grid.slots)
            if slots:
                rows = seen.rows[some][list(slots.values())].tolist()
                vectors = self._slice(person, 'video', '', rows[0], rows[-1] + 1)
                aligned.values[number, list(slots)] = vectors[
                    [row - rows[0] for row in rows]].float()
                aligned.mask[number, list(slots)] = True
        return aligned

    def _audio(self, places: Sequence[Place]) -> Aligned:
        rows = [(person, int(self._windows(person, 'audio')[window]))
                for person, window in places]
        voiced = [(person, row) for person, row in rows if row >= 0]
        if not voiced:
            return self._nothing('audio', len(places))
        own = self.spec['encoders']['audio']
        aligned = interpolate(
            torch.cat([self._slice(person, 'audio', '', row, row + 1) for person, row in voiced]
                      ).float(),
            torch.cat([self._slice(person, 'audio', '.mask', row, row + 1)
                       for person, row in voiced]),
            own['first_s'], own['step_s'], self.grid)
        empty = self._nothing('audio', len(places))
        index = [number for number, (_, row) in enumerate(rows) if row >= 0]
        empty.values[index], empty.mask[index] = aligned.values, aligned.mask
        return empty

    def _text(self, places: Sequence[Place]) -> Aligned:
        spans = [self._windows(person, 'text')[window].tolist() for person, window in places]
        longest = max(count for _, count in spans)
        if not longest:
            return self._nothing('text', len(places))
        vectors = []
        weights = np.zeros((len(places), self.grid.slots, longest), np.float32)
        for number, ((person, window), (first, count)) in enumerate(
                zip(places, spans, strict=True)):
            vectors.append(self._slice(person, 'text', '', first, first + count).float())
            table = self._tensor(person, 'text', '.words')[first:first + count].tolist()
            begin_ns = self.start_ns(window)
            places_of = sorted({word for word, _, _ in table})
            times = {word: (start_ns, end_ns) for word, start_ns, end_ns in table}
            weights[number, :, :count] = word_weights(
                [Word('', *times[word], 1.0) for word in places_of],
                [places_of.index(word) for word, _, _ in table],
                begin_ns, begin_ns + self.length_ns, self.grid.slots)
        return weigh(pad_sequence(vectors, True), torch.from_numpy(weights))

    def _windows(self, person: str, modality: str) -> Tensor:
        """Return the row of the video's table for each of a person's windows."""
        return self._tensor(person, modality, windows_key(person))

    def _nothing(self, modality: str, count: int) -> Aligned:
        return Aligned.nothing(
            count, self.grid.slots, int(self.spec['encoders'][modality]['dim']))

    # --- files ---------------------------------------------------------------------------

    def _read_frames(self, person: str) -> _Frames:
        """Return the frames that the node uses and that have a face."""
        stamps_ns = self._tensor(person, 'video', '.stamps').numpy()
        mask = self._tensor(person, 'video', '.mask').numpy()
        rows = np.flatnonzero(rules.looked_at(stamps_ns, self.windowing.rate_hz) & mask)
        return _Frames(stamps_ns[rows], rows)

    def _read_whole(self, person: str, modality: str, part: str) -> Tensor:
        shard, key = self._open(person, modality)
        whole: Tensor = shard.get_tensor(f'{key}{part}')
        return whole

    def _slice(self, person: str, modality: str, part: str, first: int, after: int) -> Tensor:
        shard, key = self._open(person, modality)
        some: Tensor = shard.get_slice(f'{key}{part}')[first:after]
        return some

    def _open(self, person: str, modality: str) -> tuple[Any, str]:
        entry = self._entry(person, modality)
        if entry.shard not in self._shards:
            try:
                self._shards[entry.shard] = safe_open(self.folder / entry.shard, 'pt')
            except (OSError, SafetensorError) as error:
                raise ResourceError(f'{self.folder / entry.shard}: cannot be read: {error}'
                                    ) from error
        return self._shards[entry.shard], entry.key

    def _entry(self, person: str, modality: str) -> _Entry:
        entry = self._entries.get((person, modality))
        if entry is None:
            raise ResourceError(f'{self.folder}: has no {modality} of {person!r}; run `maven-ros '
                                'data embed` again')
        return entry
