"""
The interface of a corpus: a labelled data set of one modality, split by person.

A corpus is one class in one module, and one entry in a recipe (:mod:`maven_ros.training.listed`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from maven_ros.errors import ResourceError, SettingsError

SPLITS = ('train', 'valid', 'test')
#: Side of the pictures of faces, in pixels.
PICTURE_PX = 48

_LEFT_OUT = np.zeros(0, np.float32)


@dataclass(frozen=True)
class Examples:
    """
    The examples of one split. Every field has one entry per example.

    :param evidence: for ``video`` an array of grey faces, uint8 (n, PICTURE_PX, PICTURE_PX); for
        ``audio`` a sequence of float32 (samples,), 16 kHz mono in [-1, 1]; for ``text`` a sequence
        of str.
    :param targets: float32 (n, 2), valence and arousal in [-1, 1].
    :param spreads: float32 (n, 2), standard deviations of the targets; 0 if unknown.
    :param emotions: names of the labelled emotions; empty if raters gave valence and arousal.
    :param shares: float32 (n, emotions), share of the votes for each emotion; rows sum to 1, or
        to 0 for an example with rated valence and arousal.
    :param people: name of the person in each example, unique within the corpus; ``''`` if unknown.
        No person is in two splits.
    :param weights: float32 (n,), expected number of times that each example is drawn per epoch.
    :param choices: bool (n, emotions), the emotions that the labels distinguish; none but these
        counts as wrong.
    """

    evidence: Any
    targets: NDArray[np.float32]
    spreads: NDArray[np.float32] = field(default_factory=lambda: _LEFT_OUT)
    emotions: tuple[str, ...] = ()
    shares: NDArray[np.float32] = field(default_factory=lambda: _LEFT_OUT)
    people: tuple[str, ...] = ()
    weights: NDArray[np.float32] = field(default_factory=lambda: _LEFT_OUT)
    choices: NDArray[np.bool_] = field(default_factory=lambda: _LEFT_OUT.astype(np.bool_))

    def __post_init__(self) -> None:
        count = len(self.evidence)
        for name, value in (('spreads', np.zeros((count, 2), np.float32)),
                            ('shares', np.zeros((count, len(self.emotions)), np.float32)),
                            ('choices', np.ones((count, len(self.emotions)), np.bool_)),
                            ('people', ('',) * count), ('weights', np.ones(count, np.float32))):
            if not len(getattr(self, name)):
                object.__setattr__(self, name, value)

    def __len__(self) -> int:
        return len(self.evidence)

    @property
    def rated(self) -> NDArray[np.bool_]:
        """Whether each example has rated valence and arousal, not emotions: bool (n,)."""
        rated: NDArray[np.bool_] = self.shares.sum(1) == 0
        return rated

    def of(self, chosen: NDArray[Any]) -> Examples:
        """Return some examples, by indices or by a mask."""
        places = np.arange(len(self))[chosen]
        evidence = self.evidence[places] if isinstance(self.evidence, np.ndarray) else tuple(
            self.evidence[place] for place in places)
        return replace(
            self, evidence=evidence, targets=self.targets[places], spreads=self.spreads[places],
            shares=self.shares[places], choices=self.choices[places],
            people=tuple(self.people[place] for place in places),
            weights=self.weights[places])

    def shares_of(self, names: Sequence[str]) -> NDArray[np.float32]:
        """
        Return the shares of given emotions, float32 (n, names).

        :raises SettingsError: if the corpus has another emotion.
        """
        return self._in_columns(self.shares, names)

    def choices_of(self, names: Sequence[str]) -> NDArray[np.bool_]:
        """Return ``choices`` of given emotions, bool (n, names), as :meth:`shares_of`."""
        return self._in_columns(self.choices, names)

    def _in_columns(self, values: NDArray[Any], names: Sequence[str]) -> NDArray[Any]:
        unknown = set(self.emotions) - set(names)
        if unknown:
            raise SettingsError(f'emotions: {", ".join(sorted(unknown))}; allowed: '
                                f'{", ".join(names)}')
        placed = np.zeros((len(self), len(names)), values.dtype)
        for column, name in enumerate(self.emotions):
            placed[:, names.index(name)] = values[:, column]
        return placed


class Corpus(Protocol):
    """
    A data set of one modality.

    The constructor takes the folder of its files; :meth:`read` reads them.
    """

    #: Name in a recipe; for our own corpora also the name of the module.
    name: ClassVar[str]
    #: One of ``MODALITIES``.
    modality: ClassVar[str]
    #: Licence of the data, which also limits the use of weights trained on it.
    licence: ClassVar[str]

    def __init__(self, folder: Path) -> None:
        """Note the folder of the files."""

    def read(self, split: str) -> Examples:
        """
        Return the examples of a split, in a fixed order.

        :param split: one of ``SPLITS``.
        :raises ResourceError: names a file that is missing or broken, and the expected format.
        """


def require_split(split: str) -> None:
    """
    Refuse an unknown split.

    :raises SettingsError: names the split and the allowed ones.
    """
    if split not in SPLITS:
        raise SettingsError(f'split: {split!r} is not one of {", ".join(SPLITS)}')


def check_examples(examples: Examples, modality: str, where: str) -> None:
    """
    Check examples against :class:`Examples`.

    :param where: prefix of the message.
    :raises ResourceError: names the fault and the allowed values.
    """
    count, emotions = len(examples), len(examples.emotions)
    shapes = {'targets': (count, 2), 'spreads': (count, 2), 'shares': (count, emotions),
              'choices': (count, emotions), 'weights': (count,), 'people': (count,)}
    for name, shape in shapes.items():
        found = np.shape(getattr(examples, name))
        if found != shape:
            raise ResourceError(f'{where}: {name} are {found}; allowed: {shape}')
    if not count:
        raise ResourceError(f'{where}: has no example; allowed: at least one')
    if not (np.abs(examples.targets) <= 1).all():  # false for NaN, too
        raise ResourceError(f'{where}: a target is beyond [-1, 1], or NaN; allowed: [-1, 1]')
    if not ((examples.spreads >= 0) & (examples.spreads <= 2)).all():
        raise ResourceError(f'{where}: a spread is beyond [0, 2], or NaN; allowed: [0, 2]')
    sums = examples.shares.sum(1)
    if not (np.isclose(sums, 1, atol=1e-4) | (sums == 0)).all():
        raise ResourceError(f'{where}: shares of an example sum to neither 1 nor 0')
    wrong = next((one for one in examples.evidence if not _ALLOWED[modality](one)), None)
    if wrong is not None:
        raise ResourceError(f'{where}: {_kind(wrong)}; allowed: {_WORDS[modality]}')


def join(parts: Sequence[Examples]) -> Examples:
    """Return the examples of several corpora, concatenated, with the union of their emotions."""
    if len(parts) == 1:
        return parts[0]
    emotions = tuple(dict.fromkeys(name for part in parts for name in part.emotions))
    pictures = all(isinstance(part.evidence, np.ndarray) for part in parts)
    return Examples(
        np.concatenate([np.asarray(part.evidence) for part in parts]) if pictures else tuple(
            one for part in parts for one in part.evidence),
        np.concatenate([part.targets for part in parts]),
        np.concatenate([part.spreads for part in parts]), emotions,
        np.concatenate([part.shares_of(emotions) for part in parts]),
        tuple(one for part in parts for one in part.people),
        np.concatenate([part.weights for part in parts]),
        np.concatenate([part.choices_of(emotions) for part in parts]))


_WORDS = {'video': f'pictures, uint8 ({PICTURE_PX}, {PICTURE_PX})',
          'audio': 'sound, float32 (samples,), finite, at least one', 'text': 'texts, str'}
_ALLOWED: Mapping[str, Callable[[Any], bool]] = {
    'video': lambda one: (isinstance(one, np.ndarray) and one.dtype == np.uint8
                          and one.shape == (PICTURE_PX, PICTURE_PX)),
    'audio': lambda one: (isinstance(one, np.ndarray) and one.dtype == np.float32
                          and one.ndim == 1 and len(one) > 0 and bool(np.isfinite(one).all())),
    'text': lambda one: isinstance(one, str)}


def _kind(one: Any) -> str:
    return f'{one.dtype} {one.shape}' if isinstance(one, np.ndarray) else type(one).__name__
