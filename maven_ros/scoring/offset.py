"""Search for the raters' delay: the offset of best agreement with the estimates."""

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
    The result of a search.

    :param best_s: offset with the highest mean CCC over all bags; 0 if no CCC is defined. It is
        chosen on the scored data, so scores at this offset are optimistic.
    :param offsets_s: all offsets that were tried.
    :param mean_ccc: mean CCC at each offset; NaN if undefined.
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
        """Whether the best offset is at the edge of the search, so a better one may lie beyond."""
        return abs(self.best_s) == self.offsets_s[-1]


def check_offset(longest_s: float) -> None:
    """
    Check the range of the search.

    :raises SettingsError: if it is negative or above 30 s.
    """
    if not 0.0 <= longest_s <= LONGEST_S:
        raise SettingsError(f'offset-search: {longest_s} is not in [0, {LONGEST_S:g}] s')


def search_offset(
    tracks: Sequence[tuple[str, Annotation, Believed]], longest_s: float,
) -> OffsetSearch:
    """
    Try offsets in steps of 0.1 s, the same for all bags, so it cannot fit the noise of each bag.

    All offsets are scored on the same frames, those with a state at every offset, so no offset
    wins by losing frames.

    :param tracks: bag, annotation and states of the same person.
    :param longest_s: largest offset to try, in either direction.
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
    # Ties go to the smallest offset.
    known = [(value, -abs(offset), offset) for offset, value in zip(offsets, found, strict=True)
             if not np.isnan(value)]
    return OffsetSearch(max(known)[2] if known else 0.0, tuple(offsets), tuple(found))
