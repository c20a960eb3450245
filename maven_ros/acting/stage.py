"""The stage after the states: smoothed states, attention, events, turns, moods, summaries."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from maven_ros.acting.attention import Attentions
from maven_ros.acting.baseline import Baselines, subtracted
from maven_ros.acting.events import Events
from maven_ros.acting.mood import Moods
from maven_ros.acting.regions import read_regions, region_of
from maven_ros.acting.smoothing import Smoother
from maven_ros.acting.turns import Turns
from maven_ros.records import (
    AffectState,
    AffectSummary,
    AffectTurn,
    Face,
    Output,
    SmoothedState,
    Utterance,
)
from maven_ros.settings import Settings
from maven_ros.summary.summaries import Summaries


class Acting:
    """
    Apply the smoother, baselines, attention, events, turns, moods and summaries, in this order.

    :raises SettingsError: if the file of regions or that of sentences is not valid.
    """

    def __init__(self, settings: Settings) -> None:
        gap_s = settings.smoothing.gap_s
        self._smoother = Smoother(settings.smoothing)
        self._baselines = Baselines(settings.baseline, gap_s)
        self._attentions = Attentions(settings.attention)
        regions = read_regions(settings.events.regions)
        self._events = Events(settings.events, regions, gap_s)
        self._turns = Turns()
        self._moods = Moods(settings.mood, settings.memory.forget_s)
        self._summaries = Summaries(settings, functools.partial(region_of, regions))

    def change(self, settings: Settings) -> None:
        """Apply new settings from the next window on; the regions stay."""
        gap_s = settings.smoothing.gap_s
        self._smoother.change(settings.smoothing)
        self._baselines.change(settings.baseline, gap_s)
        self._attentions.change(settings.attention)
        self._events.change(settings.events, gap_s)
        self._moods.change(settings.mood, settings.memory.forget_s)
        self._summaries.change(settings)

    def take(self, states: list[AffectState], faces: Sequence[Face] = ()) -> list[Output]:
        """
        Return the smoothed states of one window, in their order, then all that follows from them.

        :param states: one per person, at least one; windows must be in order.
        :param faces: all faces in the window, in order of time.
        """
        smoothed = [self._baselines.take(self._smoother.take(state)) for state in states]
        attentions = self._attentions.take(
            states[0].window_end_ns, states[0].frame_id, faces)
        events = self._events.take(smoothed, attentions)
        self._baselines.keep(self._events.people)
        self._attentions.keep(self._events.people)
        measured = [subtracted(state, same.baseline)
                    for state, same in zip(states, smoothed, strict=True)]
        attending = {one.person_id: one.known for one in attentions}
        turns, moods = self._turns.take(measured, attending), self._moods.take(measured)
        told = self._summaries.hear(turns)
        return [*(SmoothedState(state) for state in smoothed), *attentions, *events, *turns,
                *moods, *told, *self._summaries.take(smoothed, events, moods, attending)]

    def hear(self, utterance: Utterance) -> list[AffectTurn | AffectSummary]:
        """Return the turn of an utterance if it is final and its windows have passed."""
        turns = self._turns.hear(utterance)
        return [*turns, *self._summaries.hear(turns)]

    def reset(self) -> list[Output]:
        """Forget everybody, baselines included; return what waits, and that all leave."""
        turns = self._turns.end()
        left: list[Output] = [*turns, *self._summaries.hear(turns), *self._summaries.end(),
                              *self._events.end()]
        self._smoother.reset()
        self._baselines.reset()
        self._attentions.reset()
        self._events.reset()
        self._turns.reset()
        self._moods.reset()
        self._summaries.reset()
        return left

    def reset_baselines(self) -> None:
        """Set all baselines to 0; everything else continues."""
        self._baselines.reset()

    def freeze(self) -> dict[str, Any]:
        """Return the state of the stage; it is not a copy."""
        return {'smoother': self._smoother.freeze(), 'baselines': self._baselines.freeze(),
                'attentions': self._attentions.freeze(), 'events': self._events.freeze(),
                'turns': self._turns.freeze(), 'moods': self._moods.freeze(),
                'summaries': self._summaries.freeze()}

    def thaw(self, state: dict[str, Any]) -> None:
        """Continue from a state that :meth:`freeze` returned."""
        self._smoother.thaw(state['smoother'])
        self._baselines.thaw(state['baselines'])
        self._attentions.thaw(state['attentions'])
        self._events.thaw(state['events'])
        self._turns.thaw(state['turns'])
        self._moods.thaw(state['moods'])
        self._summaries.thaw(state['summaries'])
