"""
Smooths a person's states, causally: a Kalman filter on valence and one on arousal.

Windows overlap: one of 2 s every 0.2 s shares nine tenths of its evidence with the one before, and
so most of its error. To take ten of them for ten measurements would make the result far surer than
it is. The error is therefore modelled as what it is, correlated from window to window::

    x_k = x_(k-1) + w           the person wanders; var w = process_noise * dt
    y_k = x_k + e_k             the state; std of e_k is the state's own
    e_k = a e_(k-1) + v         var v = std_k^2 - a^2 std_(k-1)^2
    a = exp(-2 dt / length) * min(1, std_k / std_(k-1))

exp(-2 dt / length) has the same integral over dt as the share of time that two windows of that
length have in common, so that a long run of windows counts as many times as whole windows fit
into it. Filtered is the difference z_k = y_k - a y_(k-1) = (1 - a) x_(k-1) + w + v, whose noise
is white (Bryson and Henrikson, "Estimation using sampled data containing sequentially correlated
noise", 1968). What stays wrong for longer than a window, such as a face that the model misreads,
is no noise that any filter could take away, and not in the standard deviation that comes out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

from maven_ros.affect import Affect
from maven_ros.freezing import Freezing, plain_data
from maven_ros.records import AffectState, nanoseconds, seconds
from maven_ros.settings import SmoothingSettings

_LEAST_STD = 1e-3  # a state that claims to be surer is taken to be as sure as that


@plain_data
@dataclass(slots=True)
class Axis:
    """
    Valence or arousal of one person: what is believed, and the measurement that it rests on.

    :param mean: in [-1, 1].
    :param variance: of the mean.
    :param measured: the last state's value.
    :param std: the last state's standard deviation.
    """

    mean: float
    variance: float
    measured: float
    std: float

    @classmethod
    def begun(cls, measured: float, std: float) -> Axis:
        """Believe a first measurement as it is."""
        return cls(measured, std**2, measured, std)

    def advance(self, measured: float, std: float, kept: float, wandered: float) -> None:
        """
        Take the next measurement.

        :param kept: correlation of its error with the last one's, in [0, 1).
        :param wandered: variance of what the person has moved since.
        """
        a = kept * min(1.0, std / self.std)
        innovation = measured - a * self.measured - (1.0 - a) * self.mean
        covariance = (1.0 - a) * self.variance + wandered
        fresh = std**2 - (a * self.std)**2
        gain = covariance / ((1.0 - a)**2 * self.variance + wandered + fresh)
        self.mean = min(1.0, max(-1.0, self.mean + gain * innovation))
        self.variance += wandered - gain * covariance
        self.measured, self.std = measured, std


@plain_data
@dataclass(slots=True)
class Track:
    """One person's filters, and the end of the last window with evidence."""

    end_ns: int
    valence: Axis
    arousal: Axis


class Smoother(Freezing):
    """Smooths the states of all people, each by themselves."""

    _fixed: ClassVar[frozenset[str]] = frozenset({'_settings', '_gap_ns'})

    def __init__(self, settings: SmoothingSettings) -> None:
        self.change(settings)
        self.reset()

    def change(self, settings: SmoothingSettings) -> None:
        """Go on with other settings; what is believed of everybody stays."""
        self._settings = settings
        self._gap_ns = nanoseconds(settings.gap_s)

    def reset(self) -> None:
        """Forget everybody."""
        self._tracks: dict[str, Track] = {}

    def take(self, state: AffectState) -> AffectState:
        """
        Return a state smoothed; all but the point and its standard deviations stays as it is.

        A state without evidence stays one: nothing is made up for it. After a gap without evidence
        a person's filter knows less, and after ``smoothing.gap_s`` it starts anew.

        :param state: a person's states come in order of time, one a window.
        """
        end_ns = state.window_end_ns
        self._tracks = {person_id: track for person_id, track in self._tracks.items()
                        if 0 <= end_ns - track.end_ns <= self._gap_ns}
        if not all(map(math.isfinite, (state.affect.valence, state.affect.arousal,
                                       state.valence_std, state.arousal_std))):
            return state
        track = self._tracks.get(state.person_id)
        if track is None:
            track = self._begin(state)
        else:
            self._advance(track, state)
        return replace(
            state, affect=Affect(track.valence.mean, track.arousal.mean),
            valence_std=math.sqrt(track.valence.variance),
            arousal_std=math.sqrt(track.arousal.variance))

    def _begin(self, state: AffectState) -> Track:
        track = self._tracks[state.person_id] = Track(
            state.window_end_ns,
            Axis.begun(state.affect.valence, max(state.valence_std, _LEAST_STD)),
            Axis.begun(state.affect.arousal, max(state.arousal_std, _LEAST_STD)))
        return track

    def _advance(self, track: Track, state: AffectState) -> None:
        elapsed_s = seconds(state.window_end_ns - track.end_ns)
        length_s = seconds(state.window_end_ns - state.window_start_ns)
        kept = math.exp(-2.0 * elapsed_s / length_s)
        wandered = self._settings.process_noise * elapsed_s
        track.valence.advance(
            state.affect.valence, max(state.valence_std, _LEAST_STD), kept, wandered)
        track.arousal.advance(
            state.affect.arousal, max(state.arousal_std, _LEAST_STD), kept, wandered)
        track.end_ns = state.window_end_ns
