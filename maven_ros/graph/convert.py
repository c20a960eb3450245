"""Convert records of the core to the project's messages, and back."""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from maven_ros.affect import UNKNOWN, Affect
from maven_ros.errors import InputError
from maven_ros.graph.images import compressed_message, image_message
from maven_ros.graph.messages import new, time_message, time_ns
from maven_ros.graph.sound import audio_message
from maven_ros.records import (
    MODALITIES,
    AffectEvent,
    AffectMood,
    AffectState,
    AffectSummary,
    AffectTurn,
    Alone,
    Attention,
    Box,
    Engagement,
    EventKind,
    HeadPose,
    Modality,
    Place,
    SmoothedState,
    Speaker,
    Status,
    Utterance,
    VoiceAssigned,
    Word,
)

__all__ = [
    'attention_message', 'attention_record', 'audio_message', 'compressed_message',
    'diagnostics_message', 'event_message', 'event_record', 'image_message', 'state_message',
    'state_record', 'mood_message', 'mood_record', 'turn_message', 'turn_record',
    'utterance_message', 'utterance_record',
]

AFFECT_STATE = 'maven_ros/msg/AffectState'
AFFECT_EVENT = 'maven_ros/msg/AffectEvent'
ATTENTION = 'maven_ros/msg/Attention'
AFFECT_MOOD = 'maven_ros/msg/AffectMood'
AFFECT_TURN = 'maven_ros/msg/AffectTurn'
UTTERANCE = 'maven_ros/msg/Utterance'
BOOL = 'std_msgs/msg/Bool'
STRING = 'std_msgs/msg/String'
LIVE_SPEECH = 'hri_msgs/msg/LiveSpeech'
DIAGNOSTICS = 'diagnostic_msgs/msg/DiagnosticArray'


_Constant = TypeVar('_Constant', bound=enum.IntEnum)
_NOWHERE = Place(math.nan, math.nan, math.nan, math.nan, False)


def _constant(kind: type[_Constant], value: int, name: str) -> _Constant:
    """Return the constant of a message that a number means."""
    try:
        return kind(value)
    except ValueError as error:
        raise InputError('bad_payload', f'{name}: {error}; allowed: the constants of '
                                        f'{name}.msg') from error


def region_fields(face: Box | None) -> dict[str, int]:
    """Return the fields of a RegionOfInterest; without a face they keep their defaults."""
    return {} if face is None else {
        'x_offset': face.x, 'y_offset': face.y, 'width': face.width, 'height': face.height}


def state_message(state: AffectState, latency_ns: int) -> Any:
    """
    Build a ``maven_ros/AffectState``.

    :param latency_ns: from the window's end to now.
    """
    video, audio, text = state.influence
    valence, arousal = state.baseline
    return new(
        AFFECT_STATE,
        header={'stamp': time_message(state.window_end_ns), 'frame_id': state.frame_id},
        window_start=time_message(state.window_start_ns),
        status=int(state.status), person_id=state.person_id,
        valence=state.affect.valence, arousal=state.affect.arousal,
        valence_std=state.valence_std, arousal_std=state.arousal_std,
        intensity=state.affect.intensity, angle=state.affect.angle,
        confidence=state.confidence, modalities=int(state.modalities),
        video_influence=video, audio_influence=audio, text_influence=text,
        voice_assigned=int(state.voice_assigned), baseline_valence=valence,
        baseline_arousal=arousal, transcript=state.transcript, face=region_fields(state.face),
        latency=time_message(latency_ns, 'builtin_interfaces/msg/Duration'), model=state.model)


def state_record(message: Any) -> AffectState:
    """
    Read a ``maven_ros/AffectState``; its numbers are float32's.

    :raises InputError: ``bad_payload`` for a status or a voice that is not one of the constants.
    """
    face = message.face
    box = Box(face.x_offset, face.y_offset, face.width, face.height)
    status = _constant(Status, message.status, 'AffectState')
    voice = _constant(VoiceAssigned, message.voice_assigned, 'AffectState')
    return AffectState(
        window_start_ns=time_ns(message.window_start),
        window_end_ns=time_ns(message.header.stamp),
        status=status, person_id=message.person_id,
        affect=Affect(message.valence, message.arousal),
        valence_std=message.valence_std, arousal_std=message.arousal_std,
        modalities=Modality(message.modalities),
        influence=(message.video_influence, message.audio_influence, message.text_influence),
        voice_assigned=voice, transcript=message.transcript,
        face=box if box.width and box.height else None,
        frame_id=message.header.frame_id, model=message.model,
        baseline=(message.baseline_valence, message.baseline_arousal))


def attention_message(attention: Attention) -> Any:
    """Build a ``maven_ros/Attention``."""
    pose, place = attention.pose, attention.place or _NOWHERE
    yaw_std, pitch_std, roll_std = pose.stds
    return new(
        ATTENTION,
        header={'stamp': time_message(attention.stamp_ns), 'frame_id': attention.frame_id},
        person_id=attention.person_id, attending=attention.attending,
        engagement=int(attention.engagement), since=time_message(attention.since_ns),
        yaw=pose.yaw, pitch=pose.pitch, roll=pose.roll, yaw_std=yaw_std, pitch_std=pitch_std,
        roll_std=roll_std, angle=attention.angle, azimuth=place.azimuth,
        elevation=place.elevation, distance=place.distance_m,
        distance_std=place.distance_std_m, calibrated=place.calibrated)


def attention_record(message: Any) -> Attention:
    """
    Read a ``maven_ros/Attention``; its numbers are float32's.

    :raises InputError: ``bad_payload`` for an engagement that is not one of the constants.
    """
    engagement = _constant(Engagement, message.engagement, 'Attention')
    place = Place(message.azimuth, message.elevation, message.distance, message.distance_std,
                  message.calibrated)
    return Attention(
        stamp_ns=time_ns(message.header.stamp), person_id=message.person_id,
        engagement=engagement, since_ns=time_ns(message.since),
        pose=HeadPose(message.yaw, message.pitch, message.roll,
                      (message.yaw_std, message.pitch_std, message.roll_std)),
        place=None if math.isnan(message.azimuth) else place, frame_id=message.header.frame_id)


def event_message(event: AffectEvent) -> Any:
    """Build a ``maven_ros/AffectEvent``."""
    return new(
        AFFECT_EVENT,
        header={'stamp': time_message(event.stamp_ns), 'frame_id': event.frame_id},
        person_id=event.person_id, kind=int(event.kind), region=event.region,
        from_valence=event.before.valence, from_arousal=event.before.arousal,
        to_valence=event.after.valence, to_arousal=event.after.arousal,
        since=time_message(event.since_ns), confidence=event.confidence)


def event_record(message: Any) -> AffectEvent:
    """
    Read a ``maven_ros/AffectEvent``; its numbers are float32's.

    :raises InputError: ``bad_payload`` for a kind that is not one of the constants.
    """
    kind = _constant(EventKind, message.kind, 'AffectEvent')
    return AffectEvent(
        stamp_ns=time_ns(message.header.stamp), kind=kind, person_id=message.person_id,
        since_ns=time_ns(message.since),
        before=Affect(message.from_valence, message.from_arousal),
        after=Affect(message.to_valence, message.to_arousal), confidence=message.confidence,
        region=message.region, frame_id=message.header.frame_id)


def utterance_message(utterance: Utterance) -> Any:
    """Build a ``maven_ros/Utterance``."""
    end = time_message(utterance.end_ns)
    return new(
        UTTERANCE, header={'stamp': end}, start=time_message(utterance.start_ns), end=end,
        text=utterance.text, confidence=utterance.confidence, is_final=utterance.is_final,
        words=_word_messages(utterance.words),
        recogniser=utterance.recogniser, language=utterance.language,
        language_confidence=utterance.language_confidence)


def _word_messages(words: Sequence[Word]) -> list[Any]:
    return [new('maven_ros/msg/Word', text=word.text, start=time_message(word.start_ns),
                end=time_message(word.end_ns), confidence=word.confidence) for word in words]


def _word_records(message: Any) -> tuple[Word, ...]:
    return tuple(Word(word.text, time_ns(word.start), time_ns(word.end), word.confidence,
                      message.language) for word in message.words)


def turn_message(turn: AffectTurn) -> Any:
    """Build a ``maven_ros/AffectTurn``."""
    alone = {f'{name}_{axis}': getattr(getattr(turn.alone, name) or UNKNOWN, axis)
             for name in MODALITIES for axis in ('valence', 'arousal')}
    return new(
        AFFECT_TURN, header={'stamp': time_message(turn.end_ns), 'frame_id': turn.frame_id},
        start=time_message(turn.start_ns), speaker=int(turn.speaker), person_id=turn.person_id,
        text=turn.text, words=_word_messages(turn.words), language=turn.language,
        speech_confidence=turn.speech_confidence,
        valence=turn.affect.valence, arousal=turn.affect.arousal,
        valence_std=turn.valence_std, arousal_std=turn.arousal_std,
        confidence=turn.confidence, modalities=int(turn.modalities), **alone,
        attending=turn.attending, model=turn.model)


def turn_record(message: Any) -> AffectTurn:
    """
    Read a ``maven_ros/AffectTurn``; its numbers are float32's.

    :raises InputError: ``bad_payload`` for a speaker that is not one of the constants, and
        without words.
    """
    speaker = _constant(Speaker, message.speaker, 'AffectTurn')
    if not message.words:
        raise InputError('bad_payload', 'AffectTurn: has no words; allowed: one or more')
    alone = ((getattr(message, f'{name}_valence'), getattr(message, f'{name}_arousal'))
             for name in MODALITIES)
    return AffectTurn(
        time_ns(message.start), time_ns(message.header.stamp), speaker, message.person_id,
        _word_records(message), message.language, Affect(message.valence, message.arousal),
        message.valence_std, message.arousal_std, Modality(message.modalities),
        Alone(*(None if math.isnan(point[0]) else Affect(*point) for point in alone)),
        message.attending, message.header.frame_id, message.model)


def mood_message(mood: AffectMood) -> Any:
    """Build a ``maven_ros/AffectMood``."""
    return new(
        AFFECT_MOOD, header={'stamp': time_message(mood.stamp_ns), 'frame_id': mood.frame_id},
        kind=int(mood.group), person_id=mood.person_id, people=mood.people,
        valence=mood.affect.valence, arousal=mood.affect.arousal,
        valence_std=mood.valence_std, arousal_std=mood.arousal_std, confidence=mood.confidence,
        evidence_s=mood.evidence_s, since=time_message(mood.since_ns))


def mood_record(message: Any) -> AffectMood:
    """
    Read a ``maven_ros/AffectMood``; its numbers are float32's.

    :raises InputError: ``bad_payload`` for a kind that is not one of the constants.
    """
    if message.kind not in (message.PERSON, message.GROUP):
        raise InputError('bad_payload', f'AffectMood: kind {message.kind}; allowed: the constants '
                                        'of AffectMood.msg')
    return AffectMood(
        time_ns(message.header.stamp), message.kind == message.GROUP, message.person_id,
        message.people, Affect(message.valence, message.arousal), message.valence_std,
        message.arousal_std, message.evidence_s, time_ns(message.since),
        message.header.frame_id)


class Outlet(NamedTuple):
    """
    An output of the pipeline on the graph.

    :param topic: name, relative to the namespace.
    :param msgtype: ROS type of its messages.
    :param message: builds a message from a record and the present time in nanoseconds.
    :param doc: description in the documents.
    """

    topic: str
    msgtype: str
    message: Callable[[Any, int], Any]
    doc: str


#: The outputs of the pipeline, by the class of the record; graph, node, replay and documents
#: follow this table.
OUTLETS: Mapping[type, Outlet] = {
    AffectState: Outlet(
        'affect/state', AFFECT_STATE,
        lambda state, now_ns: state_message(state, now_ns - state.window_end_ns),
        'one per person and hop'),
    SmoothedState: Outlet(
        'affect/state_smoothed', AFFECT_STATE,
        lambda one, now_ns: state_message(one.state, now_ns - one.state.window_end_ns),
        'the same, smoothed over time'),
    Attention: Outlet(
        'affect/attention', ATTENTION, lambda attention, _: attention_message(attention),
        'how heads are turned, and who attends to the robot; one per face and hop'),
    AffectEvent: Outlet(
        'affect/event', AFFECT_EVENT, lambda event, _: event_message(event),
        'people who appear, leave, speak, attend, or enter a region of the circumplex'),
    Utterance: Outlet(
        'affect/utterance', UTTERANCE, lambda utterance, _: utterance_message(utterance),
        'utterances, partial and final'),
    AffectTurn: Outlet(
        'affect/turn', AFFECT_TURN, lambda turn, _: turn_message(turn),
        'final utterances with their speaker and the affect from the first to the last word'),
    AffectMood: Outlet(
        'affect/mood', AFFECT_MOOD, lambda mood, _: mood_message(mood),
        'slow states over minutes, of each person and the group, every `mood.period_s`'),
    AffectSummary: Outlet(
        'affect/summary', STRING, lambda summary, _: new(STRING, data=summary.text),
        'one or two sentences about a person, at turns and changes'),
}


def utterance_record(message: Any) -> Utterance:
    """Read a ``maven_ros/Utterance``; its confidences are float32's."""
    return Utterance(time_ns(message.start), time_ns(message.end), _word_records(message),
                     message.is_final,
                     message.recogniser, message.language, message.language_confidence)


@dataclass(frozen=True)
class Diagnosis:
    """
    How something does.

    :param name: of what.
    :param level: 0 OK, 1 WARN, 2 ERROR, 3 STALE.
    :param message: how, in words.
    :param values: what is known of it, by name.
    """

    name: str
    level: int
    message: str
    values: Mapping[str, str] = field(default_factory=dict)


def diagnostics_message(stamp_ns: int, *found: Diagnosis) -> Any:
    """Build a ``diagnostic_msgs/DiagnosticArray`` of a status for each."""
    return new(DIAGNOSTICS, header={'stamp': time_message(stamp_ns)}, status=[
        new('diagnostic_msgs/msg/DiagnosticStatus', level=one.level, name=one.name,
            message=one.message,
            values=[new('diagnostic_msgs/msg/KeyValue', key=key, value=value)
                    for key, value in one.values.items()])
        for one in found])
