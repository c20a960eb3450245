"""The phases of the affect node: what is opened, what is let go, and what may change between."""

import functools
import gc
import threading
import time
import weakref

import numpy as np
import pytest
from ros4hri_detector import Detector
from waiting import eventually
from wire import new_wire, on_wire

from maven_ros.errors import GraphError, SettingsError
from maven_ros.graph.convert import audio_message, image_message, state_record
from maven_ros.graph.dds.dds_graph import DdsGraph
from maven_ros.graph.interface import SENSOR, SOUND, STATE
from maven_ros.graph.messages import from_cdr, new
from maven_ros.nodes.affect_node import AffectNode
from maven_ros.records import AudioChunk
from maven_ros.settings import Settings

IMAGE = 'sensor_msgs/msg/Image'
STATES = 'maven_ros/msg/AffectState'
QUIET = Settings().with_values({'speech.recogniser': 'none'})


@pytest.fixture(scope='module')
def loaded():
    """Load the model once; each test gets the node on its graph."""
    with on_wire(new_wire()), DdsGraph() as graph, AffectNode(graph, QUIET) as node:
        yield graph, node


@pytest.fixture
def active(loaded):
    graph, node = loaded
    node.activate()
    yield graph, node
    node.change(QUIET)
    node.deactivate()


class Camera:
    """Publishes black pictures at 20 Hz, and hears the states that come of them."""

    def __init__(self, graph):
        self.states = []
        self._graph = graph
        self._publisher = graph.advertise('camera/image_raw', IMAGE, SENSOR)
        self._subscription = graph.subscribe('affect/state', STATES, STATE, self._state)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _state(self, received):
        self.states.append(state_record(from_cdr(received.cdr, received.msgtype)))

    def _run(self):
        while not self._stop.wait(0.05):
            self._publisher.publish(image_message(
                self._graph.now_ns(), np.zeros((48, 64, 3), np.uint8), 'camera'))

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()
        self._publisher.close()
        self._subscription.close()


def test_each_phase_opens_and_closes_what_is_its_own(loaded):
    graph, node = loaded
    threads = threading.active_count()
    for _ in range(2):
        assert not [topic for topic in graph.topics() if 'affect' in topic]
        node.activate()
        assert {'/affect/state', '/affect/utterance', '/affect/image_annotated', '/diagnostics',
                '/humans/voices/tracked'} <= set(graph.topics())
        with Camera(graph) as camera:
            eventually(lambda camera=camera: len(camera.states) > 2, what='no states')
        node.deactivate()
        node.deactivate()
        eventually(lambda: not graph.topics(), what=graph.topics)
        assert threading.active_count() == threads


def test_settings_change_while_it_works(active):
    graph, node = active
    with Camera(graph) as camera:
        eventually(lambda: len(camera.states) > 2, what='no states')
        node.change(QUIET.with_values({'windows.hop_s': 0.5}))

        def hops_ns():
            return np.diff([state.window_end_ns for state in camera.states[-5:]]).tolist()

        eventually(lambda: hops_ns() == [500_000_000] * 4, what=hops_ns)
    assert not camera.states[-1].window_end_ns % 500_000_000


def test_faces_come_from_a_detector_of_ros4hri_while_one_runs(active):
    graph, _ = active
    with Camera(graph) as camera:
        with Detector(graph):
            eventually(lambda: camera.states and camera.states[-1].person_id == 'abcde',
                       what='its face is not taken')
            box = camera.states[-1].face
            assert (box.x, box.y, box.width, box.height) == (16, 12, 32, 24)
        eventually(lambda: camera.states[-1].person_id == '', what='its face stays')


def test_baselines_alone_are_reset(active):
    graph, node = active
    with Camera(graph) as camera:
        eventually(lambda: len(camera.states) > 2, what='no states')
        node.pipeline._acting._baselines._offsets['person_1'] = object()
        node.reset_baselines()
        eventually(lambda: not node.pipeline._acting._baselines._offsets, what='not taken')


def test_what_is_fixed_is_refused_by_name(active):
    _, node = active
    with pytest.raises(SettingsError, match=(
            r"windows\.length_s: 2\.0 is fixed while the node is configured; allowed: to clean "
            r'it up, change this, and configure it again')):
        node.change(QUIET.with_values({'windows.length_s': 4.0}))
    assert node.pipeline.settings.windows.length_s == 2.0


def test_a_reset_forgets_all_evidence(active):
    graph, node = active
    with Camera(graph) as camera:
        eventually(lambda: len(camera.states) > 2, what='no states')
        node.reset()
        eventually(lambda: not node._orders, what='not taken')
        before = len(camera.states)
        eventually(lambda: len(camera.states) > before + 2, what='no states after the reset')


def test_a_reset_forgets_that_faces_came_from_a_detector(active):
    graph, node = active
    with Detector(graph), Camera(graph):
        eventually(lambda: node._intake.faces.used, what='its faces are not taken')
    time.sleep(0.3)                  # what is under way still comes
    assert node._intake.faces.used
    node.reset()
    eventually(lambda: not node._intake.faces.used, what='not forgotten')


def test_deactivated_while_the_robot_speaks_it_hears_again_once_it_is_activated(active):
    graph, node = active
    silenced = functools.partial(node.counters.get, 'audio', 'robot_speaking')
    flag = graph.advertise('robot_speaking', 'std_msgs/msg/Bool', STATE)
    chunks = graph.advertise('audio', 'maven_ros/msg/AudioChunk', SOUND)

    def sounding():
        sound = AudioChunk(graph.now_ns(), np.zeros((320, 1), np.float32), 16000)
        chunks.publish(audio_message(sound))
        return node.pipeline.audio_clock == 'stamps'

    eventually(flag.subscription_count, what='not heard')
    flag.publish(new('std_msgs/msg/Bool', data=True))
    eventually(lambda: sounding() and silenced(), what='the robot is heard')
    node.deactivate()
    before = silenced()
    node.activate()
    eventually(sounding, what='no sound')
    time.sleep(0.2)
    assert silenced() == before
    flag.close()
    chunks.close()


def test_work_that_fails_is_told_and_ends_the_node(active, monkeypatch):
    _, node = active

    def broken():
        raise RuntimeError('the model is gone')

    node._orders.append(broken)
    eventually(lambda: node.failure is not None, what='not told')
    assert 'the model is gone' in str(node.failure)
    node.failure = None


def test_closed_it_holds_no_model_and_so_no_memory_of_a_gpu():
    with DdsGraph() as graph:
        node = AffectNode(graph, QUIET)
        model = weakref.ref(node.pipeline.engine._model)
        node.activate()
        node.close()
        del node

        def is_gone():
            gc.collect()
            return model() is None

        # A thread that ends holds it until then.
        eventually(is_gone, what='something holds the model')


def test_the_service_tells_what_is_remembered_while_the_node_is_active(active):
    graph, node = active
    asks = 'maven_ros/srv/GetAffect'

    def ask(**fields):
        return graph.call('affect/get_affect', asks, new(f'{asks}_Request', **fields), 1.0)

    with Camera(graph) as camera:
        eventually(lambda: len(camera.states) > 5)
        found = ask()
    assert found.success and [one.person_id for one in found.people] == ['']
    assert found.people[0].evidence_s == 0 and np.isnan(found.people[0].valence)
    gone = ask(person_id='person_9')
    assert not gone.success and "person_id: 'person_9' is not known; known: nobody" in gone.message
    assert 'seconds: -1; allowed' in ask(seconds=-1.0).message
    node.reset()
    eventually(lambda: not ask().people)
    node.deactivate()
    with pytest.raises(GraphError, match='/affect/get_affect: nobody serves it'):
        ask()
