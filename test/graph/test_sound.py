from __future__ import annotations

import re

import numpy as np
import pytest

from maven_ros.errors import GraphError, InputError
from maven_ros.graph.convert import audio_message
from maven_ros.graph.interface import Received
from maven_ros.graph.messages import new, time_message, to_cdr
from maven_ros.intake.input_reader import InputReader
from maven_ros.records import NS, AudioChunk
from maven_ros.settings import AudioSettings

CHUNK = 'maven_ros/msg/AudioChunk'
STAMPED = 'audio_common_msgs/msg/AudioStamped'
DATA = 'audio_common_msgs/msg/AudioData'
DATA_STAMPED = 'audio_common_msgs/msg/AudioDataStamped'
INFO = 'audio_common_msgs/msg/AudioInfo'


def send(reader, msgtype, received_ns=0, **fields):
    return reader.read(Received('/audio', msgtype, to_cdr(new(msgtype, **fields), msgtype),
                                received_ns))


def read(msgtype, received_ns=0, settings=None, **fields):
    return send(InputReader(settings or AudioSettings()), msgtype, received_ns, **fields)


def refused(cause, text, msgtype, **fields):
    with pytest.raises(InputError, match=re.escape(text)) as caught:
        read(msgtype, **fields)
    assert caught.value.cause == cause


def stamped(format, name, values, channels=1, rate=8000, at_ns=NS):
    return {'header': {'stamp': time_message(at_ns)}, 'audio': {
        'audio_data': {name: values},
        'info': {'format': format, 'channels': channels, 'rate': rate}}}


FULL = [-1.0, -0.5, 0.0, 0.5]


@pytest.mark.parametrize('format, name, values', [
    (1, 'float32_data', FULL),
    (2, 'int32_data', [-2**31, -2**30, 0, 2**30]),
    (8, 'int16_data', [-32768, -16384, 0, 16384]),
    (16, 'int8_data', [-128, -64, 0, 64]),
    (32, 'uint8_data', [0, 64, 128, 192]),
])
def test_portaudio_formats_scale_exactly(format, name, values):
    chunk = read(STAMPED, **stamped(format, name, values))
    assert chunk.samples.dtype == np.float32
    assert chunk.samples[:, 0].tolist() == FULL


@pytest.mark.parametrize('name, dtype, values', [
    ('S16LE', '<i2', [-32768, -16384, 0, 16384]), ('S16BE', '>i2', [-32768, -16384, 0, 16384]),
    ('S32LE', '<i4', [-2**31, -2**30, 0, 2**30]), ('S32BE', '>i4', [-2**31, -2**30, 0, 2**30]),
    ('F32LE', '<f4', FULL), ('F32BE', '>f4', FULL),
    ('S8', 'i1', [-128, -64, 0, 64]), ('U8', 'u1', [0, 64, 128, 192]),
])
def test_raw_formats_scale_exactly(name, dtype, values):
    chunk = read(DATA, settings=AudioSettings(raw_format=name),
                 data=np.array(values, dtype).tobytes())
    assert chunk.samples[:, 0].tolist() == FULL


@pytest.mark.parametrize('encoding', ['S16LE', 'F32LE'])
def test_our_chunks_survive_the_wire(encoding):
    samples = np.array([[-1.0, 0.25], [0.5, -0.125], [0.0, 1 / 32768]], np.float32)
    sent = AudioChunk(12_345_678_901, samples, 44_100, 7)
    message = audio_message(sent, 'mic', encoding)
    assert message.header.frame_id == 'mic' and message.channels == 2
    back = InputReader(AudioSettings()).read(Received('/a', CHUNK, to_cdr(message, CHUNK), 0))
    assert (back.stamp_ns, back.sample_rate_hz, back.sequence) == (12_345_678_901, 44_100, 7)
    assert back.stamped and np.array_equal(back.samples, samples)


def test_beyond_full_scale_s16le_saturates():
    loud = AudioChunk(0, np.array([[1.0], [2.0], [-2.0]], np.float32), 8000)
    assert audio_message(loud).data.view('<i2').tolist() == [32767, 32767, -32768]


def test_mgonzs13_stamps_the_end():
    chunk = read(STAMPED, **stamped(8, 'int16_data', [1] * 1600, rate=16_000, at_ns=NS))
    assert (chunk.stamp_ns, chunk.end_ns, chunk.stamped) == (900_000_000, NS, True)


def test_ros_drivers_stamps_the_start():
    chunk = read(DATA_STAMPED, header={'stamp': time_message(NS)}, audio={'data': bytes(3200)})
    assert (chunk.stamp_ns, chunk.stamped) == (NS, True)


def test_unstamped_sound_ends_at_its_arrival():
    chunk = read(DATA, received_ns=NS, data=bytes(3200))
    assert (chunk.stamp_ns, chunk.end_ns, chunk.stamped) == (900_000_000, NS, False)


def test_audio_info_overrules_the_settings():
    reader = InputReader(AudioSettings(raw_rate_hz=8000, raw_channels=2, raw_format='U8'))
    assert send(reader, DATA, data=bytes(10)).samples.shape == (5, 2)
    assert send(reader, INFO, channels=1, sample_rate=48_000, sample_format='S16LE',
                coding_format='WAVE') is None
    after = send(reader, DATA, data=bytes(10))
    assert after.samples.shape == (5, 1) and after.sample_rate_hz == 48_000


def test_mp3_is_refused_by_the_parameters_name():
    reader = InputReader(AudioSettings())
    info = {'channels': 1, 'sample_rate': 16_000, 'sample_format': 'S16LE'}
    text = "AudioInfo.coding_format: 'mp3' is compressed; allowed: wave"
    with pytest.raises(InputError, match=text):
        send(reader, INFO, **info, coding_format='mp3')
    with pytest.raises(InputError, match=text):  # and its data is not taken for sound
        send(reader, DATA, data=bytes(8))
    assert send(reader, INFO, **info, coding_format='wave') is None
    assert len(send(reader, DATA, data=bytes(8)).samples) == 4


def chunk_fields(**changes):
    return {'sample_rate': 16_000, 'channels': 1, 'encoding': 'F32LE', 'data': bytes(8),
            **changes}


def test_bad_chunks_are_refused():
    refused('unknown_encoding', "AudioChunk.encoding: 'MP3' is unknown; allowed: S16LE, F32LE",
            CHUNK, **chunk_fields(encoding='MP3'))
    refused('bad_rate', 'AudioChunk: a sample rate of 0 Hz; allowed: 1000 to 768000',
            CHUNK, **chunk_fields(sample_rate=0))
    refused('bad_channels', 'AudioChunk: 0 channels; allowed: 1 to 255',
            CHUNK, **chunk_fields(channels=0))
    refused('bad_payload', 'AudioChunk.data: 7 bytes are no whole samples; allowed: multiples '
            'of 4 (F32LE)', CHUNK, **chunk_fields(data=bytes(7)))
    refused('bad_payload', 'AudioChunk: 2 samples are no whole samples of 3 channels',
            CHUNK, **chunk_fields(channels=3))
    refused('bad_payload', 'AudioChunk: 0 samples', CHUNK, **chunk_fields(data=b''))
    bad = np.array([np.nan, 0.5, np.inf], '<f4').tobytes()
    refused('not_finite', 'AudioChunk: 2 of 3 samples are NaN or infinite',
            CHUNK, **chunk_fields(data=bad))


def test_bad_foreign_sound_is_refused():
    refused('unknown_encoding', 'AudioStamped.audio.info.format: 4 is unknown; allowed: 1 (float3',
            STAMPED, **stamped(4, 'int8_data', [1, 2, 3]))
    refused('bad_payload', 'AudioStamped (int16_data): 0 samples',
            STAMPED, **stamped(8, 'int8_data', [1]))
    refused('bad_rate', 'AudioStamped: a sample rate of -1 Hz',
            STAMPED, **stamped(8, 'int16_data', [1], rate=-1))
    refused('bad_channels', 'AudioStamped: 0 channels',
            STAMPED, **stamped(8, 'int16_data', [1], channels=0))
    refused('out_of_range', 'AudioChunk: samples of up to 20000; allowed: numbers in [-1, 1]',
            CHUNK, sample_rate=8000, channels=1, encoding='F32LE',
            data=np.array([0.5, -20000], '<f4').tobytes())
    refused('not_finite', 'AudioStamped (float32_data): 1 of 1 samples',
            STAMPED, **stamped(1, 'float32_data', [np.nan]))
    refused('bad_payload', 'AudioData.data: 3 bytes', DATA, data=bytes(3))
    refused('unknown_encoding', "AudioInfo.sample_format: 'S24LE' is unknown",
            INFO, sample_format='S24LE')
    refused('bad_rate', 'AudioInfo: a sample rate of 0 Hz', INFO, sample_format='S16LE')


def test_sound_that_cannot_be_sent_is_refused():
    good = AudioChunk(0, np.zeros((4, 1), np.float32), 8000)
    with pytest.raises(GraphError, match="encoding: 'S8' is unknown; allowed: S16LE, F32LE"):
        audio_message(good, encoding='S8')
    with pytest.raises(GraphError, match='samples: NaN or infinity'):
        audio_message(AudioChunk(0, np.full((4, 1), np.nan, np.float32), 8000))
