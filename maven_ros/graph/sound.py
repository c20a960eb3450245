"""
Convert sound to messages and back: ``AudioChunk`` and both families of ``audio_common_msgs``.

| message | its time is that of | its format is in |
| --- | --- | --- |
| maven_ros/AudioChunk | the first sample | the message |
| AudioDataStamped (ros-drivers) | the first sample | AudioInfo, beside it |
| AudioData (ros-drivers) | none; its end is the arrival | AudioInfo, beside it |
| AudioStamped (mgonzs13) | the last sample's end | the message |
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maven_ros.errors import GraphError, InputError
from maven_ros.freezing import plain_data
from maven_ros.graph.messages import new, time_message, time_ns
from maven_ros.graph.mpeg_frames import is_mpeg
from maven_ros.records import LOUDEST, LOWEST_RATE_HZ, NS, AudioChunk, Samples
from maven_ros.settings import AudioSettings

AUDIO_CHUNK = 'maven_ros/msg/AudioChunk'
AUDIO_STAMPED = 'audio_common_msgs/msg/AudioStamped'
AUDIO_DATA = 'audio_common_msgs/msg/AudioData'
AUDIO_DATA_STAMPED = 'audio_common_msgs/msg/AudioDataStamped'
AUDIO_INFO = 'audio_common_msgs/msg/AudioInfo'

#: Encodings of AudioChunk.
ENCODINGS = {'S16LE': '<i2', 'F32LE': '<f4'}
#: Allowed values of AudioInfo.sample_format, which are GStreamer's names.
RAW_FORMATS = {**ENCODINGS, 'S16BE': '>i2', 'S32LE': '<i4', 'S32BE': '>i4', 'F32BE': '>f4',
               'S8': 'i1', 'U8': 'u1'}
#: AudioInfo.coding_format of uncompressed sound; '' if unknown.
UNCOMPRESSED = ('wave', 'wav', 'raw', 'pcm', '')
#: PortAudio's sample formats, and the array of AudioStamped that each one fills.
PORTAUDIO = {1: 'float32_data', 2: 'int32_data', 8: 'int16_data', 16: 'int8_data',
             32: 'uint8_data'}
_DRIVERS_CURE = "set the parameter format of ros-drivers' audio_capture to wave"
_MAX_RATE_HZ = 768_000
_LONGEST_NAME = 80  # longer names are unknown anyway
_MAX_CHANNELS = 255
#: Longest message; each second becomes 16,000 samples at any rate.
_LONGEST_S = 10
_MOST_VALUES = 2**22


@plain_data
@dataclass(frozen=True, slots=True)
class RawFormat:
    """The format of the bytes of AudioData messages."""

    sample_rate_hz: int
    channels: int
    sample_format: str
    coding_format: str = ''
    told: bool = False  # by an AudioInfo

    @classmethod
    def of_settings(cls, audio: AudioSettings) -> RawFormat:
        """Return the format for messages without an AudioInfo, from the settings."""
        return cls(audio.raw_rate_hz, audio.raw_channels, audio.raw_format)

    @classmethod
    def of_message(cls, info: Any) -> RawFormat:
        """Return the format that an AudioInfo of ros-drivers describes."""
        return cls(info.sample_rate, info.channels, info.sample_format[:_LONGEST_NAME],
                   info.coding_format[:_LONGEST_NAME], told=True)

    def check(self) -> None:
        """
        Check that the format can be read.

        :raises InputError: ``unknown_encoding``, ``bad_rate`` or ``bad_channels``.
        """
        if self.coding_format.lower() not in UNCOMPRESSED:
            raise InputError(
                'unknown_encoding',
                f'AudioInfo.coding_format: {self.coding_format!r} is compressed; allowed: wave '
                f'({_DRIVERS_CURE})')
        if self.sample_format not in RAW_FORMATS:
            raise InputError('unknown_encoding', _not_allowed(
                'AudioInfo.sample_format', self.sample_format, RAW_FORMATS))
        _check_layout('AudioInfo', self.sample_rate_hz, self.channels)


def audio_message(chunk: AudioChunk, frame_id: str = '', encoding: str = 'S16LE') -> Any:
    """
    Build a ``maven_ros/AudioChunk``; S16LE saturates beyond full scale.

    :param chunk: its sequence number is sent, or 0 if it has none.
    :param encoding: S16LE or F32LE.
    :raises GraphError: for another encoding, for samples that are not (samples, channels), and
        for NaN or infinity.
    """
    samples = chunk.samples
    if encoding not in ENCODINGS:
        raise GraphError(_not_allowed('encoding', encoding, ENCODINGS))
    if samples.ndim != 2 or not 1 <= samples.shape[1] <= _MAX_CHANNELS:
        raise GraphError(f'samples: shape {samples.shape}; allowed: (samples, channels) with 1 '
                         f'to {_MAX_CHANNELS} channels')
    if not np.isfinite(samples).all():
        raise GraphError('samples: NaN or infinity; allowed: numbers in [-1, 1]')
    if encoding == 'S16LE':
        data = np.clip(np.rint(samples * 32768.0), -32768, 32767).astype('<i2')
    else:
        data = samples.astype('<f4')
    header = {'stamp': time_message(chunk.stamp_ns), 'frame_id': frame_id}
    return new(AUDIO_CHUNK, header=header, sample_rate=chunk.sample_rate_hz,
               channels=samples.shape[1], encoding=encoding, data=data.tobytes(),
               sequence=chunk.sequence or 0)


def read_chunk(message: Any) -> AudioChunk:
    """
    Read a ``maven_ros/AudioChunk``.

    :raises InputError: ``unknown_encoding``, ``bad_rate``, ``bad_channels``, ``bad_payload``,
        ``too_long``, ``not_finite``, ``out_of_range``.
    """
    if message.encoding not in ENCODINGS:
        raise InputError('unknown_encoding', _not_allowed(
            'AudioChunk.encoding', message.encoding, ENCODINGS))
    _check_layout('AudioChunk', message.sample_rate, message.channels)
    samples = _samples('AudioChunk', _values('AudioChunk', message.data, message.encoding),
                       message.channels, message.sample_rate)
    return AudioChunk(time_ns(message.header.stamp), samples, message.sample_rate,
                      message.sequence)


def read_audio_stamped(message: Any) -> AudioChunk:
    """
    Read an ``audio_common_msgs/AudioStamped`` of mgonzs13's family; its stamp is its end.

    :raises InputError: as :func:`read_chunk`.
    """
    info = message.audio.info
    if info.format not in PORTAUDIO:
        allowed = ', '.join(f'{number} ({name})' for number, name in PORTAUDIO.items())
        raise InputError('unknown_encoding', f'AudioStamped.audio.info.format: {info.format} is '
                                             f'unknown; allowed: {allowed}')
    _check_layout('AudioStamped', info.rate, info.channels)
    values = getattr(message.audio.audio_data, PORTAUDIO[info.format])
    samples = _samples(f'AudioStamped ({PORTAUDIO[info.format]})', values, info.channels,
                       info.rate)
    return AudioChunk(time_ns(message.header.stamp) - _duration_ns(samples, info.rate), samples,
                      info.rate)


def read_audio_data_stamped(message: Any, raw: RawFormat) -> AudioChunk:
    """
    Read an ``audio_common_msgs/AudioDataStamped`` of ros-drivers' family; its stamp is its start.

    :raises InputError: as :func:`read_chunk`, and as :meth:`RawFormat.check`.
    """
    return AudioChunk(time_ns(message.header.stamp), _raw_samples(message.audio.data, raw),
                      raw.sample_rate_hz)


def read_audio_data(message: Any, raw: RawFormat, received_ns: int) -> AudioChunk:
    """
    Read an unstamped ``audio_common_msgs/AudioData``; its end is its arrival.

    :raises InputError: as :func:`read_chunk`, and as :meth:`RawFormat.check`.
    """
    samples = _raw_samples(message.data, raw)
    return AudioChunk(received_ns - _duration_ns(samples, raw.sample_rate_hz), samples,
                      raw.sample_rate_hz, stamped=False)


def _raw_samples(data: NDArray[np.uint8], raw: RawFormat) -> Samples:
    raw.check()
    if not raw.told and is_mpeg(data.tobytes()):
        raise InputError('unknown_encoding', 'AudioData: frames of MPEG audio (MP3), and no '
                         f'AudioInfo that says so; allowed: samples ({_DRIVERS_CURE})')
    return _samples('AudioData', _values('AudioData', data, raw.sample_format), raw.channels,
                    raw.sample_rate_hz)


def _values(where: str, data: NDArray[np.uint8], encoding: str) -> NDArray[Any]:
    dtype = np.dtype(RAW_FORMATS[encoding])
    if len(data) % dtype.itemsize:
        raise InputError('bad_payload', f'{where}.data: {len(data)} bytes are no whole samples; '
                                        f'allowed: multiples of {dtype.itemsize} ({encoding})')
    return np.frombuffer(data, dtype)


def _samples(where: str, values: NDArray[Any], channels: int, rate_hz: int) -> Samples:
    """Scale to float32 (samples, channels) with full scale 1: integers by 2^(bits - 1)."""
    if not len(values) or len(values) % channels:
        raise InputError('bad_payload', f'{where}: {len(values)} samples are no whole samples of '
                                        f'{channels} channels; allowed: multiples, at least one')
    length_s = len(values) / channels / rate_hz
    if length_s > _LONGEST_S or len(values) > _MOST_VALUES:
        raise InputError('too_long', f'{where}: {length_s:.1f} s of sound, {len(values)} values, '
                                     f'in a message; allowed: {_LONGEST_S} s, {_MOST_VALUES}')
    bits = 8 * values.dtype.itemsize
    scaled = values.astype(np.float32)
    if values.dtype.kind == 'f':
        unusable = np.count_nonzero(~np.isfinite(scaled))
        if unusable:
            raise InputError('not_finite', f'{where}: {unusable} of {len(values)} samples are NaN '
                                           'or infinite; allowed: numbers in [-1, 1]')
        loudest = float(np.abs(scaled).max())
        if loudest > LOUDEST:  # numbers of another scale, such as that of int16, are no sound
            raise InputError('out_of_range', f'{where}: samples of up to {loudest:g}; allowed: '
                                             'numbers in [-1, 1]')
    else:
        if values.dtype.kind == 'u':
            scaled -= 2.0 ** (bits - 1)
        scaled /= 2.0 ** (bits - 1)
    return scaled.reshape(-1, channels)


def _check_layout(where: str, sample_rate_hz: int, channels: int) -> None:
    if not LOWEST_RATE_HZ <= sample_rate_hz <= _MAX_RATE_HZ:
        raise InputError('bad_rate', f'{where}: a sample rate of {sample_rate_hz} Hz; '
                                     f'allowed: {LOWEST_RATE_HZ} to {_MAX_RATE_HZ}')
    if not 1 <= channels <= _MAX_CHANNELS:
        raise InputError('bad_channels', f'{where}: {channels} channels; '
                                         f'allowed: 1 to {_MAX_CHANNELS}')


def _duration_ns(samples: Samples, sample_rate_hz: int) -> int:
    return len(samples) * NS // sample_rate_hz


def _not_allowed(thing: str, value: str, allowed: dict[str, str]) -> str:
    return f'{thing}: {value!r:.80} is unknown; allowed: {", ".join(allowed)}'
