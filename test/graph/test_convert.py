from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise
from typing import get_args

import cv2
import numpy as np
import pytest

from maven_ros.affect import UNKNOWN, Affect
from maven_ros.errors import GraphError, InputError
from maven_ros.graph.bag.bag_graph import BagGraph
from maven_ros.graph.convert import (
    OUTLETS,
    Diagnosis,
    attention_message,
    attention_record,
    diagnostics_message,
    event_message,
    event_record,
    mood_message,
    mood_record,
    state_message,
    state_record,
    turn_message,
    turn_record,
    utterance_message,
    utterance_record,
)
from maven_ros.graph.interface import SENSOR, Received
from maven_ros.graph.messages import from_cdr, new, time_message, time_ns, to_cdr
from maven_ros.graph.topics import OUTPUT_TYPES, output_message
from maven_ros.intake.input_reader import INPUT_TYPES, InputReader
from maven_ros.records import (
    AffectEvent,
    AffectMood,
    AffectState,
    AffectSummary,
    AffectTurn,
    Alone,
    Attention,
    AudioChunk,
    Box,
    Camera,
    Engagement,
    EventKind,
    Frame,
    HeadPose,
    Modality,
    Output,
    Place,
    RobotSpeaking,
    SmoothedState,
    Speaker,
    Status,
    Utterance,
    VoiceAssigned,
    Word,
)
from maven_ros.settings import AudioSettings

STATE_TYPE = 'maven_ros/msg/AffectState'
EVENT_TYPE = 'maven_ros/msg/AffectEvent'
ATTENTION_TYPE = 'maven_ros/msg/Attention'
MOOD_TYPE = 'maven_ros/msg/AffectMood'
TURN_TYPE = 'maven_ros/msg/AffectTurn'
UTTERANCE_TYPE = 'maven_ros/msg/Utterance'
LIVE_SPEECH = 'hri_msgs/msg/LiveSpeech'


def state(**changes):
    values = {
        'window_start_ns': 1_000_000_000, 'window_end_ns': 3_000_000_000, 'status': Status.OK,
        'person_id': 'p1', 'affect': Affect(0.5, -0.25), 'valence_std': 0.125,
        'arousal_std': 0.25, 'modalities': Modality.VIDEO | Modality.TEXT,
        'influence': (0.75, 0.0, 0.25), 'voice_assigned': VoiceAssigned.UNDECIDED,
        'transcript': 'hello', 'face': Box(1, 2, 30, 40), 'frame_id': 'camera', 'model': 'm 12ab'}
    return AffectState(**{**values, **changes})


def over_the_wire(message, msgtype):
    return from_cdr(to_cdr(message, msgtype), msgtype)


def test_a_state_survives_the_wire():
    message = over_the_wire(state_message(state(), 123_456_789), STATE_TYPE)
    assert state_record(message) == state()
    assert time_ns(message.latency) == 123_456_789
    assert message.intensity == pytest.approx(math.hypot(0.5, 0.25))
    assert message.angle == pytest.approx(math.atan2(-0.25, 0.5))
    assert message.confidence == pytest.approx(state().confidence)
    assert (message.baseline_valence, message.baseline_arousal) == (0.0, 0.0)


def test_an_unknown_state_is_nan_and_has_no_face():
    unknown = state(status=Status.NO_EVIDENCE, affect=Affect(math.nan, math.nan), face=None,
                    valence_std=math.nan, arousal_std=math.nan, modalities=Modality.NONE)
    message = over_the_wire(state_message(unknown, 0), STATE_TYPE)
    assert all(math.isnan(value) for value in (
        message.valence, message.arousal, message.intensity, message.angle, message.confidence))
    back = state_record(message)
    assert back.face is None and back.status is Status.NO_EVIDENCE


def test_a_status_that_does_not_exist_is_refused():
    with pytest.raises(InputError, match='9 is not a valid Status; allowed: the constants'):
        state_record(new(STATE_TYPE, status=9))


def event(**changes):
    values = {
        'stamp_ns': 5_000_000_001, 'kind': EventKind.REGION_ENTERED, 'person_id': 'p1',
        'since_ns': 4_000_000_002, 'before': Affect(0.5, -0.25), 'after': Affect(-0.5, 0.75),
        'confidence': 0.5, 'region': 'distressed', 'frame_id': 'camera'}
    return AffectEvent(**{**values, **changes})


def test_an_event_survives_the_wire_and_its_kinds_are_the_messages_constants():
    assert event_record(over_the_wire(event_message(event()), EVENT_TYPE)) == event()
    blank = new(EVENT_TYPE)
    assert {kind.name: int(kind) for kind in EventKind} == {
        kind.name: getattr(blank, kind.name) for kind in EventKind}
    gone = event(kind=EventKind.LEFT, after=Affect(math.nan, math.nan), region='')
    message = over_the_wire(event_message(gone), EVENT_TYPE)
    assert math.isnan(message.to_valence) and math.isnan(message.to_arousal)


def test_a_kind_of_event_that_does_not_exist_is_refused():
    with pytest.raises(InputError, match='99 is not a valid EventKind; allowed: the constants'):
        event_record(new(EVENT_TYPE, kind=99))


def test_all_that_a_pipeline_hands_out_has_a_topic_and_its_type():
    own = state(baseline=(0.25, -0.125))
    utterance = Utterance(10, 20, (), True, 'vosk')
    outputs = [own, SmoothedState(own), attention(), event(), utterance, turn(), mood(),
               AffectSummary(5, 'p1', 'The person looks tense.')]
    found = [output_message(one, 3_250_000_000) for one in outputs]
    assert [topic for topic, _ in found] == list(OUTPUT_TYPES)
    assert {type(one) for one in outputs} == set(get_args(Output)) == set(OUTLETS)
    raw, smoothed, *_, summary = (over_the_wire(message, OUTPUT_TYPES[topic])
                         for topic, message in found)
    assert summary.data == 'The person looks tense.'
    assert raw == smoothed and state_record(smoothed).baseline == (0.25, -0.125)
    assert time_ns(smoothed.latency) == 250_000_000


def attention(**changes):
    values = {
        'stamp_ns': 5_000_000_001, 'person_id': 'p1', 'engagement': Engagement.ENGAGED,
        'since_ns': 4_000_000_002, 'pose': HeadPose(0.25, -0.5, 0.125, (0.125, 0.25, 0.0625)),
        'place': Place(0.5, -0.25, 1.5, 0.25, True), 'frame_id': 'camera'}
    return Attention(**{**values, **changes})


def test_attention_survives_the_wire_and_its_levels_are_the_messages_constants():
    message = over_the_wire(attention_message(attention()), ATTENTION_TYPE)
    assert attention_record(message) == attention()
    assert message.attending and message.angle == pytest.approx(attention().angle)
    blank = new(ATTENTION_TYPE)
    assert {level.name: int(level) for level in Engagement} == {
        level.name: getattr(blank, level.name) for level in Engagement}


def test_attention_of_a_head_that_is_not_seen_is_nan():
    nan = math.nan
    unseen = attention(engagement=Engagement.UNKNOWN, place=None,
                       pose=HeadPose(nan, nan, nan, (nan, nan, nan)))
    message = over_the_wire(attention_message(unseen), ATTENTION_TYPE)
    assert not message.attending and all(map(math.isnan, (
        message.yaw, message.roll_std, message.angle, message.azimuth, message.distance)))
    assert attention_record(message).place is None
    with pytest.raises(InputError, match='9 is not a valid Engagement; allowed: the constants of'):
        attention_record(new(ATTENTION_TYPE, engagement=9))


def turn(**changes):
    values = {
        'start_ns': 5_000_000_001, 'end_ns': 6_000_000_002, 'speaker': Speaker.SEEN,
        'person_id': 'p1', 'words': (Word('good', 5_000_000_001, 6_000_000_002, 0.5, 'en'),),
        'language': 'en', 'affect': Affect(0.5, -0.25), 'valence_std': 0.25,
        'arousal_std': 0.125, 'modalities': Modality.VIDEO | Modality.TEXT,
        'alone': Alone(Affect(0.5, 0.25), Affect(-0.5, 1.0), Affect(0.0, -1.0)),
        'attending': 0.75,
        'frame_id': 'camera', 'model': 'test'}
    return AffectTurn(**{**values, **changes})


def test_a_turn_survives_the_wire_and_its_speakers_are_the_messages_constants():
    assert turn_record(over_the_wire(turn_message(turn()), TURN_TYPE)) == turn()
    blank = new(TURN_TYPE)
    assert {who.name: int(who) for who in Speaker} == {
        who.name: getattr(blank, who.name) for who in Speaker}
    undecided = turn(speaker=Speaker.UNDECIDED, person_id='', affect=UNKNOWN,
                     valence_std=math.nan, arousal_std=math.nan, alone=Alone())
    message = over_the_wire(turn_message(undecided), TURN_TYPE)
    assert all(map(math.isnan, (message.valence, message.confidence, message.text_arousal)))


def mood(**changes):
    values = {
        'stamp_ns': 5_000_000_001, 'group': False, 'person_id': 'p1', 'people': 1,
        'affect': Affect(0.5, -0.25), 'valence_std': 0.25, 'arousal_std': 0.125,
        'evidence_s': 12.5, 'since_ns': 7, 'frame_id': 'camera'}
    return AffectMood(**{**values, **changes})


def test_a_mood_survives_the_wire_and_its_kinds_are_the_messages_constants():
    group = mood(group=True, person_id='', people=3)
    for one in (mood(), group):
        message = over_the_wire(mood_message(one), MOOD_TYPE)
        assert mood_record(message) == one
        assert message.kind == (message.GROUP if one.group else message.PERSON)
    with pytest.raises(InputError, match='AffectMood: kind 7; allowed: the constants of'):
        mood_record(new(MOOD_TYPE, kind=7))


@pytest.mark.parametrize('fields, said', [
    ({'speaker': 9}, '9 is not a valid Speaker; allowed: the constants of AffectTurn.msg'),
    ({}, 'AffectTurn: has no words; allowed: one or more')])
def test_a_turn_that_makes_no_sense_is_refused(fields, said):
    with pytest.raises(InputError, match=said):
        turn_record(new(TURN_TYPE, **fields))


def test_an_utterance_survives_the_wire():
    words = (Word('good', 10, 20, 0.5, 'en'), Word('day', 20, 4_000_000_000, 0.25, 'en'))
    utterance = Utterance(10, 4_000_000_000, words, True, 'vosk', 'en', 0.75)
    message = over_the_wire(utterance_message(utterance), UTTERANCE_TYPE)
    assert utterance_record(message) == utterance
    assert message.text == 'good day' and message.confidence == 0.375
    assert time_ns(message.header.stamp) == 4_000_000_000
    empty = over_the_wire(utterance_message(Utterance(1, 2, (), False, 'x')), UTTERANCE_TYPE)
    assert math.isnan(empty.confidence)


def test_diagnostics_carry_their_values():
    late = Diagnosis('affect', 1, 'late', {'lag': '0.3 s'})
    message = over_the_wire(diagnostics_message(5, late), 'diagnostic_msgs/msg/DiagnosticArray')
    [status] = message.status
    assert (status.level, status.name, status.message) == (1, 'affect', 'late')
    assert [(value.key, value.value) for value in status.values] == [('lag', '0.3 s')]


def read(message, msgtype, received_ns=77):
    return InputReader(AudioSettings()).read(
        Received('/topic', msgtype, to_cdr(message, msgtype), received_ns))


def test_robot_speaking_has_the_time_of_its_arrival():
    assert read(new('std_msgs/msg/Bool', data=True), 'std_msgs/msg/Bool') == (
        RobotSpeaking(77, True))


def test_live_speech_lays_its_words_before_its_stamp():
    message = new(LIVE_SPEECH, header={'stamp': time_message(2_000_000_000)},
                  final='thank you', incremental='thank', confidence=0.5)
    utterance = read(message, LIVE_SPEECH)
    assert utterance.is_final and utterance.recogniser == LIVE_SPEECH
    assert utterance.words == (Word('thank', 1_200_000_000, 1_600_000_000, 0.5),
                               Word('you', 1_600_000_000, 2_000_000_000, 0.5))
    partial = read(new(LIVE_SPEECH, incremental='thank'), LIVE_SPEECH)
    assert not partial.is_final and partial.end_ns == 77
    assert read(new(LIVE_SPEECH), LIVE_SPEECH) is None
    with pytest.raises(InputError, match=r'LiveSpeech.confidence: 5.0; allowed: \[0, 1\]'):
        read(new(LIVE_SPEECH, final='hm', confidence=5.0), LIVE_SPEECH)


@pytest.mark.parametrize(('locale', 'language'), [
    ('', ''), ('en', 'en'), ('en_GB', 'en-GB'), ('de_DE.UTF-8', 'de-DE'), ('pt-BR', 'pt-BR'),
    ('C', ''), ('german', '')])
def test_live_speech_is_in_the_language_of_its_locale(locale, language):
    utterance = read(new(LIVE_SPEECH, final='hm', confidence=0.5, locale=locale), LIVE_SPEECH)
    assert utterance.language == utterance.words[0].language == language
    assert utterance.language_confidence == bool(language)


CAMERA_INFO = 'sensor_msgs/msg/CameraInfo'
K = [500.0, 0.0, 320.0, 0.0, 510.0, 240.0, 0.0, 0.0, 1.0]


def test_a_camera_info_is_the_calibration():
    fields = {'header': {'stamp': time_message(5)}, 'width': 640, 'height': 480, 'k': K}
    assert read(new(CAMERA_INFO, **fields, distortion_model='plumb_bob', d=[0.0] * 5),
                CAMERA_INFO) == Camera(5, (640, 480), (500.0, 510.0), (320.0, 240.0))
    wide = new(CAMERA_INFO, **fields, distortion_model='equidistant', d=[0.5, 0.0, 0.0, 0.0])
    assert read(wide, CAMERA_INFO) == Camera(
        5, (640, 480), (500.0, 510.0), (320.0, 240.0), (0.5, 0.0, 0.0, 0.0), True)
    assert read(new(CAMERA_INFO), CAMERA_INFO).focal_px == (0.0, 0.0)


@pytest.mark.parametrize(('fields', 'message'), [
    ({'k': [math.nan] * 9}, r'k \[nan, .*allowed: finite numbers, and focal lengths of at least'),
    ({'k': [-1.0] * 9}, 'allowed: finite numbers, and focal lengths of at least 0'),
    ({'k': K, 'd': [0.1] * 5, 'distortion_model': 'cubic'},
     "5 coefficients of 'cubic'; allowed: 4 or 5 of plumb_bob, 8 or 12 or 14 of rational_polyn"),
    ({'k': K, 'd': [0.1] * 3, 'distortion_model': 'plumb_bob'}, "3 coefficients of 'plumb_bob'")])
def test_a_camera_info_that_no_camera_has_is_refused(fields, message):
    with pytest.raises(InputError, match=message):
        read(new(CAMERA_INFO, **fields), CAMERA_INFO)


def test_what_is_no_input_is_refused():
    with pytest.raises(GraphError, match='/topic: std_msgs/msg/Header is no input; allowed: sens'):
        read(new('std_msgs/msg/Header'), 'std_msgs/msg/Header')


@pytest.mark.parametrize('bag, expected', [
    ('jazzy_mcap_zstd', {Frame: 200, AudioChunk: 250}),
    ('jazzy_sqlite3_file_zstd', {Frame: 67, AudioChunk: 80, type(None): 4}),
    ('jazzy_sqlite3_message_zstd', {Frame: 100, AudioChunk: 80, type(None): 4}),
])
def test_bags_that_ros_recorded_are_understood(shared_data, bag, expected):
    reader, records = InputReader(AudioSettings()), []
    understood = {msgtype for types in INPUT_TYPES.values() for msgtype in types}
    with BagGraph(shared_data / 'bags' / bag) as graph:
        for topic, msgtype in graph.topics().items():
            assert msgtype in understood
            graph.subscribe(topic, msgtype, SENSOR,
                            lambda received: records.append((reader.read(received), received)))
        assert graph.play() == sum(expected.values())
    assert Counter(type(record) for record, _ in records) == expected

    chunks = [record for record, _ in records if isinstance(record, AudioChunk)]
    heard = np.concatenate([chunk.samples for chunk in chunks])
    assert {chunk.sample_rate_hz for chunk in chunks} == {16_000}
    assert len(heard) == 8 * 16_000
    assert 0.01 < np.sqrt(np.mean(heard**2)) < 0.5  # speech, neither noise nor a wrong scale
    # ...on the sample clock: each chunk begins where the last one ended.
    if all(chunk.stamped for chunk in chunks):
        gaps = [b.stamp_ns - a.end_ns for a, b in pairwise(chunks)]
        assert max(map(abs, gaps)) < 1_000_000

    frames = [(record, received) for record, received in records if isinstance(record, Frame)]
    first, received = frames[0]
    assert 0 <= received.received_ns - first.stamp_ns < 100_000_000
    # Sound and pictures share a clock, whatever the family's convention.
    assert abs(chunks[0].stamp_ns - first.stamp_ns) < 25_000_000
    pixels = first.decode()
    assert pixels.dtype == np.uint8 and pixels.ndim == 3
    blue, _, red = cv2.mean(pixels)[:3]
    assert red > blue  # a face, not a swapped one
