"""
What the last minutes held, for each person: in memory alone, and bounded.

It takes the outputs of a pipeline in their order, live or from a replay, and answers how somebody
was in the last seconds. It needs no thread and no clock: the newest window is *now*. If windows go
back in time, another recording has begun, and everything before it is forgotten.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from maven_ros.acting.mood import MOST_PEOPLE
from maven_ros.acting.regions import read_regions, region_of
from maven_ros.affect import UNKNOWN, Affect, confidence
from maven_ros.errors import InputError
from maven_ros.records import (
    NS,
    AffectEvent,
    AffectMood,
    AffectState,
    AffectTurn,
    EventKind,
    Output,
    SmoothedState,
    Speaker,
    nanoseconds,
    seconds,
)
from maven_ros.settings import Settings

#: Smoothed states are correlated for longer than this; one of each such time is kept.
_EVERY_NS = NS // 2
#: Events of a person, and turns, beyond which the oldest are forgotten.
_MOST_LINES = 100
NO_REGION = 'none'

#: Events and turns with their times.
_Lines: TypeAlias = 'deque[tuple[int, Any]]'


@dataclass(frozen=True, slots=True)
class History:
    """
    One person's affect over some time; AffectHistory.msg has each field's meaning.

    :param trend: change per minute, and its standard deviations.
    :param regions: share of the time with evidence, by the region's name.
    :param events: each as it was given to :meth:`Memory.take`, as are turns.
    """

    person_id: str
    present: bool
    start_ns: int
    end_ns: int
    evidence_s: float
    affect: Affect
    valence_std: float
    arousal_std: float
    trend: tuple[float, float]
    trend_std: tuple[float, float]
    regions: dict[str, float]
    mood: AffectMood | None
    events: tuple[Any, ...]
    turns: tuple[Any, ...]

    @property
    def confidence(self) -> float:
        """The confidence in [0, 1]; see :func:`maven_ros.affect.confidence`."""
        return confidence(self.valence_std, self.arousal_std)


@dataclass(frozen=True, slots=True)
class Recalled:
    """The answer of :meth:`Memory.recall`; ``stamp_ns`` is the end of the newest window."""

    stamp_ns: int
    people: tuple[History, ...]
    undecided: tuple[Any, ...]


@dataclass(slots=True)
class _Sample:
    end_ns: int
    valence: float
    arousal: float
    valence_std: float   # of the raw state: of overlapping windows, it counts once
    arousal_std: float
    region: str


@dataclass(slots=True)
class _Person:
    seen_ns: int = 0
    present: bool = True
    samples: deque[_Sample] = field(default_factory=deque)
    events: _Lines = field(default_factory=lambda: deque(maxlen=_MOST_LINES))
    turns: _Lines = field(default_factory=lambda: deque(maxlen=_MOST_LINES))
    mood: AffectMood | None = None


class Memory:
    """
    Remember the outputs of a pipeline for ``memory.keep_s``.

    It is not thread-safe.

    :raises SettingsError: if the file of regions is not valid.
    """

    def __init__(self, settings: Settings) -> None:
        self._regions = read_regions(settings.events.regions)
        self._length_s = settings.windows.length_s
        self.change(settings)
        self.clear()

    def change(self, settings: Settings) -> None:
        """Apply new times; the regions stay."""
        self._settings = settings.memory
        self._passing_s = settings.mood.passing_s
        self._keep_ns = nanoseconds(settings.memory.keep_s)
        self._forget_ns = nanoseconds(settings.memory.forget_s)

    def clear(self) -> None:
        """Forget everything."""
        self._people: dict[str, _Person] = {}
        self._undecided: _Lines = deque(maxlen=_MOST_LINES)
        self._raw: dict[str, AffectState] = {}
        self._now_ns = 0

    def take(self, output: Output, line: Any = None) -> None:
        """
        Remember an output of the pipeline; those that it has no use for are ignored.

        :param line: what to return later in place of an event or turn, such as its message.
        """
        line = output if line is None else line
        if isinstance(output, AffectState):
            self._begin(output)
        elif isinstance(output, SmoothedState):
            self._see(output.state)
        elif isinstance(output, AffectTurn):
            known = self._people.get(output.person_id)
            lines = (self._undecided if known is None or output.speaker is Speaker.UNDECIDED
                     else known.turns)
            lines.append((output.end_ns, line))
        elif isinstance(output, AffectMood):
            if not output.group and output.person_id in self._people:
                self._people[output.person_id].mood = output
        elif isinstance(output, AffectEvent) and output.person_id in self._people:
            self._people[output.person_id].events.append((output.stamp_ns, line))
            if output.kind is EventKind.LEFT:
                self._people[output.person_id].present = False

    def recall(self, person_id: str = '', seconds_back: float = 0.0) -> Recalled:
        """
        Return how one person, or everybody, was.

        :param person_id: empty for everybody.
        :param seconds_back: from the newest window; 0 for all that is remembered.
        :raises InputError: ``unknown_person`` for a person who was never seen or is forgotten,
            ``bad_seconds`` for a time that is not a finite number from 0 on.
        """
        if not 0 <= seconds_back < math.inf:
            raise InputError('bad_seconds', f'seconds: {seconds_back:g}; allowed: 0 for all that '
                             'is remembered, and above')
        if person_id and person_id not in self._people:
            known = ', '.join(filter(None, self._people)) or 'nobody'
            raise InputError(
                'unknown_person', f'person_id: {person_id!r} is not known; known: {known}; people '
                f'who left are forgotten after {self._settings.forget_s:g} s (memory.forget_s)')
        back_ns = min(nanoseconds(min(seconds_back, 1e9)) or self._keep_ns, self._keep_ns)
        since_ns = self._now_ns - back_ns
        asked = [person_id] if person_id else list(self._people)
        return Recalled(
            self._now_ns, tuple(self._history(one, since_ns) for one in asked),
            () if person_id else _since(self._undecided, since_ns))

    # --- inside ------------------------------------------------------------------------------

    def _begin(self, state: AffectState) -> None:
        """Take a raw state: its deviations, and the time."""
        end_ns = state.window_end_ns
        if end_ns < self._now_ns:
            self.clear()
        if end_ns != self._now_ns:
            self._now_ns, self._raw = end_ns, {}
            self._trim()
        self._raw[state.person_id] = state

    def _see(self, state: AffectState) -> None:
        raw = self._raw.get(state.person_id)
        if raw is None:
            return
        person = self._people.setdefault(state.person_id, _Person())
        person.seen_ns, person.present = state.window_end_ns, True
        samples = person.samples
        if not math.isfinite(state.affect.valence) or (
                samples and state.window_end_ns - samples[-1].end_ns < _EVERY_NS):
            return
        region = region_of(self._regions, state.affect) or NO_REGION
        samples.append(_Sample(state.window_end_ns, state.affect.valence, state.affect.arousal,
                               raw.valence_std, raw.arousal_std, region))

    def _here(self, person_id: str) -> bool:
        """Tell whether a person is in view; a voice with nobody in view is so while heard."""
        person = self._people[person_id]
        return person.present and (bool(person_id) or person.seen_ns == self._now_ns)

    def _trim(self) -> None:
        oldest_ns, gone_ns = self._now_ns - self._keep_ns, self._now_ns - self._forget_ns
        self._people = {person_id: person for person_id, person in self._people.items()
                        if self._here(person_id) or person.seen_ns >= gone_ns}
        while len(self._people) > MOST_PEOPLE:
            del self._people[min(self._people, key=lambda one: self._people[one].seen_ns)]
        for person in self._people.values():
            while person.samples and person.samples[0].end_ns < oldest_ns:
                person.samples.popleft()
            for lines in (person.events, person.turns):
                _drop(lines, oldest_ns)
        _drop(self._undecided, oldest_ns)

    def _history(self, person_id: str, since_ns: int) -> History:
        person = self._people[person_id]
        samples = [one for one in person.samples if one.end_ns > since_ns]
        found = np.array([(one.end_ns - self._now_ns, one.valence, one.arousal, one.valence_std,
                           one.arousal_std) for one in samples], np.float64).reshape(-1, 5)
        count = len(samples)
        evidence_s = count * seconds(_EVERY_NS)
        # Overlapping windows share their error: they count as often as whole windows fit.
        fits = max(1.0, evidence_s / self._length_s)
        mean = found[:, 1:3].mean(0).tolist() if count else [math.nan] * 2
        valence_std, arousal_std = (np.sqrt(np.square(found[:, 3:]).mean(0) / fits).tolist()
                                    if count else [math.nan] * 2)
        trend, trend_std = self._trend(found, evidence_s)
        counted = Counter(one.region for one in samples)
        return History(
            person_id, self._here(person_id), samples[0].end_ns if samples else person.seen_ns,
            samples[-1].end_ns if samples else person.seen_ns, evidence_s,
            Affect(*mean) if count else UNKNOWN, valence_std, arousal_std, trend, trend_std,
            {name: n / count for name, n in counted.most_common()}, person.mood,
            _since(person.events, since_ns), _since(person.turns, since_ns))

    def _trend(
        self, found: NDArray[np.float64], evidence_s: float,
    ) -> tuple[tuple[float, float], tuple[float, float]]:
        """Return the slopes per minute, by least squares, and their standard deviations."""
        minutes = found[:, 0] / (60 * NS)
        if evidence_s < 2 * self._length_s or not minutes.var() > 0:
            return (math.nan, math.nan), (math.nan, math.nan)
        apart = minutes - minutes.mean()
        points = found[:, 1:3] - found[:, 1:3].mean(0)
        slope = apart @ points / (apart @ apart)
        left = np.square(points - apart[:, None] * slope).mean(0)
        # Passing feelings last about twice their time constant, errors as long as a window.
        variance = (left * 2 * self._passing_s + np.square(found[:, 3:]).mean(0) * self._length_s
                    ) / evidence_s / np.square(apart).mean()
        (valence, arousal), (valence_std, arousal_std) = slope, np.sqrt(variance)
        return ((float(valence), float(arousal)), (float(valence_std), float(arousal_std)))


def _since(lines: _Lines, since_ns: int) -> tuple[Any, ...]:
    return tuple(line for when_ns, line in lines if when_ns > since_ns)


def _drop(lines: _Lines, oldest_ns: int) -> None:
    while lines and lines[0][0] < oldest_ns:
        lines.popleft()
