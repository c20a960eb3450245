"""The quality goals of the shipped weights."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from maven_ros.records import MODALITIES
from maven_ros.scoring.metrics import DIMENSIONS
from maven_ros.training.compact.card import Evaluation, Row
from maven_ros.training.compact.degradations import HIDDEN

FUSED_ABOVE_ONE = 0.05  # smallest gain in CCC over the best single modality
NOISE_COSTS = 0.05      # largest loss in CCC against the absence of the modality
DEGRADED_COSTS = 0.15   # largest loss in CCC of degraded faces
HIDDEN_PART = 0.75      # smallest CCC of faces without their mouth or eyes
COVERED = (0.85, 0.95)  # coverage of the 90% intervals


class Goal(NamedTuple):
    """
    One figure and its bound.

    :param what: description.
    :param value: measured value.
    :param least: smallest allowed value.
    :param most: largest allowed value.
    """

    what: str
    value: float
    least: float
    most: float = float('inf')

    @property
    def met(self) -> bool:
        """Whether the goal is met; NaN never meets it."""
        return self.least <= self.value <= self.most


def goals(found: Evaluation) -> list[Goal]:
    """Return the goals for which there are figures."""
    checks = {'faces': _faces, 'voices': _voices, 'sentences': _sentences,
              'composed': _composed, 'clips': _clips}
    sets = dict.fromkeys(row.set for row in found.rows)
    return [goal for name in sets if name in checks for goal in checks[name](found)]


def _faces(found: Evaluation) -> Iterator[Goal]:
    plain = found.figures('faces', 'plain')
    yield Goal('faces: accuracy (probe)', found.figures('faces', 'plain', 'probe')['accuracy'],
               0.85)
    yield Goal('faces: CCC valence', plain['ccc_valence'], 0.92)
    yield Goal('faces: CCC arousal', plain['ccc_arousal'], 0.91)
    for row in _network_rows(found, 'faces'):
        for name in DIMENSIONS:
            if row.condition in HIDDEN:
                yield Goal(f'faces, {row.condition}: CCC {name}', row.figures[f'ccc_{name}'],
                           HIDDEN_PART)
            elif row.condition != 'plain':
                drop = plain[f'ccc_{name}'] - row.figures[f'ccc_{name}']
                yield Goal(f'faces, {row.condition}: CCC {name} lost', drop, -2, DEGRADED_COSTS)


def _voices(found: Evaluation) -> Iterator[Goal]:
    plain = found.figures('voices', 'plain')
    yield Goal('voices: CCC valence', plain['ccc_valence'], 0.78)
    yield Goal('voices: CCC arousal', plain['ccc_arousal'], 0.82)


def _sentences(found: Evaluation) -> Iterator[Goal]:
    plain = found.figures('sentences', 'plain')
    yield Goal('sentences: r valence', plain['r_valence'], 0.58)
    yield Goal('sentences: r arousal', plain['r_arousal'], 0.40)


def _composed(found: Evaluation) -> Iterator[Goal]:
    for name in DIMENSIONS:
        key = f'ccc_{name}'
        together = found.figures('composed', 'all')[key]
        alone = {one: found.figures('composed', f'{one} alone')[key] for one in MODALITIES}
        yield Goal(f'composed: CCC {name} above the best modality alone',
                   together - max(alone.values()), FUSED_ABOVE_ONE)
        for absent in MODALITIES:
            without = found.figures('composed', f'without {absent}')[key]
            best = max(value for one, value in alone.items() if one != absent)
            yield Goal(f'composed without {absent}: CCC {name} above the better of the others',
                       without - best, 0.0)
            noisy = found.figures('composed', f'{absent} is noise')[key]
            yield Goal(f'composed, {absent} is noise: CCC {name} below its absence',
                       without - noisy, -2, NOISE_COSTS)
    for condition in ('all', 'any evidence'):
        for name in DIMENSIONS:
            held = found.figures('composed', condition)[f'coverage_{name}']
            yield Goal(f'composed, {condition}: 90% intervals of {name} hold', held, *COVERED)


def _clips(found: Evaluation) -> Iterator[Goal]:
    yield Goal('changing_face: rise of valence',
               found.figures('clips', 'changing_face')['rise'], 0.8)
    yield Goal('talking_head_0: mean valence',
               found.figures('clips', 'talking_head_0')['mean'], 0.3)


def _network_rows(found: Evaluation, set_: str) -> list[Row]:
    return [row for row in found.rows if row.set == set_ and row.reader == 'network']
