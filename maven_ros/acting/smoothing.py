"""
Smooth a person's states causally, with one Kalman filter for valence and one for arousal.

Windows overlap: a window of 2 s every 0.2 s shares nine tenths of its evidence with the previous
one, and so most of its error. A filter that took ten such states for ten independent measurements
would be far too sure. So the model treats the error as correlated from window to window::

    x_k = x_(k-1) + w           the person wanders; var w = process_noise * dt
    y_k = x_k + e_k             the state; std of e_k is the state's own
    e_k = a e_(k-1) + v         var v = std_k^2 - a^2 std_(k-1)^2
    a = exp(-2 dt / length) * min(1, std_k / std_(k-1))

The integral of exp(-2 dt / length) over dt equals that of the overlap of two windows of that
length, so a long run of windows counts as many times as whole windows fit into it. The filter
works on the difference z_k = y_k - a y_(k-1) = (1 - a) x_(k-1) + w + v, whose noise is white
(Bryson and Henrikson, "Estimation using sampled data containing sequentially correlated noise",
1968). An error that lasts longer than a window, such as a face that the model misreads, is not
noise to this filter: it stays in the value and is not part of the standard deviation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

from maven_ros.affect import Affect
from maven_ros.freezing import Freezing, plain_data
from maven_ros.records import AffectState, nanoseconds, seconds
from maven_ros.settings import SmoothingSettings

_LEAST_STD = 1e-3  # smaller standard deviations are raised to this


@plain_data
@dataclass(slots=True)
class Axis:
    """
    The filter of one person's valence or arousal.

    :param mean: estimate, in [-1, 1].
    :param variance: variance of the estimate.
    :param measured: value of the last state.
    :param std: standard deviation of the last state.
    """

    mean: float
    variance: float
    measured: float
    std: float

    @classmethod
    def begun(cls, measured: float, std: float) -> Axis:
        """Start from a first measurement."""
        return cls(measured, std**2, measured, std)

    def advance(self, measured: float, std: float, kept: float, wandered: float) -> None:
        """
        Update the filter with the next measurement.

        :param kept: correlation of its error with that of the last one, in [0, 1).
        :param wandered: variance of the person's movement since the last one.
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
    """Smooth the states of all people, each separately."""

    _fixed: ClassVar[frozenset[str]] = frozenset({'_settings', '_gap_ns'})

    def __init__(self, settings: SmoothingSettings) -> None:
        self.change(settings)
        self.reset()

    def change(self, settings: SmoothingSettings) -> None:
        """Apply new settings; the current estimates stay."""
        self._settings = settings
        self._gap_ns = nanoseconds(settings.gap_s)

    def reset(self) -> None:
        """Forget everybody."""
        self._tracks: dict[str, Track] = {}

    def take(self, state: AffectState) -> AffectState:
        """
        Return the smoothed state; only the point and its standard deviations change.

        A state without evidence is returned unchanged. After a gap in the evidence the filter is
        less sure, and after ``smoothing.gap_s`` it starts anew.

        :param state: the states of a person must be in order, one per window.
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
