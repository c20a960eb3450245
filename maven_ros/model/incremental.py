"""
Encoding windows that overlap: each face once, words when they change, sound once a window.

What an encoder gave for a face or a text is kept for as long as windows may hold it. The result is
the same as without: a cache is asked for the very crop, or the very words, that it has seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from maven_ros.diagnostics import Counters
from maven_ros.errors import InputError
from maven_ros.model.alignment import Aligned, Grid, newest_per_slot, weigh, word_weights
from maven_ros.model.fusion import Features
from maven_ros.model.maven import MavenModel
from maven_ros.records import Evidence, Face, Pixels

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


class IncrementalEncoder:
    """
    Turns evidence into features on one time grid, and remembers.

    :param model: in evaluation mode, on ``device``.
    :param grid: of every window.
    :param counters: where words that are too many are counted.
    """

    def __init__(
        self, model: MavenModel, tokenizer: Tokenizer, grid: Grid, device: torch.device,
        counters: Counters,
    ) -> None:
        self._model = model
        self._tokenizer = tokenizer
        # A checkpoint whose tokenizer lacks it is refused.
        self._unknown = cast(int, tokenizer.token_to_id(model.config.unknown_token))
        self._grid = grid
        self._device = device
        self._counters = counters
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self._seen: dict[tuple[str, int], _Seen] = {}
        self._read: dict[tuple[str, ...], _Read] = {}

    def encode(self, pieces: Sequence[Evidence]) -> Features:
        """
        Encode what is new and put all of it on the grid.

        :param pieces: at least one, each as long as the grid.
        :returns: features of a batch, one row per piece.
        :raises InputError: when one person has two different faces at the same time.
        """
        return Features(self._video(pieces), self._audio(pieces), self._text(pieces),
                        self._grid.slot_s)

    # --- faces ---------------------------------------------------------------------------

    def _video(self, pieces: Sequence[Evidence]) -> Aligned:
        slots = self._grid.slots
        places = [(row, slot, face) for row, piece in enumerate(pieces) for slot, face in
                  newest_per_slot(piece.faces, piece.start_ns, piece.end_ns, slots).items()]
        _refuse_twins(pieces)
        self._look_at([face for _, _, face in places])
        video = self._nothing(len(pieces), self._model.face_encoder.width)
        if places:
            rows, columns = (torch.tensor(index) for index in list(zip(*places, strict=True))[:2])
            video.values[rows, columns] = torch.stack(
                [self._seen[_key(face)].vector for _, _, face in places])
            video.mask[rows, columns] = True
        start_ns = min(piece.start_ns for piece in pieces)
        end_ns = max(piece.end_ns for piece in pieces)
        self._seen = {key: seen for key, seen in self._seen.items() if start_ns <= key[1] < end_ns}
        return video

    def _look_at(self, faces: Sequence[Face]) -> None:
        new: dict[tuple[str, int], Face] = {}
        for face in faces:
            seen = self._seen.get(_key(face))
            if seen is None or seen.crop is not face.crop:
                new[_key(face)] = face
        if new:
            crops = torch.from_numpy(np.stack([face.crop for face in new.values()]))
            vectors = self._model.face_encoder(
                crops.to(self._device).permute(0, 3, 1, 2)).float()
            for (key, face), vector in zip(new.items(), vectors, strict=True):
                self._seen[key] = _Seen(face.crop, vector)

    # --- sound ---------------------------------------------------------------------------

    def _audio(self, pieces: Sequence[Evidence]) -> Aligned:
        audio = self._nothing(len(pieces), self._model.voice_encoder.width)
        sharing: dict[tuple[int, int], list[int]] = {}
        for row, piece in enumerate(pieces):
            if len(piece.waveform):
                sharing.setdefault((id(piece.waveform), id(piece.heard)), []).append(row)
        if not sharing:
            return audio
        first = [pieces[rows[0]] for rows in sharing.values()]
        waveform, heard = (torch.from_numpy(np.stack(arrays)).to(self._device) for arrays in (
            [piece.waveform for piece in first], [piece.heard for piece in first]))
        vectors, mask = self._model.voice_encoder(waveform, heard)
        values, mask = self._model.align_voice(vectors, mask, self._grid)
        for index, rows in enumerate(sharing.values()):
            audio.values[rows], audio.mask[rows] = values[index].float(), mask[index]
        return audio

    # --- words ---------------------------------------------------------------------------

    def _text(self, pieces: Sequence[Evidence]) -> Aligned:
        if not any(piece.words for piece in pieces):
            self._read = {}
            return self._nothing(len(pieces), self._model.text_encoder.width)
        spoken = [tuple(word.text for word in piece.words) for piece in pieces]
        self._read_new([texts for texts in dict.fromkeys(spoken)
                        if texts and texts not in self._read])
        self._read = {texts: self._read[texts] for texts in spoken if texts}
        silence = _Read(torch.zeros(0, self._model.text_encoder.width, device=self._device), [])
        read = [self._read.get(texts, silence) for texts in spoken]
        slots, longest = self._grid.slots, max(len(one.vectors) for one in read)
        weights = np.zeros((len(pieces), slots, longest), np.float32)
        for row, (piece, one) in enumerate(zip(pieces, read, strict=True)):
            weights[row, :, :len(one.word_of_token)] = word_weights(
                piece.words, one.word_of_token, piece.start_ns, piece.end_ns, slots)
        vectors = pad_sequence([one.vectors for one in read], True)
        return weigh(vectors, torch.from_numpy(weights).to(self._device))

    def _read_new(self, new: list[tuple[str, ...]]) -> None:
        if not new:
            return
        tokenized = [self._tokenize(texts) for texts in new]
        rows = [torch.tensor(ids, dtype=torch.long) for ids, _ in tokenized]
        lengths = torch.tensor([len(row) for row in rows])
        tokens = pad_sequence(rows, True).to(self._device)
        mask = (torch.arange(tokens.shape[1]) < lengths[:, None]).to(self._device)
        encoded = self._model.text_encoder(tokens, mask)
        for texts, (ids, word_of_token), vectors in zip(new, tokenized, encoded, strict=True):
            self._read[texts] = _Read(vectors[:len(ids)], word_of_token)

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
