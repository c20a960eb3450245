"""Encode the corpora into banks of pieces, from which windows are composed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from tokenizers import Tokenizer

from maven_ros.counters import Counters
from maven_ros.declarations import Checked, fraction, setting
from maven_ros.model.compute import Batches, uses_bf16
from maven_ros.model.incremental import IncrementalEncoder
from maven_ros.model.maven import ENCODERS, MavenModel
from maven_ros.records import MODALITIES
from maven_ros.training.compact.bank import Bank, encode, fingerprint, keep
from maven_ros.training.compact.face_augmentation import FaceAugmentation
from maven_ros.training.compact.noise import noise_pictures, noise_texts, noise_waveforms
from maven_ros.training.compact.pieces import (
    GRID,
    FacePieces,
    Pieces,
    TextPieces,
    VoicePieces,
    words_of,
)
from maven_ros.training.compact.voice_augmentation import VoiceAugmentation
from maven_ros.training.corpus import Examples, join
from maven_ros.training.listed import Corpora

_LITTLE = 0.15  # valence and arousal of a sentence that says little
_SEEDS = {'train': 1, 'valid': 2, 'test': 3}


@dataclass(frozen=True)
class BankSettings(Checked):
    """The settings of the banks."""

    face_versions: int = setting(
        4, 'Versions of each face, the first one plain; at most the slots of the grid.',
        minimum=1, maximum=GRID.slots)
    voice_versions: int = setting(10, 'Versions of each clip.', minimum=1)
    text_versions: int = setting(4, 'Versions of each sentence.', minimum=1)
    noises: int = setting(600, 'Pieces of noise per modality.', minimum=1)
    noise_versions: int = setting(3, 'Of each.', minimum=1)
    gaps: float = fraction(0.3, 'Share of changed voices with gaps in the sound.')
    begins: float = fraction(
        0.2, 'Share of changed voices that end shortly after the voice begins.')
    whole: float = fraction(
        0.4, 'Share of changed sentences that are complete; the others are parts.')
    missed: float = fraction(0.05, 'Share of their words that are removed.')
    face: FaceAugmentation = setting(doc='Augmentation of faces.', made=FaceAugmentation)
    voice: VoiceAugmentation = setting(doc='Augmentation of voices.', made=VoiceAugmentation)


class Material(NamedTuple):
    """
    The source of the banks of one modality.

    :param examples: labelled examples that can serve as evidence.
    :param pieces: the same examples, as pieces of evidence.
    :param noises: pieces without information.
    :param versions: number of versions of each piece.
    """

    examples: Examples
    pieces: Pieces
    noises: Pieces
    versions: int


def gather(corpora: Corpora, modality: str, split: str, settings: BankSettings) -> Material:
    """Read the examples of a modality, up to the recipe's limit for each corpus."""
    random = np.random.default_rng([_SEEDS[split], MODALITIES.index(modality)])
    parts = []
    for listed, examples in corpora.each(modality, split):
        if most := listed.settings.most:
            examples = examples.of(np.sort(random.permutation(len(examples))[:most]))
        parts.append(examples)
    examples = join(parts)
    if modality == 'text':
        examples = examples.of(np.array([bool(words_of(text)) for text in examples.evidence]))
    make, noise, versions = _making(settings)[modality]
    # Words that say nothing are made of sentences that say little, not of strong words.
    little = np.abs(examples.targets).max(1) < _LITTLE
    source = examples.of(little) if modality == 'text' and little.any() else examples
    return Material(examples, make(examples.evidence),
                    make(noise(source.evidence, settings.noises, random)), versions)


def _making(settings: BankSettings) -> Mapping[str, tuple[Callable[..., Pieces], Any, int]]:
    """Return, by modality, the makers of pieces and of noise, and the number of versions."""
    return {
        'video': (lambda faces: FacePieces(faces, settings.face, GRID.slots), noise_pictures,
                  settings.face_versions),
        'audio': (lambda voices: VoicePieces(
            voices, settings.voice, settings.gaps, settings.begins),
                  noise_waveforms, settings.voice_versions),
        'text': (lambda texts: TextPieces(texts, settings.whole, settings.missed), noise_texts,
                 settings.text_versions)}


def encode_corpora(
    corpora: Corpora, split: str, settings: BankSettings, model: MavenModel,
    tokenizer: Tokenizer, folder: Path,
) -> tuple[dict[str, Bank], dict[str, Bank]]:
    """
    Encode a split of all corpora.

    :param model: model in evaluation mode, of which only the encoders are used.
    :param folder: folder of the banks; their names have a digest of everything they depend on.
    :returns: for each modality the bank of informative pieces, and the bank of noise.
    """
    counters = Counters()
    encoder = IncrementalEncoder(
        model, tokenizer, GRID, torch.device('cpu'), counters, Batches(counters))
    # Scores use the node's precision; training tolerates rounding.
    bf16 = split == 'train' and uses_bf16('auto', torch.device('cpu'))
    banks, noises = {}, {}
    for name in MODALITIES:
        material = gather(corpora, name, split, settings)
        examples = material.examples
        what = fingerprint(
            getattr(model, ENCODERS[name]), settings=asdict(settings), split=split,
            pieces=material.pieces.digest, tokenizer=tokenizer.to_str() if name == 'text' else '')

        def bank(
            kind: str, pieces: Pieces, versions: int, said: Examples | None,
            name: str = name, what: str = what,
        ) -> Bank:
            path = folder / f'{split}-{name}-{kind}-{what}.safetensors'
            values, mask = keep(path, lambda: encode(
                pieces, name, versions, encoder, _SEEDS[split], bf16))
            return Bank.of(values, mask, said, what)

        banks[name] = bank('pieces', material.pieces, material.versions, examples)
        noises[name] = bank('noise', material.noises, settings.noise_versions, None)
    return banks, noises
