"""
One state for each final utterance, from its first to its last word.

The windows of an utterance are those that overlap it, up to the first one that holds its last
word: so a turn is known as soon as the utterance is final and this window is judged, and does not
depend on the order of the two. Each window counts by the time that it shares with the utterance.

- The *speaker* is the person to whom the voice belongs for more than half of that time, among the
  windows with a voice or words. Otherwise the speaker is undecided, and the turn has no estimate.
- The estimate is the mean of the speaker's states. Overlapping windows share most of their error,
  so an utterance counts as many times as whole windows fit into it, and at least once.
"""

from __future__ import annotations

import math
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from maven_ros.affect import UNKNOWN, Affect
from maven_ros.freezing import Freezing, plain_data
from maven_ros.records import (
    MODALITIES,
    NS,
    AffectState,
    AffectTurn,
    Alone,
    Modality,
    Speaker,
    Utterance,
    VoiceAssigned,
)

#: Windows are kept for so long; a longer utterance rests on its end.
_KEEP_NS = 60 * NS
#: Utterances that wait for their windows; more come only with stamps that are far ahead.
_MOST_WAITING = 16
_SPOKEN = Modality.AUDIO | Modality.TEXT


@plain_data
@dataclass(frozen=True, slots=True)
class Heard:
    """One person's state in one window, as far as turns need it."""

    start_ns: int
    end_ns: int
    person_id: str
    affect: Affect
    valence_std: float
    arousal_std: float
    modalities: int
    voice: int
    alone: Alone
    attending: float
    frame_id: str
    model: str

    @property
    def speaks(self) -> bool:
        """Whether the voice or the words of the window are this person's."""
        return bool(self.modalities & _SPOKEN) and self.voice != VoiceAssigned.OTHER


class Turns(Freezing):
    """Make turns of utterances and states."""

    _fixed: ClassVar[frozenset[str]] = frozenset()

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget all windows and utterances; call :meth:`end` first to get their turns."""
        self._windows: deque[tuple[Heard, ...]] = deque()
        self._waiting: deque[Utterance] = deque()

    def take(
        self, states: Sequence[AffectState], attending: Mapping[str, bool | None],
    ) -> list[AffectTurn]:
        """
        Return the turns that the states of one window complete.

        :param states: one per person, at least one; windows must be in order.
        :param attending: whether each person attends to the robot, where that is known.
        """
        end_ns = states[0].window_end_ns
        self._windows.append(tuple(
            _heard(state, attending.get(state.person_id)) for state in states))
        while self._windows[0][0].end_ns < end_ns - _KEEP_NS:
            self._windows.popleft()
        due = [one for one in self._waiting if one.end_ns <= end_ns]
        self._waiting = deque(one for one in self._waiting if one.end_ns > end_ns)
        return [self._turn(one) for one in due]

    def hear(self, utterance: Utterance) -> list[AffectTurn]:
        """Return the turn of an utterance if it is final and its windows have passed."""
        if not (utterance.is_final and utterance.words):
            return []
        utterance = replace(utterance, start_ns=min(one.start_ns for one in utterance.words),
                            end_ns=max(one.end_ns for one in utterance.words))
        if self._windows and self._windows[-1][0].end_ns >= utterance.end_ns:
            return [self._turn(utterance)]
        self._waiting.append(utterance)
        surplus = len(self._waiting) > _MOST_WAITING
        return [self._turn(self._waiting.popleft())] if surplus else []

    def end(self) -> list[AffectTurn]:
        """Return the turns that still wait, from the windows that there are."""
        waiting, self._waiting = self._waiting, deque()
        return [self._turn(one) for one in waiting]

    # --- inside ------------------------------------------------------------------------------

    def _turn(self, utterance: Utterance) -> AffectTurn:
        start_ns, end_ns = utterance.start_ns, utterance.end_ns
        last_ns = min((window[0].end_ns for window in self._windows
                       if window[0].end_ns >= end_ns), default=end_ns)
        windows = [window for window in self._windows
                   if start_ns < window[0].end_ns <= last_ns and window[0].start_ns < end_ns]
        speaker, person_id = _speaker(windows, start_ns, end_ns)
        own = [] if speaker is Speaker.UNDECIDED else [
            one for window in windows for one in window
            if one.person_id == person_id and math.isfinite(one.affect.valence)]
        shared = [_shared_ns(one, start_ns, end_ns) for one in own]
        affect = _mean([one.affect for one in own], shared) or UNKNOWN
        fits = max(1.0, (end_ns - start_ns) / (own[0].end_ns - own[0].start_ns)) if own else 1.0
        modalities = Modality.NONE
        for one in own:
            modalities |= Modality(one.modalities)
        return AffectTurn(
            start_ns, end_ns, speaker, person_id, utterance.words, utterance.language, affect,
            _std([one.valence_std for one in own], shared, fits),
            _std([one.arousal_std for one in own], shared, fits), modalities,
            Alone(*(_mean([getattr(one.alone, name) for one in own], shared)
                    for name in MODALITIES)),
            _share([one.attending for one in own], shared),
            windows[-1][0].frame_id if windows else '', own[-1].model if own else '')


def _heard(state: AffectState, attending: bool | None) -> Heard:
    return Heard(
        state.window_start_ns, state.window_end_ns, state.person_id, state.affect,
        state.valence_std, state.arousal_std, int(state.modalities), int(state.voice_assigned),
        state.alone, math.nan if attending is None else float(attending),
        state.frame_id, state.model)


def _shared_ns(window: Heard, start_ns: int, end_ns: int) -> int:
    return min(window.end_ns, end_ns) - max(window.start_ns, start_ns)


def _speaker(
    windows: Iterable[tuple[Heard, ...]], start_ns: int, end_ns: int,
) -> tuple[Speaker, str]:
    """Return how it is known who speaks, and the id of this person."""
    votes: dict[tuple[Speaker, str], int] = defaultdict(int)
    for window in windows:
        found = [one for one in window if one.speaks]
        if found:
            one = found[0]
            how = (Speaker.UNSEEN if not one.person_id else
                   Speaker.SEEN if one.voice == VoiceAssigned.SELF else Speaker.ALONE)
            votes[how, one.person_id] += _shared_ns(one, start_ns, end_ns)
        elif any(one.voice == VoiceAssigned.UNDECIDED for one in window):
            votes[Speaker.UNDECIDED, ''] += _shared_ns(window[0], start_ns, end_ns)
    people: dict[str, int] = defaultdict(int)
    for (how, person_id), shared_ns in votes.items():
        if how is not Speaker.UNDECIDED:
            people[person_id] += shared_ns
    person_id = max(people, key=lambda one: people[one], default='')
    if not people or 2 * people[person_id] <= sum(votes.values()):
        return Speaker.UNDECIDED, ''
    return max((one for one in votes if one[0] is not Speaker.UNDECIDED and one[1] == person_id),
               key=lambda one: votes[one])


def _mean(points: Sequence[Affect | None], weights: Sequence[int]) -> Affect | None:
    """Return the weighted mean of the points that are there; None without any."""
    known = [(point, weight) for point, weight in zip(points, weights, strict=True)
             if point is not None]
    total = sum(weight for _, weight in known)
    if not total:
        return None
    return Affect(sum(weight * point.valence for point, weight in known) / total,
                  sum(weight * point.arousal for point, weight in known) / total)


def _share(parts: Sequence[float], weights: Sequence[int]) -> float:
    """Return the weighted mean of the parts that are known; NaN without any."""
    known = [(part, weight) for part, weight in zip(parts, weights, strict=True)
             if not math.isnan(part)]
    total = sum(weight for _, weight in known)
    return sum(part * weight for part, weight in known) / total if total else math.nan


def _std(stds: Sequence[float], weights: Sequence[int], fits: float) -> float:
    """Return the deviation of a mean of errors that last for a window."""
    total = sum(weights)
    if not total:
        return math.nan
    return math.sqrt(sum(weight * std**2 for std, weight in zip(stds, weights, strict=True))
                     / total / fits)
