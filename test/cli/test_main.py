"""The command line: help, bad usage, errors that users can mend."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from waiting import eventually

from maven_ros.cli.main import main
from maven_ros.settings import Settings, parameters


def fails(capsys, *arguments):
    """Run in this process; return what is said on stderr."""
    assert main(arguments) == 1
    return capsys.readouterr().err


def test_every_command_has_help(capsys):
    with pytest.raises(SystemExit) as ended:
        main(['--help'])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    for name in ('demo', 'run', 'play', 'camera', 'microphone', 'record', 'echo', 'topics',
                 'timeline', 'replay', 'bag', 'models', 'devices', 'doctor'):
        assert name in shown
        with pytest.raises(SystemExit) as ended:
            main([name, '--help'])
        assert ended.value.code == 0


@pytest.mark.parametrize('words', [['train', 'run'], ['train', 'ablations'], ['predict']])
def test_commands_of_two_words_have_help_beside_that_of_one(capsys, words):
    with pytest.raises(SystemExit) as ended:
        main([*words, '--help'])
    shown = capsys.readouterr().out
    assert ended.value.code == 0 and f"usage: maven-ros {' '.join(words)} " in shown


@pytest.mark.parametrize('command', [
    ['replay'], ['models', 'info'], ['view'], ['play'], ['run', '--model.path']])
def test_a_path_that_the_system_refuses_is_named(capsys, command):
    """A name too long, or no permission, raises where an absent file does not."""
    try:
        assert main([*command, 'a' * 300]) == 1
    except SystemExit as ended:
        assert ended.code == 2
    assert re.search(r"a{300}'?(: | is not an existing folder)", capsys.readouterr().err)


def test_every_parameter_is_a_flag_with_its_range_and_default(capsys):
    with pytest.raises(SystemExit):
        main(['run', '--help'])
    shown = ''.join(capsys.readouterr().out.split())
    for one in parameters(Settings()):
        assert f'--{one.name}' in shown
        assert ''.join(f'({one.allowed}; default {one.default!r})'.split()) in shown


@pytest.mark.parametrize(('arguments', 'message'), [
    (['run', '--windows.hop_s', '99'], 'windows.hop_s: 99.0 is not float in [0.02, 10]'),
    (['run', '--params-file', '/nowhere.yaml'], '/nowhere.yaml: cannot be read: No such file'),
    (['run', '--speech.recogniser', 'vosk'], "speech.vosk_model: '' names no folder"),
    (['demo', '--model.precision', 'x'], "model.precision: 'x' is not 'auto' or 'fp32' or 'bf16'"),
    (['demo', '--faces.yunet_model', __file__], 'test_main.py is not a YuNet ONNX file'),
    (['demo', '--media', 'a.mp4', '--camera', '0'], '--media a.mp4 and live devices: choose'),
    (['play', '/nowhere.mp4'], '/nowhere.mp4: no such file'),
    (['play', __file__], 'test_main.py'),
    (['play', 'x.mp4', '--remap', 'a=b'], "--remap: 'a=b'; allowed: FROM:=TO"),
    (['echo', '/nothing', '--wait', '0.2'], '/nothing: no such topic here; topics: none'),
    (['echo', 'a//b'], 'a//b'),
    (['timeline', '/nowhere'], '/nowhere: no such bag'),
    (['record', '--out', '/proc/bag'], '/proc/bag'),
])
@pytest.mark.usefixtures('embedded_graph')
def test_errors_name_the_thing_and_what_is_allowed(capsys, arguments, message):
    said = fails(capsys, *arguments)
    assert message in said and 'Traceback' not in said


@pytest.mark.parametrize(('arguments', 'message'), [
    (['run', '--windows.hop', '1'],
     'maven-ros run: error: unrecognized arguments: --windows.hop 1; did you mean --windows.hop'),
    (['run', '--window.hop_s=1'], '--window.hop_s=1; did you mean --windows.hop_s?'),
    (['run', '--faces.scan_hz', '1'], '--faces.scan_hz: no longer exists; use faces.detect_hz'),
    (['demo', '--faces.detector=haar'], '--faces.detector: no longer exists; YuNet is the'),
    (['record', '--out', '/proc/bag', '--remap=a:=b'],
     'maven-ros record: error: unrecognized arguments: --remap=a:=b'),
    (['bag', 'from-media', 'a.mp4', '--zzz'],
     'maven-ros bag from-media: error: unrecognized arguments: --zzz\n'),
])
def test_bad_usage_ends_with_2_and_says_what_might_be_meant(capsys, arguments, message):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2 and message in capsys.readouterr().err


@pytest.mark.usefixtures('embedded_graph')
def test_a_bad_domain_is_refused_by_name(capsys, monkeypatch):
    monkeypatch.setenv('ROS_DOMAIN_ID', 'kitchen')
    assert "ROS_DOMAIN_ID: 'kitchen'" in fails(capsys, 'topics')


@pytest.mark.usefixtures('embedded_graph')
def test_a_mistyped_record_leaves_no_bag(capsys, monkeypatch, tmp_path):
    record = 'record', '--out', str(tmp_path / 'bag')
    assert "'a//b' is no ROS name" in fails(capsys, *record, 'a//b')
    monkeypatch.setenv('ROS_DOMAIN_ID', 'kitchen')
    assert "ROS_DOMAIN_ID: 'kitchen'" in fails(capsys, *record)
    assert not (tmp_path / 'bag').exists()


def wait_until_it_hears(process):
    """Wait until a process has handlers of signals: Python has none of SIGTERM by itself."""
    status = Path(f'/proc/{process.pid}/status')

    def caught():
        return int(re.search(r'SigCgt:\t(\w+)', status.read_text())[1], 16)

    eventually(lambda: caught() & 1 << signal.SIGTERM - 1, 60.0)


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
@pytest.mark.usefixtures('embedded_graph')
def test_a_background_job_of_a_shell_hears_its_signals(number):
    """Shells start background jobs with SIGINT ignored; it must reach them all the same."""
    job = subprocess.Popen(
        [sys.executable, '-m', 'maven_ros', 'echo', '/nothing', '--wait', '0'],
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN))
    wait_until_it_hears(job)
    job.send_signal(number)
    assert job.wait(30) in (0, 128 + number)


def test_it_runs_as_a_module():
    shown = subprocess.run([sys.executable, '-m', 'maven_ros', '--version'], capture_output=True,
                           text=True, check=True).stdout
    assert shown.startswith('maven-ros 0.')


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize('command', [['run'], ['doctor'], ['demo']])
@pytest.mark.usefixtures('embedded_graph')
def test_a_signal_while_things_load_ends_a_command_on_the_spot(command, number, tmp_path):
    started = subprocess.Popen([sys.executable, '-m', 'maven_ros', *command], cwd=tmp_path,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    wait_until_it_hears(started)
    time.sleep(0.2)  # so that it is in the middle of something
    started.send_signal(number)
    said, _ = started.communicate(timeout=30)
    assert 'Traceback' not in said
    assert started.returncode in (0, 1, 128 + number, -number)


def after_a_command(code, **environment):
    """Run code in a process that has run a command; return what it says."""
    return subprocess.run(
        [sys.executable, '-c', 'import logging\nfrom maven_ros.cli.main import main, say\n'
                               f"assert main(['parameters']) == 0\nsay('---')\n{code}"],
        capture_output=True, check=True, env={**os.environ, **environment})


def test_the_log_has_no_more_than_warnings_of_other_libraries():
    said = after_a_command('for name in ("maven_ros.demo", "matplotlib.font_manager"):'
                           '\n    logging.getLogger(name).info("a")'
                           '\n    logging.getLogger(name).warning("b")').stderr.decode()
    assert said.splitlines() == ['[INFO] maven_ros.demo: a', '[WARNING] maven_ros.demo: b',
                                 '[WARNING] matplotlib.font_manager: b']


def test_letters_that_a_terminal_lacks_are_written_out():
    said = after_a_command(r"say('gr\xf6\xdfe \u65e5')", PYTHONIOENCODING='latin-1').stdout
    assert said.endswith('---\ngröße \\u65e5\n'.encode('latin-1'))
