"""
Alignment: find the state that corresponds to each annotated time.

A state is current from the end of its window until the next window ends
(:func:`maven_ros.rules.speaks_until`); it is what a robot would have known at that time. Raters
react with a delay, so ``offset_s`` shifts the annotation: the value given at ``t`` is compared
with the state at ``t - offset_s``.
"""

from __future__ import annotations

import enum
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from maven_ros import rules
from maven_ros.errors import InputError
from maven_ros.records import AffectState, nanoseconds
from maven_ros.scoring.annotations import SIDES, Annotation
from maven_ros.scoring.sides import side_of, usual_sides


class Missing(enum.IntEnum):
    """Why an annotated time has no state."""

    NOTHING = 0       # it has a state
    NO_WINDOW = 1     # no window ended shortly before it
    NOT_IN_VIEW = 2   # a window did, without the person
    NO_EVIDENCE = 3   # the person was in it, without evidence


@dataclass(frozen=True, slots=True)
class Pairs:
    """
    Annotated times of one person in one bag, each with the state at that time.

    :param times_ns: int64 (n,), times of the annotation.
    :param annotated: float64 (n, 2), valence and arousal.
    :param estimated: float64 (n, 2), valence and arousal; NaN if missing, see ``missing``.
    :param spread: float64 (n, 2), standard deviations of the estimates.
    :param evidence: uint8 (n,), the mask of :class:`maven_ros.records.Modality`.
    :param missing: uint8 (n,), of :class:`Missing`.
    :param unlabelled: number of further times without a label.
    """

    bag: str
    person: str
    times_ns: NDArray[np.int64]
    annotated: NDArray[np.float64]
    estimated: NDArray[np.float64]
    spread: NDArray[np.float64]
    evidence: NDArray[np.uint8]
    missing: NDArray[np.uint8]
    unlabelled: int = 0

    @property
    def covered(self) -> NDArray[np.bool_]:
        """Whether each time has a state: bool (n,)."""
        covered: NDArray[np.bool_] = self.missing == Missing.NOTHING
        return covered

    @property
    def error(self) -> NDArray[np.float64]:
        """Distance between the two points: float64 (n,), NaN without a state."""
        distance: NDArray[np.float64] = np.hypot(*(self.estimated - self.annotated).T)
        return distance


def take(pairs: Pairs, index: NDArray[np.intp]) -> Pairs:
    """Return the pairs at some indices."""
    return replace(
        pairs, times_ns=pairs.times_ns[index], annotated=pairs.annotated[index],
        estimated=pairs.estimated[index], spread=pairs.spread[index],
        evidence=pairs.evidence[index], missing=pairs.missing[index])


@dataclass(frozen=True, slots=True)
class Believed:
    """
    The states of one person, window by window.

    :param ends_ns: int64 (windows,), ascending: the ends of all windows of the bag.
    :param values: float64 (windows, 5): valence, arousal, their standard deviations, evidence;
        NaN if the person has no state, or a state without evidence.
    :param present: bool (windows,), whether the person was in the window.
    :param hop_s: time for which a state is current, in seconds.
    """

    ends_ns: NDArray[np.int64]
    values: NDArray[np.float64]
    present: NDArray[np.bool_]
    hop_s: float


def check_order(bag: str, states: Sequence[AffectState]) -> None:
    """
    Check that the time of a bag never goes back; otherwise a time has several states.

    :param states: states of all people in the bag, in order of arrival.
    :raises InputError: names the two windows.
    """
    for before, after in itertools.pairwise(state.window_end_ns for state in states):
        if after < before:
            raise InputError('time_goes_back', f'{bag}: a window that ends at {after} ns came '
                             f'after one that ends at {before} ns; allowed: later ones')


def believed(person: str, states: Sequence[AffectState], hop_s: float) -> Believed:
    """
    Collect the states of one person.

    :param person: the person, as in :class:`Annotation`.
    :param states: states of all people in the bag.
    :param hop_s: hop between windows, in seconds.
    """
    chosen = states_of(person, states)
    ends = sorted({state.window_end_ns for state in states})
    values = np.full((len(ends), 5), np.nan)
    for row, end_ns in enumerate(ends):
        if state := chosen.get(end_ns):
            values[row] = (state.affect.valence, state.affect.arousal, state.valence_std,
                           state.arousal_std, int(state.modalities))
    return Believed(np.array(ends, np.int64), values,
                    np.array([end_ns in chosen for end_ns in ends], np.bool_), hop_s)


def align(bag: str, annotation: Annotation, held: Believed, offset_s: float = 0.0) -> Pairs:
    """
    Find the state at each annotated time.

    :param bag: name of the bag.
    :param held: states of the same person.
    :param offset_s: delay of the raters, in seconds.
    """
    asked_ns = annotation.times_ns - nanoseconds(offset_s)
    index = np.searchsorted(held.ends_ns, asked_ns, side='right') - 1
    known = index >= 0
    known[known] = asked_ns[known] < rules.speaks_until(
        held.ends_ns[index[known]], nanoseconds(held.hop_s))
    found = np.full((len(index), 5), np.nan)
    found[known] = held.values[index[known]]
    missing = np.full(len(index), Missing.NO_WINDOW, np.uint8)
    missing[known] = np.where(held.present[index[known]], Missing.NO_EVIDENCE, Missing.NOT_IN_VIEW)
    missing[np.isfinite(found).all(1)] = Missing.NOTHING
    found[missing != Missing.NOTHING] = np.nan
    return Pairs(
        bag, annotation.person, annotation.times_ns, annotation.affect, found[:, :2],
        found[:, 2:4], np.nan_to_num(found[:, 4]).astype(np.uint8), missing,
        annotation.unlabelled)


def states_of(person: str, states: Sequence[AffectState]) -> dict[int, AffectState]:
    """
    Choose the state of one person in each window that has a state of the person.

    The empty name (``''``) selects the largest face, or the voice if no face is in view. ``left``
    and ``right`` select the outermost of several faces. A face that is alone in view has the side
    on which it was most often seen among several faces, and no side if it never was.

    :returns: states by the end of their window, in nanoseconds.
    """
    windows: dict[int, list[AffectState]] = {}
    for state in states:
        windows.setdefault(state.window_end_ns, []).append(state)
    if person == '':
        return {end_ns: max(own, key=_area) for end_ns, own in windows.items()}
    if person not in SIDES:
        return {end_ns: state for end_ns, own in windows.items() for state in own
                if state.person_id == person}
    seen = {end_ns: {state.person_id: state.face for state in own if state.face}
            for end_ns, own in windows.items()}
    usual = usual_sides(seen.values())
    return {end_ns: state for end_ns, own in windows.items() for state in own
            if side_of(state.person_id, seen[end_ns], usual) == person}


def _area(state: AffectState) -> int:
    return state.face.width * state.face.height if state.face else 0
