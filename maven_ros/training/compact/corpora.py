"""The three corpora as pieces of evidence, encoded into banks: what windows are composed of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor

from maven_ros.counters import Counters
from maven_ros.declarations import Checked, fraction, setting
from maven_ros.model.compute import Batches, uses_bf16
from maven_ros.model.incremental import IncrementalEncoder
from maven_ros.model.maven import ENCODERS, MavenModel
from maven_ros.records import MODALITIES
from maven_ros.training.compact.bank import Bank, encode, fingerprint, keep
from maven_ros.training.compact.emobank import read_emobank
from maven_ros.training.compact.face_augmentation import FaceAugmentation
from maven_ros.training.compact.ferplus import POINTS, read_ferplus
from maven_ros.training.compact.goemotions import read_goemotions
from maven_ros.training.compact.noise import noise_pictures, noise_texts, noise_waveforms
from maven_ros.training.compact.pieces import (
    GRID,
    FacePieces,
    Pieces,
    TextPieces,
    VoicePieces,
    words_of,
)
from maven_ros.training.compact.ravdess import read_ravdess
from maven_ros.training.compact.voice_augmentation import VoiceAugmentation

_SEEDS = {'train': 1, 'valid': 2, 'test': 3}


@dataclass(frozen=True)
class BankSettings(Checked):
    """How pieces are rendered for the banks."""

    faces: int = setting(16_000, 'Of FER+ at most.', minimum=1)
    face_versions: int = setting(
        4, 'Of each face, the plain one and changed ones; at most the grid\'s slots.',
        minimum=1, maximum=GRID.slots)
    voice_versions: int = setting(10, 'Of each clip.', minimum=1)
    text_versions: int = setting(4, 'Of each sentence.', minimum=1)
    comments: int = setting(
        16_000, 'Of GoEmotions at most, beside all sentences of EmoBank.', minimum=0)
    noises: int = setting(600, 'Pieces of noise, of each modality.', minimum=1)
    noise_versions: int = setting(3, 'Of each.', minimum=1)
    gaps: float = fraction(0.3, 'Share of changed voices with stretches that were not heard.')
    whole: float = fraction(
        0.4, 'Share of changed sentences that are whole; of the others a part is spoken.')
    missed: float = fraction(0.05, 'Share of their words that the recogniser missed.')
    face: FaceAugmentation = setting(doc='How faces are changed.', made=FaceAugmentation)
    voice: VoiceAugmentation = setting(doc='How voices are changed.', made=VoiceAugmentation)


@dataclass(frozen=True)
class Corpus:
    """
    Pieces of one modality, and what people say of them.

    :param targets: float32 (pieces, 2), valence and arousal.
    :param spreads: float32 (pieces, 2), standard deviations of the targets.
    :param noises: pieces that carry no information.
    """

    pieces: Pieces
    targets: NDArray[np.float32]
    spreads: NDArray[np.float32]
    noises: Pieces
    versions: int


def read_faces(data: Path, split: str, settings: BankSettings) -> Corpus:
    """
    Read the faces of a split that count in figures.

    Their spread is the standard error of the mean over the votes.
    """
    faces = read_ferplus(data, split)
    faces = faces.of(faces.counted)
    random = _random('video', split)
    chosen = np.zeros(len(faces), np.bool_)
    chosen[random.permutation(len(faces))[:settings.faces]] = True
    faces = faces.of(chosen)
    deviations = POINTS - faces.targets[:, None]
    variances = (faces.shares[..., None] * deviations ** 2).sum(1)
    spreads = np.sqrt(variances / faces.votes.sum(1, keepdims=True))
    noise = noise_pictures(faces.images, settings.noises, random)
    return Corpus(FacePieces(faces.images, settings.face, GRID.slots), faces.targets, spreads,
                  FacePieces(noise, settings.face, GRID.slots), settings.face_versions)


def read_voices(data: Path, split: str, settings: BankSettings) -> Corpus:
    """Read the clips of a split."""
    clips = read_ravdess(data, split)
    noise = noise_waveforms(clips.waveforms, settings.noises, _random('audio', split))
    return Corpus(VoicePieces(clips.waveforms, settings.voice, settings.gaps), clips.targets,
                  np.zeros_like(clips.targets), VoicePieces(noise, settings.voice, settings.gaps),
                  settings.voice_versions)


def read_sentences(data: Path, split: str, settings: BankSettings) -> Corpus:
    """Read all sentences of EmoBank and some comments of GoEmotions."""
    random = _random('text', split)
    rated, comments = read_emobank(data, split), read_goemotions(data, split)
    some = random.permutation(len(comments))[:settings.comments]
    texts = [*rated.texts, *(comments.texts[index] for index in some)]
    targets = np.concatenate([rated.targets, comments.targets[some]])
    spoken = np.array([bool(words_of(text)) for text in texts])
    texts = [text for text, kept in zip(texts, spoken, strict=True) if kept]
    noise = noise_texts(texts, settings.noises, random)

    def pieces(some: Sequence[str]) -> TextPieces:
        return TextPieces(some, settings.whole, settings.missed)

    return Corpus(pieces(texts), targets[spoken], np.zeros_like(targets[spoken]), pieces(noise),
                  settings.text_versions)


READERS: dict[str, Callable[[Path, str, BankSettings], Corpus]] = dict(
    zip(MODALITIES, (read_faces, read_voices, read_sentences), strict=True))


def encode_corpora(
    data: Path, split: str, settings: BankSettings, model: MavenModel, tokenizer: Tokenizer,
    folder: Path,
) -> tuple[dict[str, Bank], dict[str, Bank]]:
    """
    Encode a split of all corpora.

    :param model: in evaluation mode; of its parts only the encoders are used.
    :param folder: where the banks are kept, by what they depend on.
    :returns: for each modality the bank of what carries information, and that of noise.
    """
    counters = Counters()
    encoder = IncrementalEncoder(
        model, tokenizer, GRID, torch.device('cpu'), counters, Batches(counters))
    # Figures are of what the node computes; training does not mind the rounding.
    bf16 = split == 'train' and uses_bf16('auto', torch.device('cpu'))
    banks, noises = {}, {}
    for name in MODALITIES:
        corpus = READERS[name](data, split, settings)
        what = fingerprint(
            getattr(model, ENCODERS[name]), settings=asdict(settings), split=split,
            pieces=corpus.pieces.digest, tokenizer=tokenizer.to_str() if name == 'text' else '')

        def bank(
            kind: str, pieces: Pieces, versions: int, targets: Tensor, spreads: Tensor,
            name: str = name, what: str = what,
        ) -> Bank:
            path = folder / f'{split}-{name}-{kind}-{what}.safetensors'
            values, mask = keep(path, lambda: encode(
                pieces, name, versions, encoder, _SEEDS[split], bf16))
            return Bank(values, mask, targets, spreads, what)

        banks[name] = bank('pieces', corpus.pieces, corpus.versions,
                           torch.from_numpy(corpus.targets), torch.from_numpy(corpus.spreads))
        nothing = torch.full((len(corpus.noises), 2), torch.nan)
        noises[name] = bank('noise', corpus.noises, settings.noise_versions, nothing, nothing)
    return banks, noises


def _random(name: str, split: str) -> np.random.Generator:
    return np.random.default_rng([_SEEDS[split], MODALITIES.index(name)])
