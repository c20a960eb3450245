"""Messages to the core's records: the edge where the graph meets the pipeline."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar

from maven_ros.errors import GraphError, InputError
from maven_ros.freezing import Freezing
from maven_ros.graph import images, sound
from maven_ros.graph.convert import BOOL, LIVE_SPEECH
from maven_ros.graph.interface import Received
from maven_ros.graph.messages import from_cdr, time_ns
from maven_ros.languages import is_tag
from maven_ros.records import NS, Input, RobotSpeaking, Utterance, Word
from maven_ros.settings import AudioSettings

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


def _live_speech(message: Any, received_ns: int) -> Utterance | None:
    texts = (message.final or message.incremental).split()
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
