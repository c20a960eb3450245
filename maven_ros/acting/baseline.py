"""A personal baseline, because the model does not read everybody's resting face as neutral."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import ClassVar

from maven_ros.affect import Affect
from maven_ros.freezing import Freezing, plain_data
from maven_ros.records import AffectState, nanoseconds, seconds
from maven_ros.settings import BaselineSettings


@plain_data
@dataclass(slots=True)
class Offset:
    """The offset of one person's resting point from neutral, and the end of the last window."""

    end_ns: int
    valence: float = 0.0
    arousal: float = 0.0


class Baselines(Freezing):
    """
    Learn each person's resting point slowly and subtract it; do nothing unless enabled.

    The offset starts at 0 and follows the person's smoothed point with the time constant
    ``baseline.settle_s``, b += (1 - exp(-dt / settle_s)) * (x - b), on each axis separately. Both
    the offset and the difference x - b are clipped to ``baseline.limit``, so an outburst moves the
    offset little. States without a tracked person have no baseline.

    :param gap_s: the offset does not learn across gaps in the evidence that are longer than this.
    """

    _fixed: ClassVar[frozenset[str]] = frozenset({'_settings', '_gap_ns'})

    def __init__(self, settings: BaselineSettings, gap_s: float) -> None:
        self.change(settings, gap_s)
        self.reset()

    def change(self, settings: BaselineSettings, gap_s: float) -> None:
        """Apply new settings; the learnt offsets stay."""
        self._settings = settings
        self._gap_ns = nanoseconds(gap_s)

    def reset(self) -> None:
        """Set all offsets to 0."""
        self._offsets: dict[str, Offset] = {}

    def keep(self, people: Collection[str]) -> None:
        """Forget all people but these."""
        self._offsets = {person_id: offset for person_id, offset in self._offsets.items()
                         if person_id in people}

    def take(self, state: AffectState) -> AffectState:
        """
        Learn from a smoothed state, and return it with the person's offset subtracted.

        The field ``baseline`` holds the offset; valence and arousal stay in [-1, 1].
        """
        affect = state.affect
        if not (self._settings.enabled and state.person_id and math.isfinite(affect.valence)):
            return state
        offset = self._offsets.setdefault(state.person_id, Offset(state.window_end_ns))
        elapsed_ns = state.window_end_ns - offset.end_ns
        if 0 < elapsed_ns <= self._gap_ns:
            share = -math.expm1(-seconds(elapsed_ns) / self._settings.settle_s)
            offset.valence = self._towards(affect.valence, offset.valence, share)
            offset.arousal = self._towards(affect.arousal, offset.arousal, share)
        offset.end_ns = state.window_end_ns
        return subtracted(state, (offset.valence, offset.arousal))

    def _towards(self, value: float, offset: float, share: float) -> float:
        limit = self._settings.limit
        return _within(offset + share * _within(value - offset, limit), limit)


def subtracted(state: AffectState, baseline: tuple[float, float]) -> AffectState:
    """Return a state with an offset subtracted, in [-1, 1]; one without evidence unchanged."""
    if not math.isfinite(state.affect.valence):  # clipping would make a number of it
        return state
    valence, arousal = baseline
    return replace(state, baseline=baseline,
                   affect=Affect(_within(state.affect.valence - valence, 1.0),
                                 _within(state.affect.arousal - arousal, 1.0)))


def _within(value: float, limit: float) -> float:
    return min(limit, max(-limit, value))
