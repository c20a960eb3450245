"""
The records that the core works with: frozen dataclasses with integer nanosecond stamps.

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
SAMPLE_RATE_HZ = 16_000  # of all sound inside the core, which is mono
VOICE_BLOCK = 512  # samples per decision of voice activity: 32 ms
LOUDEST = 8  # largest absolute sample; sound is in [-1, 1], and resampling may overshoot a little
LOWEST_RATE_HZ = 1_000   # lowest sample rate of input sound


def seconds(ns: int) -> float:
    """Convert nanoseconds to seconds."""
    return ns / NS


def nanoseconds(s: float) -> int:
    """Convert seconds to whole nanoseconds."""
    return round(s * NS)


# --- inputs ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FoundFace:
    """
    A face that another detector found in a picture.

    :param person_id: the detector's id.
    :param box: left, top, right and bottom, as shares of the picture's width and height.
    :param eyes: the person's right and left eye, in the same shares, if known.
    :param lower: tip of the nose, right and left corner of the mouth, if known; likewise.
    """

    person_id: str
    box: tuple[float, float, float, float]
    eyes: tuple[Point, Point] | None = None
    lower: tuple[Point, Point, Point] | None = None


@dataclass(frozen=True, slots=True)
class Frame:
    """
    One camera picture. It is decoded only if it is used.

    :param stamp_ns: the time at which it was taken.
    :param decode: returns the pixels, uint8 (height, width, 3) BGR, or raises InputError.
    :param frame_id: the camera's coordinate frame.
    :param faces: faces that another detector found; None without another detector.
    :param stamped: False if the stamp is the time of arrival.
    """

    stamp_ns: int
    decode: Callable[[], Pixels]
    frame_id: str = ''
    faces: tuple[FoundFace, ...] | None = None
    stamped: bool = True

    @classmethod
    def of(cls, stamp_ns: int, pixels: Pixels, frame_id: str = '') -> Frame:
        """Wrap decoded pixels."""
        return cls(stamp_ns, lambda: pixels, frame_id)


@plain_data
@dataclass(frozen=True, slots=True)
class Camera:
    """
    The calibration of the camera, from here on (sensor_msgs/CameraInfo).

    :param stamp_ns: time of the message.
    :param size: width and height of the pictures that it was calibrated for, in pixels.
    :param focal_px: focal lengths along x and y; 0 if the camera is not calibrated.
    :param centre_px: the principal point, x and y.
    :param distortion: coefficients of OpenCV's lens model; empty for none.
    :param fisheye: whether these are OpenCV's coefficients for fisheye lenses.
    """

    stamp_ns: int
    size: tuple[int, int]
    focal_px: tuple[float, float]
    centre_px: tuple[float, float]
    distortion: tuple[float, ...] = ()
    fisheye: bool = False


def check_rate(sample_rate_hz: int) -> None:
    """
    Check the sample rate of input sound.

    :raises InputError: ``bad_rate``.
    """
    if sample_rate_hz < LOWEST_RATE_HZ:
        raise InputError('bad_rate', f'sample rate is {sample_rate_hz} Hz; allowed: '
                                     f'{LOWEST_RATE_HZ} and above')


@dataclass(frozen=True, slots=True)
class AudioChunk:
    """
    A chunk of sound from a device.

    :param stamp_ns: time of the first sample.
    :param samples: float32 (samples, channels) in [-1, 1].
    :param sample_rate_hz: samples per second, at least ``LOWEST_RATE_HZ``.
    :param sequence: number of the chunk, if the source counts chunks; a gap means a lost chunk.
    :param stamped: False if the stamp is the time of arrival.
    :param refused: number of chunks that arrived just before this one but could not be used.
    :raises InputError: for a rate or shape that is not allowed.
    """

    stamp_ns: int
    samples: Samples
    sample_rate_hz: int
    sequence: int | None = None
    stamped: bool = True
    refused: int = 0

    def __post_init__(self) -> None:
        check_rate(self.sample_rate_hz)
        if self.samples.ndim != 2 or self.samples.shape[1] < 1:
            raise InputError('bad_shape', f'samples have shape {self.samples.shape}; allowed: '
                                          '(samples, channels)')

    @property
    def end_ns(self) -> int:
        """The time just after the last sample."""
        return self.stamp_ns + len(self.samples) * NS // self.sample_rate_hz


@dataclass(frozen=True, slots=True)
class RobotSpeaking:
    """The robot itself began or stopped to speak. Its own voice is not evidence."""

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
class HeadPose:
    """
    How a head is turned against the line to the camera, in one frame; angles in radians.

    At zero the nose points at the camera, and the head is level.

    :param yaw: positive towards the person's left, which is the picture's right.
    :param pitch: positive downwards.
    :param roll: positive if the head is tilted to the person's right shoulder.
    :param stds: standard deviations of the noise of one frame, in the same order.
    """

    yaw: float
    pitch: float
    roll: float
    stds: tuple[float, float, float]


@plain_data
@dataclass(frozen=True, slots=True)
class Place:
    """
    Where a face is, as seen from the camera.

    :param azimuth: radians from the optical axis, positive to the left, as in REP-103.
    :param elevation: radians above it.
    :param distance_m: from the spacing of the eyes, roughly; NaN if they are unknown.
    :param distance_std_m: its standard deviation, people's differences included.
    :param calibrated: False if the field of view is the stated one, without a CameraInfo.
    """

    azimuth: float
    elevation: float
    distance_m: float
    distance_std_m: float
    calibrated: bool


@plain_data
@dataclass(frozen=True, slots=True)
class Face:
    """
    One face in one frame.

    :param person_id: track id, stable while the face is tracked.
    :param box: upright box around the face, also if the face is tilted.
    :param crop: uint8 (size, size, 3) BGR, levelled by the eyes if they are known.
    :param landmarks: pixels of right eye, left eye, tip of the nose, right and left corner of the
        mouth; the eyes alone, or nothing, if the rest is unknown.
    :param pose: how the head is turned, if the landmarks tell.
    :param place: where it is as seen from the camera.
    :param score: the detector's confidence in it, in [0, 1]; 1 of another detector.
    """

    stamp_ns: int
    person_id: str
    box: Box
    crop: Pixels = field(repr=False)
    landmarks: tuple[Point, ...] = ()
    pose: HeadPose | None = None
    place: Place | None = None
    score: float = 1.0


@dataclass(frozen=True, slots=True)
class Seen:
    """
    The newest frame in which faces were looked for.

    :param pixels: uint8 (height, width, 3) BGR.
    :param elsewhere: whether another detector found the faces.
    """

    stamp_ns: int
    frame_id: str
    pixels: Pixels = field(repr=False)
    faces: tuple[Face, ...]
    elsewhere: bool


@plain_data
@dataclass(frozen=True, slots=True)
class Word:
    """
    One spoken word.

    :param text: the recogniser's spelling; it may include punctuation.
    :param start_ns: time at which the word begins.
    :param confidence: the recogniser's confidence in the word and its language, in [0, 1].
    :param language: IETF tag; empty if unknown.
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
    The speech between two silences. It is partial until ``is_final``.

    :param recogniser: name of the recogniser.
    :param language: IETF tag, such as ``en``; empty if unknown.
    :param language_confidence: confidence in the language, in [0, 1]; 0 if unknown.
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
        """The mean confidence of the words, in [0, 1]; NaN without words."""
        if not self.words:
            return math.nan
        return sum(word.confidence for word in self.words) / len(self.words)


@plain_data
class Stream(enum.Enum):
    """The streams of evidence. TEXT ends where recognition of AUDIO has come to."""

    VIDEO = 'video'
    AUDIO = 'audio'
    TEXT = 'text'


@dataclass(frozen=True, slots=True)
class Window:
    """
    All evidence of one interval. Only words are added after it has closed.

    :param faces: all faces in the interval, in order of time.
    :param waveform: float32 (samples,) at 16 kHz, 0 where nothing was heard.
    :param heard: bool (samples,), False where no sound arrived or the robot itself spoke.
    :param voiced: bool (samples // VOICE_BLOCK,), voice activity, with its lead and hangover; its
        times are exact to a block.
    :param words: words inside the interval, as recognised by the time it closed; the pipeline
        adds them just before the engine is called.
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
    The evidence of one window about one person: the engine's input. Absent modalities are empty.

    :param person_id: track id; empty if no face is in view.
    :param faces: this person's faces in order of time.
    :param waveform: float32 (samples,) at 16 kHz for [start, end), in [-1, 1]; heard samples may
        overshoot up to ``LOUDEST``. Empty without a voice.
    :param heard: bool (samples,), the mask of ``waveform``.
    :param words: words above the confidence gate.
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
        """The modalities that are present."""
        present = Modality.NONE
        if self.faces:
            present |= Modality.VIDEO
        if len(self.waveform):
            present |= Modality.AUDIO
        if self.words:
            present |= Modality.TEXT
        return present


# --- outputs ---------------------------------------------------------------------------------


@plain_data
class Modality(enum.IntFlag):
    """The evidence that a window held (AffectState.msg: ``modalities``)."""

    NONE = 0
    VIDEO = 1
    AUDIO = 2
    TEXT = 4


#: The modalities by name, in the order of their bits.
MODALITIES = ('video', 'audio', 'text')

#: The network's pathways, ``X_to_Y``: X attends to Y (eq. 13-14).
PATHWAYS = {f'{x}_to_{y}': (x, y) for x in MODALITIES for y in MODALITIES if x != y}


class Status(enum.IntEnum):
    """The status of a state's evidence (AffectState.msg: ``status``)."""

    OK = 0
    NO_EVIDENCE = 1
    STALE = 2


class VoiceAssigned(enum.IntEnum):
    """The owner of the voice (AffectState.msg: ``voice_assigned``)."""

    NONE = 0
    SELF = 1
    OTHER = 2
    UNDECIDED = 3


@plain_data
@dataclass(frozen=True, slots=True)
class Alone:
    """
    The points that face, voice and words give, each read alone; None for what is absent.

    Networks without readers give none.
    """

    video: Affect | None = None
    audio: Affect | None = None
    text: Affect | None = None


@dataclass(frozen=True, slots=True)
class Estimate:
    """
    The engine's estimate from one piece of evidence.

    :param affect: the point on the circumplex.
    :param valence_std: standard deviation of the valence.
    :param arousal_std: standard deviation of the arousal.
    :param influence: how far the point moves if video, audio or text is masked, normalised to
        a sum of 1; 0 for absent modalities; NaN if ``model.influence`` is off.
    """

    affect: Affect
    valence_std: float
    arousal_std: float
    influence: tuple[float, float, float]
    alone: Alone = Alone()


@dataclass(frozen=True, slots=True)
class AffectState:
    """
    One person's affect over one window; AffectState.msg has each field's meaning and range.

    Without evidence, valence, arousal and all values derived from them are NaN.
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
    alone: Alone = Alone()  # not in the message

    @property
    def confidence(self) -> float:
        """The confidence in [0, 1]; see :func:`maven_ros.affect.confidence`."""
        return confidence(self.valence_std, self.arousal_std)


@dataclass(frozen=True, slots=True)
class SmoothedState:
    """A state after smoothing, with the personal baseline subtracted."""

    state: AffectState


class Engagement(enum.IntEnum):
    """Whether somebody attends to the robot; the levels of hri_msgs/EngagementLevel."""

    UNKNOWN = 0
    DISENGAGED = 1
    ENGAGING = 2
    ENGAGED = 3
    DISENGAGING = 4


@dataclass(frozen=True, slots=True)
class Attention:
    """
    Where a person's head is turned at the end of a window; Attention.msg has each field's meaning.

    :param since_ns: the time from which the person attends, or does not.
    :param pose: smoothed, with standard deviations that include the face's own build; all NaN if
        the head has not been seen lately.
    :param place: of the newest face; None likewise.
    """

    stamp_ns: int
    person_id: str
    engagement: Engagement
    since_ns: int
    pose: HeadPose
    place: Place | None
    frame_id: str = ''

    @property
    def attending(self) -> bool:
        """Whether the person attends to the robot."""
        return self.engagement in (Engagement.ENGAGED, Engagement.DISENGAGING)

    @property
    def known(self) -> bool | None:
        """Whether the person attends; None before the head was seen for long enough to tell."""
        unsure = self.engagement in (Engagement.UNKNOWN, Engagement.ENGAGING)
        return None if unsure else self.attending

    @property
    def angle(self) -> float:
        """Angle between the nose and the line to the camera, in [0, pi]; NaN if unknown."""
        return off_axis(self.pose)

    @property
    def text(self) -> str:
        """The attention in words, such as ``turned away by 40 degrees``."""
        if self.attending:
            return 'attends'
        if math.isnan(self.angle):
            return 'is not seen'
        return f'turned away by {math.degrees(self.angle):.0f} degrees'


def nose_direction(pose: HeadPose) -> Point:
    """Return where the nose points in the picture, as a part of a vector of length 1."""
    return math.sin(pose.yaw) * math.cos(pose.pitch), math.sin(pose.pitch)


def off_axis(pose: HeadPose) -> float:
    """Return the angle between the nose and the line to the camera, in [0, pi]."""
    return math.acos(max(-1.0, min(1.0, math.cos(pose.yaw) * math.cos(pose.pitch)))) \
        if math.isfinite(pose.yaw) else math.nan


@plain_data
class EventKind(enum.IntEnum):
    """The kind of an event (AffectEvent.msg: ``kind``)."""

    REGION_ENTERED = 0
    REGION_LEFT = 1
    ROSE = 2
    FELL = 3
    APPEARED = 4
    LEFT = 5
    SPEECH_STARTED = 6
    SPEECH_STOPPED = 7
    ATTENTION_GAINED = 8
    ATTENTION_LOST = 9


@plain_data
@dataclass(frozen=True, slots=True)
class AffectEvent:
    """
    A change that a robot may act on; AffectEvent.msg has each field's meaning and range.

    :param stamp_ns: the time at which the change was detected.
    :param since_ns: the time at which it began.
    :param before: the point before the change; NaN if unknown.
    :param after: the point after the change; NaN if unknown.
    :param confidence: confidence of the last state with evidence; NaN before the first one.
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
        """The event in words, such as ``person_1 entered distressed``."""
        words = self.kind.name.lower().replace('_', ' ').removeprefix('region ')
        if self.kind in (EventKind.ROSE, EventKind.FELL):
            words = f'{words} sharply'
        return f'{self.person_id or "nobody in view"} {words} {self.region}'.rstrip()


@plain_data
class Speaker(enum.IntEnum):
    """Who spoke, and how that is known (AffectTurn.msg: ``speaker``)."""

    UNDECIDED = 0
    SEEN = 1
    ALONE = 2
    UNSEEN = 3


@plain_data
@dataclass(frozen=True, slots=True)
class AffectTurn:
    """
    A final utterance and the affect of its speaker; AffectTurn.msg has each field's meaning.

    :param start_ns: beginning of the first word.
    :param end_ns: end of the last word.
    :param affect: mean over the utterance; NaN without evidence, as are its deviations.
    :param attending: share of the time in which the speaker attended to the robot; NaN if the
        head was not seen.
    """

    start_ns: int
    end_ns: int
    speaker: Speaker
    person_id: str
    words: tuple[Word, ...]
    language: str
    affect: Affect
    valence_std: float
    arousal_std: float
    modalities: Modality
    alone: Alone
    attending: float
    frame_id: str
    model: str

    @property
    def text(self) -> str:
        """The words, joined by spaces."""
        return ' '.join(word.text for word in self.words)

    @property
    def speech_confidence(self) -> float:
        """The mean confidence of the words, in [0, 1]."""
        return sum(word.confidence for word in self.words) / len(self.words)

    @property
    def confidence(self) -> float:
        """The confidence in [0, 1]; see :func:`maven_ros.affect.confidence`."""
        return confidence(self.valence_std, self.arousal_std)


@plain_data
@dataclass(frozen=True, slots=True)
class AffectMood:
    """
    The mood of one person, or of the group; AffectMood.msg has each field's meaning.

    :param group: whether it is about all people in view; ``person_id`` is empty then.
    :param since_ns: start of its first evidence.
    """

    stamp_ns: int
    group: bool
    person_id: str
    people: int
    affect: Affect
    valence_std: float
    arousal_std: float
    evidence_s: float
    since_ns: int
    frame_id: str = ''

    @property
    def confidence(self) -> float:
        """The confidence in [0, 1]; see :func:`maven_ros.affect.confidence`."""
        return confidence(self.valence_std, self.arousal_std)


@dataclass(frozen=True, slots=True)
class AffectSummary:
    """One or two sentences about a person; ``stamp_ns`` is the end of the window."""

    stamp_ns: int
    person_id: str
    text: str


Input: TypeAlias = Frame | Camera | AudioChunk | RobotSpeaking | RobotSound | Utterance
Output: TypeAlias = (
    AffectState | SmoothedState | Attention | AffectEvent | Utterance | AffectTurn | AffectMood
    | AffectSummary)
