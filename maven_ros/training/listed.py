"""
The corpora of a recipe: found by name, and read as one data set.

The name ``ferplus`` means the module :mod:`maven_ros.training.corpora.ferplus`. The name
``package.module:Name`` means a class of any installed package.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from maven_ros.declarations import Checked, fraction, setting
from maven_ros.errors import ResourceError, SettingsError
from maven_ros.outside import FORM, find_class
from maven_ros.records import MODALITIES
from maven_ros.training.corpus import (
    SPLITS,
    Corpus,
    Examples,
    check_examples,
    join,
    require_split,
)

_HERE = 'maven_ros.training.corpora'


@dataclass(frozen=True)
class CorpusSettings(Checked):
    """A corpus in a recipe."""

    name: str = setting(
        doc='Module of maven_ros.training.corpora, or package.module:Name of a class.')
    folder: str = setting(doc='Folder of the corpus, inside the folder of the data sets.')
    weight: float = setting(
        1.0, 'Expected number of times that an epoch has each example of the corpus.',
        above=0)
    most: int = setting(
        0, 'Most examples that windows are composed of, drawn at random; 0 for all.', minimum=0)
    smoothing: float = fraction(
        0.0, 'Label smoothing in training, for uncertain labels: share of each label that is '
        'spread over all emotions of the corpus.')
    splits: tuple[str, ...] = setting(
        SPLITS, 'Splits to read; [test] alone excludes the corpus from training.',
        choices=SPLITS)


class Listed(NamedTuple):
    """A corpus, and its entry in the recipe."""

    settings: CorpusSettings
    corpus: Corpus


class Corpora:
    """
    The corpora of a recipe.

    :param listed: entries in the order in which the corpora are read.
    :param data: folder of the data sets.
    :raises SettingsError: names a corpus that does not exist, or that is listed twice.
    """

    def __init__(self, listed: Sequence[CorpusSettings], data: Path) -> None:
        self.data = data
        self.listed = tuple(Listed(one, find(one.name)(data / one.folder)) for one in listed)
        names = [one.corpus.name for one in self.listed]
        for name in names:
            if names.count(name) > 1:
                raise SettingsError(f'corpora: {name} is listed {names.count(name)} times; '
                                    'allowed: once')

    def each(self, modality: str, split: str) -> Iterator[tuple[Listed, Examples]]:
        """
        Yield the examples of each corpus of a modality.

        The names of people get the name of the corpus as a prefix; weights include the recipe's,
        and shares of training examples its smoothing.

        :raises SettingsError: if the split does not exist, or no corpus has it.
        :raises ResourceError: names a file that is missing or broken, or a fault of the examples.
        """
        require_split(split)
        chosen = [one for one in self.listed
                  if one.corpus.modality == modality and split in one.settings.splits]
        if not chosen:
            raise SettingsError(f'corpora: none of modality {modality} is listed for the split '
                                f'{split!r}; allowed: at least one')
        for listed in chosen:
            name, examples = listed.corpus.name, listed.corpus.read(split)
            check_examples(examples, modality, f'{name}, {split}')
            if split == 'train':
                examples = _smoothed(examples, listed.settings.smoothing)
            yield listed, replace(
                examples, people=tuple(one and f'{name}/{one}' for one in examples.people),
                weights=np.asarray(examples.weights * listed.settings.weight, np.float32))

    def read(self, modality: str, split: str) -> Examples:
        """Return the examples of all corpora of a modality, as :meth:`each` yields them."""
        return join([examples for _, examples in self.each(modality, split)])

    def train_and_valid(self, modality: str) -> tuple[Examples, Examples]:
        """
        Return the training examples and the validation examples.

        :raises ResourceError: if a person is in both; and as :meth:`each`.
        """
        train, valid = self.read(modality, 'train'), self.read(modality, 'valid')
        both = set(train.people) & set(valid.people) - {''}
        if both:
            raise ResourceError(f'{", ".join(sorted(both))}: in the splits train and valid; '
                                'allowed: one split for each person')
        return train, valid

    @property
    def licences(self) -> dict[str, str]:
        """The licence of each corpus, by its name."""
        return {corpus.name: corpus.licence for _, corpus in self.listed}


def _smoothed(examples: Examples, share: float) -> Examples:
    """Return examples with a share of each label spread over all emotions; targets stay."""
    named = examples.shares.sum(1, keepdims=True)
    even = named / max(1, len(examples.emotions))
    return replace(examples, shares=np.asarray(
        (1 - share) * examples.shares + share * even, np.float32))


def find(name: str) -> type[Corpus]:
    """
    Return the class of a corpus.

    :param name: name in a recipe.
    :raises SettingsError: names what is missing, and what is allowed.
    """
    if ':' in name:
        found = find_class('corpora', name, ('read',))
    elif name in ours():
        module = importlib.import_module(f'{_HERE}.{name}')
        named = [one for one in vars(module).values()
                 if isinstance(one, type) and getattr(one, 'name', '') == name]
        if not named:
            raise SettingsError(f'corpora: {name}: {module.__name__} has no class of that name')
        found = named[0]
    else:
        raise SettingsError(f'corpora: {name!r} is none of {", ".join(ours())}; allowed: one of '
                            f'these, or {FORM}')
    for field, allowed in (('name', None), ('licence', None), ('modality', MODALITIES)):
        value = getattr(found, field, None)
        if not isinstance(value, str) or (allowed and value not in allowed):
            raise SettingsError(f'corpora: {name}: {field} is {value!r}; allowed: '
                                f'{", ".join(allowed) if allowed else "a str"}')
    corpus: type[Corpus] = found
    return corpus


def ours() -> list[str]:
    """Return the names of the corpora in this package."""
    return sorted(one.name for one in pkgutil.iter_modules(
        importlib.import_module(_HERE).__path__))
