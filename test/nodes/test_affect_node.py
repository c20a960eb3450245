"""The affect node as a process of its own: real DDS, bad input, signals."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
from inputs import SAMPLE
from waiting import eventually
from wire import new_wire, on_wire

from maven_ros.devices.media import read_media
from maven_ros.devices.player import Player
from maven_ros.errors import ResourceError
from maven_ros.graph.convert import (
    audio_message,
    event_record,
    image_message,
    state_record,
    utterance_record,
)
from maven_ros.graph.dds.dds_graph import DdsGraph
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

    def __init__(self, graph, log, *flags):
        self.states, self.utterances, self.diagnostics = [], [], {}
        self.smoothed, self.events = [], []
        self._log = log
        state = graph.subscribe('affect/state', 'maven_ros/msg/AffectState', STATE, self._state)
        graph.subscribe('affect/state_smoothed', 'maven_ros/msg/AffectState', STATE,
                        lambda received: self.smoothed.append(_read(received)))
        graph.subscribe('affect/event', 'maven_ros/msg/AffectEvent', STATE,
                        lambda received: self.events.append(_read(received)))
        graph.subscribe('affect/utterance', 'maven_ros/msg/Utterance', STATE, self._utterance)
        graph.subscribe('/diagnostics', 'diagnostic_msgs/msg/DiagnosticArray', STATE,
                        self._diagnostic)
        with log.open('wb') as said:
            self.process = subprocess.Popen(
                [sys.executable, '-m', 'maven_ros', 'run', *flags], stderr=said)
        try:
            eventually(state.publisher_count, 120, 'no affect node')
        except BaseException:  # whatever it is: nobody else knows of the process
            self.kill()
            raise

    def _state(self, received):
        self.states.append(state_record(from_cdr(received.cdr, received.msgtype)))

    def _utterance(self, received):
        self.utterances.append(utterance_record(from_cdr(received.cdr, received.msgtype)))

    def _diagnostic(self, received):
        status = from_cdr(received.cdr, received.msgtype).status[0]
        self.diagnostics = {one.key: one.value for one in status.values} | {
            'text': status.message, 'level': status.level}

    @property
    def log(self):
        return self._log.read_text()

    def forget(self):
        """Begin anew with what it says, for another test."""
        for said in (self.states, self.utterances, self.smoothed, self.events):
            said.clear()

    def end(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        return self.process.wait(30)

    def kill(self):
        self.process.kill()
        self.process.wait()


def _read(received):
    return from_cdr(received.cdr, received.msgtype)


@pytest.fixture(scope='module')
def shared(tmp_path_factory):
    """A node for all tests that leave it as it was, and its wire; in the end it ends well."""
    wire = new_wire()
    with on_wire(wire), DdsGraph() as graph:
        node = Node(graph, tmp_path_factory.mktemp('node') / 'log', '--speech.recogniser', 'none')
        yield wire, node
        try:
            assert node.end() == 0 and 'Traceback' not in node.log
        finally:
            node.kill()


@pytest.fixture
def node(shared):
    shared[1].forget()
    return shared[1]


@pytest.fixture
def graph(shared):
    """A robot's side of that node's wire, gone after the test."""
    with on_wire(shared[0]), DdsGraph() as graph:
        yield graph


@pytest.fixture
def own(tmp_path):
    """A graph and a node that are one test's own."""
    with DdsGraph() as graph:
        node = Node(graph, tmp_path / 'log', '--speech.recogniser', 'none')
        yield graph, node
        node.kill()


@contextmanager
def playing(graph, **options):
    """Play the shipped clip meanwhile."""
    stop = threading.Event()
    player = threading.Thread(target=Player(graph, SAMPLE, **options).run, args=(stop,))
    player.start()
    try:
        yield
    finally:
        stop.set()
        player.join()


def wait_for_the_node(*publishers):
    eventually(lambda: all(one.subscription_count() for one in publishers), 10, 'not heard')
    time.sleep(0.2)                  # the node's side of the match may come a little later


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


def counts(node, *parts):
    """Return what the node has dropped of its inputs so far, by cause."""
    return {name: int(n) for name, n in node.diagnostics.items() if name.split('.')[0] in parts}


def test_the_node_says_what_it_misses_and_that_it_came(own):
    graph, node = own
    eventually(lambda: node.diagnostics, 5, 'no diagnostics')
    assert node.diagnostics['text'] == 'waiting for /camera/image_raw and /audio'
    assert node.diagnostics['level'] == 0
    images = graph.advertise('camera/image_raw', IMAGE, SENSOR)
    eventually(lambda: node.diagnostics['level'] == 1, 8, node.diagnostics)
    assert re.fullmatch(r'nothing from /camera/image_raw for \d s \(1 publisher\); '
                        r'nothing from /audio for \d s \(0 publishers\)', node.diagnostics['text'])
    images.publish(picture(graph))
    eventually(lambda: 'camera' not in node.diagnostics['text'], 5, node.diagnostics)


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
    eventually(lambda: node.diagnostics.get('audio.rate_changed') == '1', 5, node.diagnostics)
    found = counts(node, '/camera/image_raw', '/audio', 'audio')
    assert sum(n for name, n in found.items() if 'encoding' in name) == 2, found
    assert sum(n for name, n in found.items() if 'step' in name) == 1, found
    assert sum(n for name, n in found.items() if 'not_finite' in name) == 1, found
    eventually(lambda: len(node.states) > 3, 5, 'no states after bad input')
    for text in ("'bgr9'", "'MP3'", 'NaN', '7'):
        assert text in node.log


def test_a_payload_cut_short_is_counted_and_the_node_lives_on(running):
    """Cyclone DDS refuses to carry such a payload; a bag and other transports do carry it."""
    with DdsGraph() as graph:
        node = AffectNode(graph, Settings().with_values({'speech.recogniser': 'none'}))
        run = running(node)
        good = to_cdr(picture(graph), IMAGE)
        payloads = [b'', b'\x00\x01', b'\x00\x01\x00\x00', os.urandom(64), good[:len(good) // 2]]
        for count, bad in enumerate(payloads, 1):
            node._inbox.put('image', Received('/camera/image_raw', IMAGE, bad, graph.now_ns()))
            eventually(lambda count=count: node.counters.get(
                '/camera/image_raw', 'bad_payload') == count, 5, node.counters.snapshot)
            before = node.states_published
            deadline = time.monotonic() + 10
            while node.states_published <= before:
                assert time.monotonic() < deadline, f'no states after {bad}'
                cdr = to_cdr(picture(graph), IMAGE)
                node._inbox.put('image', Received('/camera/image_raw', IMAGE, cdr, graph.now_ns()))
                time.sleep(0.1)
        run.stop(5.0)


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_signals_end_the_node_cleanly_while_it_works(own, number):
    graph, node = own
    with playing(graph):
        eventually(lambda: len(node.states) > 5, 20, 'no states')
        assert node.end(number) == 0
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
    eventually(lambda: 'video' in node.diagnostics.get('text', ''), 5, node.diagnostics)
    assert {state.status for state in node.states} == {Status.NO_EVIDENCE}  # a black silence


def test_a_second_node_of_the_same_name_is_told(graph, node):
    graph.advertise('affect/state', 'maven_ros/msg/AffectState', STATE)
    eventually(lambda: '2 nodes publish /affect/state' in node.diagnostics.get('text', ''), 5,
               node.diagnostics)


def test_the_picture_is_annotated_only_while_somebody_looks(graph, node):
    drawn = []
    annotated = graph.subscribe('affect/image_annotated', IMAGE, SENSOR, drawn.append)
    with playing(graph):
        eventually(lambda: len(drawn) > 15, 20, 'nothing drawn')
        annotated.close()
    picture = read_image(from_cdr(drawn[-1].cdr, IMAGE)).decode()
    assert (picture == (80, 220, 80)).all(axis=2).sum() > 200  # the green of a box


def test_ros4hri_hears_expressions(graph, node):
    with playing(graph):
        eventually(lambda: any(one.person_id for one in node.states), 20, 'nobody seen')
        def found():
            return [topic for topic, msgtype in graph.topics().items() if msgtype == EXPRESSION]

        eventually(found, 20, graph.topics)
        [topic] = found()
        heard = []
        graph.subscribe(topic, EXPRESSION, STATE, heard.append)
        eventually(lambda: heard, 5, 'no expression')
    message = from_cdr(heard[0].cdr, EXPRESSION)
    assert message.expression in {*ANGLES_DEG, 'neutral'} and -1 <= message.valence <= 1


def test_a_topic_of_a_wrong_type_is_refused_by_name(graph, node):
    wrong = graph.advertise('audio', 'std_msgs/msg/Bool', STATE)
    eventually(lambda: node.diagnostics.get('audio.wrong_type') == '1', 5, node.diagnostics)
    assert wrong.subscription_count() == 0
    assert '/audio is std_msgs/msg/Bool; understood: maven_ros/msg/AudioChunk' in node.log


def test_what_the_settings_ask_for_and_is_missing_stops_the_node_at_once(graph, tmp_path):
    (tmp_path / 'empty').mkdir()
    settings = Settings().with_values({'model.path': str(tmp_path / 'empty')})
    with pytest.raises(ResourceError, match=r'config\.json'):
        AffectNode(graph, settings)


def test_the_robots_own_voice_is_no_evidence(graph, node):
    flag = graph.advertise('robot_speaking', 'std_msgs/msg/Bool', STATE)
    wait_for_the_node(flag)
    flag.publish(new('std_msgs/msg/Bool', data=True))
    told_ns = graph.now_ns()

    def heard():
        return [one.modalities for one in node.states if one.window_start_ns > told_ns]

    with playing(graph):
        eventually(lambda: len(heard()) > 10, 20, 'no states')
        assert any(one & Modality.VIDEO for one in heard())
        assert not any(one & Modality.AUDIO for one in heard())
        flag.publish(new('std_msgs/msg/Bool', data=False))
        eventually(lambda: any(one & Modality.AUDIO for one in heard()), 20, 'deaf')


def test_the_echo_of_what_the_robot_plays_is_no_evidence(own):
    graph, node = own
    microphone, speaker = (graph.advertise(topic, CHUNK, STATE)
                           for topic in ('audio', 'robot_audio'))
    wait_for_the_node(microphone, speaker)
    chunks, played = [*read_media(SAMPLE, start_ns=0, video=False)], []
    start_ns = graph.now_ns()
    for chunk in (replace(one, stamp_ns=one.stamp_ns + start_ns) for one in chunks):
        speaker.publish(audio_message(chunk))
        played.append(chunk)
        if len(played) > 8:  # what is heard comes when it has been heard
            echo = played[-8]
            microphone.publish(audio_message(replace(
                echo, stamp_ns=echo.stamp_ns + NS // 10, samples=echo.samples / 3)))
        time.sleep(max(0.0, (chunk.end_ns - graph.now_ns()) / NS))
    eventually(lambda: len(node.states) > 20, 20, 'no states')
    assert not any(one.modalities & Modality.AUDIO for one in node.states)
    eventually(lambda: counts(node, 'audio').get('audio.robot_audio', 0) > 3 * 16000, 5,
               node.diagnostics)


def test_a_late_end_to_end_state_carries_its_windows_time(graph, node):
    images = graph.advertise('camera/image_raw', IMAGE, SENSOR)
    wait_for_the_node(images)
    for _ in range(10):
        images.publish(picture(graph))
        time.sleep(0.1)
    eventually(lambda: node.states, 5, 'no states')
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
        eventually(lambda before=before: len(node.states) > before + 2,
                   what=lambda second=second: (second, node.diagnostics))


def test_compressed_pictures_are_found_beside_the_topic_of_raw_ones(graph, node):
    with playing(graph, compressed=True):
        eventually(lambda: any(one.modalities & Modality.VIDEO for one in node.states),
                   what='no face')
        eventually(lambda: any(event_record(one).kind is EventKind.APPEARED
                               for one in node.events), what='no event')
    stamps = {(one.window_end_ns, one.person_id) for one in node.states}
    assert len({(time_ns(one.header.stamp), one.person_id) for one in node.smoothed}
               & stamps) > 1


def test_words_that_cannot_be_heard_or_read_are_said(tmp_path, monkeypatch):
    """Without weights the node runs; words of a language that it does not read are none."""
    monkeypatch.setenv('MAVEN_ROS_MODELS', str(tmp_path))
    with DdsGraph() as graph:
        node = Node(graph, tmp_path / 'log')
        try:
            brings = 'maven-ros models fetch whisper-base brings it'
            eventually(lambda: brings in node.diagnostics.get('text', ''), 10, node.diagnostics)
            assert node.log.count(brings) == 1
            speech = graph.advertise('speech', 'hri_msgs/msg/LiveSpeech', STATE)
            wait_for_the_node(speech)
            speech.publish(new('hri_msgs/msg/LiveSpeech', header=picture(graph).header,
                               final='he pai tenei', confidence=0.9, locale='mi_NZ.UTF-8'))
            eventually(lambda: "words in 'mi-NZ' are no evidence" in node.diagnostics['text'],
                       10, node.diagnostics)
            assert node.diagnostics['text.language'] == '3'
            assert node.end() == 0
        finally:
            node.kill()


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
    flag.publish(new('std_msgs/msg/Bool', data=False))
