"""
Estimates for every frame of recorded people, with scores.

There are three kinds of smoothing:

- ``none``: the estimate of the window that ended last, as on ``/affect/state``;
- ``causal``: the same with the smoothing of ``/affect/state_smoothed``, as a robot would know it;
- ``centred``: the mean over all windows that contain the frame, smoothed by a Gaussian; it uses
  the future, so it is for recordings only.

The challenge requires an estimate for every frame. A frame without one gets the previous estimate
(``centred``: linear interpolation); these frames are counted and have no evidence.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from maven_ros import rules
from maven_ros.acting.smoothing import Smoother
from maven_ros.affect import Affect
from maven_ros.files import owner_only, written
from maven_ros.records import NS, AffectState, Modality, Status, VoiceAssigned, seconds
from maven_ros.scoring.alignment import Believed, Missing, Pairs, align, take
from maven_ros.scoring.annotations import Annotation
from maven_ros.scoring.metrics import Array
from maven_ros.scoring.resultset import Excluded, ResultSet
from maven_ros.settings import SmoothingSettings
from maven_ros.text import cell
from maven_ros.training.people.prepared import Frames, RecordedPerson

SMOOTHINGS = ('none', 'causal', 'centred')
PREDICTIONS = 'predictions.csv'


@dataclass(frozen=True)
class WindowEstimates:
    """
    The estimates for all windows of one person, in order.

    :param ends_ns: int64 (windows,), ends of the windows.
    :param length_ns: length of each window.
    :param hop_ns: hop between windows.
    :param points: float64 (windows, 2), NaN without evidence.
    :param stds: float64 (windows, 2), standard deviations.
    :param slots: float64 (windows, slots, 2), points of the slots; NaN without evidence.
    :param evidence: uint8 (windows,), masks of :class:`maven_ros.records.Modality`.
    """

    ends_ns: NDArray[np.int64]
    length_ns: int
    hop_ns: int
    points: Array
    stds: Array
    slots: Array
    evidence: NDArray[np.uint8]


@dataclass(frozen=True)
class Prediction:
    """
    The estimates for every frame of one person.

    :param pairs: all frames, labelled or not.
    :param filled: number of frames with the estimate of another frame.
    """

    person: str
    pairs: Pairs
    filled: int


def predict(
    person: RecordedPerson, frames: Frames, windows: WindowEstimates, smoothing: str,
    smoothing_s: float,
) -> Prediction:
    """
    Return the estimates for every frame.

    :param smoothing: one of ``SMOOTHINGS``.
    :param smoothing_s: standard deviation of the Gaussian of ``centred``, in seconds.
    """
    annotation = Annotation(person.person, '', frames.stamps_ns,
                            frames.values.astype(np.float64), 0)
    if smoothing == 'centred':
        pairs = _centred(person, annotation, windows, smoothing_s)
    else:
        held = windows if smoothing == 'none' else _smoothed(windows)
        known = np.isfinite(held.points.sum(1))
        values = np.column_stack([held.points, held.stds, held.evidence])
        values[~known] = np.nan
        pairs = align(person.video, annotation, Believed(
            windows.ends_ns, values, known, seconds(windows.hop_ns)))
    return _filled(person.person, pairs, smoothing == 'centred')


def as_result_set(
    name: str, predictions: Sequence[Prediction], about: dict[str, str],
) -> ResultSet:
    """Return the labelled frames as a result set, which is scored like a replay."""
    pairs, excluded = [], []
    for one in predictions:
        labelled = np.isfinite(one.pairs.annotated).all(1)
        if not labelled.any():
            continue  # no labels, as in a test split
        if not one.pairs.covered.any():
            excluded.append(Excluded(one.pairs.bag, one.person, 'no evidence in any window'))
        pairs.append(replace(take(one.pairs, np.flatnonzero(labelled)),
                             unlabelled=int((~labelled).sum())))
    filled = sum(one.filled for one in predictions)
    return ResultSet(name, pairs, excluded, about={**about, 'filled_frames': filled})


@owner_only()
def write_predictions(path: Path, predictions: Sequence[Prediction]) -> None:
    """
    Write the format of the challenge: ``image_location,valence,arousal``, one line per frame.

    The values of people without any evidence are ``nan``.

    :raises ResourceError: if the file cannot be written.
    """
    with written(path) as beside, beside.open('w', encoding='utf-8', newline='') as file:
        rows = csv.writer(file, lineterminator='\n')
        rows.writerow(('image_location', 'valence', 'arousal'))
        for one in predictions:
            rows.writerows(
                (cell(f'{one.person}/{number:05}.jpg'), f'{valence:.6f}', f'{arousal:.6f}')
                for number, (valence, arousal) in enumerate(one.pairs.estimated, 1))


# --- smoothing -------------------------------------------------------------------------------


def _smoothed(windows: WindowEstimates) -> WindowEstimates:
    """Smooth windows with the node's filter."""
    smoother = Smoother(SmoothingSettings())
    states = [smoother.take(AffectState(
        rules.start_of(end_ns, windows.length_ns), end_ns, Status.OK, '', Affect(*point), std[0],
        std[1], Modality(evidence), (0.0, 0.0, 0.0), VoiceAssigned.NONE, '', None, '', ''))
        for end_ns, point, std, evidence in zip(
            windows.ends_ns.tolist(), windows.points.tolist(), windows.stds.tolist(),
            windows.evidence.tolist(), strict=True)]
    return replace(
        windows,
        points=np.array([[one.affect.valence, one.affect.arousal] for one in states]),
        stds=np.array([[one.valence_std, one.arousal_std] for one in states]))


def _centred(
    person: RecordedPerson, annotation: Annotation, windows: WindowEstimates, smoothing_s: float,
) -> Pairs:
    """Average over all windows that contain a frame, and smooth with a Gaussian."""
    stamps_ns = annotation.times_ns
    sums, counts = np.zeros((len(stamps_ns), 4)), np.zeros(len(stamps_ns))
    evidence = np.zeros(len(stamps_ns), np.uint8)
    slots = windows.slots.shape[1]
    for window, end_ns in enumerate(windows.ends_ns.tolist()):
        start_ns = rules.start_of(end_ns, windows.length_ns)
        places = np.flatnonzero(rules.holds(start_ns, end_ns, stamps_ns))
        said = windows.slots[window, rules.slot_of(stamps_ns[places], start_ns, end_ns, slots)]
        known = np.isfinite(said).all(1)
        places = places[known]
        sums[places, :2] += said[known]
        sums[places, 2:] += windows.stds[window]
        counts[places] += 1
        evidence[places] |= windows.evidence[window]
    values = _gaussian(sums, counts, stamps_ns, smoothing_s)
    missing = np.where(np.isfinite(values[:, 0]), Missing.NOTHING, Missing.NO_EVIDENCE)
    return Pairs(person.video, person.person, stamps_ns, annotation.affect, values[:, :2],
                 values[:, 2:], evidence, missing.astype(np.uint8))


def _gaussian(
    sums: Array, counts: Array, stamps_ns: NDArray[np.int64], smoothing_s: float,
) -> Array:
    """Smooth the known values of frames with a Gaussian; NaN farther than 3 sigma from any."""
    step_s = float(np.median(np.diff(stamps_ns))) / NS if len(stamps_ns) > 1 else 1.0
    reach = max(1, round(3 * smoothing_s / step_s))
    kernel = np.exp(-0.5 * np.square(np.arange(-reach, reach + 1) * step_s / smoothing_s))
    known = counts > 0
    means = np.zeros_like(sums)
    means[known] = sums[known] / counts[known, None]

    def spread(series: Array) -> Array:
        whole: Array = np.convolve(series, kernel)[reach:reach + len(series)]
        return whole

    weight = spread(known.astype(np.float64))
    with np.errstate(invalid='ignore', divide='ignore'):
        smooth: Array = np.column_stack([spread(series) for series in means.T]) / weight[:, None]
    smooth[weight < kernel[0]] = np.nan  # only rounding errors
    return smooth


def _filled(person: str, pairs: Pairs, both_ways: bool) -> Prediction:
    """Fill missing estimates from other frames."""
    lacking = ~pairs.covered
    known = np.flatnonzero(~lacking)
    if not lacking.any() or not len(known):
        return Prediction(person, pairs, 0)
    values = np.column_stack([pairs.estimated, pairs.spread])
    places = np.flatnonzero(lacking)
    if both_ways:
        for column in values.T:
            column[places] = np.interp(places, known, column[known])
    else:  # frames before the first estimate get the first one
        before = known[np.maximum(0, np.searchsorted(known, places, side='right') - 1)]
        values[places] = values[before]
    return Prediction(person, replace(
        pairs, estimated=values[:, :2], spread=values[:, 2:],
        missing=np.full_like(pairs.missing, Missing.NOTHING)), len(places))
