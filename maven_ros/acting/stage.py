"""The stage after the pipeline's states: smoothed states, attention, and events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from maven_ros.acting.attention import Attentions
from maven_ros.acting.baseline import Baselines
from maven_ros.acting.events import Events
from maven_ros.acting.regions import read_regions
from maven_ros.acting.smoothing import Smoother
from maven_ros.records import AffectEvent, AffectState, Attention, Face, SmoothedState
from maven_ros.settings import Settings


class Acting:
    """
    Apply the smoother, the baselines, the attention and the events, in this order.

    :raises SettingsError: if the file of regions is not valid.
    """

    def __init__(self, settings: Settings) -> None:
        gap_s = settings.smoothing.gap_s
        self._smoother = Smoother(settings.smoothing)
        self._baselines = Baselines(settings.baseline, gap_s)
        self._attentions = Attentions(settings.attention)
        self._events = Events(settings.events, read_regions(settings.events.regions), gap_s)

    def change(self, settings: Settings) -> None:
        """Apply new settings from the next window on; the regions stay."""
        gap_s = settings.smoothing.gap_s
        self._smoother.change(settings.smoothing)
        self._baselines.change(settings.baseline, gap_s)
        self._attentions.change(settings.attention)
        self._events.change(settings.events, gap_s)

    def take(
        self, states: list[AffectState], faces: Sequence[Face] = (),
    ) -> list[SmoothedState | Attention | AffectEvent]:
        """
        Return the smoothed states of one window, in their order, attention, then the events.

        :param states: one per person, at least one; windows must be in order.
        :param faces: all faces in the window, in order of time.
        """
        smoothed = [self._baselines.take(self._smoother.take(state)) for state in states]
        attentions = self._attentions.take(
            states[0].window_end_ns, states[0].frame_id, faces)
        events = self._events.take(smoothed, attentions)
        self._baselines.keep(self._events.people)
        self._attentions.keep(self._events.people)
        return [*(SmoothedState(state) for state in smoothed), *attentions, *events]

    def reset(self) -> list[AffectEvent]:
        """Forget everybody, baselines included; return the events of everybody leaving."""
        events = self._events.end()
        self._smoother.reset()
        self._baselines.reset()
        self._attentions.reset()
        self._events.reset()
        return events

    def reset_baselines(self) -> None:
        """Set all baselines to 0; everything else continues."""
        self._baselines.reset()

    def freeze(self) -> dict[str, Any]:
        """Return the state of the stage; it is not a copy."""
        return {'smoother': self._smoother.freeze(), 'baselines': self._baselines.freeze(),
                'attentions': self._attentions.freeze(), 'events': self._events.freeze()}

    def thaw(self, state: dict[str, Any]) -> None:
        """Continue from a state that :meth:`freeze` returned."""
        self._smoother.thaw(state['smoother'])
        self._baselines.thaw(state['baselines'])
        self._attentions.thaw(state['attentions'])
        self._events.thaw(state['events'])
