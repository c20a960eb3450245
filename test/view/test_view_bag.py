"""The view of a bag: what it needs, and that all of the bag is drawn."""

import os
import subprocess
import sys
import threading

import pytest
from made_view import event, frame, sound, state, utterance
from stopping import After

from maven_ros.errors import InputError, MavenError, ResourceError
from maven_ros.graph.bag.bag_graph import BagGraph
from maven_ros.graph.convert import audio_message, image_message
from maven_ros.graph.images import IMAGE
from maven_ros.graph.interface import STATE
from maven_ros.graph.sound import AUDIO_CHUNK
from maven_ros.graph.topics import AUDIO_TOPIC, IMAGE_TOPIC, OUTPUT_TYPES, output_message
from maven_ros.records import NS, SmoothedState
from maven_ros.view.bag_view import view_bag

START_NS = 1_700_000_000 * NS
SECONDS = 3


def write_bag(path, states=True):
    with BagGraph(path, 'w') as bag:
        image = bag.advertise(IMAGE_TOPIC, IMAGE, STATE)
        audio = bag.advertise(AUDIO_TOPIC, AUDIO_CHUNK, STATE)
        outputs = {topic: bag.advertise(topic, msgtype, STATE)
                   for topic, msgtype in OUTPUT_TYPES.items()} if states else {}
        for tick in range(10 * SECONDS):
            bag.time_ns = now_ns = START_NS + tick * NS // 10
            image.publish(image_message(now_ns, frame(now_ns).decode()))
            audio.publish(audio_message(sound(now_ns)))
            told = [state(now_ns), SmoothedState(state(now_ns))] if tick % 2 else []
            told += [event(now_ns), utterance(now_ns)] if tick == 20 else []
            for one in told if states else []:
                topic, message = output_message(one, now_ns + NS // 20)
                outputs[topic].publish(message)
    return path


@pytest.fixture
def ended():
    stop = threading.Event()
    stop.set()
    return stop


def test_a_bag_is_shown_with_its_states_and_its_annotations(tmp_path, monkeypatch):
    pytest.importorskip('rerun')
    for name in ('DISPLAY', 'WAYLAND_DISPLAY'):
        monkeypatch.delenv(name, raising=False)
    bag = write_bag(tmp_path / 'talk')
    (tmp_path / 'labels').mkdir()
    (tmp_path / 'labels' / 'talk.csv').write_text('time_s,valence,arousal\n0,0.1,0.2\n1,0.3,0.4\n')
    running = subprocess.Popen(
        [sys.executable, '-m', 'maven_ros', 'view', str(bag), '--annotations',
         str(tmp_path / 'labels'), '--save', str(tmp_path / 'talk.rrd'), '--port', '19400'],
        stdout=subprocess.PIPE, text=True)
    line = running.stdout.readline()
    running.terminate()
    assert running.wait(20) == 0
    assert line.startswith('view: http://127.0.0.1:194')
    assert line.endswith('(open it in a browser)\n')  # where there is no display
    text = subprocess.run(
        [sys.executable, '-m', 'rerun_cli', 'rrd', 'print', '-vvv', str(tmp_path / 'talk.rrd')],
        capture_output=True, text=True, check=True,
        env={**os.environ, 'XDG_CONFIG_HOME': str(tmp_path)}).stdout
    for shown in ('/camera/picture', '/sound', '/affect/person_1/valence', '/evidence/strip',
                  '/circumplex/people/person_1', '/affect/annotation', 'this is what was said',
                  'person_1 entered distressed', '2023-11-14T22:13:20'):
        assert shown in text, shown


def test_a_view_that_is_stopped_while_it_draws_leaves_no_recording(tmp_path):
    pytest.importorskip('rerun')
    bag = write_bag(tmp_path / 'talk')
    with pytest.raises(MavenError, match=r'talk: stopped before everything was drawn; \S+/cut.rrd '
                                         'is not written'):
        view_bag(bag, After(20), port=19410, save=tmp_path / 'cut.rrd')
    assert not (tmp_path / 'cut.rrd').exists()


def test_a_bag_without_states_says_what_to_do(tmp_path, ended):
    bag = write_bag(tmp_path / 'talk', states=False)
    with pytest.raises(ResourceError, match=r'talk: holds no states, .* maven-ros replay'):
        view_bag(bag, ended)


def test_annotations_of_something_else_are_refused_before_anything_is_opened(tmp_path, ended):
    bag = write_bag(tmp_path / 'talk')
    (tmp_path / 'labels').mkdir()
    (tmp_path / 'labels' / 'walk.csv').write_text('time_s,valence,arousal\n0,0.1,0.2\n')
    with pytest.raises(InputError, match='talk: no annotation file has this name'):
        view_bag(bag, ended, tmp_path / 'labels')


@pytest.mark.parametrize(('arguments', 'message'), [
    (('--port', '0'), '--port: 0; allowed: 1 to 65535'),
    (('--annotations', 'labels'), '--annotations labels: needs a bag; name it'),
])
def test_flags_that_make_no_sense_are_refused(capsys, arguments, message):
    from maven_ros.cli.main import main

    assert main(['view', *arguments]) == 1
    assert message in capsys.readouterr().err
