"""
A slow state for each person and for the group: mood, over minutes.

A person's states move about the mood by feelings that pass. One Kalman filter per axis separates
the two time scales::

    m_k = m_(k-1) + w           the mood wanders slowly
    d_k = a d_(k-1) + v         what passes: std ``mood.passing_std``, a = exp(-dt / passing_s)
    y_k = m_k + d_k + e_k       the state; std of e_k is the state's own

The variance of w per second is 2 passing_std^2 passing_s / settle_s^2: with it, the filter follows
a lasting change with the time constant ``mood.settle_s``. Overlapping windows share their error,
so the filter takes one window, then the next one that begins after its end. Without evidence the
mood stays, and its standard deviation grows up to that of the prior.

The mood of the group is the mean over the people in view. An error that lasts, such as a face that
the model misreads, is not part of the standard deviation, as in :mod:`maven_ros.acting.smoothing`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from maven_ros.affect import PRIOR_STD, Affect
from maven_ros.freezing import Freezing, plain_data
from maven_ros.records import AffectMood, AffectState, nanoseconds, seconds
from maven_ros.settings import MoodSettings

#: Of more people, the one who has been away for longest is forgotten.
MOST_PEOPLE = 64


@plain_data
@dataclass(slots=True)
class SlowAxis:
    """
    The filter of one axis: the mood, what passes, their variances and covariance.

    It starts from the prior: the mood is anywhere in [-1, 1].
    """

    mood: float = 0.0
    passing: float = 0.0
    mood_var: float = PRIOR_STD**2
    passing_var: float = 0.0
    both_var: float = 0.0

    def wait(self, elapsed_s: float, settings: MoodSettings) -> None:
        """Let time pass without evidence."""
        kept = math.exp(-elapsed_s / settings.passing_s)
        wanders = 2 * settings.passing_std**2 * settings.passing_s / settings.settle_s**2
        self.passing *= kept
        self.both_var *= kept
        self.passing_var = kept**2 * self.passing_var + (1 - kept**2) * settings.passing_std**2
        self.mood_var = min(PRIOR_STD**2, self.mood_var + wanders * elapsed_s)

    def take(self, measured: float, std: float) -> None:
        """Update the filter with a state of this time."""
        mood_gain, passing_gain = self.mood_var + self.both_var, self.both_var + self.passing_var
        total = mood_gain + passing_gain + max(std, 1e-3)**2
        surprise = measured - self.mood - self.passing
        self.mood = min(1.0, max(-1.0, self.mood + mood_gain / total * surprise))
        self.passing += passing_gain / total * surprise
        self.mood_var -= mood_gain**2 / total
        self.passing_var -= passing_gain**2 / total
        self.both_var -= mood_gain * passing_gain / total


@plain_data
@dataclass(slots=True)
class Slow:
    """One person's filters; ``taken_ns`` is the end of the last window that they took."""

    since_ns: int
    taken_ns: int
    seen_ns: int
    valence: SlowAxis
    arousal: SlowAxis
    evidence_s: float = 0.0


class Moods(Freezing):
    """
    Follow the moods of all people, and publish them every ``mood.period_s``.

    :param forget_s: people who have been away for longer are forgotten.
    """

    _fixed: ClassVar[frozenset[str]] = frozenset({'_settings', '_period_ns', '_forget_ns'})

    def __init__(self, settings: MoodSettings, forget_s: float) -> None:
        self.change(settings, forget_s)
        self.reset()

    def change(self, settings: MoodSettings, forget_s: float) -> None:
        """Apply new settings; the moods stay."""
        self._settings = settings
        self._period_ns = nanoseconds(settings.period_s)
        self._forget_ns = nanoseconds(forget_s)

    def reset(self) -> None:
        """Forget everybody."""
        self._people: dict[str, Slow] = {}
        self._told_ns: int | None = None

    def take(self, states: Sequence[AffectState]) -> list[AffectMood]:
        """
        Return the moods of the people in a window and of the group, if they are due.

        :param states: one per person, at least one; windows must be in order.
        """
        end_ns = states[0].window_end_ns
        self._people = {person_id: person for person_id, person in self._people.items()
                        if end_ns - person.seen_ns <= self._forget_ns}
        for state in states:
            self._follow(state)
        while len(self._people) > MOST_PEOPLE:
            del self._people[min(self._people, key=lambda one: self._people[one].seen_ns)]
        here = [state.person_id for state in states if state.person_id in self._people]
        if not here or (self._told_ns is not None and end_ns - self._told_ns < self._period_ns):
            return []
        self._told_ns = end_ns
        return [*self._moods(here, end_ns, states[0].frame_id)]

    # --- inside ------------------------------------------------------------------------------

    def _follow(self, state: AffectState) -> None:
        person, end_ns = self._people.get(state.person_id), state.window_end_ns
        if person is not None:
            person.seen_ns = end_ns
        if not math.isfinite(state.affect.valence):
            return
        if person is None:
            passing_var = self._settings.passing_std**2
            person = self._people[state.person_id] = Slow(
                state.window_start_ns, state.window_start_ns, end_ns,
                SlowAxis(passing_var=passing_var), SlowAxis(passing_var=passing_var))
        if state.window_start_ns < person.taken_ns:  # it shares evidence with the last one
            return
        elapsed_s = seconds(end_ns - person.taken_ns)
        for axis, measured, std in (
                (person.valence, state.affect.valence, state.valence_std),
                (person.arousal, state.affect.arousal, state.arousal_std)):
            axis.wait(elapsed_s, self._settings)
            axis.take(measured, std)
        person.evidence_s = (person.evidence_s * math.exp(-elapsed_s / self._settings.settle_s)
                             + seconds(end_ns - state.window_start_ns))
        person.taken_ns = end_ns

    def _moods(self, here: list[str], end_ns: int, frame_id: str) -> Iterator[AffectMood]:
        moods = [self._mood(person_id, end_ns, frame_id) for person_id in here]
        yield from moods
        group = [one for one in moods if one.person_id] or moods
        count = len(group)
        yield AffectMood(
            end_ns, True, '', count,
            Affect(sum(one.affect.valence for one in group) / count,
                   sum(one.affect.arousal for one in group) / count),
            math.hypot(*(one.valence_std for one in group)) / count,
            math.hypot(*(one.arousal_std for one in group)) / count,
            sum(one.evidence_s for one in group), min(one.since_ns for one in group), frame_id)

    def _mood(self, person_id: str, end_ns: int, frame_id: str) -> AffectMood:
        person = self._people[person_id]
        return AffectMood(
            end_ns, False, person_id, 1, Affect(person.valence.mood, person.arousal.mood),
            math.sqrt(person.valence.mood_var), math.sqrt(person.arousal.mood_var),
            person.evidence_s, person.since_ns, frame_id)
