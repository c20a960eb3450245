"""
Encode overlapping windows: each face once, words when they change, sound once per window.

The vectors of a face or a text are kept as long as windows of its stream may contain it. The
result equals that of a full encoding, because a memory returns vectors only for identical crops
and identical words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeAlias, cast

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad
from torch.nn.utils.rnn import pad_sequence

from maven_ros import rules
from maven_ros.counters import Counters
from maven_ros.errors import InputError
from maven_ros.model.compute import Batches, upload
from maven_ros.model.fusion import Features
from maven_ros.model.maven import MavenModel
from maven_ros.model.time_grid import Aligned, weigh, word_weights
from maven_ros.records import Evidence, Face, Pixels
from maven_ros.rules import Grid

_TEXTS_AT_ONCE = 32

if TYPE_CHECKING:
    from tokenizers import Tokenizer


@dataclass(frozen=True)
class _Seen:
    """A crop and its vector; the crop serves to detect a different one under the same key."""

    crop: Pixels
    vector: Tensor


@dataclass(frozen=True)
class _Read:
    """The vectors of a text's subwords, (tokens, width), and the index of each one's word."""

    vectors: Tensor
    word_of_token: list[int]


class Memory:
    """
    The encoded vectors of one stream's recent windows.

    A stream is one camera with its microphone; person ids and stamps are valid only within it. The
    owner of the stream owns its memory.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self.filled_by: object = None  # token of the encoder that filled it
        self.seen: dict[tuple[str, int], _Seen] = {}
        self.read: dict[tuple[str, ...], _Read] = {}

    def keep(self, pieces: Sequence[Evidence]) -> None:
        """Forget everything that is not in one of these windows."""
        windows = {(piece.start_ns, piece.end_ns) for piece in pieces}
        self.seen = {key: seen for key, seen in self.seen.items()
                     if any(rules.holds(*window, key[1]) for window in windows)}
        spoken = {_texts(piece) for piece in pieces}
        self.read = {texts: read for texts, read in self.read.items() if texts in spoken}


#: The memory of a stream, and a piece of evidence from that stream.
Row: TypeAlias = tuple[Memory, Evidence]


class IncrementalEncoder:
    """
    Encode evidence as features on one time grid, and keep reusable vectors in memories.

    :param model: model in evaluation mode, on ``device``.
    :param grid: time grid of every window.
    :param counters: count words beyond the model's limit.
    :param batches: batch sizes that fit into the device's memory.
    """

    def __init__(
        self, model: MavenModel, tokenizer: Tokenizer, grid: Grid, device: torch.device,
        counters: Counters, batches: Batches,
    ) -> None:
        self._model = model
        self._tokenizer = tokenizer
        # Loading refuses a tokenizer that lacks this token.
        self._unknown = cast(int, tokenizer.token_to_id(model.config.unknown_token))
        self._grid = grid
        self._device = device
        self._counters = counters
        self._batches = batches
        self._token = object()  # a memory refers to this, so it does not keep the encoder alive

    def forget(self, rows: Sequence[Row]) -> None:
        """
        Remove vectors from memories that are in none of these windows, or of another encoder.

        :param rows: everything that is encoded next, perhaps in several parts.
        :raises InputError: if a person has two different faces at the same time.
        """
        windows: dict[Memory, list[Evidence]] = {}
        for memory, piece in rows:
            windows.setdefault(memory, []).append(piece)
        for pieces in windows.values():
            _refuse_twins(pieces)
        for memory, pieces in windows.items():
            if memory.filled_by is not self._token:
                memory.reset()
                memory.filled_by = self._token
            memory.keep(pieces)

    def encode(self, rows: Sequence[Row]) -> Features:
        """
        Encode new evidence of all streams in one batch, and align everything with the grid.

        :param rows: at least one row, each as long as the grid. Call :meth:`forget` first; this
            method then fills the memories.
        :returns: features of a batch, one per row.
        """
        return Features(
            self._video(rows), self._audio([piece for _, piece in rows]), self._text(rows),
            self._grid.slot_s)

    # --- single modalities ----------------------------------------------------------

    def encode_faces(self, crops: Tensor) -> Tensor:
        """Map crops, uint8 (n, side, side, 3) BGR on the host, to float32 (n, width)."""
        vectors, = self._batches.run('faces', len(crops), lambda part: (
            self._model.face_encoder(
                upload(crops[part], self._device).permute(0, 3, 1, 2)).float(),))
        return vectors

    def encode_sounds(self, waveform: Tensor, heard: Tensor) -> tuple[Tensor, Tensor]:
        """
        Encode windows of sound, without alignment to the grid.

        :param waveform: float32 (n, samples), on the host.
        :param heard: bool (n, samples), on the host.
        :returns: float32 (n, vectors, width), and its mask.
        """
        values, mask = self._batches.run('sounds', len(waveform), lambda part: (
            self._model.voice_encoder(upload(waveform[part], self._device), heard[part])))
        return values.float(), mask

    def encode_texts(self, texts: Sequence[Sequence[str]]) -> list[tuple[Tensor, list[int]]]:
        """
        Encode the words of windows.

        :param texts: the words of each window, in order; at least one per window.
        :returns: for each window the vectors of its subwords, (tokens, width), and the index of
            the word of each subword.
        """
        tokenized = [self._tokenize(words) for words in texts]
        vectors: dict[int, Tensor] = {}
        # Texts of similar lengths run together, so that little of a batch is padding.
        order = sorted(range(len(texts)), key=lambda index: len(tokenized[index][0]))
        for first in range(0, len(order), _TEXTS_AT_ONCE):
            chosen = order[first:first + _TEXTS_AT_ONCE]
            ids = [torch.tensor(tokenized[index][0], dtype=torch.long) for index in chosen]
            lengths = torch.tensor([len(one) for one in ids])
            tokens = pad_sequence(ids, True)
            mask = torch.arange(tokens.shape[1]) < lengths[:, None]
            encoded, = self._batches.run('texts', len(tokens), partial(
                self._read_batch, tokens, mask))
            vectors |= {index: own[:len(one)]
                        for index, own, one in zip(chosen, encoded, ids, strict=True)}
        return [(vectors[index], word_of_token)
                for index, (_, word_of_token) in enumerate(tokenized)]

    def _read_batch(self, tokens: Tensor, mask: Tensor, part: slice) -> tuple[Tensor]:
        return (self._model.text_encoder(*(
            upload(whole[part], self._device) for whole in (tokens, mask))),)

    # --- faces ---------------------------------------------------------------------------

    def _video(self, rows: Sequence[Row]) -> Aligned:
        slots = self._grid.slots
        placed = [(row, slot, memory, piece.faces[place])
                  for row, (memory, piece) in enumerate(rows)
                  for slot, place in rules.newest_per_slot(
                      [face.stamp_ns for face in piece.faces],
                      piece.start_ns, piece.end_ns, slots).items()]
        self._look_at([(memory, face) for _, _, memory, face in placed])
        numbers = np.zeros((len(rows), slots), np.int64)
        vectors = [torch.zeros(self._model.face_encoder.width, device=self._device)]
        for row, slot, memory, face in placed:
            numbers[row, slot] = len(vectors)
            vectors.append(memory.seen[_key(face)].vector)
        index = upload(torch.from_numpy(numbers), self._device)
        return Aligned(torch.stack(vectors)[index], index > 0)

    def _look_at(self, faces: Sequence[tuple[Memory, Face]]) -> None:
        new: dict[tuple[Memory, tuple[str, int]], Face] = {}
        for memory, face in faces:
            seen = memory.seen.get(_key(face))
            if seen is None or seen.crop is not face.crop:
                new[memory, _key(face)] = face
        if new:
            vectors = self.encode_faces(
                torch.from_numpy(np.stack([face.crop for face in new.values()])))
            for ((memory, key), face), vector in zip(new.items(), vectors, strict=True):
                memory.seen[key] = _Seen(face.crop, vector)

    # --- sound ---------------------------------------------------------------------------

    def _audio(self, pieces: Sequence[Evidence]) -> Aligned:
        """Encode each sound once, even if several people share it."""
        sounds: dict[tuple[int, int], Evidence] = {}
        for piece in pieces:
            if len(piece.waveform):
                sounds.setdefault(_sound(piece), piece)
        if not sounds:
            return Aligned.nothing(len(pieces), self._grid.slots, self._model.voice_encoder.width,
                                   self._device)
        waveform = torch.from_numpy(np.stack([piece.waveform for piece in sounds.values()]))
        heard = torch.from_numpy(np.stack([piece.heard for piece in sounds.values()]))
        values, mask = self._batches.run(
            'sounds', len(sounds), lambda part: self._listen(waveform[part], heard[part]))
        number = {sound: index for index, sound in enumerate(sounds, 1)}  # 0 is silence
        index = upload(torch.tensor([number.get(_sound(piece), 0) for piece in pieces]),
                       self._device)
        return Aligned(pad(values.float(), (0, 0, 0, 0, 1, 0))[index],
                       pad(mask, (0, 0, 1, 0))[index])

    def _listen(self, waveform: Tensor, heard: Tensor) -> Aligned:
        vectors, mask = self._model.voice_encoder(upload(waveform, self._device), heard)
        return self._model.align_voice(vectors, mask, self._grid)

    # --- words ---------------------------------------------------------------------------

    def _text(self, rows: Sequence[Row]) -> Aligned:
        if not any(piece.words for _, piece in rows):
            return Aligned.nothing(len(rows), self._grid.slots, self._model.text_encoder.width,
                                   self._device)
        self._read_new(rows)
        silence = _Read(torch.zeros(0, self._model.text_encoder.width, device=self._device), [])
        read = [memory.read.get(_texts(piece), silence) for memory, piece in rows]
        slots, longest = self._grid.slots, max(len(one.vectors) for one in read)
        weights = np.zeros((len(rows), slots, longest), np.float32)
        for row, ((_, piece), one) in enumerate(zip(rows, read, strict=True)):
            weights[row, :, :len(one.word_of_token)] = word_weights(
                piece.words, one.word_of_token, piece.start_ns, piece.end_ns, slots)
        vectors = pad_sequence([one.vectors for one in read], True)
        return weigh(vectors, upload(torch.from_numpy(weights), self._device))

    def _read_new(self, rows: Sequence[Row]) -> None:
        new: dict[tuple[str, ...], list[Memory]] = {}
        for memory, piece in rows:
            if piece.words and _texts(piece) not in memory.read:
                new.setdefault(_texts(piece), []).append(memory)
        if not new:
            return
        for (texts, memories), (vectors, word_of_token) in zip(
                new.items(), self.encode_texts(list(new)), strict=True):
            for memory in memories:
                memory.read[texts] = _Read(vectors, word_of_token)

    def _tokenize(self, texts: Sequence[str]) -> tuple[list[int], list[int]]:
        """Return ids, and the word index of each; the most recent words are kept if too many."""
        room = most = self._model.config.max_tokens
        kept: list[tuple[int, list[int]]] = []
        for index in reversed(range(len(texts))):
            # A word with more subwords than fit into a window is cut.
            ids = (self._encode(texts[index]) or [self._unknown])[:most]
            if len(ids) > room:
                self._counters.count(
                    'text', 'too_many_subwords',
                    f'{len(texts)} words do not fit into the {most} subwords of the model',
                    n=index + 1)
                break
            room -= len(ids)
            kept.append((index, ids))
        kept.reverse()
        return ([one for _, ids in kept for one in ids],
                [index for index, ids in kept for _ in ids])

    def _encode(self, text: str) -> list[int]:
        # Language models know most words with a space in front, as inside a sentence.
        ids: list[int] = self._tokenizer.encode(f' {text}', add_special_tokens=False).ids
        return ids


def _refuse_twins(pieces: Sequence[Evidence]) -> None:
    crops: dict[tuple[str, int], Pixels] = {}
    for face in (face for piece in pieces for face in piece.faces):
        if crops.setdefault(_key(face), face.crop) is not face.crop:
            raise InputError('two_faces', f'person {face.person_id!r} has two faces at '
                                          f'{face.stamp_ns} ns; allowed: one')


def _key(face: Face) -> tuple[str, int]:
    return face.person_id, face.stamp_ns


def _sound(piece: Evidence) -> tuple[int, int]:
    return id(piece.waveform), id(piece.heard)


def _texts(piece: Evidence) -> tuple[str, ...]:
    return tuple(word.text for word in piece.words)
