"""
Summaries at turns and at changes: when something is said about a person, and on what it rests.

A turn, a region that is entered or left, and a sharp rise or fall ask for a summary. It comes at
once, but at most once in ``summary.period_s`` for each person, and not twice in the same words.
After a turn it is about the whole utterance, otherwise about the newest smoothed state. While the
point is in a region of which no event has told yet, it waits. A change is told only if it led to
where the person is now.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from maven_ros.affect import Affect
from maven_ros.freezing import Freezing, plain_data
from maven_ros.records import (
    AffectEvent,
    AffectMood,
    AffectState,
    AffectSummary,
    AffectTurn,
    EventKind,
    Speaker,
    Status,
    nanoseconds,
    seconds,
)
from maven_ros.settings import Settings
from maven_ros.summary.observation import Observation
from maven_ros.summary.sentences import read_sentences

_CHANGES = (EventKind.REGION_ENTERED, EventKind.ROSE, EventKind.FELL)


@plain_data
@dataclass(slots=True)
class Told:
    """
    What is going on with a person, and what has been said.

    :param change: the last change that was seen to happen.
    :param turn: the last turn; ``asked_by`` is a turn of which a summary is due.
    :param asked: whether a summary of a change is due.
    :param attending: whether the person attends to the robot; None if that is not sure.
    """

    region: str = ''
    change: AffectEvent | None = None
    turn: AffectTurn | None = None
    mood: AffectMood | None = None
    asked: bool = False
    asked_by: AffectTurn | None = None
    stale: bool = False
    told_ns: int | None = None
    text: str = ''
    attending: bool | None = None


class Summaries(Freezing):
    """
    Make summaries of the outputs of each window.

    :param region_of: returns the name of the region that holds a point; empty for none.
    :raises SettingsError: if the file of sentences is not valid.
    """

    _fixed: ClassVar[frozenset[str]] = frozenset({
        '_sentences', '_region_of', '_period_ns', '_word_gate'})

    def __init__(self, settings: Settings, region_of: Callable[[Affect], str]) -> None:
        self._sentences = read_sentences(settings.summary.templates)
        self._region_of = region_of
        self.change(settings)
        self.reset()

    def change(self, settings: Settings) -> None:
        """Apply a new gate and period; the sentences stay."""
        self._sentences.gate = settings.summary.gate
        self._period_ns = nanoseconds(settings.summary.period_s)
        self._word_gate = settings.speech.confidence_gate

    def reset(self) -> None:
        """Forget everybody; call :meth:`end` first to get what waits."""
        self._people: dict[str, Told] = {'': Told()}
        self._now_ns = 0
        self._in_view = 1

    def hear(self, turns: Iterable[AffectTurn]) -> list[AffectSummary]:
        """Return the summaries of turns; those that come too soon wait for a later window."""
        found = []
        for turn in turns:
            if turn.speaker is not Speaker.UNDECIDED:
                # Who has left already is not kept again.
                told = self._people.get(turn.person_id, Told())
                told.turn = told.asked_by = turn
                found += self._tell(turn.person_id, told)
        return found

    def take(
        self, states: Sequence[AffectState], events: Iterable[AffectEvent],
        moods: Iterable[AffectMood], attending: Mapping[str, bool | None],
    ) -> list[AffectSummary]:
        """
        Return the summaries that are due.

        :param states: the smoothed states of one window.
        :param events: its events.
        :param moods: its moods.
        :param attending: whether each person attends to the robot, where that is known.
        """
        self._now_ns = states[0].window_end_ns
        self._in_view = sum(bool(state.person_id) for state in states)
        found = [one for event in events for one in self._follow(event)]
        for mood in moods:
            if not mood.group and mood.person_id in self._people:
                self._people[mood.person_id].mood = mood
        for state in states:
            told = self._people.get(state.person_id)
            if told is not None:
                told.attending = attending.get(state.person_id)
                told.stale = state.status is Status.STALE
                found += self._tell(state.person_id, told, state)
        return found

    def end(self) -> list[AffectSummary]:
        """Return the summaries of turns that still wait."""
        return [one for person_id, told in self._people.items()
                for one in self._tell(person_id, told, at_once=True)]

    # --- inside ------------------------------------------------------------------------------

    def _follow(self, event: AffectEvent) -> list[AffectSummary]:
        """Keep what an event means for its person; return the summary of somebody leaving."""
        if event.kind is EventKind.LEFT:
            told = self._people.pop(event.person_id, Told())
            text = self._sentences.about(
                Observation(event.person_id, self._in_view + 1, left=True))
            return [AffectSummary(event.stamp_ns, event.person_id, text)] if told.text else []
        told = self._people.setdefault(event.person_id, Told())
        if event.kind is EventKind.REGION_LEFT:
            told.region, told.change, told.asked = '', None, True
        elif event.kind in _CHANGES:
            seen = math.isfinite(event.before.valence)  # else it was so from the beginning
            told.change, told.asked = event if seen else None, True
            told.region = event.region or told.region
        return []

    def _tell(
        self, person_id: str, told: Told, state: AffectState | None = None, at_once: bool = False,
    ) -> list[AffectSummary]:
        """
        Return the summary that is due, if any.

        :param state: the newest one; without it, only a turn is summarised.
        """
        turn = told.asked_by
        early = told.told_ns is not None and 0 <= self._now_ns - told.told_ns < self._period_ns
        if (early and not at_once) or (turn is None and (
                state is None or not told.asked or self._in_transition(state, told))):
            return []
        seen = Observation(person_id, self._in_view, stale=told.stale, mood=told.mood,
                           attending=told.attending)
        if turn is not None:
            seen = self._of_turn(seen, turn, told.change)
        elif state is not None:
            seen = self._of_state(seen, state, told)
        told.asked, told.asked_by = False, None
        text = self._sentences.about(seen)
        if not text or text == told.text:
            return []
        told.told_ns, told.text = self._now_ns, text
        return [AffectSummary(self._now_ns, person_id, text)]

    def _in_transition(self, state: AffectState, told: Told) -> bool:
        """Tell whether the point is in a region of which no event has told yet."""
        return self._region_of(state.affect) not in ('', told.region)

    def _of_turn(
        self, seen: Observation, turn: AffectTurn, change: AffectEvent | None,
    ) -> Observation:
        seen = replace(
            seen, affect=turn.affect, valence_std=turn.valence_std, arousal_std=turn.arousal_std,
            modalities=turn.modalities, alone=turn.alone, region=self._region_of(turn.affect),
            words=self._words(turn))
        return self._changed(seen, change) if _within(change, turn) else seen

    def _of_state(self, seen: Observation, state: AffectState, told: Told) -> Observation:
        turn, change = told.turn, told.change
        seen = replace(
            seen, affect=state.affect, valence_std=state.valence_std,
            arousal_std=state.arousal_std, modalities=state.modalities, alone=state.alone,
            region=self._region_of(state.affect))
        if turn is not None and _within(change, turn):
            seen = replace(seen, words=self._words(turn))
        return self._changed(seen, change)

    def _changed(self, seen: Observation, change: AffectEvent | None) -> Observation:
        """Add a change, if it led to where the person is now."""
        if change is None or seen.region != (
                change.region or self._region_of(change.before)) or not seen.region:
            return seen
        return replace(seen, change=change.kind,
                       since_s=seconds(max(0, self._now_ns - change.since_ns)))

    def _words(self, turn: AffectTurn) -> str:
        return turn.text if turn.speech_confidence >= self._word_gate else ''


def _within(change: AffectEvent | None, turn: AffectTurn) -> bool:
    """Tell whether a change began while somebody said a turn."""
    return change is not None and turn.start_ns <= change.since_ns < turn.end_ns
