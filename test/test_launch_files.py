"""The launch files: by their text everywhere, by `ros2 launch` where there is ROS 2."""

import ast
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from inputs import ROOT

from maven_ros.cli.main import main
from maven_ros.graph.bag.bag_graph import BagGraph
from maven_ros.graph.interface import STATE
from maven_ros.settings import Settings, parameters

FILES = sorted((ROOT / 'launch').glob('*.launch.py'))
EVERYBODYS = 'affect.launch.py'  # the others include it
ASKED_FOR = {
    'namespace', 'image_topic', 'audio_topic', 'robot_audio_topic', 'compressed',
    'params_file', 'use_sim_time',
    'device', 'model', 'recogniser', 'vosk_model', 'autostart', 'view',
    'behaviour', 'log_level'}


def calls(path, function):
    """Yield each call of a function, or of a class, in a file."""
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(node, ast.Call) and getattr(node.func, 'id', '') == function:
            yield node


def declared(path):
    """Return {argument: its keywords}."""
    return {call.args[0].value: {one.arg: one.value for one in call.keywords}
            for call in calls(path, 'DeclareLaunchArgument')}


def texts(path):
    return {node.value for node in ast.walk(ast.parse(path.read_text(encoding='utf-8')))
            if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def by_name(name):
    return ROOT / 'launch' / name


def test_the_four_files_are_there():
    assert [path.name for path in FILES] == [
        'affect.launch.py', 'demo.launch.py', 'replay.launch.py', 'robot.launch.py']
    assert set(declared(by_name(EVERYBODYS))) == ASKED_FOR


@pytest.mark.parametrize('path', FILES, ids=lambda path: path.name)
def test_every_argument_is_described_and_used_and_every_one_used_is_declared(path):
    arguments = declared(path)
    for name, keywords in arguments.items():
        assert keywords['description'].value, name
        default, choices = keywords.get('default_value'), keywords.get('choices')
        if choices is not None:
            assert default.value in [one.value for one in choices.elts], name
    source = path.read_text(encoding='utf-8')
    once = {name for name in arguments if source.count(f"'{name}'") < 2}
    assert once == set()
    used = {call.args[0].value for call in calls(path, 'LaunchConfiguration')
            if isinstance(call.args[0], ast.Constant)}
    if path.name != EVERYBODYS:
        assert f"'launch', '{EVERYBODYS}'" in source
        arguments = arguments | declared(by_name(EVERYBODYS))
    assert used <= set(arguments)


def test_the_arguments_set_existing_parameters_and_leave_their_check_to_the_node():
    path = by_name(EVERYBODYS)
    known = {one.name: one for one in parameters(Settings())}
    pairs = {call.args[1].value: call.args[0].value for call in calls(path, 'set_if_given')}
    assert pairs == {'device': 'model.device', 'model': 'model.path',
                     'recogniser': 'speech.recogniser', 'vosk_model': 'speech.vosk_model'}
    for argument, parameter in pairs.items():
        keywords = declared(path)[argument]
        assert keywords['default_value'].value == ''  # not given: the file's value stands
        assert parameter in known
        assert 'choices' not in keywords  # the node knows them, and refuses others by name


def test_what_is_text_stays_text_and_what_is_not_gets_its_type():
    for path in FILES:
        for call in calls(path, 'ParameterValue'):
            [kind] = [one.value.id for one in call.keywords if one.arg == 'value_type']
            assert kind in ('str', 'bool', 'int', 'float')


def test_the_replay_plays_inputs_alone_and_records_outputs_alone():
    found = texts(by_name('replay.launch.py'))
    assert '--topics' in found and '--clock' in found and '--use-sim-time' in found
    assert '/affect/(state|state_smoothed|attention|utterance|event)$' in found


def test_the_demo_ends_when_its_player_does():
    path = by_name('demo.launch.py')
    [end] = calls(path, 'OnProcessExit')
    target, actions = (one.value for one in end.keywords)
    assert target.id == 'player'
    assert [one.func.id for one in actions.elts] == ['EmitEvent', 'TimerAction']
    assert len(list(calls(path, 'Shutdown'))) == 1


def test_recipes_play_bags_once_everybody_has_found_each_other():
    for path in [ROOT / 'README.md', *sorted((ROOT / 'docs').glob('*.md'))]:
        for recipe in re.findall(r'`ros2 bag play [^`]+`', path.read_text(encoding='utf-8')):
            assert '--delay' in recipe, f'{path.name}: {recipe}'


# --- where there is ROS 2 --------------------------------------------------------------------


def ros2(*arguments, timeout=60):
    if shutil.which('ros2') is None:
        pytest.skip('no ros2')
    return subprocess.run(['ros2', *arguments], capture_output=True, text=True,
                          timeout=timeout)


@pytest.mark.ros
@pytest.mark.parametrize('path', FILES, ids=lambda path: path.name)
def test_show_args_lists_every_argument(path):
    pytest.importorskip('launch_ros')
    done = ros2('launch', str(path), '--show-args')
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ASKED_FOR | set(declared(path)):
        assert f"'{name}':" in done.stdout


@pytest.mark.ros
def test_a_choice_that_is_none_and_an_argument_that_lacks_are_refused_by_name():
    pytest.importorskip('launch_ros')
    done = ros2('launch', str(by_name(EVERYBODYS)), 'recogniser:=ears')
    assert done.returncode != 0 and 'Argument "recogniser"' in done.stdout + done.stderr
    done = ros2('launch', str(by_name('replay.launch.py')))
    assert done.returncode != 0 and "argument 'bag'" in done.stdout + done.stderr


@pytest.fixture
def share():
    """The share folder of the installed package."""
    packages = pytest.importorskip('ament_index_python.packages')
    try:
        return Path(packages.get_package_share_directory('maven_ros'))
    except packages.PackageNotFoundError:
        pytest.skip('maven_ros is not in the workspace that is sourced')


@pytest.mark.ros
def test_colcon_installed_launch_files_and_parameters(share):
    assert sorted(path.name for path in (share / 'launch').glob('*.launch.py')) == [
        path.name for path in FILES]
    assert (share / 'config' / 'affect.yaml').is_file()


@pytest.mark.ros
def test_the_demo_is_heard_and_ends_with_an_interrupt(share):
    launch = subprocess.Popen(
        ['ros2', 'launch', 'maven_ros', 'demo.launch.py', 'loop:=0', 'recogniser:=none'],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        heard = subprocess.run(
            ['ros2', 'topic', 'echo', '--no-daemon', '--once', '/affect/state',
             'maven_ros/msg/AffectState'], capture_output=True, text=True, timeout=200)
    finally:
        launch.send_signal(signal.SIGINT)
        said, _ = launch.communicate(timeout=60)
    assert 'valence: ' in heard.stdout, heard.stderr + said
    assert 'process has died' not in said, said
    assert said.count('process has finished cleanly') == 2, said


@pytest.mark.ros
@pytest.mark.timeout(400)
def test_the_demo_ends_with_its_clip(share):
    done = ros2('launch', 'maven_ros', 'demo.launch.py', 'recogniser:=none', timeout=200)
    assert done.returncode == 0, done.stdout + done.stderr
    assert 'process has died' not in done.stdout + done.stderr


@pytest.mark.ros
@pytest.mark.timeout(400)
def test_a_replay_ends_by_itself_with_a_bag_of_states(share, tmp_path):
    pytest.importorskip('rosbag2_py')
    pytest.importorskip('ros2bag')
    bag = tmp_path / 'sample'
    clip = share / 'media' / 'sample.mp4'
    assert main(['bag', 'from-media', str(clip), '--out', str(tmp_path)]) == 0
    done = subprocess.run(
        ['ros2', 'launch', 'maven_ros', 'replay.launch.py', f'bag:={bag}', 'recogniser:=none'],
        capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    states = []
    with BagGraph(tmp_path / 'sample_affect') as graph:
        assert '/camera/image_raw' not in graph.topics()
        graph.subscribe('/affect/state', 'maven_ros/msg/AffectState', STATE, states.append)
        graph.play()
    assert len(states) > 40, done.stdout + done.stderr
