"""
Encode a prepared set once, with frozen encoders.

The code of the engine encodes the evidence
(:class:`maven_ros.model.incremental.IncrementalEncoder`): the faces of those frames that the node
looks at. Sound and words of a video are encoded and stored once for all people in it. The same
words in several windows are encoded once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import compress
from pathlib import Path
from threading import Event
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor

from maven_ros import rules
from maven_ros.counters import Counters
from maven_ros.errors import ResourceError
from maven_ros.files import readable, require_room
from maven_ros.model.checkpoint import Checkpoint
from maven_ros.model.compute import Batches, choose_dtype
from maven_ros.model.incremental import IncrementalEncoder
from maven_ros.model.maven import MavenModel
from maven_ros.records import SAMPLE_RATE_HZ, Evidence
from maven_ros.training.loop import Stopped
from maven_ros.training.people.evidence import RecordedVideo, crops_of, evidence_in
from maven_ros.training.people.feature_spec import Windowing, describe, key_of, windows_key
from maven_ros.training.people.prepared import PreparedSet, RecordedPerson
from maven_ros.training.people.shards import IndexRow, ShardWriter, half, made_of_rows

SHARD_BYTES = 512 * 10 ** 6
_BATCH = {'video': 256, 'audio': 32, 'text': 64}
_WORDS_A_SECOND = 2.5  # in speech; only to predict the size
_SUBWORDS = 1.4        # per word

_Item = TypeVar('_Item')


@dataclass(frozen=True)
class _Job:
    """Tensors to compute: of one person's faces, or of one video's sound or words."""

    owner: str
    modality: str
    people: tuple[RecordedPerson, ...]


class _HeardWindow(NamedTuple):
    """The number of a window, its sound, and the people to whom the sound belongs."""

    window: int
    people: list[str]
    sound: Evidence


@dataclass(frozen=True)
class Size:
    """
    The predicted size of features, in bytes.

    :param video: upper bound, within a frame of the network's rate.
    :param audio: upper bound: somebody speaks in every window.
    :param text: approximate size.
    """

    video: int = 0
    audio: int = 0
    text: int = 0

    @property
    def total(self) -> int:
        """The sum of all three."""
        return self.video + self.audio + self.text

    def __str__(self) -> str:
        return (f'up to {readable(self.total)}: faces {readable(self.video)}, sound '
                f'{readable(self.audio)}, words {readable(self.text)}')


class Embedder:
    """
    Encode the parts of a prepared set that are not encoded yet.

    :param checkpoint: checkpoint whose encoders are used.
    :param out: folder of the features.
    :param precision: precision of large products, as ``model.precision``.
    :raises ResourceError: if ``out`` holds features of other encoders or windows.
    """

    def __init__(
        self, prepared: PreparedSet, checkpoint: Checkpoint, out: Path, windowing: Windowing,
        device: torch.device, precision: str = 'auto', shard_bytes: int = SHARD_BYTES,
    ) -> None:
        self._prepared, self._windowing, self._device = prepared, windowing, device
        self._model = checkpoint.model.to(device).eval()
        self._dtype = choose_dtype(precision, device)
        self.counters = Counters()
        self._encoder = IncrementalEncoder(
            self._model, checkpoint.tokenizer, windowing.grid, device, self.counters,
            Batches(self.counters))
        self._vectors = _count_vectors(self._model, windowing.samples)  # per window of sound
        self._spec = describe(self._model, checkpoint.tokenizer, windowing)
        self._writer = ShardWriter(out, self._spec, shard_bytes)
        self._out = out
        made_of = made_of_rows(self._writer.rows)
        self._jobs = [job for job in _jobs(prepared) if any(
            made_of.get((person.person, job.modality)) != person.made_of
            for person in job.people)]

    def size(self) -> Size:
        """Return the size of the features that are still to be written."""
        bytes_of = {'video': 0, 'audio': 0, 'text': 0}
        for job in self._jobs:
            bytes_of[job.modality] += self._job_bytes(job)
        return Size(**bytes_of)

    def run(self, stop: Event, progress: Callable[[float, float], None]) -> None:
        """
        Encode, and write shards and index.

        :param progress: called with the finished and the total number of seconds.
        :raises ResourceError: if the disk is too small, or a file cannot be read.
        :raises CannotWrite: if the disk is full; the same call continues later.
        :raises Stopped: if ``stop`` was set.
        """
        require_room(self._out, self.size().total, 'features')
        total_s = sum(job.people[0].duration_s for job in self._jobs)
        done_s = 0.0
        for job in self._jobs:
            if stop.is_set():
                self._writer.flush()
                raise Stopped(f'{self._out}: stopped; run the same command again to continue')
            with torch.inference_mode(), torch.autocast(
                    self._device.type, self._dtype, self._dtype != torch.float32):
                tensors, first_ns, step_ns = getattr(self, f'_{job.modality}')(job)
            key = key_of(self._spec, job.owner, job.modality)
            self._writer.add(
                {f'{key}{part}': value for part, value in tensors.items()},
                [_row(person, job, key, len(tensors['']), first_ns, step_ns)
                 for person in job.people])
            done_s += job.people[0].duration_s
            progress(done_s, total_s)
        self._writer.finish()

    # --- single modalities ---------------------------------------------------------------

    def _video(self, job: _Job) -> tuple[dict[str, Tensor], int, int]:
        frames = self._prepared.frames(job.owner)
        used = rules.looked_at(frames.stamps_ns, self._windowing.rate_hz)
        count = int(used.sum())
        values = torch.zeros(count, self._model.face_encoder.width, dtype=torch.float16)
        mask = torch.zeros(count, dtype=torch.bool)
        for numbers, crops in crops_of(self._prepared.folder, list(compress(frames.crops, used)),
                                       self._model.config.crop_px, _BATCH['video'],
                                       self.counters):
            values[numbers] = half(self._encoder.encode_faces(torch.from_numpy(crops)), job.owner)
            mask[numbers] = True
        stamps = torch.from_numpy(frames.stamps_ns[used])
        step_ns = int((stamps[-1] - stamps[0]) // max(1, count - 1))
        return {'': values, '.mask': mask, '.stamps': stamps}, int(stamps[0]), step_ns

    def _audio(self, job: _Job) -> tuple[dict[str, Tensor], int, int]:
        windows = self._tables(job, -1)
        values = [torch.zeros(0, self._vectors, self._model.voice_encoder.width,
                              dtype=torch.float16)]
        masks = [torch.zeros(0, self._vectors, dtype=torch.bool)]
        found = 0
        for some in _batched(self._heard(job), _BATCH['audio']):
            encoded, mask = self._encoder.encode_sounds(
                torch.from_numpy(np.stack([one.sound.waveform for one in some])),
                torch.from_numpy(np.stack([one.sound.heard for one in some])))
            values.append(half(encoded, job.owner))
            masks.append(mask.cpu())
            for one in some:
                for person in one.people:
                    windows[person][one.window] = found
                found += 1
        return {'': torch.cat(values), '.mask': torch.cat(masks), **_named(windows)
                }, *self._times()

    def _text(self, job: _Job) -> tuple[dict[str, Tensor], int, int]:
        spoken = [(number, person, piece.words) for number, whose in enumerate(self._evidence(job))
                  for person, piece in whose.items() if piece.words]
        runs = list(dict.fromkeys(run for _, _, run in spoken))
        place: dict[Any, tuple[int, int]] = {}
        values = [torch.zeros(0, self._model.text_encoder.width, dtype=torch.float16)]
        words: list[tuple[int, int, int]] = []
        for some in _batched(iter(runs), _BATCH['text']):
            encoded = self._encoder.encode_texts([[word.text for word in run] for run in some])
            for run, (vectors, word_of_token) in zip(some, encoded, strict=True):
                place[run] = len(words), len(word_of_token)
                values.append(half(vectors, job.owner))
                words += [(number, run[number].start_ns, run[number].end_ns)
                          for number in word_of_token]
        windows = self._tables(job, 0, 2)
        for number, person, run in spoken:
            windows[person][number] = torch.tensor(place[run])
        return {'': torch.cat(values), '.words': torch.tensor(words, dtype=torch.long).reshape(
            -1, 3), **_named(windows)}, *self._times()

    def _heard(self, job: _Job) -> Iterator[_HeardWindow]:
        """Yield the windows whose sound belongs to a person."""
        for window, whose in enumerate(self._evidence(job)):
            own = [person for person, piece in whose.items() if len(piece.waveform)]
            if own:
                yield _HeardWindow(window, own, whose[own[0]])

    def _evidence(self, job: _Job) -> Iterator[dict[str, Evidence]]:
        """Yield the evidence of each person in each window of a video."""
        frames = {one.person: self._prepared.frames(one.person) for one in job.people}
        return evidence_in(RecordedVideo(self._prepared.folder, job.people, frames,
                                         self._model.config.crop_px,
                                         self._model.config.languages),
                           self._windowing, self.counters)

    def _tables(self, job: _Job, fill: int, *shape: int) -> dict[str, Tensor]:
        """Return a table with a row per window, for each person."""
        count = self._windowing.count(job.people[0].duration_s)
        return {one.person: torch.full((count, *shape), fill) for one in job.people}

    def _times(self) -> tuple[int, int]:
        return self._windowing.start_ns(0), self._windowing.hop_ns

    # --- sizes ---------------------------------------------------------------------------

    def _job_bytes(self, job: _Job) -> int:
        person = job.people[0]
        windows = self._windowing.count(person.duration_s)
        width: int = self._spec['encoders'][job.modality]['dim']
        if job.modality == 'video':
            used = min(person.frames, math.ceil(person.duration_s * self._windowing.rate_hz) + 1)
            return used * (2 * width + 9)
        if job.modality == 'audio':
            return windows * (self._vectors * (2 * width + 1) + 8) if person.audio else 0
        words = self._windowing.length_s * _WORDS_A_SECOND * _SUBWORDS
        return round(windows * (words * (2 * width + 24) + 16)) if person.transcript else 0



def _count_vectors(model: MavenModel, samples: int) -> int:
    """
    Return the number of vectors of the voice encoder for a number of samples.

    :raises ResourceError: if there are too few samples.
    """
    encoder = model.voice_encoder
    if samples < round(2 * encoder.first_s * SAMPLE_RATE_HZ):
        raise ResourceError(f'length: windows of {samples} samples are too short for the voice '
                            'encoder')
    silence = torch.zeros(1, samples, device=model.device)
    with torch.inference_mode():
        _, mask = encoder(silence, torch.ones(1, samples, dtype=torch.bool))
    count: int = mask.shape[1]
    return count


def _jobs(prepared: PreparedSet) -> list[_Job]:
    videos: dict[str, list[RecordedPerson]] = {}
    for person in prepared.people:
        videos.setdefault(person.video, []).append(person)
    jobs = []
    for video, people in videos.items():
        jobs += [_Job(person.person, 'video', (person,)) for person in people]
        jobs += [_Job(video, modality, tuple(people)) for modality in ('audio', 'text')]
    return jobs


def _named(windows: dict[str, Tensor]) -> dict[str, Tensor]:
    return {windows_key(person): table for person, table in windows.items()}


def _row(
    person: RecordedPerson, job: _Job, key: str, rows: int, first_ns: int, step_ns: int,
) -> IndexRow:
    return {'person': person.person, 'modality': job.modality, 'key': key, 'rows': rows,
            'first_stamp_ns': first_ns, 'step_ns': step_ns, 'made_of': person.made_of}


def _batched(items: Iterator[_Item], size: int) -> Iterator[Sequence[_Item]]:
    batch: list[_Item] = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
