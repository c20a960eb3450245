"""Sound of ros-drivers waits for what says its form, and is not guessed; MP3 is no sound."""

import av
import numpy as np
import pytest

from maven_ros.counters import Counters
from maven_ros.freezing import decode, encode
from maven_ros.graph.interface import Received
from maven_ros.graph.messages import new, to_cdr
from maven_ros.graph.mpeg_frames import is_mpeg
from maven_ros.graph.sound import AUDIO_DATA, AUDIO_INFO
from maven_ros.intake.intake import Intake
from maven_ros.records import NS
from maven_ros.settings import AudioSettings

T0 = 1_700_000_000 * NS
STEP_NS = NS // 50
TONE = (np.sin(np.arange(960) / 5) * 9000).astype('<i2').repeat(2)  # 20 ms of 48 kHz, 2 channels


def data(number, content=None):
    message = new(AUDIO_DATA, data=(TONE if content is None else content).tobytes()
                  if not isinstance(content, bytes) else content)
    return Received('/audio', AUDIO_DATA, to_cdr(message, AUDIO_DATA), T0 + number * STEP_NS)


def info(number, **fields):
    message = new(AUDIO_INFO, **{'sample_rate': 48000, 'channels': 2, 'sample_format': 'S16LE',
                                 'coding_format': 'wave', **fields})
    return Received('/audio_info', AUDIO_INFO, to_cdr(message, AUDIO_INFO), T0 + number * STEP_NS)


@pytest.fixture
def counters():
    return Counters()


@pytest.fixture
def intake(counters):
    return Intake(AudioSettings(), counters)


def mp3(kind='libmp3lame', rate_hz=16000, layout='mono'):
    """Return a second of it, packet by packet."""
    codec = av.CodecContext.create(kind, 'w')
    codec.sample_rate, codec.layout, codec.format = rate_hz, layout, 's16p'
    codec.open()
    packets, size = [], codec.frame_size or 576
    noise = np.random.default_rng(0)
    for first in range(0, rate_hz, size):
        frame = av.AudioFrame.from_ndarray(
            noise.integers(-9000, 9000, (1, size), np.int16), 's16p', layout)
        frame.sample_rate, frame.pts = rate_hz, first
        packets += codec.encode(frame)
    return [bytes(packet) for packet in packets if packet.size]


def test_sound_waits_for_its_description_and_has_the_time_at_which_it_came(intake, counters):
    assert [intake.take(data(number)) for number in range(3)] == [[], [], []]
    assert intake.sound.held == 3
    chunks = [*intake.take(info(3)), *intake.take(data(3))]
    assert [(one.sample_rate_hz, one.samples.shape, one.end_ns) for one in chunks] == [
        (48000, (960, 2), T0 + number * STEP_NS) for number in range(4)]
    assert not counters.snapshot() and not intake.sound.held


def test_it_waits_so_long_and_no_longer_and_what_is_assumed_is_said(counters):
    intake = Intake(AudioSettings(info_wait_s=0.1), counters)
    assert not any(intake.take(data(number)) for number in range(5))
    chunks = intake.take(data(5))
    assert len(chunks) == 6 and {one.sample_rate_hz for one in chunks} == {16000}
    assert len(intake.take(data(6))) == 1
    [said] = counters.details().values()
    assert counters.snapshot() == {'/audio.assumed_form': 6}
    assert said.startswith('no AudioInfo has come for 0.1 s; taken for 16000 Hz, channels: 1, '
                           'S16LE (audio.raw_rate_hz')
    assert intake.take(info(7)) == [] and intake.take(data(8))[0].sample_rate_hz == 48000


def test_what_waits_is_bounded_in_bytes(intake, counters):
    large = np.zeros(2**20, np.uint8).tobytes()
    assert not any(intake.take(data(number, large)) for number in range(15))
    assert len(intake.take(data(15, large))) + counters.get('/audio', 'too_long') == 16


def test_what_a_recording_says_counts_from_its_beginning(intake, counters):
    intake.describe(info(50))
    assert intake.take(data(0))[0].sample_rate_hz == 48000
    other = Intake(AudioSettings(), counters)
    other.describe(None)  # it says nothing
    assert other.take(data(0))[0].sample_rate_hz == 16000
    assert not counters.snapshot()


def test_another_intake_goes_on_waiting(intake, counters):
    intake.take(data(0))
    other = Intake(AudioSettings(), counters)
    other.thaw(decode(encode(intake.freeze())))
    assert len(other.take(info(1))) == 1


@pytest.mark.parametrize(('rate_hz', 'layout'), [(16000, 'mono'), (44100, 'mono')])
def test_mp3_is_recognised_and_the_drivers_parameter_is_named(counters, rate_hz, layout):
    intake = Intake(AudioSettings(info_wait_s=0), counters)
    packets = mp3(rate_hz=rate_hz, layout=layout)
    for number, packet in enumerate(packets):
        assert intake.take(data(number, packet)) == []
    assert counters.get('/audio', 'unknown_encoding') == len(packets)
    said = counters.details()['/audio.unknown_encoding']
    assert 'MP3' in said and "set the parameter format of ros-drivers' audio_capture" in said
    assert is_mpeg(b''.join(packets[:5])[:-7])


def test_compressed_sound_names_the_drivers_parameter(intake, counters):
    intake.take(info(0, coding_format='mp3'))
    said = counters.details()['/audio_info.unknown_encoding']
    assert "'mp3' is compressed; allowed: wave (set the parameter format of ros-drivers'" in said
    assert intake.take(data(1)) == []


def test_samples_are_no_mpeg():
    noise = np.random.default_rng(0)
    for length in (2, 4, 288, 512, 3840):
        for _ in range(2000):
            assert not is_mpeg(noise.integers(0, 256, length, np.uint8).tobytes())
    for value in (0, -1, -2, -1025, 255):
        assert not is_mpeg(np.full(512, value, '<i2').tobytes())
