"""
Encoding windows that overlap: each face once, words when they change, sound once a window.

What an encoder gave for a face or a text is kept for as long as its stream's windows may hold it.
The result is the same as without: a memory is asked for the very crop, or the very words, that it
has seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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

if TYPE_CHECKING:
    from tokenizers import Tokenizer


@dataclass(frozen=True)
class _Seen:
    """A crop, kept so that another one under the same key is noticed, and its vector."""

    crop: Pixels
    vector: Tensor


@dataclass(frozen=True)
class _Read:
    """Subwords of a text: their vectors (tokens, width) and the word that each is of."""

    vectors: Tensor
    word_of_token: list[int]


class Memory:
    """
    What was encoded of one stream's recent windows.

    A stream is one camera with its microphone: people and stamps mean something within it alone.
    Whoever has the stream has its memory; it dies with its last reference.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self.filled_by: object = None  # the token of an encoder
        self.seen: dict[tuple[str, int], _Seen] = {}
        self.read: dict[tuple[str, ...], _Read] = {}

    def keep(self, pieces: Sequence[Evidence]) -> None:
        """Forget what is in none of these windows."""
        windows = {(piece.start_ns, piece.end_ns) for piece in pieces}
        self.seen = {key: seen for key, seen in self.seen.items()
                     if any(rules.holds(*window, key[1]) for window in windows)}
        spoken = {_texts(piece) for piece in pieces}
        self.read = {texts: read for texts, read in self.read.items() if texts in spoken}


#: A piece of evidence, and the memory of the stream that it is from.
Row: TypeAlias = tuple[Memory, Evidence]


class IncrementalEncoder:
    """
    Turns evidence into features on one time grid; what may be needed again goes into memories.

    :param model: in evaluation mode, on ``device``.
    :param grid: of every window.
    :param counters: where words that are too many are counted.
    :param batches: the sizes that fit into the device's memory.
    """

    def __init__(
        self, model: MavenModel, tokenizer: Tokenizer, grid: Grid, device: torch.device,
        counters: Counters, batches: Batches,
    ) -> None:
        self._model = model
        self._tokenizer = tokenizer
        # A checkpoint whose tokenizer lacks it is refused.
        self._unknown = cast(int, tokenizer.token_to_id(model.config.unknown_token))
        self._grid = grid
        self._device = device
        self._counters = counters
        self._batches = batches
        self._token = object()  # a memory that knows it keeps nothing of the encoder alive

    def forget(self, rows: Sequence[Row]) -> None:
        """
        Empty memories of what is in none of these windows, or was encoded by another encoder.

        :param rows: all that is to be encoded next; the parts of it may be encoded one by one.
        :raises InputError: when one person of a stream has two different faces at the same time.
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
        Encode what is new, of all streams at once, and put everything on the grid.

        :param rows: at least one piece, each as long as the grid; their memories, from which
            :meth:`forget` took what no longer counts, are filled.
        :returns: features of a batch, one for each row.
        """
        return Features(
            self._video(rows), self._audio([piece for _, piece in rows]), self._text(rows),
            self._grid.slot_s)

    # --- one modality by itself ----------------------------------------------------------

    def encode_faces(self, crops: Tensor) -> Tensor:
        """Encode crops, uint8 (n, side, side, 3) BGR on the host, to float32 (n, width)."""
        vectors, = self._batches.run('faces', len(crops), lambda part: (
            self._model.face_encoder(
                upload(crops[part], self._device).permute(0, 3, 1, 2)).float(),))
        return vectors

    def encode_sounds(self, waveform: Tensor, heard: Tensor) -> tuple[Tensor, Tensor]:
        """
        Encode windows of sound, which are not brought to the grid.

        :param waveform: float32 (n, samples), on the host, as ``heard``.
        :param heard: bool (n, samples).
        :returns: float32 (n, vectors, width), and its mask.
        """
        values, mask = self._batches.run('sounds', len(waveform), lambda part: (
            self._model.voice_encoder(upload(waveform[part], self._device), heard[part])))
        return values.float(), mask

    def encode_texts(self, texts: Sequence[Sequence[str]]) -> list[tuple[Tensor, list[int]]]:
        """
        Encode the words of windows.

        :param texts: of each window its words, in order; at least one.
        :returns: of each window its subwords' vectors (tokens, width), and the word that
            each is of, by its place among the window's.
        """
        tokenized = [self._tokenize(words) for words in texts]
        ids = [torch.tensor(ids, dtype=torch.long) for ids, _ in tokenized]
        lengths = torch.tensor([len(one) for one in ids])
        tokens = pad_sequence(ids, True)
        mask = torch.arange(tokens.shape[1]) < lengths[:, None]
        encoded, = self._batches.run('texts', len(tokens), lambda part: (
            self._model.text_encoder(*(
                upload(whole[part], self._device) for whole in (tokens, mask))),))
        return [(vectors[:len(word_of_token)], word_of_token)
                for vectors, (_, word_of_token) in zip(encoded, tokenized, strict=True)]

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
        """Encode each sound once, however many people share it."""
        sounds: dict[tuple[int, int], Evidence] = {}
        for piece in pieces:
            if len(piece.waveform):
                sounds.setdefault(_sound(piece), piece)
        if not sounds:
            return self._nothing(len(pieces), self._model.voice_encoder.width)
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
            return self._nothing(len(rows), self._model.text_encoder.width)
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
        """Return ids and the word of each; of too many words the most recent are kept."""
        room = most = self._model.config.max_tokens
        kept: list[tuple[int, list[int]]] = []
        for index in reversed(range(len(texts))):
            # More subwords than a whole window's are no word; its beginning stands for it.
            ids = (self._encode(texts[index]) or [self._unknown])[:most]
            if len(ids) > room:
                self._counters.count(
                    'text', 'too_many_subwords',
                    f'{len(texts)} words do not fit into the {most} subwords that the model takes',
                    n=index + 1)
                break
            room -= len(ids)
            kept.append((index, ids))
        kept.reverse()
        return ([one for _, ids in kept for one in ids],
                [index for index, ids in kept for _ in ids])

    def _encode(self, text: str) -> list[int]:
        # After a space, as within a sentence: that is how language models know most words.
        ids: list[int] = self._tokenizer.encode(f' {text}', add_special_tokens=False).ids
        return ids

    def _nothing(self, batch: int, width: int) -> Aligned:
        slots = self._grid.slots
        return Aligned(torch.zeros(batch, slots, width, device=self._device),
                       torch.zeros(batch, slots, dtype=torch.bool, device=self._device))


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
