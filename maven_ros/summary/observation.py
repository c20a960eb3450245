"""What is known about a person at one time: the facts that sentences may be made of."""

from __future__ import annotations

from dataclasses import dataclass, field

from maven_ros.affect import UNKNOWN, Affect, confidence
from maven_ros.records import AffectMood, Alone, EventKind, Modality


@dataclass(frozen=True, slots=True)
class Observation:
    """
    What is known about a person; whatever is unknown keeps its default, and no sentence says it.

    :param people: number of people in view.
    :param affect: the point, with its standard deviations.
    :param region: name of the region that the person is in; empty for none.
    :param modalities: the evidence on which the point rests.
    :param alone: what each modality says alone.
    :param change: REGION_ENTERED, ROSE or FELL, if that has been seen to happen.
    :param since_s: seconds since the change.
    :param words: what the person said meanwhile.
    :param stale: whether a stream of evidence has stopped.
    :param mood: the person's mood.
    :param attending: whether the person attends to the robot.
    :param left: whether the person has left; nothing else is said then.
    """

    person_id: str = ''
    people: int = 1
    affect: Affect = UNKNOWN
    valence_std: float = float('nan')
    arousal_std: float = float('nan')
    region: str = ''
    modalities: Modality = Modality.NONE
    alone: Alone = field(default_factory=Alone)
    change: EventKind | None = None
    since_s: float = 0.0
    words: str = ''
    stale: bool = False
    mood: AffectMood | None = None
    attending: bool | None = None
    left: bool = False

    @property
    def confidence(self) -> float:
        """The confidence in [0, 1]; see :func:`maven_ros.affect.confidence`."""
        return confidence(self.valence_std, self.arousal_std)
