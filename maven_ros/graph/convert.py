"""Messages to the core's records and back: the edge where the graph meets the pipeline."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from maven_ros.affect import Affect
from maven_ros.errors import GraphError, InputError
from maven_ros.freezing import Freezing
from maven_ros.graph import images, sound
from maven_ros.graph.images import compressed_message, image_message
from maven_ros.graph.interface import Received
from maven_ros.graph.messages import from_cdr, new, time_message, time_ns
from maven_ros.graph.sound import audio_message
from maven_ros.records import (
    NS,
    AffectEvent,
    AffectState,
    Box,
    EventKind,
    Input,
    Modality,
    RobotSpeaking,
    Status,
    Utterance,
    VoiceAssigned,
    Word,
)
from maven_ros.settings import AudioSettings

__all__ = [
    'INPUT_TYPES', 'InputReader', 'audio_message', 'compressed_message', 'diagnostics_message',
    'event_message', 'event_record', 'image_message', 'state_message', 'state_record',
    'utterance_message', 'utterance_record',
]

AFFECT_STATE = 'maven_ros/msg/AffectState'
AFFECT_EVENT = 'maven_ros/msg/AffectEvent'
UTTERANCE = 'maven_ros/msg/Utterance'
BOOL = 'std_msgs/msg/Bool'
LIVE_SPEECH = 'hri_msgs/msg/LiveSpeech'
DIAGNOSTICS = 'diagnostic_msgs/msg/DiagnosticArray'

#: Types that are understood, by the role of the topic that they come from.
INPUT_TYPES: dict[str, tuple[str, ...]] = {
    'image': (images.IMAGE, images.COMPRESSED_IMAGE),
    'audio': (sound.AUDIO_CHUNK, sound.AUDIO_STAMPED, sound.AUDIO_DATA,
              sound.AUDIO_DATA_STAMPED),
    'audio_info': (sound.AUDIO_INFO,),
    'robot_speaking': (BOOL,),
    'speech': (LIVE_SPEECH,),
}

#: LiveSpeech has no word times: words are laid before its stamp at 150 words a minute.
LIVE_SPEECH_WORD_NS = 400_000_000
LONGEST_SPEECH_NS = 60 * NS
#: builtin_interfaces/Time ends at 2^31 s; windows, words and chunks reach a little further.
LATEST_NS = (2**31 - 3600) * NS


class InputReader(Freezing):
    """
    Turns messages into records, and keeps what it must know between them: the last AudioInfo.

    :param audio: says what the bytes of AudioData are until an AudioInfo tells.
    """

    _fixed: ClassVar[frozenset[str]] = frozenset({'_readers'})

    def __init__(self, audio: AudioSettings) -> None:
        self._raw = sound.RawFormat.of_settings(audio)
        self._readers: dict[str, Callable[[Any, int], Input | None]] = {
            images.IMAGE: lambda message, _: images.read_image(message),
            images.COMPRESSED_IMAGE: lambda message, _: images.read_compressed(message),
            sound.AUDIO_CHUNK: lambda message, _: sound.read_chunk(message),
            sound.AUDIO_STAMPED: lambda message, _: sound.read_audio_stamped(message),
            sound.AUDIO_DATA:
                lambda message, ns: sound.read_audio_data(message, self._raw, ns),
            sound.AUDIO_DATA_STAMPED:
                lambda message, _: sound.read_audio_data_stamped(message, self._raw),
            sound.AUDIO_INFO: self._read_audio_info,
            BOOL: lambda message, ns: RobotSpeaking(ns, message.data),
            LIVE_SPEECH: self._read_live_speech,
        }
        self._begun_ns: int | None = None  # start of the LiveSpeech going on

    def read(self, received: Received) -> Input | None:
        """
        Turn a message into a record.

        :returns: None for what only informs (AudioInfo) or says nothing (empty LiveSpeech).
        :raises InputError: when it cannot be used; ``cause`` says why in a word.
        :raises GraphError: for a type that is no input.
        """
        reader = self._readers.get(received.msgtype)
        if reader is None:
            raise GraphError(f'{received.topic}: {received.msgtype} is no input; '
                             f'allowed: {", ".join(self._readers)}')
        record = reader(from_cdr(received.cdr, received.msgtype), received.received_ns)
        stamp_ns = record.start_ns if isinstance(record, Utterance) else \
            0 if record is None else record.stamp_ns
        if abs(stamp_ns) > LATEST_NS:  # what follows from it would not fit a Time
            raise InputError('bad_stamp', f'{received.msgtype}: a stamp of {stamp_ns / NS:.0f} s; '
                                          f'allowed: {LATEST_NS // NS} s at most')
        return record

    def _read_live_speech(self, message: Any, received_ns: int) -> Utterance | None:
        """Let a partial result and those that replace it begin at the same time."""
        utterance = _live_speech(message, received_ns)
        begun_ns, self._begun_ns = self._begun_ns, None
        if utterance is None:
            return None
        start_ns = utterance.start_ns
        if begun_ns is not None and begun_ns <= utterance.end_ns <= begun_ns + LONGEST_SPEECH_NS:
            start_ns = begun_ns
        if not utterance.is_final:
            self._begun_ns = start_ns
        return dataclasses.replace(utterance, start_ns=start_ns)

    def _read_audio_info(self, message: Any, received_ns: int) -> None:
        # Kept even if it cannot be used: what it describes must not be read as something else.
        self._raw = sound.RawFormat.of_message(message)
        self._raw.check()


def state_message(state: AffectState, latency_ns: int) -> Any:
    """
    Build a ``maven_ros/AffectState``.

    :param latency_ns: from the window's end to now.
    """
    face = state.face
    region = {} if face is None else {
        'x_offset': face.x, 'y_offset': face.y, 'width': face.width, 'height': face.height}
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
        baseline_arousal=arousal, transcript=state.transcript, face=region,
        latency=time_message(latency_ns, 'builtin_interfaces/msg/Duration'), model=state.model)


def state_record(message: Any) -> AffectState:
    """
    Read a ``maven_ros/AffectState``; its numbers are float32's.

    :raises InputError: ``bad_payload`` for a status or a voice that is not one of the constants.
    """
    face = message.face
    box = Box(face.x_offset, face.y_offset, face.width, face.height)
    try:
        status, voice = Status(message.status), VoiceAssigned(message.voice_assigned)
    except ValueError as error:
        raise InputError('bad_payload', f'AffectState: {error}; allowed: the constants of '
                                        'AffectState.msg') from error
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
    try:
        kind = EventKind(message.kind)
    except ValueError as error:
        raise InputError('bad_payload', f'AffectEvent: {error}; allowed: the constants of '
                                        'AffectEvent.msg') from error
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
        words=[new('maven_ros/msg/Word', text=word.text, start=time_message(word.start_ns),
                   end=time_message(word.end_ns), confidence=word.confidence)
               for word in utterance.words],
        recogniser=utterance.recogniser)


def utterance_record(message: Any) -> Utterance:
    """Read a ``maven_ros/Utterance``; its confidences are float32's."""
    words = tuple(Word(word.text, time_ns(word.start), time_ns(word.end), word.confidence)
                  for word in message.words)
    return Utterance(time_ns(message.start), time_ns(message.end), words, message.is_final,
                     message.recogniser)


def diagnostics_message(
    stamp_ns: int, name: str, level: int, message: str, values: Mapping[str, str]
) -> Any:
    """
    Build a ``diagnostic_msgs/DiagnosticArray`` of one status.

    :param level: 0 OK, 1 WARN, 2 ERROR, 3 STALE.
    """
    status = new('diagnostic_msgs/msg/DiagnosticStatus', level=level, name=name, message=message,
                 values=[new('diagnostic_msgs/msg/KeyValue', key=key, value=value)
                         for key, value in values.items()])
    return new(DIAGNOSTICS, header={'stamp': time_message(stamp_ns)}, status=[status])


def _live_speech(message: Any, received_ns: int) -> Utterance | None:
    texts = (message.final or message.incremental).split()
    if not texts:
        return None
    if not 0.0 <= message.confidence <= 1.0:
        raise InputError('bad_payload', f'LiveSpeech.confidence: {message.confidence}; '
                                        'allowed: [0, 1]')
    end_ns = time_ns(message.header.stamp) or received_ns
    start_ns = end_ns - len(texts) * LIVE_SPEECH_WORD_NS
    words = tuple(
        Word(text, start_ns + i * LIVE_SPEECH_WORD_NS, start_ns + (i + 1) * LIVE_SPEECH_WORD_NS,
             message.confidence)
        for i, text in enumerate(texts))
    return Utterance(start_ns, end_ns, words, bool(message.final), LIVE_SPEECH)
