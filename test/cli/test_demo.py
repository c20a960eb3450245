"""The main job, end to end, as `make demo` runs it: four processes, a bag, a picture."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import pytest

from maven_ros.graph.bag.bag_graph import BagGraph
from maven_ros.graph.convert import state_record, utterance_record
from maven_ros.graph.interface import STATE
from maven_ros.graph.messages import from_cdr
from maven_ros.records import Modality

pytestmark = pytest.mark.usefixtures('embedded_graph')


def demo(*arguments):
    return [sys.executable, '-m', 'maven_ros', 'demo', *arguments]


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
    assert re.search(rf'\nbag:      {folder}/bag \(\d+\.\d MB\)\n', done.stdout)
    assert f'timeline: {folder}/timeline.png' in done.stdout
    assert 'person_1: valence' in done.stdout and 'heard: ' in done.stdout
    assert cv2.imread(str(folder / 'timeline.png')).shape[1] > 1000
    topics, states, utterances = read(folder / 'bag')
    assert topics == {
        '/affect/event': 'maven_ros/msg/AffectEvent',
        '/affect/state': 'maven_ros/msg/AffectState',
        '/affect/state_smoothed': 'maven_ros/msg/AffectState',
        '/affect/utterance': 'maven_ros/msg/Utterance',
        '/audio': 'maven_ros/msg/AudioChunk',
        '/camera/image_raw': 'sensor_msgs/msg/Image',
        '/diagnostics': 'diagnostic_msgs/msg/DiagnosticArray',
        '/humans/faces/person_1/expression': 'hri_msgs/msg/Expression'}
    assert len(states) > 40
    assert {state.person_id for state in states} - {''} == {'person_1'}
    seen = Modality.NONE
    for state in states:
        seen |= state.modalities
    assert seen == Modality.VIDEO | Modality.AUDIO | Modality.TEXT
    assert any(one.is_final and one.words for one in utterances)


def test_the_demo_with_view_and_behaviour_says_where_it_is_and_what_a_robot_would_do(tmp_path):
    pytest.importorskip('rerun')
    running = subprocess.Popen(
        demo('--out', str(tmp_path), '--view', '--behaviour', '--speech.recogniser', 'none'),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    said = []
    for line in running.stdout:
        said.append(line)
        if 'looks at person_1' in line:
            break
    running.send_signal(signal.SIGINT)
    rest, _ = running.communicate(timeout=20)
    said = ''.join(said)
    assert running.returncode == 0 and 'bag: ' in rest, said + rest
    assert 'view: http://127.0.0.1:' in said
    assert 'robot: person_1 appeared: looks at person_1' in said


def test_ctrl_c_ends_the_demo_and_leaves_a_readable_bag_and_no_process(tmp_path):
    running = subprocess.Popen(
        demo('--out', str(tmp_path), '--speech.recogniser', 'none'), stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, start_new_session=True)
    for line in running.stdout:
        if 'valence' in line:
            break
    children = subprocess.run(['ps', '-o', 'pid=', '--ppid', str(running.pid)],
                              capture_output=True, text=True).stdout.split()
    assert len(children) >= 3
    os.killpg(running.pid, signal.SIGINT)
    rest, _ = running.communicate(timeout=20)
    assert running.returncode == 0 and 'Traceback' not in rest
    _, states, _ = read(next(tmp_path.iterdir()) / 'bag')
    assert states
    time.sleep(0.2)
    assert not [pid for pid in children if Path(f'/proc/{pid}').exists()]


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


def test_live_devices_are_not_recorded_unless_asked(tmp_path, shared_data):
    """A file stands in for the camera: OpenCV opens both alike."""
    running = subprocess.Popen(
        demo('--camera', str(shared_data / 'clips/single_face.mp4'), '--out', str(tmp_path),
             '--speech.recogniser', 'none'),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    for line in running.stdout:
        if 'valence' in line:
            break
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
    for line in running.stdout:
        if 'valence' in line:
            break
    children = subprocess.run(['ps', '-o', 'pid=', '--ppid', str(running.pid)],
                              capture_output=True, text=True).stdout.split()
    running.kill()
    running.wait()
    for _ in range(100):
        left = [pid for pid in children if Path(f'/proc/{pid}').exists()]
        if not left:
            break
        time.sleep(0.1)
    assert len(children) >= 3 and not left
    _, states, _ = read(next(tmp_path.iterdir()) / 'bag')
    assert states


def test_a_recorder_that_dies_ends_the_demo(tmp_path):
    running = subprocess.Popen(
        demo('--out', str(tmp_path), '--speech.recogniser', 'none'), stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True)
    for line in running.stdout:
        if 'valence' in line:
            break
    shown = subprocess.run(['ps', '-o', 'pid=,args=', '--ppid', str(running.pid)],
                           capture_output=True, text=True).stdout
    pid, = [line.split()[0] for line in shown.splitlines() if ' record ' in line]
    os.kill(int(pid), signal.SIGKILL)
    rest, _ = running.communicate(timeout=20)
    assert running.returncode == 1 and 'recorder ended with code -9' in rest


def test_two_demos_in_one_second_get_a_folder_each(tmp_path, monkeypatch):
    from maven_ros.cli import demo as module
    monkeypatch.setattr(module.time, 'strftime', lambda text: 'demo-now')
    folders = [module._new_folder(tmp_path).name for _ in range(3)]
    assert folders == ['demo-now', 'demo-now_2', 'demo-now_3']
