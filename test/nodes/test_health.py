"""Level and text on /diagnostics follow what became of the messages: each fault by its name."""

import re
import threading
import time
from contextlib import contextmanager

import numpy as np
import pytest
from waiting import eventually
from wire import new_wire, on_wire

from maven_ros.graph.convert import DIAGNOSTICS, audio_message, image_message
from maven_ros.graph.dds.dds_graph import DdsGraph
from maven_ros.graph.images import IMAGE
from maven_ros.graph.interface import SENSOR, SOUND, STATE
from maven_ros.graph.messages import from_cdr, new
from maven_ros.graph.sound import AUDIO_CHUNK
from maven_ros.graph.topics import hear_affect
from maven_ros.intake import clock, inputs
from maven_ros.nodes import affect_node
from maven_ros.nodes.affect_node import AffectNode
from maven_ros.records import NS, AudioChunk
from maven_ros.settings import Settings

SETTINGS = Settings().with_values({'speech.recogniser': 'none'})
PIXELS = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
HUM = (np.sin(np.arange(800) / 5) / 50).astype(np.float32)[:, None]
HOP_S = 0.05


class Robot:
    """A node in this process, what it says of itself, and how to publish to it."""

    def __init__(self, graph, settings=SETTINGS, graph_of_the_node=None):
        self._graph = graph
        self.node = AffectNode(graph_of_the_node or DdsGraph(), settings)
        self.said, self.latencies_s = {}, []
        hear_affect(graph, lambda _, latency_s: self.latencies_s.append(latency_s), lambda _: None)
        graph.subscribe('/diagnostics', DIAGNOSTICS, STATE, self._diagnosed)
        self.node.activate()

    def _diagnosed(self, received):
        self.said = {one.name.removeprefix('maven_ros: /affect').removeprefix(': '): one
                     for one in from_cdr(received.cdr, received.msgtype).status}

    def close(self):
        self.node.close()
        self.node._graph.close()

    @property
    def text(self):
        return self.said[''].message if self.said else ''

    def says(self, pattern, level=None, of=''):
        """Wait until a status says it."""
        def it_does():
            one = self.said.get(of)
            return one and re.search(pattern, one.message) and level in (None, one.level)

        eventually(it_does, 15, lambda: {name: (one.level, one.message)
                                         for name, one in self.said.items()})

    @contextmanager
    def camera(self, stamp=lambda now_ns: now_ns, topic='camera/image_raw', **changes):
        with self._publishing(topic, IMAGE, SENSOR, lambda now_ns: image_message(
                stamp(now_ns), PIXELS, 'camera'), changes):
            yield

    @contextmanager
    def microphone(self, stamp=lambda now_ns: now_ns, samples=HUM, **changes):
        with self._publishing('audio', AUDIO_CHUNK, SOUND, lambda now_ns: audio_message(
                AudioChunk(stamp(now_ns), samples, 16000)), changes):
            yield

    @contextmanager
    def _publishing(self, topic, msgtype, qos, make, changes):
        stop, publisher = threading.Event(), self._graph.advertise(topic, msgtype, qos)

        def work():
            due_s = time.monotonic()
            while not stop.wait(max(0.0, due_s - time.monotonic())):
                due_s += HOP_S
                message = make(self._graph.now_ns())
                for name, value in changes.items():
                    setattr(message, name, value)
                publisher.publish(message)

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
            publisher.close()


@pytest.fixture(scope='module')
def shared():
    wire = new_wire()
    with on_wire(wire), DdsGraph() as graph, pytest.MonkeyPatch.context() as patch:
        patch.setattr(affect_node, '_REPORT_S', 0.2)  # five looks are 1 s
        patch.setattr(inputs, 'SILENT_S', 1.5)
        robot = Robot(graph)
        yield robot
        robot.close()


@pytest.fixture
def robot(shared):
    """A robot whose camera and microphone are in order, whatever was before; states come again."""
    published = shared.node.states_published
    with shared.camera(), shared.microphone():
        shared.says('^ok$', 0)
        eventually(lambda: shared.node.states_published > published + 5, what='no states')
    return shared


def test_what_is_in_order_is_said_of_each_input_and_sense(robot):
    with robot.camera(), robot.microphone():
        for name in ('', '/camera/image_raw', '/audio', 'speech', 'windows'):
            robot.says('^ok$', 0, of=name)


NAN = np.full(800, np.nan, '<f4').view(np.uint8)
INF = np.full(800, np.inf, '<f4').view(np.uint8)


@pytest.mark.parametrize(('changes', 'cause'), [
    ({'encoding': 'F32LE', 'data': NAN}, 'not finite'),
    ({'encoding': 'F32LE', 'data': INF}, 'not finite'),
    ({'encoding': 'F32LE', 'data': np.full(800, 3e4, '<f4').view(np.uint8)}, 'out of range'),
    ({'encoding': 'MP3'}, 'unknown encoding'),
    ({'data': np.zeros(0, np.uint8)}, 'bad payload'),
    ({'sample_rate': 0}, 'bad rate'),
])
def test_sound_that_is_all_refused_is_an_error_by_cause_while_the_camera_is_fine(
        robot, changes, cause):
    with robot.camera(), robot.microphone(**changes):
        robot.says(rf'^all \d+ messages of /audio refused: {cause} \(', 2, of='/audio')
        robot.says(rf'all \d+ messages of /audio refused: {cause}', 2)
        robot.says('^ok$', 0, of='/camera/image_raw')


@pytest.mark.parametrize(('changes', 'cause'), [
    ({'encoding': 'bgr9'}, 'unknown encoding'),
    ({'width': 0, 'height': 0, 'data': np.zeros(0, np.uint8)}, 'bad size'),
    ({'data': np.zeros(7, np.uint8)}, 'bad payload'),
])
def test_pictures_that_are_all_refused_are_an_error_by_cause(robot, changes, cause):
    with robot.camera(**changes), robot.microphone():
        robot.says(rf'^all \d+ messages of /camera/image_raw refused: {cause} \(', 2,
                   of='/camera/image_raw')
        robot.says('^ok$', 0, of='/audio')


def test_pictures_without_stamps_are_used_by_their_arrival_and_that_is_said(robot):
    robot.latencies_s.clear()
    with robot.camera(lambda now_ns: 0), robot.microphone(lambda now_ns: 0):
        robot.says(r'^all \d+ stamps of /camera/image_raw are 0: its driver sets none; .*arrival',
                   1, of='/camera/image_raw')
        robot.says(r'stamps of /audio are 0: its driver sets none', 1)
        published = robot.node.states_published
        eventually(lambda: robot.node.states_published > published + 5, what='no states')
    assert all(abs(latency_s) < 5 for latency_s in robot.latencies_s)


def test_latency_is_told_on_the_clock_of_the_stamps(robot):
    with robot.camera(lambda now_ns: now_ns - 1000 * NS):
        robot.says('are (999|1000) s behind', 1)
        robot.latencies_s.clear()
        eventually(lambda: len(robot.latencies_s) > 5 and max(robot.latencies_s[-5:]) < 5,
                   what=lambda: robot.latencies_s)


@pytest.mark.parametrize(('stamp', 'said'), [
    (lambda now_ns: 946_684_800 * NS, 'are 946684800000000000 ns; its driver does not advance'),
    (lambda now_ns: now_ns - 90 * 86400 * NS, r'are 777\d{4} s behind the clock'),
    (lambda now_ns: now_ns % NS + 77 * NS, r'are \d{10} s behind the clock'),
    (lambda now_ns: now_ns + 300 * NS, r'are (299|300) s ahead of the clock'),
    (lambda now_ns: now_ns - 30 * NS * (now_ns // (NS // 10) % 2), 'jumped back [0-9]+ times'),
])
def test_stamps_that_mean_nothing_are_named(robot, stamp, said):
    with robot.camera(stamp):
        robot.says(f'stamps of /camera/image_raw {said}', of='/camera/image_raw')


@pytest.mark.parametrize(('stamp', 'said'), [
    (lambda now_ns: 946_684_800 * NS, 'all .* refused: .*its driver does not advance them'),
    (lambda now_ns: now_ns % (1000 * NS), r'are \d{10} s behind the clock'),
    (lambda now_ns: now_ns + 3600 * NS, r'are (3599|3600) s ahead of the clock'),
])
def test_sound_on_a_clock_of_its_own_is_named_beside_a_camera_in_order(robot, stamp, said):
    with robot.camera(), robot.microphone(stamp):
        robot.says(said, of='/audio')


@pytest.mark.parametrize('stamp_ns', [-5 * NS, (2**31 - 1) * NS])
def test_stamps_that_no_clock_shows_are_refused(robot, stamp_ns):
    with robot.camera(lambda now_ns: stamp_ns), robot.microphone():
        robot.says('all .* messages of /camera/image_raw refused: bad stamp', 2)


def test_two_publishers_with_two_clocks_are_named(robot):
    with robot.camera(), robot.camera(lambda now_ns: now_ns - 3600 * NS), robot.microphone():
        robot.says('2 publishers on /camera/image_raw', 1)
        robot.says('stamps of /camera/image_raw jumped back', 1)


def test_what_the_transport_loses_is_said_of_its_topic(robot):
    with robot.camera(), robot.microphone():
        robot.node.counters.count('/audio', 'lost', 'the network lost it', n=3)
        robot.says('^/audio lost, 3 times: the network lost it$', 1, of='/audio')


def test_silence_of_numbers_is_a_microphone_that_is_muted(robot):
    with robot.camera(), robot.microphone(samples=np.zeros((800, 1), np.float32)):
        robot.says('the samples of /audio do not change', 1)


def test_what_another_recogniser_says_and_cannot_be_used_is_named(robot):
    speech = robot._graph.advertise('speech', 'hri_msgs/msg/LiveSpeech', STATE)
    eventually(speech.subscription_count, what='not heard')
    with robot.camera(), robot.microphone():
        for _ in range(100):
            speech.publish(new('hri_msgs/msg/LiveSpeech', final='a ' * 20_000, confidence=0.5))
            time.sleep(0.02)
            if 'LiveSpeech' in robot.text:
                break
        robot.says('all [0-9]+ messages of /speech refused: too long', 2)
    speech.close()


def test_a_missing_microphone_does_not_hide_a_camera_that_stops(robot):
    with robot.microphone():
        robot.says('^video has stopped: nothing from /camera/image_raw$', 1,
                   of='/camera/image_raw')
        robot.says('nothing from /camera/image_raw for [0-9]+ s', 1)
    with robot.camera():
        robot.says('nothing from /audio for [0-9]+ s')
    robot.says('(video has stopped|nothing from /camera).*nothing from /audio for')


def test_a_robot_without_a_microphone_waits_for_none():
    with DdsGraph() as graph, pytest.MonkeyPatch.context() as patch:
        patch.setattr(inputs, 'SILENT_S', 0.5)
        robot = Robot(graph, SETTINGS.with_values({'inputs.microphone': False}))
        try:
            robot.says('^nothing from /camera/image_raw', 1)
            with robot.camera():
                robot.says('^ok$', 0)
                assert not any('audio' in name for name in robot.said)
        finally:
            robot.close()


class ClocklessGraph(DdsGraph):
    """A graph whose clock is simulated, and that nobody tells what time it is."""

    def now_ns(self):
        return 0


def test_a_clock_that_never_begins_is_named_and_not_what_overflows(monkeypatch, caplog):
    monkeypatch.setattr(clock, 'STOPPED_S', 0.5)
    monkeypatch.setattr(affect_node, '_LIMITS', {**affect_node._LIMITS, 'image': 3})
    with DdsGraph() as graph:
        robot = Robot(graph, graph_of_the_node=ClocklessGraph())
        try:
            with robot.camera():
                robot.says('all .* messages of /camera/image_raw refused: no clock', 2,
                           of='/camera/image_raw')
                robot.says('use_sim_time is set, and nobody publishes /clock', 2)
        finally:
            robot.close()
    assert 'nobody publishes /clock' in caplog.text and 'overflow' not in caplog.text
