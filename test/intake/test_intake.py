"""The one way in: what the node, the replay and the view make of messages."""

import numpy as np
import pytest

from maven_ros.counters import Counters
from maven_ros.freezing import decode, encode
from maven_ros.graph.convert import BOOL, audio_message, image_message
from maven_ros.graph.images import IMAGE
from maven_ros.graph.interface import Received
from maven_ros.graph.messages import new, time_message, to_cdr
from maven_ros.graph.sound import AUDIO_CHUNK
from maven_ros.intake.face_pairing import IDS_LIST, REGION
from maven_ros.intake.intake import Intake
from maven_ros.records import NS, AudioChunk, RobotSound, RobotSpeaking
from maven_ros.senses.audio import AudioSense
from maven_ros.settings import AudioSettings

T0 = 1_700_000_000 * NS
PIXELS = np.zeros((48, 64, 3), np.uint8)


def picture(i):
    stamp_ns = T0 + i * NS // 10
    return Received('/camera', IMAGE, to_cdr(image_message(stamp_ns, PIXELS), IMAGE), stamp_ns)


def told(i, topic, msgtype, **fields):
    stamp_ns = T0 + i * NS // 10
    message = new(msgtype, header={'stamp': time_message(stamp_ns)}, **fields)
    return Received(f'/humans/faces/{topic}', msgtype, to_cdr(message, msgtype), stamp_ns + 1000)


def speaking(received_ns):
    return Received('/robot_speaking', BOOL, to_cdr(new(BOOL, data=True), BOOL), received_ns)


@pytest.fixture
def counters():
    return Counters()


@pytest.fixture
def intake(counters):
    return Intake(AudioSettings(), counters)


def test_a_picture_comes_with_the_message_that_completes_it(intake):
    [first] = intake.take(picture(0))
    assert first.faces is None
    intake.take(told(0, 'tracked', IDS_LIST, ids=[]))
    assert intake.faces.used and intake.take(picture(1)) == []
    intake.take(told(1, 'tracked', IDS_LIST, ids=['abcde']))
    [frame] = intake.take(told(1, 'abcde/roi', REGION, xmin=0.25, ymin=0.25, xmax=0.5, ymax=0.5))
    assert [face.person_id for face in frame.faces] == ['abcde']
    assert intake.now_ns == frame.stamp_ns + 1000
    intake.reset()
    assert not intake.faces.used


def test_what_cannot_be_used_is_counted_by_its_topic(intake, counters):
    assert intake.take(Received('/camera', IMAGE, b'\x00\x01\x00\x00', T0)) == []
    assert intake.take(Received('/humans/faces/tracked', IDS_LIST, b'\x00\x01', T0)) == []
    assert counters.snapshot() == {
        '/camera.bad_payload': 1, '/humans/faces/tracked.bad_payload': 1}


def test_arrivals_do_not_go_back_but_where_a_clock_was_set(intake):
    for received_ns, now_ns in ((T0, T0), (T0 - NS // 10, T0), (T0 - NS, T0 - NS)):
        assert intake.take(speaking(received_ns)) == [RobotSpeaking(now_ns, True)]
        assert intake.now_ns == now_ns
    assert intake.pass_time(T0) == T0
    assert intake.take(speaking(T0 - 1000)) == [RobotSpeaking(T0, True)]


def test_what_came_before_the_clock_began_arrives_as_it_begins(intake):
    assert intake.take(speaking(0), clock_ns=T0) == [RobotSpeaking(T0, True)]


def test_stamps_are_noted_by_topic_as_they_are_read(intake):
    chunk = audio_message(AudioChunk(T0 - NS, np.zeros((100, 1), np.float32), 16000))
    intake.take(Received('/audio', AUDIO_CHUNK, to_cdr(chunk, AUDIO_CHUNK), T0))
    intake.take(picture(0))
    intake.take(picture(2))
    assert intake.stamps.spans == {
        '/audio': [1, T0 - NS, T0 - NS], '/camera': [2, T0, T0 + NS // 5]}


def test_another_intake_goes_on_alike(intake, counters):
    intake.take(picture(0))
    intake.take(told(0, 'tracked', IDS_LIST, ids=[]))
    intake.take(picture(1))
    other = Intake(AudioSettings(), counters)
    other.thaw(decode(encode(intake.freeze())))
    assert other.now_ns == intake.now_ns and other.stamps.seen == intake.stamps.seen
    for one in (intake, other):
        [frame] = one.take(told(1, 'tracked', IDS_LIST, ids=[]))
        assert frame.faces == () and (frame.decode() == PIXELS).all()


def test_a_chunk_that_is_refused_is_not_lost_as_well(intake, counters):
    audio = AudioSense(AudioSettings(), 5.0, counters)
    for number in range(8):
        chunk = AudioChunk(T0 + number * NS // 10, np.zeros((1600, 1), np.float32), 16000, number)
        message = audio_message(chunk)
        if number in (2, 3):
            message.encoding = 'MP3'
        if number != 6:  # which is lost
            cdr = to_cdr(message, AUDIO_CHUNK)
            for record in intake.take(Received('/audio', AUDIO_CHUNK, cdr, chunk.end_ns)):
                audio.add(record)
    assert {name: n for name, n in counters.snapshot().items() if 'gap' not in name} == {
        '/audio.unknown_encoding': 2, 'audio.lost_chunks': 1}


def test_what_the_robot_plays_is_told_from_what_is_heard_by_its_topic(counters):
    intake = Intake(AudioSettings(), counters, robot_audio='/speaker')

    def given(topic, stamp_ns, number=None):
        chunk = AudioChunk(stamp_ns, np.zeros((1600, 1), np.float32), 16000, number)
        message = to_cdr(audio_message(chunk), 'maven_ros/msg/AudioChunk')
        return intake.take(Received(topic, 'maven_ros/msg/AudioChunk', message, T0 + NS))

    [played], [heard] = given('/speaker', T0), given('/microphone', T0)
    assert isinstance(played, RobotSound) and played.stamp_ns == T0
    assert isinstance(heard, AudioChunk)
    [played], [heard] = given('/speaker', 0), given('/microphone', 0)
    assert played.stamp_ns == T0 + NS  # it begins to play as it comes,
    assert heard.end_ns == T0 + NS     # and what is heard has ended then
    assert intake.stamps.spans.keys() == {'/microphone'}
