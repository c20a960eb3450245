"""The main job, end to end, as `make demo` runs it: four processes, a bag, a picture."""

import importlib.util
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import pytest
from inputs import SAMPLE
from waiting import eventually
from wire import new_wire, on_wire

from maven_ros.graph.bag.bag_graph import BagGraph
from maven_ros.graph.convert import state_record, utterance_record
from maven_ros.graph.interface import STATE
from maven_ros.graph.messages import from_cdr
from maven_ros.records import Modality

pytestmark = pytest.mark.usefixtures('embedded_graph')


def demo(*arguments):
    return [sys.executable, '-m', 'maven_ros', 'demo', *arguments]


def lines_until(running, words):
    for line in running.stdout:
        yield line
        if words in line:
            return


def children_of(running):
    return subprocess.run(['ps', '-o', 'pid=,args=', '--ppid', str(running.pid)],
                          capture_output=True, text=True).stdout.splitlines()


def wait_until_gone(children):
    def left():
        return [one for one in children if Path(f'/proc/{one.split()[0]}').exists()]

    eventually(lambda: not left(), what=left)


def read(bag):
    states, utterances = [], []
    with BagGraph(bag) as graph:
        topics = graph.topics()
        for topic, msgtype, record, into in (
                ('/affect/state', 'maven_ros/msg/AffectState', state_record, states),
                ('/affect/utterance', 'maven_ros/msg/Utterance', utterance_record, utterances)):
            graph.subscribe(topic, msgtype, STATE, lambda got, record=record, into=into:
                            into.append(record(from_cdr(got.cdr, got.msgtype))))
        graph.play()
    return topics, states, utterances


def test_the_demo_plays_perceives_records_and_draws(tmp_path):
    done = subprocess.run(demo('--out', str(tmp_path)), capture_output=True, text=True,
                          timeout=100)
    assert done.returncode == 0, done.stdout + done.stderr
    folder, = tmp_path.iterdir()
    assert re.search(r'\ncounted:  .*video\.thinned \d+', done.stdout)
    assert re.search(r'\nrecorder: \w+', done.stdout)
    assert done.stdout.startswith(f'recording to {folder}/bag: about 15.1 MB\n')
    size, = re.findall(rf'\nbag:      {folder}/bag \((\d+\.\d) MB\)\n', done.stdout)
    assert float(size) < 25  # it was 145, of raw pictures
    assert f'timeline: {folder}/timeline.png' in done.stdout
    assert 'person_1: valence' in done.stdout and 'heard: ' in done.stdout
    assert cv2.imread(str(folder / 'timeline.png')).shape[1] > 1000
    topics, states, utterances = read(folder / 'bag')
    # One, but where other work keeps the node from its pictures for longer than faces.forget_s.
    people = {state.person_id for state in states} - {''}
    assert 'person_1' in people
    assert topics == {
        '/affect/attention': 'maven_ros/msg/Attention',
        '/affect/mood': 'maven_ros/msg/AffectMood',
        '/affect/summary': 'std_msgs/msg/String',
        '/affect/turn': 'maven_ros/msg/AffectTurn',
        '/affect/event': 'maven_ros/msg/AffectEvent',
        '/affect/state': 'maven_ros/msg/AffectState',
        '/affect/state_smoothed': 'maven_ros/msg/AffectState',
        '/affect/utterance': 'maven_ros/msg/Utterance',
        '/audio': 'maven_ros/msg/AudioChunk',
        '/camera/image_raw/compressed': 'sensor_msgs/msg/CompressedImage',
        '/diagnostics': 'diagnostic_msgs/msg/DiagnosticArray'}
    assert len(states) > 40
    seen = Modality.NONE
    for state in states:
        seen |= state.modalities
    # Words that other work keeps until their windows have closed are counted.
    late = re.search(r'speech\.(late|skipped) \d+', done.stdout)
    assert seen | (Modality.TEXT if late else Modality.NONE) == (
        Modality.VIDEO | Modality.AUDIO | Modality.TEXT)
    assert any(one.is_final and one.words for one in utterances)


@pytest.fixture(scope='module')
def interrupted(tmp_path_factory):
    """A demo with all that it can show, ended by Ctrl-C once the robot has looked at somebody."""
    out = tmp_path_factory.mktemp('interrupted')
    view = ['--view'] if importlib.util.find_spec('rerun') else []
    with on_wire(new_wire()):
        running = subprocess.Popen(
            demo('--out', str(out), *view, '--behaviour', '--speech.recogniser', 'none'),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)
    said = list(lines_until(running, 'looks at person_1'))
    children = children_of(running)
    os.killpg(running.pid, signal.SIGINT)  # as a terminal does
    rest, _ = running.communicate(timeout=20)
    assert running.returncode == 128 + signal.SIGINT, (said, rest)
    return out, ''.join(said), rest, children


def test_the_demo_with_view_and_behaviour_says_where_it_is_and_what_a_robot_would_do(interrupted):
    pytest.importorskip('rerun')
    _, said, rest, _ = interrupted
    assert 'bag: ' in rest
    assert 'view: http://127.0.0.1:' in said
    assert 'robot: person_1 appeared: looks at person_1' in said


def test_ctrl_c_ends_the_demo_and_leaves_a_readable_bag_and_no_process(interrupted):
    out, _, rest, children = interrupted
    assert len(children) >= 4 and 'Traceback' not in rest
    assert f'maven-ros: stopped before the end of {SAMPLE}; the recording ends there' in rest
    _, states, _ = read(next(out.iterdir()) / 'bag')
    assert states
    wait_until_gone(children)


@pytest.mark.parametrize(('arguments', 'message'), [
    (('--media', '/nowhere.mp4'), '/nowhere.mp4: no such file'),
    (('--camera', '97'), '97'),
])
def test_a_source_that_fails_ends_the_demo_with_its_own_words(tmp_path, arguments, message):
    done = subprocess.run(
        demo(*arguments, '--out', str(tmp_path), '--speech.recogniser', 'none'),
        capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert message in done.stderr and 'Traceback' not in done.stderr


def test_live_devices_are_not_recorded_unless_asked(tmp_path):
    """A file stands in for the camera: OpenCV opens both alike."""
    running = subprocess.Popen(
        demo('--camera', str(SAMPLE), '--out', str(tmp_path), '--speech.recogniser', 'none'),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert list(lines_until(running, 'valence'))
    running.send_signal(signal.SIGINT)
    rest, _ = running.communicate(timeout=20)
    folder, = tmp_path.iterdir()
    assert running.returncode == 0, rest
    assert 'states by' in rest and 'bag:' not in rest
    assert {file.suffix for file in folder.iterdir()} == {'.log'}  # nobody's words or face


def test_no_part_outlives_a_demo_that_is_killed(tmp_path):
    """On live devices the parts would go on to film people, unseen."""
    running = subprocess.Popen(
        demo('--out', str(tmp_path), '--speech.recogniser', 'none'), stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True)
    assert list(lines_until(running, 'valence'))
    children = children_of(running)
    running.kill()
    running.wait()
    assert len(children) >= 3
    wait_until_gone(children)
    _, states, _ = read(next(tmp_path.iterdir()) / 'bag')
    assert states


def test_a_recorder_that_dies_ends_the_demo(tmp_path):
    running = subprocess.Popen(
        demo('--out', str(tmp_path), '--speech.recogniser', 'none'), stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True)
    assert list(lines_until(running, 'valence'))
    pid, = [child.split()[0] for child in children_of(running) if ' record ' in child]
    os.kill(int(pid), signal.SIGKILL)
    rest, _ = running.communicate(timeout=20)
    assert running.returncode == 1 and 'recorder ended with code -9' in rest


def test_two_demos_in_one_second_get_a_folder_each(tmp_path, monkeypatch):
    from maven_ros.cli import demo as module
    monkeypatch.setattr(module.time, 'strftime', lambda text: 'demo-now')
    folders = [module._new_folder(tmp_path).name for _ in range(3)]
    assert folders == ['demo-now', 'demo-now_2', 'demo-now_3']


def test_the_recording_stops_with_its_clip_though_the_view_stays(tmp_path):
    """It went on for as long as somebody looked at the view."""
    pytest.importorskip('rerun')
    running = subprocess.Popen(
        demo('--out', str(tmp_path), '--view', '--speech.recogniser', 'none'),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    said = ''.join(lines_until(running, 'the view stays until Ctrl-C'))
    folder, = tmp_path.iterdir()
    assert f'bag:      {folder}/bag (' in said
    assert (folder / 'bag' / 'metadata.yaml').is_file()
    assert not [one for one in children_of(running) if ' record ' in one]
    assert [one for one in children_of(running) if 'maven_ros view' in one]
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=20)
    assert running.returncode == 0
