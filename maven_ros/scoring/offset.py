"""How late the raters are: the offset at which estimates and annotations agree best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from maven_ros.errors import SettingsError
from maven_ros.scoring.alignment import Believed, align, take
from maven_ros.scoring.annotations import Annotation
from maven_ros.scoring.intervals import block_sums
from maven_ros.scoring.metrics import METRICS, scores_of

STEP_S = 0.1
LONGEST_S = 30.0
_MEAN_CCC = [metric.name for metric in METRICS].index('mean_ccc')


@dataclass(frozen=True, slots=True)
class OffsetSearch:
    """
    What a search found.

    :param best_s: the offset of the highest mean CCC over all bags; 0 when none is defined. It is
        chosen on what is scored, so scores at it are optimistic.
    :param offsets_s: all that were tried.
    :param mean_ccc: at each; NaN where undefined.
    """

    best_s: float
    offsets_s: tuple[float, ...]
    mean_ccc: tuple[float, ...]

    @property
    def at_best(self) -> float:
        """Mean CCC at the best offset."""
        return self.mean_ccc[self.offsets_s.index(self.best_s)]

    @property
    def at_zero(self) -> float:
        """Mean CCC without an offset."""
        return self.mean_ccc[self.offsets_s.index(0.0)]

    @property
    def at_edge(self) -> bool:
        """Whether the best is the farthest that was tried, so that it may lie beyond."""
        return abs(self.best_s) == self.offsets_s[-1]


def check_offset(longest_s: float) -> None:
    """
    Check how far is to be looked.

    :raises SettingsError: when that is negative or over 30 s.
    """
    if not 0.0 <= longest_s <= LONGEST_S:
        raise SettingsError(f'offset-search: {longest_s} is not in [0, {LONGEST_S:g}] s')


def search_offset(
    tracks: Sequence[tuple[str, Annotation, Believed]], longest_s: float,
) -> OffsetSearch:
    """
    Try offsets in steps of 0.1 s; one for all bags, so that it cannot fit each bag's noise.

    All are scored on the same frames, those that have a state at every offset: so none wins by
    losing frames.

    :param tracks: bag, annotation and what was believed of the same person.
    :param longest_s: how far to look, either way.
    :raises SettingsError: as :func:`check_offset`.
    """
    check_offset(longest_s)
    steps = round(longest_s / STEP_S)
    offsets = [round(step * STEP_S, 6) for step in range(-steps, steps + 1)]
    common = [np.logical_and.reduce([align(*track, offset_s).covered for offset_s in offsets])
              for track in tracks]
    found = [float(scores_of(block_sums([
        take(align(*track, offset_s), np.flatnonzero(kept))
        for track, kept in zip(tracks, common, strict=True)])[0].sum(0))[_MEAN_CCC])
        for offset_s in offsets]
    # Of equals, the smallest: no offset where nothing speaks for one.
    known = [(value, -abs(offset), offset) for offset, value in zip(offsets, found, strict=True)
             if not np.isnan(value)]
    return OffsetSearch(max(known)[2] if known else 0.0, tuple(offsets), tuple(found))
