"""
Pieces of evidence for one window, made from the corpora in the engine's input format.

Evidence has an index and a version. Version 0 is plain and complete; the others are changed at
random, to imitate rooms, cameras and recognisers.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from maven_ros import rules
from maven_ros.records import (
    NS,
    SAMPLE_RATE_HZ,
    Box,
    Evidence,
    Face,
    Mask,
    Samples,
    Word,
    nanoseconds,
)
from maven_ros.settings import FaceSettings, WindowSettings
from maven_ros.training.compact.face_augmentation import FaceAugmentation, augment
from maven_ros.training.compact.voice_augmentation import (
    VoiceAugmentation,
    augment_waveforms,
    pad,
    resample,
)
from maven_ros.training.digests import digest_of

# Windows of the training, the same as the node's defaults.
LENGTH_S = WindowSettings().length_s
LENGTH_NS = nanoseconds(LENGTH_S)
SAMPLES = rules.window_samples(LENGTH_NS)
GRID = rules.time_grid(LENGTH_S, FaceSettings().rate_hz)

Indices = NDArray[np.int64]

_SHIFT_S = 0.35              # standard deviation of the cut, relative to the loudest part
_SHORTEST_S = 0.2           # of a voice that has just begun
_QUIET_DB = -35.0           # threshold of silence before the words, relative to the loudest sound
_ENERGY_SAMPLES = 160
_WORDS_A_SECOND = (2.0, 4.5)
_BARE = 0.5                  # share of changed sentences without punctuation
_PUNCTUATION = re.compile(r"[^\w\s']|(?<!\w)'|'(?!\w)")
_PART_WORDS = (1, 12)        # fewest and most words of a part of a sentence


class Pieces(Protocol):
    """Evidence of one modality, by index and version."""

    def __len__(self) -> int: ...

    @property
    def digest(self) -> str:
        """Digest of the source data (:func:`maven_ros.training.digests.digest_of`)."""

    def render(self, indices: Indices, versions: int, seed: int) -> list[list[Evidence]]:
        """
        Return versions of some pieces; the same arguments give the same evidence.

        :returns: for each piece its versions: one window per version for sound and words; a single
            window for faces, with one slot per version.
        """


class FacePieces:
    """
    Pictures; all versions of a piece are in one window, one per slot.

    :param images: uint8 (pieces, side, side), grey.
    :param slots: slots of the window, and so the largest number of versions.
    """

    def __init__(
        self, images: NDArray[np.uint8], augmentation: FaceAugmentation, slots: int,
    ) -> None:
        self._images, self._augmentation = images, augmentation
        self._stamps_ns = rules.slot_edges(0, LENGTH_NS, slots).tolist()

    def __len__(self) -> int:
        return len(self._images)

    @property
    def digest(self) -> str:
        """Digest of the pictures."""
        return digest_of(self._images)

    def render(self, indices: Indices, versions: int, seed: int) -> list[list[Evidence]]:
        """Return one window per piece, which holds all versions."""
        random = torch.Generator().manual_seed(seed)
        plain = torch.from_numpy(self._images[indices])[:, None].float() / 255
        rendered = torch.cat(
            [plain, *(augment(plain, self._augmentation, random, plain.shape[-1])
                      for _ in range(versions - 1))], 1)
        pictures = (rendered * 255).round().clamp(0, 255).byte().numpy()
        return [[self._window(str(index), own)]
                for index, own in zip(indices, pictures, strict=True)]

    def _window(self, person_id: str, pictures: NDArray[np.uint8]) -> Evidence:
        side = pictures.shape[-1]
        return Evidence(0, LENGTH_NS, person_id, tuple(
            Face(stamp_ns, person_id, Box(0, 0, side, side),
                 np.repeat(picture[:, :, None], 3, 2))
            for stamp_ns, picture in zip(self._stamps_ns, pictures, strict=False)))


class VoicePieces:
    """
    Two seconds of each clip, around its loudest part.

    :param waveforms: float32 (samples,) each, 16 kHz.
    :param gaps: probability that a version has gaps in the sound.
    :param begins: probability that a version ends shortly after the voice begins.
    """

    def __init__(
        self, waveforms: Sequence[Samples], augmentation: VoiceAugmentation, gaps: float,
        begins: float = 0.0,
    ) -> None:
        self._waveforms, self._augmentation = waveforms, augmentation
        self._gaps, self._begins = gaps, begins

    def __len__(self) -> int:
        return len(self._waveforms)

    @property
    def digest(self) -> str:
        """Digest of the sound."""
        return digest_of(list(self._waveforms))

    def render(self, indices: Indices, versions: int, seed: int) -> list[list[Evidence]]:
        """Return a window for each version."""
        random = torch.Generator().manual_seed(seed)
        clips = [self._waveforms[index] for index in indices]
        begin = torch.tensor([loudest(clip) for clip in clips])
        voice = torch.tensor([first_voice(clip) for clip in clips])
        padded = pad(clips)
        same = torch.ones(len(clips))
        rendered = [[_sound(one, None) for one in resample(padded, begin, same, SAMPLES)]]
        for _ in range(versions - 1):
            chance = 2 * torch.rand(len(clips), generator=random) - 1
            shift = torch.randn(len(clips), generator=random) * _SHIFT_S * SAMPLE_RATE_HZ
            early = torch.rand(len(clips), generator=random) < self._begins
            said_s = _SHORTEST_S * (LENGTH_S / _SHORTEST_S) ** torch.rand(
                len(clips), generator=random)
            start = torch.where(
                early, voice + said_s * SAMPLE_RATE_HZ - SAMPLES, begin + shift)
            cut = resample(
                padded, start.round(), 1 + self._augmentation.speed * chance, SAMPLES)
            changed = augment_waveforms(cut, self._augmentation, random)
            rendered.append([_sound(one, _heard(self._gaps, random)) for one in changed])
        return [list(own) for own in zip(*rendered, strict=True)]


class TextPieces:
    """
    Sentences that are laid out within a window.

    :param texts: sentences; a text without words gives a window without words.
    :param whole: probability that a version is the complete sentence, not a part of it.
    :param missed: share of the words that are removed.
    """

    def __init__(self, texts: Sequence[str], whole: float, missed: float) -> None:
        self._texts, self._whole, self._missed = texts, whole, missed

    def __len__(self) -> int:
        return len(self._texts)

    @property
    def digest(self) -> str:
        """Digest of the texts."""
        return digest_of(list(self._texts))

    def render(self, indices: Indices, versions: int, seed: int) -> list[list[Evidence]]:
        """Return a window per version; the plain sentence fills its window."""
        random = np.random.default_rng(seed)
        every = [words_of(self._texts[index]) for index in indices]
        return [[speak(words, 0.0, LENGTH_S),
                 *(self._part(words, random) for _ in range(versions - 1))] for words in every]

    def _part(self, words: Sequence[str], random: np.random.Generator) -> Evidence:
        least, most = _PART_WORDS
        if random.random() < _BARE:
            words = without_punctuation(' '.join(words)).split() or words
        whole = random.random() < self._whole
        count = len(words) if whole else int(random.integers(least, most + 1))
        first = int(random.integers(0, max(0, len(words) - count) + 1))
        part = words[first:first + count]
        heard = [word for word in part if random.random() >= self._missed] or part[:1]
        length_s = min(LENGTH_S, len(heard) / random.uniform(*_WORDS_A_SECOND))
        return speak(heard, random.uniform(0, LENGTH_S - length_s), length_s)


def without_punctuation(text: str) -> str:
    """Return a text as recognisers that write no punctuation give it."""
    return ' '.join(_PUNCTUATION.sub(' ', text.replace('’', "'")).split())


def words_of(text: str) -> list[str]:
    """Return the words of a text: parts between spaces that have a letter or a digit."""
    return [word for word in text.split() if any(map(str.isalnum, word))]


def speak(words: Sequence[str], start_s: float, length_s: float) -> Evidence:
    """
    Lay out words in a window; the duration of each is proportional to its length in letters.

    :param start_s: start of the first word, in seconds from the start of the window.
    :param length_s: total duration, in seconds.
    """
    ends = np.cumsum([0, *(len(word) + 1 for word in words)])
    edges_s = start_s + length_s * ends / max(1, ends[-1])
    edges_ns = np.minimum((edges_s * NS).round().astype(int), LENGTH_NS)
    return Evidence(0, LENGTH_NS, words=tuple(
        Word(word, int(start), int(end), 1.0)
        for word, start, end in zip(words, edges_ns, edges_ns[1:], strict=False)))


def loudest(waveform: Samples) -> int:
    """Return the first sample of the stretch of a window's length with the most energy."""
    energy = np.cumsum(np.pad(np.square(waveform, dtype=np.float64), (1, 0)))
    if len(waveform) <= SAMPLES:
        return (len(waveform) - SAMPLES) // 2
    return int((energy[SAMPLES:] - energy[:-SAMPLES]).argmax())


def first_voice(waveform: Samples) -> int:
    """Return the first sample that is not silent compared with the loudest ones."""
    whole = len(waveform) // _ENERGY_SAMPLES
    energy = np.square(waveform[:whole * _ENERGY_SAMPLES]).reshape(whole, _ENERGY_SAMPLES).mean(1)
    loud = np.flatnonzero(energy >= energy.max(initial=0) * 10 ** (_QUIET_DB / 10))
    return int(loud[0]) * _ENERGY_SAMPLES if len(loud) else 0


def _sound(waveform: Tensor, heard: Mask | None) -> Evidence:
    samples = waveform.float().numpy()
    if heard is None:
        return Evidence(0, LENGTH_NS, waveform=samples, heard=np.ones(SAMPLES, np.bool_))
    return Evidence(0, LENGTH_NS, waveform=np.where(heard, samples, np.float32(0)), heard=heard)


def _heard(probability: float, random: torch.Generator) -> Mask:
    heard = np.ones(SAMPLES, np.bool_)
    chance, *stretches = torch.rand(5, generator=random).tolist()
    if chance < probability:
        for where, share in (stretches[:2], stretches[2:]):
            length = round((0.1 + 0.5 * share) * SAMPLE_RATE_HZ)
            begin = round(where * (SAMPLES - length))
            heard[begin:begin + length] = False
    return heard
