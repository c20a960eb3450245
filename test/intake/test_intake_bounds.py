"""One message costs neither gigabytes nor seconds, and nothing of it is kept that is as long."""

import time

import numpy as np
import pytest

from maven_ros.counters import Counters
from maven_ros.graph.images import IMAGE
from maven_ros.graph.interface import Received
from maven_ros.graph.messages import new, to_cdr
from maven_ros.graph.sound import AUDIO_CHUNK, AUDIO_DATA, AUDIO_INFO
from maven_ros.intake.face_pairing import IDS_LIST
from maven_ros.intake.intake import Intake
from maven_ros.records import NS
from maven_ros.settings import AudioSettings

T0 = 1_700_000_000 * NS
LIVE_SPEECH = 'hri_msgs/msg/LiveSpeech'
LONG = 'x' * 2_000_000


def header(frame_id=''):
    return {'stamp': {'sec': T0 // NS}, 'frame_id': frame_id}


def sound(rate_hz, data, **fields):
    return new(AUDIO_CHUNK, header=header(), **{
        'sample_rate': rate_hz, 'channels': 1, 'encoding': 'S16LE', 'data': data, **fields})


def picture(frame_id='', **fields):
    return new(IMAGE, header=header(frame_id), **{
        'width': 4, 'height': 4, 'encoding': 'mono8', 'step': 4, 'data': bytes(16), **fields})


@pytest.fixture
def counters():
    return Counters()


@pytest.fixture
def take(counters):
    intake = Intake(AudioSettings(), counters)

    def take(msgtype, message):
        began_s = time.process_time()
        records = intake.take(Received('/it', msgtype, to_cdr(message, msgtype), T0))
        assert time.process_time() - began_s < 1
        return records

    return take


@pytest.mark.parametrize(('msgtype', 'message', 'cause', 'said'), [
    (AUDIO_CHUNK, sound(1000, bytes(10_000_000)), 'too_long',
     'AudioChunk: 5000.0 s of sound, 5000000 values, in a message; allowed: 10 s, 4194304'),
    (AUDIO_CHUNK, sound(768000, bytes(10_000_000)), 'too_long', '6.5 s of sound'),
    (LIVE_SPEECH, new(LIVE_SPEECH, final='a ' * 100_000), 'too_long',
     'LiveSpeech: 200000 characters; allowed: 5000, and 500 words'),
    (LIVE_SPEECH, new(LIVE_SPEECH, incremental='a ' * 600), 'too_long', '1200 characters'),
    (IDS_LIST, new(IDS_LIST, header=header(), ids=[f'f{n}' for n in range(5000)]), 'too_long',
     'IdsList: 5000 ids of up to 5 characters; allowed: 64 of 64'),
    (IDS_LIST, new(IDS_LIST, header=header(), ids=[LONG]), 'too_long', '1 ids of up to 2000000'),
    (IMAGE, picture(encoding=LONG), 'unknown_encoding', "Image.encoding: 'xxx"),
    (IMAGE, picture(LONG), 'bad_frame_id', '2000000 characters; allowed: 255'),
    (AUDIO_CHUNK, sound(16000, bytes(2), encoding=LONG), 'unknown_encoding', "'xxx"),
    (AUDIO_INFO, new(AUDIO_INFO, sample_rate=16000, channels=1, sample_format=LONG),
     'unknown_encoding', "'xxx"),
])
def test_what_is_too_long_is_refused_and_not_kept(take, counters, msgtype, message, cause, said):
    assert take(msgtype, message) == []
    assert counters.snapshot() == {f'/it.{cause}': 1}
    [detail] = counters.details().values()
    assert said in detail and len(detail) <= 500


def test_what_is_long_but_in_order_is_taken(take, counters):
    assert take(AUDIO_CHUNK, sound(16000, bytes(320_000)))
    assert take(LIVE_SPEECH, new(LIVE_SPEECH, final='word ' * 500))
    assert take(IMAGE, picture('f' * 255))
    assert not counters.snapshot()


def test_a_long_name_of_a_sample_format_is_forgotten(take):
    take(AUDIO_INFO, new(AUDIO_INFO, sample_rate=16000, channels=1, sample_format=LONG))
    sound = np.zeros(100, np.uint8)
    assert take(AUDIO_DATA, new(AUDIO_DATA, data=sound)) == []
