"""
Events: what is worth acting on, noticed in smoothed states alone.

- A region of the circumplex is *entered* when the point has been inside for ``events.dwell_s``,
  and *left* when it has been outside for as long, by more than ``events.margin`` and
  ``events.margin_std`` standard deviations, or unknown for ``smoothing.gap_s``. A person is in one
  region at most, and leaves it before entering another.
- Intensity *rose* or *fell* when it differs by ``events.sharp_change`` and ``events.sharp_std``
  standard deviations from its lowest or highest within the last ``events.sharp_s``; what has been
  told is not told again.
- A person *appeared* with the first state, and *left* when no window has had one for
  ``events.leave_s``. Nobody in view neither appears nor leaves.
- Speech *started* when a voice that is not known to be another's was evidence for
  ``events.dwell_s``, and *stopped* when none was for as long.

When time starts over, or the streams end, everybody leaves. ``stamp_ns`` is the end of the window
in which an event was noticed, ``since_ns`` that of the window in which it began; but speech
stopped about when the first window without a voice began.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from maven_ros.acting.regions import Region
from maven_ros.affect import Affect
from maven_ros.freezing import Freezing, plain_data
from maven_ros.records import (
    AffectEvent,
    AffectState,
    EventKind,
    Modality,
    VoiceAssigned,
    nanoseconds,
)
from maven_ros.settings import EventSettings

_UNKNOWN = Affect(math.nan, math.nan)


@plain_data
@dataclass(slots=True)
class Run:
    """
    Something that holds, state after state.

    :param first_ns: window's end of the first of these states.
    :param since_ns: when it began.
    :param before: the point before that.
    """

    first_ns: int
    since_ns: int
    before: Affect


@plain_data
@dataclass(slots=True)
class PersonTrack:
    """
    What is known of one person.

    :param seen_ns: window's end of the last state.
    :param point: the last one that was known, and ``known_ns`` its window's end.
    :param region: that the person is in; empty for none.
    :param inside: region that the last point was inside, and ``entering`` since when.
    :param leaving: since when the points have been outside ``region``.
    :param spoke_ns: when the speech that is going on began; None in silence.
    :param turning: since when there has been a voice in silence, or none in speech.
    :param recent: window's end, point and spread of the states of the last ``events.sharp_s``.
    """

    seen_ns: int
    frame_id: str
    point: Affect = _UNKNOWN
    known_ns: int = 0
    confidence: float = math.nan
    region: str = ''
    inside: str = ''
    entering: Run | None = None
    leaving: Run | None = None
    spoke_ns: int | None = None
    turning: Run | None = None
    recent: list[tuple[int, Affect, float]] = field(default_factory=list)


class Events(Freezing):
    """
    Makes events of the smoothed states of all people.

    :param regions: name to region, none overlapping.
    :param gap_s: after so long without evidence nothing is known of a person's point.
    """

    _fixed: ClassVar[frozenset[str]] = frozenset({
        '_settings', '_regions', '_gap_ns', '_dwell_ns', '_sharp_ns', '_leave_ns'})

    def __init__(
        self, settings: EventSettings, regions: Mapping[str, Region], gap_s: float,
    ) -> None:
        self._regions = regions
        self.change(settings, gap_s)
        self.reset()

    def change(self, settings: EventSettings, gap_s: float) -> None:
        """Go on with other times and thresholds; regions, and what goes on in them, stay."""
        self._settings = settings
        self._gap_ns = nanoseconds(gap_s)
        self._dwell_ns = nanoseconds(settings.dwell_s)
        self._sharp_ns = nanoseconds(settings.sharp_s)
        self._leave_ns = nanoseconds(settings.leave_s)

    def reset(self) -> None:
        """Forget everybody, without a word; :meth:`end` goes before."""
        self._people: dict[str, PersonTrack] = {}
        self._end_ns = 0

    @property
    def people(self) -> Collection[str]:
        """Ids of those who are there, and have not left."""
        return self._people.keys()

    def take(self, states: list[AffectState]) -> list[AffectEvent]:
        """
        Return what is noticed with the states of one window.

        :param states: smoothed, one a person, at least one; windows come in order of time.
        """
        self._end_ns = states[0].window_end_ns
        events = [event for state in states for event in self._look(state)]
        here = {state.person_id for state in states}
        for person_id, person in list(self._people.items()):
            if person_id not in here and self._end_ns - person.seen_ns >= self._leave_ns:
                events += self._go(person_id, person)
        return events

    def end(self) -> list[AffectEvent]:
        """Let everybody leave, as when time starts over."""
        return [event for person_id, person in list(self._people.items())
                for event in self._go(person_id, person)]

    # --- inside ------------------------------------------------------------------------------

    def _look(self, state: AffectState) -> Iterator[AffectEvent]:
        person_id, end_ns = state.person_id, state.window_end_ns
        known = math.isfinite(state.affect.valence)
        appears = person_id not in self._people
        person = self._people.setdefault(person_id, PersonTrack(end_ns, state.frame_id))
        if end_ns - person.seen_ns > self._gap_ns:  # nothing has lasted over that
            person.entering = person.leaving = person.turning = None
        person.seen_ns, person.frame_id = end_ns, state.frame_id
        person.confidence = state.confidence if known else person.confidence
        if appears and person_id:
            run = Run(end_ns, end_ns, _UNKNOWN)
            yield self._event(person_id, person, EventKind.APPEARED, run, state.affect)
        if known:
            spread = math.sqrt((state.valence_std**2 + state.arousal_std**2) / 2)
            yield from self._place(person_id, person, state.affect, spread)
            yield from self._change(person_id, person, state.affect, spread)
        else:
            yield from self._lose(person_id, person)
        yield from self._listen(person_id, person, state)
        if known:
            person.point, person.known_ns = state.affect, end_ns

    def _place(
        self, person_id: str, person: PersonTrack, point: Affect, spread: float,
    ) -> Iterator[AffectEvent]:
        """Notice regions that are left and entered, in that order."""
        end_ns, region = person.seen_ns, self._regions.get(person.region)
        inside = next((name for name, one in self._regions.items() if one.holds(point)), '')
        if inside != person.inside:
            person.inside, person.entering = inside, None
        margin = max(self._settings.margin, self._settings.margin_std * spread)
        outside = region is not None and region.outside(point) > margin
        person.leaving = self._run(person.leaving, outside, person)
        person.entering = self._run(person.entering, bool(inside), person)
        if person.region and (run := self._lasting(person.leaving, end_ns)):
            yield self._event(person_id, person, EventKind.REGION_LEFT, run, point, person.region)
            person.region, person.leaving = '', None
        if not person.region and (run := self._lasting(person.entering, end_ns)):
            yield self._event(person_id, person, EventKind.REGION_ENTERED, run, point, inside)
            person.region = inside

    def _lose(self, person_id: str, person: PersonTrack) -> Iterator[AffectEvent]:
        """Leave the region of a person of whom nothing has been known for too long."""
        person.inside, person.entering = '', None
        if person.region and person.seen_ns - person.known_ns >= self._gap_ns:
            run = Run(person.seen_ns, person.known_ns, person.point)
            yield self._event(
                person_id, person, EventKind.REGION_LEFT, run, _UNKNOWN, person.region)
            person.region, person.leaving = '', None

    def _change(
        self, person_id: str, person: PersonTrack, point: Affect, spread: float,
    ) -> Iterator[AffectEvent]:
        """Notice sharp rises and falls of intensity."""
        end_ns = person.seen_ns
        if end_ns - person.known_ns > self._gap_ns:
            person.recent = []
        person.recent = [one for one in person.recent if end_ns - one[0] <= self._sharp_ns]
        person.recent.append((end_ns, point, spread))
        backwards = person.recent[::-1]  # of equals, the newest
        for kind, extreme, sign in ((EventKind.ROSE, min, 1.0), (EventKind.FELL, max, -1.0)):
            since_ns, before, had = extreme(backwards, key=lambda one: one[1].intensity)
            change = sign * (point.intensity - before.intensity)
            if change >= max(self._settings.sharp_change,
                             self._settings.sharp_std * math.hypot(had, spread)):
                run = Run(end_ns, since_ns, before)
                yield self._event(person_id, person, kind, run, point)
                person.recent = [(end_ns, point, spread)]
                return

    def _listen(
        self, person_id: str, person: PersonTrack, state: AffectState,
    ) -> Iterator[AffectEvent]:
        """Notice speech that started or stopped."""
        voice = (bool(state.modalities & Modality.AUDIO)
                 and state.voice_assigned is not VoiceAssigned.OTHER)
        speaking, since_ns = person.spoke_ns is not None, state.window_end_ns
        if person.spoke_ns is not None:
            since_ns = max(person.spoke_ns, state.window_start_ns)
        person.turning = self._run(person.turning, voice != speaking, person, since_ns)
        if run := self._lasting(person.turning, state.window_end_ns):
            person.spoke_ns, person.turning = run.since_ns if voice else None, None
            kind = EventKind.SPEECH_STARTED if voice else EventKind.SPEECH_STOPPED
            yield self._event(person_id, person, kind, run, state.affect)

    def _go(self, person_id: str, person: PersonTrack) -> Iterator[AffectEvent]:
        """End all that goes on with a person, and forget them."""
        run = Run(self._end_ns, person.seen_ns, person.point)
        if person.region:
            yield self._event(
                person_id, person, EventKind.REGION_LEFT, run, _UNKNOWN, person.region)
        if person.spoke_ns is not None:
            yield self._event(person_id, person, EventKind.SPEECH_STOPPED, run, _UNKNOWN)
        if person_id:
            yield self._event(person_id, person, EventKind.LEFT, run, _UNKNOWN)
        del self._people[person_id]

    def _run(
        self, run: Run | None, holds: bool, person: PersonTrack, since_ns: int | None = None,
    ) -> Run | None:
        """Begin, go on with or end a run, with the state that a person was seen in last."""
        if not holds:
            return None
        return run or Run(person.seen_ns, person.seen_ns if since_ns is None else since_ns,
                          person.point)

    def _lasting(self, run: Run | None, end_ns: int) -> Run | None:
        return run if run and end_ns - run.first_ns >= self._dwell_ns else None

    def _event(
        self, person_id: str, person: PersonTrack, kind: EventKind, run: Run, after: Affect,
        region: str = '',
    ) -> AffectEvent:
        return AffectEvent(self._end_ns, kind, person_id, run.since_ns, run.before, after,
                           person.confidence, region, person.frame_id)
