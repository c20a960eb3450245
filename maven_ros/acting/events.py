"""
Detect events in smoothed states.

- A person *enters* a region of the circumplex after the point has been inside it for
  ``events.dwell_s``. The person *leaves* it after the point has been outside for as long, by more
  than ``events.margin`` and ``events.margin_std`` standard deviations, or unknown for
  ``smoothing.gap_s``. A person is in at most one region, and leaves it before entering another.
- Intensity *rose* or *fell* if it differs by ``events.sharp_change`` and ``events.sharp_std``
  standard deviations from its minimum or maximum within the last ``events.sharp_s``. The same
  change is reported once.
- A person *appears* with the first state and *leaves* after ``events.leave_s`` without a state.
  States without a tracked person give neither event.
- Attention is *gained* and *lost* as :mod:`maven_ros.acting.attention` decides it.
- Speech *starts* after a voice has been evidence for ``events.dwell_s`` and is not known to be
  another person's. It *stops* after as long without such a voice.

If time starts over, or the streams end, everybody leaves. ``stamp_ns`` is the end of the window in
which the event was detected. ``since_ns`` is the end of the window in which it began; for the end
of speech, it is the start of the first window without a voice, approximately.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from maven_ros.acting.regions import Region, region_of
from maven_ros.affect import UNKNOWN, Affect
from maven_ros.freezing import Freezing, plain_data
from maven_ros.records import (
    AffectEvent,
    AffectState,
    Attention,
    EventKind,
    Modality,
    VoiceAssigned,
    nanoseconds,
)
from maven_ros.settings import EventSettings


@plain_data
@dataclass(slots=True)
class Run:
    """
    A condition that has held for consecutive states.

    :param first_ns: end of the window of the first of these states.
    :param since_ns: time at which the condition began.
    :param before: the last point before the condition held.
    """

    first_ns: int
    since_ns: int
    before: Affect


@plain_data
@dataclass(slots=True)
class PersonTrack:
    """
    The tracked state of one person.

    :param seen_ns: end of the window of the last state.
    :param point: the last known point; ``known_ns`` is the end of its window.
    :param region: region that the person is in; empty for none.
    :param inside: region of the last point; ``entering`` is the run of points inside it.
    :param leaving: run of points outside ``region``.
    :param spoke_ns: start of the current speech; None in silence.
    :param attending: whether the person attends to the robot.
    :param turning: run of states with a voice during silence, or without one during speech.
    :param recent: window end, point and spread of the states in the last ``events.sharp_s``.
    """

    seen_ns: int
    frame_id: str
    point: Affect = UNKNOWN
    known_ns: int = 0
    confidence: float = math.nan
    region: str = ''
    inside: str = ''
    entering: Run | None = None
    leaving: Run | None = None
    spoke_ns: int | None = None
    attending: bool = False
    turning: Run | None = None
    recent: list[tuple[int, Affect, float]] = field(default_factory=list)


class Events(Freezing):
    """
    Detect events in the smoothed states of all people.

    :param regions: regions by name; they must not overlap.
    :param gap_s: a person's point becomes unknown after this long without evidence.
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
        """Apply new times and thresholds; the regions and the people in them stay."""
        self._settings = settings
        self._gap_ns = nanoseconds(gap_s)
        self._dwell_ns = nanoseconds(settings.dwell_s)
        self._sharp_ns = nanoseconds(settings.sharp_s)
        self._leave_ns = nanoseconds(settings.leave_s)

    def reset(self) -> None:
        """Forget everybody without events; call :meth:`end` first to get them."""
        self._people: dict[str, PersonTrack] = {}
        self._end_ns = 0

    @property
    def people(self) -> Collection[str]:
        """Ids of the people who have appeared and not left."""
        return self._people.keys()

    def take(
        self, states: list[AffectState], attentions: Iterable[Attention] = (),
    ) -> list[AffectEvent]:
        """
        Return the events that the states of one window complete.

        :param states: smoothed states, one per person, at least one; windows must be in order.
        :param attentions: of those whose faces are in the window.
        """
        self._end_ns = states[0].window_end_ns
        events = [event for state in states for event in self._look(state)]
        events += [event for one in attentions for event in self._attend(one)]
        here = {state.person_id for state in states}
        for person_id, person in list(self._people.items()):
            if person_id not in here and self._end_ns - person.seen_ns >= self._leave_ns:
                events += self._go(person_id, person)
        return events

    def end(self) -> list[AffectEvent]:
        """Return the events of everybody leaving, as if time started over."""
        return [event for person_id, person in list(self._people.items())
                for event in self._go(person_id, person)]

    # --- inside ------------------------------------------------------------------------------

    def _look(self, state: AffectState) -> Iterator[AffectEvent]:
        person_id, end_ns = state.person_id, state.window_end_ns
        known = math.isfinite(state.affect.valence)
        appears = person_id not in self._people
        person = self._people.setdefault(person_id, PersonTrack(end_ns, state.frame_id))
        if end_ns - person.seen_ns > self._gap_ns:  # no condition lasts across such a gap
            person.entering = person.leaving = person.turning = None
        person.seen_ns, person.frame_id = end_ns, state.frame_id
        person.confidence = state.confidence if known else person.confidence
        if appears and person_id:
            run = Run(end_ns, end_ns, UNKNOWN)
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
        """Yield the regions left, then the regions entered."""
        end_ns, region = person.seen_ns, self._regions.get(person.region)
        inside = region_of(self._regions, point)
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
        """Leave the person's region if the point has been unknown for too long."""
        person.inside, person.entering = '', None
        if person.region and person.seen_ns - person.known_ns >= self._gap_ns:
            run = Run(person.seen_ns, person.known_ns, person.point)
            yield self._event(
                person_id, person, EventKind.REGION_LEFT, run, UNKNOWN, person.region)
            person.region, person.leaving = '', None

    def _change(
        self, person_id: str, person: PersonTrack, point: Affect, spread: float,
    ) -> Iterator[AffectEvent]:
        """Yield sharp rises and falls of intensity."""
        end_ns = person.seen_ns
        if end_ns - person.known_ns > self._gap_ns:
            person.recent = []
        person.recent = [one for one in person.recent if end_ns - one[0] <= self._sharp_ns]
        person.recent.append((end_ns, point, spread))
        backwards = person.recent[::-1]  # newest first: it wins among equal values
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
        """Yield the start or end of speech."""
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

    def _attend(self, attention: Attention) -> Iterator[AffectEvent]:
        """Yield the gain or loss of attention."""
        person = self._people.get(attention.person_id)
        if person is not None and attention.attending is not person.attending:
            person.attending = attention.attending
            kind = (EventKind.ATTENTION_GAINED if attention.attending
                    else EventKind.ATTENTION_LOST)
            run = Run(self._end_ns, attention.since_ns, person.point)
            yield self._event(attention.person_id, person, kind, run, person.point)

    def _go(self, person_id: str, person: PersonTrack) -> Iterator[AffectEvent]:
        """End everything that is going on with a person, then forget the person."""
        run = Run(self._end_ns, person.seen_ns, person.point)
        if person.region:
            yield self._event(
                person_id, person, EventKind.REGION_LEFT, run, UNKNOWN, person.region)
        if person.spoke_ns is not None:
            yield self._event(person_id, person, EventKind.SPEECH_STOPPED, run, UNKNOWN)
        if person.attending:
            yield self._event(person_id, person, EventKind.ATTENTION_LOST, run, UNKNOWN)
        if person_id:
            yield self._event(person_id, person, EventKind.LEFT, run, UNKNOWN)
        del self._people[person_id]

    def _run(
        self, run: Run | None, holds: bool, person: PersonTrack, since_ns: int | None = None,
    ) -> Run | None:
        """Start, continue or end a run, given the person's last state."""
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
