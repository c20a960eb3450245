"""The affect node as a process of its own: real DDS, bad input, signals."""

import os
import re
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from maven_ros.devices.player import Player
from maven_ros.errors import ResourceError
from maven_ros.graph.convert import (
    audio_message,
    event_record,
    image_message,
    state_record,
    utterance_record,
)
from maven_ros.graph.images import read_image
from maven_ros.graph.interface import SENSOR, SOUND, STATE, Received
from maven_ros.graph.messages import from_cdr, new, time_ns, to_cdr
from maven_ros.nodes.affect_node import AffectNode
from maven_ros.nodes.ros4hri import ANGLES_DEG, EXPRESSION
from maven_ros.records import NS, AudioChunk, EventKind, Modality, Status
from maven_ros.settings import Settings

IMAGE = 'sensor_msgs/msg/Image'
CHUNK = 'maven_ros/msg/AudioChunk'


class Node:
    """A running ``maven-ros run`` and what it says."""

    def __init__(self, graph, *flags):
        self.states, self.utterances, self.diagnostics = [], [], {}
        self.smoothed, self.events = [], []
        self.log = ''
        state = graph.subscribe('affect/state', 'maven_ros/msg/AffectState', STATE, self._state)
        graph.subscribe('affect/state_smoothed', 'maven_ros/msg/AffectState', STATE,
                        lambda received: self.smoothed.append(_read(received)))
        graph.subscribe('affect/event', 'maven_ros/msg/AffectEvent', STATE,
                        lambda received: self.events.append(_read(received)))
        graph.subscribe('affect/utterance', 'maven_ros/msg/Utterance', STATE, self._utterance)
        graph.subscribe('/diagnostics', 'diagnostic_msgs/msg/DiagnosticArray', STATE,
                        self._diagnostic)
        self.process = subprocess.Popen(
            [sys.executable, '-m', 'maven_ros', 'run', *flags], stderr=subprocess.PIPE, text=True)
        wait(lambda: state.publisher_count(), 60, 'no affect node')

    def _state(self, received):
        self.states.append(state_record(from_cdr(received.cdr, received.msgtype)))

    def _utterance(self, received):
        self.utterances.append(utterance_record(from_cdr(received.cdr, received.msgtype)))

    def _diagnostic(self, received):
        status = from_cdr(received.cdr, received.msgtype).status[0]
        self.diagnostics = {one.key: one.value for one in status.values} | {
            'text': status.message, 'level': status.level}

    def end(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        _, self.log = self.process.communicate(timeout=10)
        return self.process.returncode


def _read(received):
    return from_cdr(received.cdr, received.msgtype)


def wait(condition, seconds, what):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


@pytest.fixture
def node(graph):
    node = Node(graph, '--speech.recogniser', 'none')
    yield node
    if node.process.poll() is None:
        node.process.kill()
        node.process.communicate()


def wait_for_the_node(*publishers):
    wait(lambda: all(one.subscription_count() for one in publishers), 10, 'not heard')
    time.sleep(0.5)                  # the node's side of the match may come a little later


def picture(graph, **changes):
    message = image_message(graph.now_ns(), np.zeros((48, 64, 3), np.uint8), 'camera')
    for name, value in changes.items():
        setattr(message, name, value)
    return message


def sound(graph, **changes):
    message = audio_message(AudioChunk(graph.now_ns(), np.zeros((512, 1), np.float32), 16000))
    for name, value in changes.items():
        setattr(message, name, value)
    return message


def test_bad_input_is_counted_by_cause_and_the_node_lives_on(graph, node):
    images = graph.advertise('camera/image_raw', IMAGE, SENSOR)
    chunks = graph.advertise('audio', CHUNK, SOUND)
    wait_for_the_node(images, chunks)
    nan = np.full(512, np.nan, '<f4').view(np.uint8)
    images.publish(picture(graph, encoding='bgr9'))
    time.sleep(0.15)                 # a slot of the frame rate each: else it is thinned, unread
    images.publish(picture(graph, step=7))
    chunks.publish(sound(graph, encoding='MP3'))
    chunks.publish(sound(graph, encoding='F32LE', data=nan))
    chunks.publish(sound(graph, sample_rate=0))
    chunks.publish(sound(graph))
    time.sleep(0.05)
    chunks.publish(sound(graph, sample_rate=8000))
    for _ in range(15):
        images.publish(picture(graph))
        time.sleep(0.1)
    wait(lambda: node.diagnostics.get('audio.rate_changed') == '1', 5, node.diagnostics)
    counts = {name: int(n) for name, n in node.diagnostics.items()
              if name.split('.')[0] in ('/camera/image_raw', '/audio', 'audio')}
    assert sum(n for name, n in counts.items() if 'encoding' in name) == 2, counts
    assert sum(n for name, n in counts.items() if 'step' in name) == 1, counts
    assert sum(n for name, n in counts.items() if 'not_finite' in name) == 1, counts
    wait(lambda: len(node.states) > 3, 5, 'no states after bad input')
    assert node.end() == 0
    for text in ("'bgr9'", "'MP3'", 'NaN', '7'):
        assert text in node.log


@pytest.mark.parametrize('cdr', [b'', b'\x00\x01', b'\x00\x01\x00\x00', os.urandom(64), None])
def test_a_payload_cut_short_is_counted_and_the_node_lives_on(graph, running, cdr):
    """Cyclone DDS refuses to carry such a payload; a bag and other transports do carry it."""
    node = AffectNode(graph, Settings().with_values({'speech.recogniser': 'none'}))
    run = running(node)
    good = to_cdr(picture(graph), IMAGE)
    bad = good[:len(good) // 2] if cdr is None else cdr
    node._inbox.put('image', Received('/camera/image_raw', IMAGE, bad, graph.now_ns()))
    wait(lambda: node.counters.get('/camera/image_raw', 'bad_payload') == 1, 5,
         node.counters.snapshot())
    for _ in range(8):
        cdr = to_cdr(picture(graph), IMAGE)
        node._inbox.put('image', Received('/camera/image_raw', IMAGE, cdr, graph.now_ns()))
        time.sleep(0.1)
    wait(lambda: node.states_published > 0, 5, 'no states after bad input')
    run.stop(5.0)


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_signals_end_the_node_cleanly_while_it_works(graph, node, number):
    stop = threading.Event()
    from maven_ros.resources import resource
    player = Player(graph, resource('media/sample.mp4'), subscribers=1)
    playing = threading.Thread(target=player.run, args=(stop,))
    playing.start()
    wait(lambda: len(node.states) > 5, 20, 'no states')
    assert node.end(number) == 0
    stop.set()
    playing.join()
    assert 'Traceback' not in node.log and 'published' in node.log
    assert 'weights are random' in node.log or not node.states[0].model.startswith('untrained')


def test_states_rest_on_what_is_left_when_the_camera_stops(graph, node):
    images = graph.advertise('camera/image_raw', IMAGE, SENSOR)
    chunks = graph.advertise('audio', CHUNK, SOUND)
    wait_for_the_node(images, chunks)
    for index in range(60):
        if index < 20:
            images.publish(picture(graph))
        chunks.publish(sound(graph, sample_rate=10240))  # 50 ms a chunk
        time.sleep(0.05)
    wait(lambda: 'video' in node.diagnostics.get('text', ''), 5, node.diagnostics)
    assert {state.status for state in node.states} == {Status.NO_EVIDENCE}  # a black silence


def test_the_node_says_what_it_misses_and_that_it_came(graph, node):
    wait(lambda: node.diagnostics, 5, 'no diagnostics')
    assert node.diagnostics['text'] == 'waiting for /camera/image_raw and /audio'
    assert node.diagnostics['level'] == 0
    images = graph.advertise('camera/image_raw', IMAGE, SENSOR)
    wait(lambda: node.diagnostics['level'] == 1, 8, node.diagnostics)
    assert re.fullmatch(r'nothing from /camera/image_raw for \d s \(1 publisher\); '
                        r'nothing from /audio for \d s \(0 publishers\)', node.diagnostics['text'])
    images.publish(picture(graph))
    wait(lambda: 'camera' not in node.diagnostics['text'], 5, node.diagnostics)


def test_a_second_node_of_the_same_name_is_told(graph, node):
    graph.advertise('affect/state', 'maven_ros/msg/AffectState', STATE)
    wait(lambda: '2 nodes publish /affect/state' in node.diagnostics.get('text', ''), 5,
         node.diagnostics)


def test_the_picture_is_annotated_only_while_somebody_looks(graph, node, shared_data):
    drawn = []
    annotated = graph.subscribe('affect/image_annotated', IMAGE, SENSOR, drawn.append)
    stop = threading.Event()
    player = Player(graph, shared_data / 'clips/single_face.mp4', subscribers=1)
    playing = threading.Thread(target=player.run, args=(stop,))
    playing.start()
    try:
        wait(lambda: len(drawn) > 15, 20, 'nothing drawn')
        annotated.close()
    finally:
        stop.set()
        playing.join()
    picture = read_image(from_cdr(drawn[-1].cdr, IMAGE)).decode()
    assert (picture == (80, 220, 80)).all(axis=2).sum() > 200  # the green of a box


def test_ros4hri_hears_expressions(graph, node, shared_data):
    stop = threading.Event()
    player = Player(graph, shared_data / 'clips/single_face.mp4', subscribers=1)
    playing = threading.Thread(target=player.run, args=(stop,))
    playing.start()
    try:
        topic = '/humans/faces/person_1/expression'
        wait(lambda: topic in graph.topics(), 20, graph.topics())
        heard = []
        graph.subscribe(topic, EXPRESSION, STATE, heard.append)
        wait(lambda: heard, 5, 'no expression')
    finally:
        stop.set()
        playing.join()
    message = from_cdr(heard[0].cdr, EXPRESSION)
    assert message.expression in {*ANGLES_DEG, 'neutral'} and -1 <= message.valence <= 1


def test_a_topic_of_a_wrong_type_is_refused_by_name(graph, node):
    wrong = graph.advertise('audio', 'std_msgs/msg/Bool', STATE)
    wait(lambda: node.diagnostics.get('audio.wrong_type') == '1', 5, node.diagnostics)
    assert wrong.subscription_count() == 0
    node.end()
    assert '/audio is std_msgs/msg/Bool; understood: maven_ros/msg/AudioChunk' in node.log


def test_what_the_settings_ask_for_and_is_missing_stops_the_node_at_once(graph, tmp_path):
    (tmp_path / 'empty').mkdir()
    settings = Settings().with_values({'model.path': str(tmp_path / 'empty')})
    with pytest.raises(ResourceError, match=r'config\.json'):
        AffectNode(graph, settings)


def test_the_robots_own_voice_is_no_evidence(graph, node, shared_data):
    flag = graph.advertise('robot_speaking', 'std_msgs/msg/Bool', STATE)
    wait_for_the_node(flag)
    flag.publish(new('std_msgs/msg/Bool', data=True))
    stop = threading.Event()
    player = Player(graph, shared_data / 'clips/talking_head_0.mp4', subscribers=1)
    playing = threading.Thread(target=player.run, args=(stop,))
    playing.start()
    wait(lambda: len(node.states) > 15, 20, 'no states')
    stop.set()
    playing.join()
    heard = [state.modalities for state in node.states]
    assert any(one & Modality.VIDEO for one in heard)
    assert not any(one & Modality.AUDIO for one in heard)


def test_a_late_end_to_end_state_carries_its_windows_time(graph, node):
    images = graph.advertise('camera/image_raw', IMAGE, SENSOR)
    wait_for_the_node(images)
    for _ in range(10):
        images.publish(picture(graph))
        time.sleep(0.1)
    wait(lambda: node.states, 5, 'no states')
    now_ns = graph.now_ns()
    assert all(now_ns - 5 * NS < state.window_end_ns < now_ns for state in node.states)
    assert node.states[0].frame_id == 'camera'


def test_the_node_lives_on_after_stamps_from_nowhere(graph, node):
    images = graph.advertise('camera/image_raw', IMAGE, SENSOR)
    wait_for_the_node(images)
    for second in (2**31 - 1, -2**31, -500_000_000):
        message = picture(graph)
        message.header.stamp.sec = second
        images.publish(message)
        time.sleep(0.3)
        before = len(node.states)
        for _ in range(12):
            images.publish(picture(graph))
            time.sleep(0.1)
        wait(lambda before=before: len(node.states) > before + 2, 5, (second, node.diagnostics))
    assert node.end() == 0


def test_compressed_pictures_are_found_beside_the_topic_of_raw_ones(graph, node, shared_data):
    stop = threading.Event()
    player = Player(graph, shared_data / 'clips/single_face.mp4', compressed=True)
    playing = threading.Thread(target=player.run, args=(stop,))
    playing.start()
    try:
        wait(lambda: any(one.modalities & Modality.VIDEO for one in node.states), 20, 'no face')
        wait(lambda: node.events, 5, 'no event')
    finally:
        stop.set()
        playing.join()
    first = event_record(node.events[0])
    assert first.kind is EventKind.APPEARED and first.person_id == 'person_1'
    stamps = {(one.window_end_ns, one.person_id) for one in node.states}
    assert len({(time_ns(one.header.stamp), one.person_id) for one in node.smoothed}
               & stamps) > 1


def test_partial_words_of_another_recogniser_are_replaced_and_the_robots_own_are_none(graph, node):
    images = graph.advertise('camera/image_raw', IMAGE, SENSOR)
    speech = graph.advertise('speech', 'hri_msgs/msg/LiveSpeech', STATE)
    flag = graph.advertise('robot_speaking', 'std_msgs/msg/Bool', STATE)
    wait_for_the_node(images, speech, flag)

    def say(text, final):
        stamp = picture(graph).header
        speech.publish(new('hri_msgs/msg/LiveSpeech', header=stamp,
                           **{'final' if final else 'incremental': text}, confidence=0.9))

    for index in range(30):
        images.publish(picture(graph))
        if index in (10, 13, 16):
            text = ['hello', 'there', 'friend'][:(index - 7) // 3]
            say(' '.join(text), final=index == 16)
        time.sleep(0.1)
    said = {state.transcript for state in node.states}
    assert 'hello there friend' in said
    assert not any('hello hello' in text or 'there there' in text for text in said)
    flag.publish(new('std_msgs/msg/Bool', data=True))
    time.sleep(0.5)
    say('i am a robot', final=True)
    for _ in range(10):
        images.publish(picture(graph))
        time.sleep(0.1)
    assert not any('robot' in state.transcript for state in node.states)
