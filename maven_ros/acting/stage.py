"""The stage after the pipeline's states: each window's states smoothed, and its events."""

from __future__ import annotations

from typing import Any

from maven_ros.acting.baseline import Baselines
from maven_ros.acting.events import Events
from maven_ros.acting.regions import read_regions
from maven_ros.acting.smoothing import Smoother
from maven_ros.records import AffectEvent, AffectState, SmoothedState
from maven_ros.settings import Settings


class Acting:
    """
    Smoother, baselines and events, one after the other.

    :raises SettingsError: when the file of regions cannot be used.
    """

    def __init__(self, settings: Settings) -> None:
        gap_s = settings.smoothing.gap_s
        self._smoother = Smoother(settings.smoothing)
        self._baselines = Baselines(settings.baseline, gap_s)
        self._events = Events(settings.events, read_regions(settings.events.regions), gap_s)

    def change(self, settings: Settings) -> None:
        """Go on with other settings, from the next window on; the regions stay."""
        gap_s = settings.smoothing.gap_s
        self._smoother.change(settings.smoothing)
        self._baselines.change(settings.baseline, gap_s)
        self._events.change(settings.events, gap_s)

    def take(self, states: list[AffectState]) -> list[SmoothedState | AffectEvent]:
        """
        Return the states of one window smoothed, in their order, then what is noticed.

        :param states: one a person, at least one; windows come in order of time.
        """
        smoothed = [self._baselines.take(self._smoother.take(state)) for state in states]
        events = self._events.take(smoothed)
        self._baselines.keep(self._events.people)
        return [*(SmoothedState(state) for state in smoothed), *events]

    def reset(self) -> list[AffectEvent]:
        """Let everybody leave, as when time starts over, and forget them, baselines too."""
        events = self._events.end()
        self._smoother.reset()
        self._baselines.reset()
        self._events.reset()
        return events

    def reset_baselines(self) -> None:
        """Take everybody's rest for neutral again; all else goes on."""
        self._baselines.reset()

    def freeze(self) -> dict[str, Any]:
        """Return what was gathered; not a copy."""
        return {'smoother': self._smoother.freeze(), 'baselines': self._baselines.freeze(),
                'events': self._events.freeze()}

    def thaw(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`freeze` returned."""
        self._smoother.thaw(state['smoother'])
        self._baselines.thaw(state['baselines'])
        self._events.thaw(state['events'])
