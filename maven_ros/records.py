"""
What the core passes along: frozen records with integer nanosecond stamps.

All times are nanoseconds on the clock of the messages' stamps. Intervals are half open,
``[start_ns, end_ns)``. Pixels are uint8 of shape (height, width, 3) in **BGR** order (OpenCV's)
everywhere inside the package; sound is float32 in [-1, 1].
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from maven_ros.affect import Affect, confidence
from maven_ros.errors import InputError
from maven_ros.freezing import plain_data

Pixels: TypeAlias = NDArray[np.uint8]
Samples: TypeAlias = NDArray[np.float32]
Mask: TypeAlias = NDArray[np.bool_]
Point: TypeAlias = tuple[float, float]  # x to the right and y down

NS = 1_000_000_000
SAMPLE_RATE_HZ = 16_000  # of all sound inside the core, mono
VOICE_BLOCK = 512  # samples of one verdict of voice activity: 32 ms
LOUDEST = 8  # that a sample may be; sound is in [-1, 1], and resampling overshoots that a little
LOWEST_RATE_HZ = 1_000   # of sound that is taken in


def seconds(ns: int) -> float:
    """Nanoseconds as seconds."""
    return ns / NS


def nanoseconds(s: float) -> int:
    """Seconds as whole nanoseconds."""
    return round(s * NS)


# --- what comes in ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FoundFace:
    """
    A face that another detector has found in a picture.

    :param person_id: its id there.
    :param box: left, top, right and bottom, as shares of the picture's width and height.
    :param eyes: the person's right eye and the left one, likewise, where known.
    """

    person_id: str
    box: tuple[float, float, float, float]
    eyes: tuple[Point, Point] | None = None


@dataclass(frozen=True, slots=True)
class Frame:
    """
    One camera picture, decoded only when it is looked at.

    :param stamp_ns: when it was taken.
    :param decode: returns the pixels, uint8 (height, width, 3) BGR, or raises InputError.
    :param frame_id: the camera's coordinate frame.
    :param faces: what another detector has found in it; None where nobody has looked.
    :param stamped: False where the time is that of arrival, not of taking.
    """

    stamp_ns: int
    decode: Callable[[], Pixels]
    frame_id: str = ''
    faces: tuple[FoundFace, ...] | None = None
    stamped: bool = True

    @classmethod
    def of(cls, stamp_ns: int, pixels: Pixels, frame_id: str = '') -> Frame:
        """Wrap pixels that are decoded already."""
        return cls(stamp_ns, lambda: pixels, frame_id)


@dataclass(frozen=True, slots=True)
class AudioChunk:
    """
    A run of sound as a device gave it.

    :param stamp_ns: time of the first sample.
    :param samples: float32 (samples, channels) in [-1, 1].
    :param sample_rate_hz: samples a second, any.
    :param sequence: counts chunks where the source does; a gap in it shows a lost chunk.
    :param stamped: False where the time is that of arrival, not of recording.
    :param refused: how many chunks before it arrived, too, but could not be used.
    :raises InputError: for an impossible rate or shape.
    """

    stamp_ns: int
    samples: Samples
    sample_rate_hz: int
    sequence: int | None = None
    stamped: bool = True
    refused: int = 0

    def __post_init__(self) -> None:
        """Refuse what has no duration."""
        if self.sample_rate_hz < LOWEST_RATE_HZ:
            raise InputError('bad_rate', f'sample rate is {self.sample_rate_hz} Hz; allowed: '
                                         f'{LOWEST_RATE_HZ} and above')
        if self.samples.ndim != 2 or self.samples.shape[1] < 1:
            raise InputError('bad_shape', f'samples have shape {self.samples.shape}; allowed: '
                                          '(samples, channels)')

    @property
    def end_ns(self) -> int:
        """Time just after the last sample."""
        return self.stamp_ns + len(self.samples) * NS // self.sample_rate_hz


@dataclass(frozen=True, slots=True)
class RobotSpeaking:
    """The robot began (or stopped) to speak itself: what it says is no evidence."""

    stamp_ns: int
    speaking: bool


@dataclass(frozen=True, slots=True)
class RobotSound:
    """Sound that the robot plays from the chunk's time on, or once what it plays has ended."""

    chunk: AudioChunk

    @property
    def stamp_ns(self) -> int:
        """Time of the first sample."""
        return self.chunk.stamp_ns


# --- evidence --------------------------------------------------------------------------------


@plain_data
@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels, ``x`` to the right and ``y`` down, inside the picture."""

    x: int
    y: int
    width: int
    height: int


@plain_data
@dataclass(frozen=True, slots=True)
class Face:
    """
    One face in one frame.

    :param person_id: track id, stable while the face is tracked.
    :param box: where it is in the frame; of a tilted face, upright about it.
    :param crop: uint8 (size, size, 3) BGR, squared, levelled by the eyes where they are known.
    """

    stamp_ns: int
    person_id: str
    box: Box
    crop: Pixels = field(repr=False)


@plain_data
@dataclass(frozen=True, slots=True)
class Word:
    """
    One word.

    :param text: as the recogniser writes it; with punctuation, where it does.
    :param start_ns: when it was spoken.
    :param confidence: in [0, 1], how sure the recogniser is of it, its language included.
    :param language: IETF tag; empty where nobody can say.
    """

    text: str
    start_ns: int
    end_ns: int
    confidence: float
    language: str = ''


@plain_data
@dataclass(frozen=True, slots=True)
class Utterance:
    """
    What somebody said between two silences; partial until ``is_final``.

    :param confidence: in [0, 1], the mean over its words; NaN when there are none.
    :param recogniser: name of what recognised it.
    :param language: IETF tag, such as ``en``; empty where nobody can say.
    :param language_confidence: in [0, 1], how sure that is; 0 where nobody can say.
    """

    start_ns: int
    end_ns: int
    words: tuple[Word, ...]
    is_final: bool
    recogniser: str
    language: str = ''
    language_confidence: float = 0.0

    @property
    def text(self) -> str:
        """The words, joined by spaces."""
        return ' '.join(word.text for word in self.words)

    @property
    def confidence(self) -> float:
        """Mean confidence of the words; NaN when there are none."""
        if not self.words:
            return math.nan
        return sum(word.confidence for word in self.words) / len(self.words)


@plain_data
class Stream(enum.Enum):
    """The streams of evidence; TEXT follows AUDIO, as far as it has been recognised."""

    VIDEO = 'video'
    AUDIO = 'audio'
    TEXT = 'text'


@dataclass(frozen=True, slots=True)
class Window:
    """
    All evidence of one interval, complete: nothing but words is added to it later.

    :param faces: every face seen in it, in order of time.
    :param waveform: float32 (samples,) at 16 kHz, 0 where nothing was heard.
    :param heard: bool (samples,), False where no sound arrived or the robot itself spoke.
    :param voiced: bool (samples // VOICE_BLOCK,), voice activity, on time to within a block.
    :param words: words spoken inside it, as known when it closed; added as it is judged.
    :param stale: streams that were live and have stopped.
    :param frame_id: the camera's coordinate frame.
    """

    start_ns: int
    end_ns: int
    faces: tuple[Face, ...] = ()
    waveform: Samples = field(default_factory=lambda: np.zeros(0, np.float32), repr=False)
    heard: Mask = field(default_factory=lambda: np.zeros(0, np.bool_), repr=False)
    voiced: Mask = field(default_factory=lambda: np.zeros(0, np.bool_), repr=False)
    words: tuple[Word, ...] = ()
    stale: frozenset[Stream] = frozenset()
    frame_id: str = ''


@dataclass(frozen=True, slots=True)
class Evidence:
    """
    What one window holds about one person; the engine's input. What is absent is empty.

    :param person_id: track id; empty when no face is in view.
    :param faces: this person's faces in order of time; empty when none was seen.
    :param waveform: float32 (samples,) at 16 kHz covering [start, end), in [-1, 1]; what was
        heard may overshoot that up to ``LOUDEST``. Empty when no voice.
    :param heard: bool (samples,), beside ``waveform``.
    :param words: words above the confidence gate; empty when there are none.
    """

    start_ns: int
    end_ns: int
    person_id: str = ''
    faces: tuple[Face, ...] = ()
    waveform: Samples = field(default_factory=lambda: np.zeros(0, np.float32), repr=False)
    heard: Mask = field(default_factory=lambda: np.zeros(0, np.bool_), repr=False)
    words: tuple[Word, ...] = ()

    @property
    def modalities(self) -> Modality:
        """Which evidence there is."""
        present = Modality.NONE
        if self.faces:
            present |= Modality.VIDEO
        if len(self.waveform):
            present |= Modality.AUDIO
        if self.words:
            present |= Modality.TEXT
        return present


# --- what goes out ---------------------------------------------------------------------------


class Modality(enum.IntFlag):
    """Which evidence was in a window (AffectState.msg: ``modalities``)."""

    NONE = 0
    VIDEO = 1
    AUDIO = 2
    TEXT = 4


#: The modalities by name, in the order of their bits.
MODALITIES = ('video', 'audio', 'text')

#: The network's pathways, ``X_to_Y``: X attends to Y (eq. 13-14).
PATHWAYS = {f'{x}_to_{y}': (x, y) for x in MODALITIES for y in MODALITIES if x != y}


class Status(enum.IntEnum):
    """What a state rests on (AffectState.msg: ``status``)."""

    OK = 0
    NO_EVIDENCE = 1
    STALE = 2


class VoiceAssigned(enum.IntEnum):
    """Whose voice was heard (AffectState.msg: ``voice_assigned``)."""

    NONE = 0
    SELF = 1
    OTHER = 2
    UNDECIDED = 3


@dataclass(frozen=True, slots=True)
class Estimate:
    """
    What the engine believes about one piece of evidence.

    :param affect: the point on the circumplex.
    :param valence_std: standard deviation of the valence.
    :param arousal_std: standard deviation of the arousal.
    :param influence: how far the point moves when video, audio or text is masked, normalised to
        sum 1; 0 for what is absent; NaN when ``model.influence`` is off.
    """

    affect: Affect
    valence_std: float
    arousal_std: float
    influence: tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class AffectState:
    """
    One person's affect over one window; AffectState.msg has each field's meaning and range.

    Valence, arousal and what follows from them are NaN when there is no evidence.
    """

    window_start_ns: int
    window_end_ns: int
    status: Status
    person_id: str
    affect: Affect
    valence_std: float
    arousal_std: float
    modalities: Modality
    influence: tuple[float, float, float]
    voice_assigned: VoiceAssigned
    transcript: str
    face: Box | None
    frame_id: str
    model: str
    baseline: tuple[float, float] = (0.0, 0.0)  # valence and arousal that were subtracted

    @property
    def confidence(self) -> float:
        """In [0, 1]; see :func:`maven_ros.affect.confidence`."""
        return confidence(self.valence_std, self.arousal_std)


@dataclass(frozen=True, slots=True)
class SmoothedState:
    """A state after smoothing, less the personal baseline: a filter's, not the model's own."""

    state: AffectState


class EventKind(enum.IntEnum):
    """What happened (AffectEvent.msg: ``kind``)."""

    REGION_ENTERED = 0
    REGION_LEFT = 1
    ROSE = 2
    FELL = 3
    APPEARED = 4
    LEFT = 5
    SPEECH_STARTED = 6
    SPEECH_STOPPED = 7


@dataclass(frozen=True, slots=True)
class AffectEvent:
    """
    Something worth acting on; AffectEvent.msg has each field's meaning and range.

    :param stamp_ns: when it was noticed.
    :param since_ns: when it began.
    :param before: the point before; NaN if unknown, as ``after``.
    :param confidence: of the last state with evidence; NaN before there was one.
    :param region: name of the region; empty for other kinds.
    """

    stamp_ns: int
    kind: EventKind
    person_id: str
    since_ns: int
    before: Affect
    after: Affect
    confidence: float
    region: str = ''
    frame_id: str = ''

    @property
    def text(self) -> str:
        """In words, such as ``person_1 entered distressed``."""
        words = self.kind.name.lower().replace('_', ' ').removeprefix('region ')
        if self.kind in (EventKind.ROSE, EventKind.FELL):
            words = f'{words} sharply'
        return f'{self.person_id or "nobody in view"} {words} {self.region}'.rstrip()


Input: TypeAlias = Frame | AudioChunk | RobotSpeaking | RobotSound | Utterance
Output: TypeAlias = AffectState | SmoothedState | AffectEvent | Utterance
