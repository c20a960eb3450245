"""Messages to the core's records: the edge where the graph meets the pipeline."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar

from maven_ros.errors import GraphError, InputError
from maven_ros.freezing import Freezing
from maven_ros.graph import images, sound
from maven_ros.graph.camera_info import CAMERA_INFO, read_camera_info
from maven_ros.graph.convert import BOOL, LIVE_SPEECH
from maven_ros.graph.interface import Received
from maven_ros.graph.messages import from_cdr, time_ns
from maven_ros.languages import is_tag
from maven_ros.records import NS, AudioChunk, Frame, Input, RobotSpeaking, Utterance, Word
from maven_ros.settings import AudioSettings

#: Types that are understood, by the role of the topic that they come from.
INPUT_TYPES: dict[str, tuple[str, ...]] = {
    'image': (images.IMAGE, images.COMPRESSED_IMAGE),
    'camera_info': (CAMERA_INFO,),
    'audio': (sound.AUDIO_CHUNK, sound.AUDIO_STAMPED, sound.AUDIO_DATA,
              sound.AUDIO_DATA_STAMPED),
    'audio_info': (sound.AUDIO_INFO,),
    'robot_speaking': (BOOL,),
    'robot_audio': (sound.AUDIO_CHUNK, sound.AUDIO_STAMPED),
    'speech': (LIVE_SPEECH,),
}

#: LiveSpeech has no word times: words are laid before its stamp at 150 words a minute.
LIVE_SPEECH_WORD_NS = 400_000_000
LONGEST_SPEECH_NS = 60 * NS
#: Words of one LiveSpeech: two minutes of fast talk.
MOST_WORDS = 500
MOST_CHARACTERS = 5000
#: Of a coordinate frame.
LONGEST_NAME = 255
#: builtin_interfaces/Time ends at 2^31 s; windows, words and chunks reach a little further.
LATEST_NS = (2**31 - 3600) * NS


class InputReader(Freezing):
    """
    Turns messages into records, and keeps what it must know between them: the last AudioInfo.

    A stamp of 0 is none: the time of arrival stands in for it.

    :param audio: says what the bytes of AudioData are where no AudioInfo tells.
    """

    _fixed: ClassVar[frozenset[str]] = frozenset({'_readers'})

    def __init__(self, audio: AudioSettings) -> None:
        self._raw = sound.RawFormat.of_settings(audio)
        self._readers: dict[str, Callable[[Any, int], Input | None]] = {
            images.IMAGE: lambda message, _: images.read_image(message),
            images.COMPRESSED_IMAGE: lambda message, _: images.read_compressed(message),
            CAMERA_INFO: lambda message, _: read_camera_info(message),
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

    @property
    def form_told(self) -> bool:
        """Whether an AudioInfo has said what the bytes of AudioData are."""
        return self._raw.told

    @property
    def form(self) -> str:
        """What the bytes of AudioData are taken for, in words."""
        return (f'{self._raw.sample_rate_hz} Hz, channels: {self._raw.channels}, '
                f'{self._raw.sample_format}')

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
        message = from_cdr(received.cdr, received.msgtype)
        stamp_ns = _stamp_ns(message)
        if stamp_ns is not None and not 0 <= stamp_ns <= LATEST_NS:
            raise InputError('bad_stamp', f'{received.msgtype}: a stamp of {stamp_ns / NS:.0f} s; '
                                          f'allowed: 0 to {LATEST_NS // NS} s')
        _check_frame_id(message)
        record = reader(message, received.received_ns)
        if stamp_ns == 0:
            return _at_arrival(record, received.received_ns)
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


def _stamp_ns(message: Any) -> int | None:
    """Return the stamp that a message carries; None for one that has no place for it."""
    header = getattr(message, 'header', None)
    return None if header is None else time_ns(header.stamp)


def _check_frame_id(message: Any) -> None:
    """Refuse a name that would be in every state from then on."""
    length = len((getattr(message, 'header', None) and message.header.frame_id) or '')
    if length > LONGEST_NAME:
        raise InputError('bad_frame_id', f'header.frame_id: {length} characters; allowed: '
                                         f'{LONGEST_NAME}')


def _at_arrival(record: Input | None, received_ns: int) -> Input | None:
    """Take the time at which a picture, or the end of sound, came in for that of the record."""
    if isinstance(record, Frame):
        return dataclasses.replace(record, stamp_ns=received_ns, stamped=False)
    if isinstance(record, AudioChunk):
        start_ns = received_ns - (record.end_ns - record.stamp_ns)
        return dataclasses.replace(record, stamp_ns=start_ns, stamped=False)
    return record


def _live_speech(message: Any, received_ns: int) -> Utterance | None:
    text = message.final or message.incremental
    texts = text.split() if len(text) <= MOST_CHARACTERS else None
    if texts is None or len(texts) > MOST_WORDS:
        raise InputError('too_long', f'LiveSpeech: {len(text)} characters; allowed: '
                                     f'{MOST_CHARACTERS}, and {MOST_WORDS} words')
    if not texts:
        return None
    if not 0.0 <= message.confidence <= 1.0:
        raise InputError('bad_payload', f'LiveSpeech.confidence: {message.confidence}; '
                                        'allowed: [0, 1]')
    end_ns = time_ns(message.header.stamp) or received_ns
    start_ns = end_ns - len(texts) * LIVE_SPEECH_WORD_NS
    language = message.locale.partition('.')[0].replace('_', '-')  # some write en_GB.UTF-8
    language = language if is_tag(language) else ''
    words = tuple(
        Word(text, start_ns + i * LIVE_SPEECH_WORD_NS, start_ns + (i + 1) * LIVE_SPEECH_WORD_NS,
             message.confidence, language)
        for i, text in enumerate(texts))
    return Utterance(start_ns, end_ns, words, bool(message.final), LIVE_SPEECH, language,
                     1.0 if language else 0.0)
