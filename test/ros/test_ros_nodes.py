"""The nodes on a real ROS 2: started as `ros2 run` starts them, and asked as its tools ask."""

from __future__ import annotations

import itertools
import signal
import subprocess
import sys
import threading
import time

import pytest
from inputs import SAMPLE, SHARED_DATA
from waiting import eventually

from maven_ros.counters import Counters
from maven_ros.graph.convert import state_record
from maven_ros.graph.interface import STATE
from maven_ros.graph.messages import from_cdr
from maven_ros.graph.ros.ros_node import RosNodeGraph
from maven_ros.replay.from_media import bags_from_media

pytestmark = pytest.mark.ros

LOAD_S = 120.0
QUIET = ('-p', 'speech.recogniser:=none')


class Process:
    """One of our programs, or any other."""

    def __init__(self, *command):
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            start_new_session=True)

    @classmethod
    def node(cls, name, *arguments):
        code = (f'from maven_ros.nodes.executables import main_{name} as main; '
                'raise SystemExit(main())')
        return cls(sys.executable, '-c', code, '--ros-args', *arguments)

    def end(self, within_s=20.0):
        """Interrupt it; return its exit code and what it said."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        return self.result(within_s)

    def result(self, within_s):
        try:
            said, _ = self._process.communicate(timeout=within_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            said, _ = self._process.communicate()
            said += '\n(it did not end in time)'
        return self._process.returncode, said


class Robot:
    """What a user of the affect node sees: its states, its state, its parameters."""

    def __init__(self, graph, name='/affect_node'):
        self.states, self.diagnostics = [], []
        self._graph, self._name = graph, name
        namespace = name.rpartition('/')[0]
        graph.subscribe(f'{namespace}/affect/state', 'maven_ros/msg/AffectState', STATE,
                        lambda one: self.states.append(
                            state_record(from_cdr(one.cdr, one.msgtype))))
        graph.subscribe('/diagnostics', 'diagnostic_msgs/msg/DiagnosticArray', STATE,
                        lambda one: self.diagnostics.append(
                            from_cdr(one.cdr, one.msgtype).status[0]))

    def call(self, kind, service, timeout_s=10.0, **fields):
        """Call a service of the node; return its answer and how long it took."""
        client = self._graph.node.create_client(kind, f'{self._name}/{service}')
        try:
            assert client.wait_for_service(timeout_sec=timeout_s), f'no {service}'
            answered = threading.Event()
            began_s = time.monotonic()
            future = client.call_async(kind.Request(**fields))
            future.add_done_callback(lambda _: answered.set())
            assert answered.wait(timeout_s), f'{service} does not answer'
            return future.result(), time.monotonic() - began_s
        finally:
            self._graph.node.destroy_client(client)

    def state(self):
        from lifecycle_msgs.srv import GetState

        return self.call(GetState, 'get_state', LOAD_S)[0].current_state.label

    def change(self, label):
        from lifecycle_msgs.msg import Transition
        from lifecycle_msgs.srv import ChangeState

        answer, _ = self.call(ChangeState, 'change_state', LOAD_S,
                              transition=Transition(label=label))
        return answer.success

    def set(self, name, value):
        """Set a parameter; return why it was refused, or nothing."""
        from rcl_interfaces.srv import SetParameters
        from rclpy.parameter import Parameter

        answer, took_s = self.call(SetParameters, 'set_parameters', parameters=[
            Parameter(name, value=value).to_parameter_msg()])
        [result] = answer.results
        assert result.successful == (not result.reason)
        return result.reason, took_s

    def until_states(self, count=5, timeout_s=LOAD_S):
        before = len(self.states)
        eventually(lambda: len(self.states) >= before + count, timeout_s, lambda: (
            f'{len(self.states) - before} states; '
            f'{self.diagnostics[-1].message if self.diagnostics else "no diagnostics"}'))


@pytest.fixture
def graph():
    with RosNodeGraph(node_name='tester', counters=Counters()) as graph:
        yield graph


@pytest.fixture
def start():
    """Start a node; whatever still runs at the end is interrupted."""
    started = []

    def start(*command, of=Process.node):
        started.append(of(*command))
        return started[-1]

    yield start
    for process in started:
        process.end()


def test_a_clip_becomes_states_and_sigint_ends_all_cleanly(graph, start):
    robot = Robot(graph)
    affect = start('affect', *QUIET)
    player = start('player', '-p', 'loop:=0')
    robot.until_states()
    code, said = player.end()
    assert code == 0 and 'Traceback' not in said, said
    code, said = affect.end()
    assert code == 0 and 'Traceback' not in said and 'published' in said, said


def test_the_lifecycle_is_walked_twice(graph, start):
    robot = Robot(graph)
    start('affect', *QUIET, '-p', 'autostart:=false')
    start('player', '-p', 'loop:=0')
    for _ in range(2):
        assert robot.state() == 'unconfigured'
        assert robot.change('configure') and robot.state() == 'inactive'
        assert robot.change('activate') and robot.state() == 'active'
        robot.until_states()
        assert robot.change('deactivate') and robot.state() == 'inactive'
        assert robot.change('cleanup')
        assert '/affect/state' not in dict(graph.node.get_publisher_names_and_types_by_node(
            'affect_node', '/'))
    assert not robot.change('activate')  # which is no transition of this state
    assert robot.state() == 'unconfigured'


def test_parameters_change_or_are_refused_with_the_reason(graph, start):
    from std_srvs.srv import Trigger

    robot = Robot(graph)
    start('affect', *QUIET, '-p', 'windows.hop_s:=1')
    start('player', '-p', 'loop:=0')
    robot.until_states(3)
    times_s = []
    for name, value, refused in (
            ('windows.hop_s', 0.5, ''), ('speech.confidence_gate', 0.7, ''),
            ('windows.hop_s', 99.0, 'out of range'), ('autostart', False, 'read-only'),
            ('windows.length_s', 4.0, 'is fixed while the node is configured'),
            ('windows.hop', 0.5, 'did you mean windows.hop_s?'),
            ('windows.length_s', 2.0, '')):  # as it is already
        reason, took_s = robot.set(name, value)
        assert refused in reason and bool(refused) == bool(reason), (name, value, reason)
        times_s.append(took_s)
    assert sorted(times_s)[len(times_s) // 2] < 0.05, times_s  # while it works
    answer, _ = robot.call(Trigger, 'reset')
    assert answer.success and answer.message == 'all evidence is forgotten'
    robot.until_states(6, 20)
    ends_ns = [state.window_end_ns for state in robot.states[-4:]]
    assert {b - a for a, b in itertools.pairwise(ends_ns)} == {500_000_000}


def test_what_is_wrong_is_told(graph, start, tmp_path):
    code, said = start('affect', '-p', 'windows.hop:=0.1', '-p', 'faces.max_people:=99').result(60)
    assert code == 1 and 'Traceback' not in said, said
    assert 'did you mean windows.hop_s?' in said and '99 is not int in [1, 64]' in said
    robot = Robot(graph)
    affect = start('affect', *QUIET, '-p', f'model.path:={tmp_path / "none"}')
    eventually(lambda: robot.state() == 'unconfigured', LOAD_S, 'not there')
    assert not robot.change('configure') and robot.state() == 'unconfigured'
    assert robot.set('model.path', '')[0] == ''
    assert robot.change('configure') and robot.change('activate')
    eventually(lambda: any('nothing from /image for' in one.message
                           and '(0 publishers)' in one.message for one in robot.diagnostics),
               what='no camera, and no warning')
    code, said = affect.end()
    assert code == 0 and 'is not an existing folder' in said, said


def test_two_robots_on_one_graph(graph, start):
    robots = [Robot(graph, f'/{name}/affect_node') for name in ('left', 'right')]
    for name in ('left', 'right'):
        start('affect', *QUIET, '-r', f'__ns:=/{name}', '-r', 'image:=camera/image_raw')
    start('player', '-p', 'loop:=0', '-r', '__ns:=/left', '-r', 'image:=camera/image_raw')
    robots[0].until_states()
    assert not robots[1].states


@pytest.fixture
def bag(tmp_path):
    """A bag of raw pictures: one that ROS 2 recorded, where it is, else one of ours."""
    recorded = SHARED_DATA / 'bags' / 'jazzy_sqlite3_file_zstd'
    return recorded if recorded.is_dir() else bags_from_media(
        [SAMPLE], tmp_path, storage='sqlite3', compressed=False, width=192)[0].path


def test_a_bag_plays_on_its_own_clock(graph, start, bag):
    pytest.importorskip('rosbag2_py')
    pytest.importorskip('ros2bag')
    robot = Robot(graph)
    affect = start('affect', *QUIET, '-p', 'use_sim_time:=true', '-r', 'image:=/camera/image_raw')
    eventually(lambda: robot.diagnostics, LOAD_S, 'not active')
    start('ros2', 'bag', 'play', str(bag), '--clock', '100', '--loop', '--topics',
          '/camera/image_raw', of=Process)
    robot.until_states(80, 80)  # more than one round
    ends_ns = [state.window_end_ns for state in robot.states]
    assert min(ends_ns) > 0 and ends_ns != sorted(ends_ns)  # it started over
    code, said = affect.end()
    assert code == 0 and 'Traceback' not in said, said
