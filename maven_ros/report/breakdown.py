"""Break errors down by quadrant and by evidence, and find the worst ten seconds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from maven_ros.records import NS, AffectState, Modality, Pixels
from maven_ros.replay.pictures import pictures_at
from maven_ros.scoring.alignment import Pairs, states_of
from maven_ros.scoring.metrics import NEUTRAL

WORST_S = 10.0
_QUADRANTS = ('pleasant, activated', 'unpleasant, activated', 'unpleasant, calm',
              'pleasant, calm')
_NAMES = {Modality.VIDEO: 'face', Modality.AUDIO: 'voice', Modality.TEXT: 'words'}
_THUMBNAIL_PX = 240


@dataclass(frozen=True, slots=True)
class Subset:
    """
    The errors of one group of frames.

    :param distance: mean distance between annotated and estimated point.
    :param bias: mean of estimate - annotation, for valence and arousal.
    """

    name: str
    frames: int
    distance: float
    bias: tuple[float, float]


def by_quadrant(pairs: Sequence[Pairs]) -> list[Subset]:
    """Group frames by the quadrant of the annotation; frames near neutral form a fifth group."""
    annotated, estimated, _ = _covered(pairs)
    right, up = annotated[:, 0] >= 0, annotated[:, 1] >= 0
    quadrant = np.where(up, np.where(right, 0, 1), np.where(right, 3, 2))
    quadrant[np.hypot(*annotated.T) <= NEUTRAL] = 4
    return [_part(name, annotated, estimated, quadrant == index)
            for index, name in enumerate((*_QUADRANTS, 'neutral')) if (quadrant == index).any()]


def by_evidence(pairs: Sequence[Pairs]) -> list[Subset]:
    """Group frames by the evidence in their state."""
    annotated, estimated, evidence = _covered(pairs)
    return [_part(evidence_name(Modality(mask)), annotated, estimated, evidence == mask)
            for mask in np.unique(evidence).tolist()]


def evidence_shares(states: Collection[AffectState]) -> dict[str, float]:
    """Return the share of states with each combination of evidence, most modalities first."""
    counts = Counter(state.modalities for state in states)
    order = sorted(counts, key=lambda one: (-int(one).bit_count(), int(one)))
    return {evidence_name(one): counts[one] / len(states) for one in order}


def evidence_name(mask: Modality) -> str:
    """Name a combination of evidence."""
    return ' + '.join(name for one, name in _NAMES.items() if mask & one) or 'nothing'


def _covered(
    pairs: Sequence[Pairs],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.uint8]]:
    nothing = np.zeros((0, 2))
    return (np.concatenate([nothing, *(one.annotated[one.covered] for one in pairs)]),
            np.concatenate([nothing, *(one.estimated[one.covered] for one in pairs)]),
            np.concatenate([np.zeros(0, np.uint8), *(one.evidence[one.covered] for one in pairs)]))


def _part(
    name: str, annotated: NDArray[np.float64], estimated: NDArray[np.float64],
    chosen: NDArray[np.bool_],
) -> Subset:
    error = estimated[chosen] - annotated[chosen]
    return Subset(name, int(chosen.sum()), float(np.hypot(*error.T).mean()),
                (float(error[:, 0].mean()), float(error[:, 1].mean())))


# --- the worst seconds -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of ten seconds of one person in a bag, with its mean distance."""

    pairs: Pairs
    start_ns: int
    distance: float

    @property
    def last_ns(self) -> int:
        """Time of the last frame with a state in the stretch."""
        times_ns = self.pairs.times_ns[self.pairs.covered]
        return int(times_ns[times_ns < self.end_ns][-1])

    @property
    def end_ns(self) -> int:
        """End of the stretch, exclusive."""
        return self.start_ns + int(WORST_S * NS)


def worst_spans(pairs: Sequence[Pairs], count: int = 3) -> list[Span]:
    """
    Find the stretches of ten seconds with the largest mean distances.

    :param count: largest number of stretches; they do not overlap.
    """
    candidates = [span for one in pairs for span in _spans(one)]
    found: list[Span] = []
    for span in sorted(candidates, key=lambda one: -one.distance):
        if len(found) < count and all(
                span.pairs.bag != one.pairs.bag or span.start_ns >= one.end_ns
                or one.start_ns >= span.end_ns for one in found):
            found.append(span)
    return found


def _spans(pairs: Pairs) -> list[Span]:
    """Return a span for each whole second with a frame, if enough frames follow."""
    times_ns, error = pairs.times_ns[pairs.covered], pairs.error[pairs.covered]
    if not len(times_ns):
        return []
    total = np.concatenate([[0.0], np.cumsum(error)])
    _, starts = np.unique((times_ns - times_ns[0]) // NS, return_index=True)
    ends = np.searchsorted(times_ns, times_ns[starts] + int(WORST_S * NS))
    frames = ends - starts
    means = (total[ends] - total[starts]) / frames
    enough = frames >= frames.max() / 2
    return [Span(pairs, int(times_ns[start]), float(mean)) for start, mean in
            zip(starts[enough], means[enough], strict=True)]


@dataclass(frozen=True, slots=True)
class Shot:
    """
    One moment of a span, with its picture.

    :param picture: small BGR picture with a frame around the face; None if there is none.
    :param annotated: valence and arousal.
    """

    time_ns: int
    picture: Pixels | None
    annotated: tuple[float, float]
    estimated: tuple[float, float]


def shots(
    span: Span, bag: Path, states: Sequence[AffectState], image_topic: str, count: int = 6,
) -> list[Shot]:
    """
    Return moments that are spread evenly over a span.

    :param image_topic: topic of their pictures; empty for none.
    :raises ResourceError: if the bag cannot be read.
    """
    covered = np.flatnonzero(span.pairs.covered)
    times_ns = span.pairs.times_ns[covered]
    inside = covered[(times_ns >= span.start_ns) & (times_ns < span.end_ns)]
    chosen = inside[np.unique(np.linspace(0, len(inside) - 1, count).round().astype(int))]
    moments = [int(span.pairs.times_ns[index]) for index in chosen]
    people = states_of(span.pairs.person, states)
    ends = np.array(sorted(people), np.int64)
    found = []
    for index, taken in zip(chosen, pictures_at(bag, moments, image_topic), strict=True):
        time_ns = int(span.pairs.times_ns[index])
        place = int(np.searchsorted(ends, time_ns, side='right')) - 1
        state = people[int(ends[place])] if place >= 0 else None
        annotated, estimated = span.pairs.annotated[index], span.pairs.estimated[index]
        found.append(Shot(
            time_ns, _thumbnail(taken[1], state) if taken else None,
            (float(annotated[0]), float(annotated[1])),
            (float(estimated[0]), float(estimated[1]))))
    return found


def _thumbnail(pixels: Pixels, state: AffectState | None) -> Pixels:
    import cv2

    height, width = pixels.shape[:2]
    scale = _THUMBNAIL_PX / width
    small = cv2.resize(pixels, (_THUMBNAIL_PX, max(1, round(height * scale))),
                       interpolation=cv2.INTER_AREA)
    if state is not None and state.face is not None:
        box = state.face
        corner = round(box.x * scale), round(box.y * scale)
        opposite = round((box.x + box.width) * scale), round((box.y + box.height) * scale)
        cv2.rectangle(small, corner, opposite, (255, 255, 255), 2, cv2.LINE_AA)
    return small.astype(np.uint8, copy=False)
