import sys

import pytest

from maven_ros.cli import doctor
from maven_ros.cli.doctor import CHECKERS, Check, Checker, report, run_checks
from maven_ros.devices import listing as devices
from maven_ros.devices.listing import CameraDevice, cameras, describe_devices, portaudio
from maven_ros.errors import ResourceError


@pytest.mark.usefixtures('embedded_graph')
def test_everything_required_is_here():
    checks = run_checks()
    assert [check.name for check in checks] == [checker.name for checker in CHECKERS]
    assert not [check for check in checks if check.ok is False]
    text = report(checks)
    assert all(check.name in text and check.detail in text for check in checks)
    assert 'two processes hear each other' in text


@pytest.mark.parametrize(('required', 'ok'), [(True, False), (False, None)])
@pytest.mark.parametrize('error', [ResourceError('gone'), ImportError('gone'), OSError('gone')])
def test_what_is_missing_comes_with_advice(required, ok, error):
    def look():
        raise error

    check = Checker('thing', look, required, 'get one')()
    assert check == Check('thing', ok, 'gone', 'get one')
    word = 'FAILED' if required else 'absent'
    assert report([check]) == f'{word}  thing: gone\n        -> get one'


@pytest.mark.usefixtures('embedded_graph')
def test_a_dead_graph_is_found(monkeypatch):
    monkeypatch.setenv('ROS_DOMAIN_ID', 'many')
    graph = next(checker for checker in CHECKERS if checker.name == 'embedded graph')()
    assert graph.ok is False
    assert 'ROS_DOMAIN_ID' in graph.detail
    assert 'ROS_DOMAIN_ID' in graph.advice


@pytest.mark.usefixtures('embedded_graph')
def test_silence_on_the_graph_is_found(monkeypatch):
    monkeypatch.setattr(doctor, 'LOOPBACK_S', 0.0)
    graph = next(checker for checker in CHECKERS if checker.name == 'embedded graph')()
    assert (graph.ok, graph.detail) == (False, 'nothing came from another process within 0 s')


def test_a_small_receive_buffer_is_found_with_what_raises_it(tmp_path, monkeypatch):
    limit = tmp_path / 'rmem_max'
    monkeypatch.setattr(doctor, 'RMEM_MAX', limit)
    checker = next(checker for checker in CHECKERS if checker.name == 'receive buffer')
    limit.write_text('212992\n')
    check = checker()
    assert (check.ok, check.detail) == (
        None, 'net.core.rmem_max grants 212992 bytes of the 16777216 requested')
    assert 'sudo sysctl -w net.core.rmem_max=16777216' in check.advice
    limit.write_text('16777216\n')
    assert checker() == Check('receive buffer', True, '16777216 bytes')


def test_cameras_are_listed_without_their_metadata_nodes(tmp_path):
    for name, index, title in (('video10', '0', 'Rear'), ('video2', '0', 'Front: HD'),
                               ('video3', '1', 'Front: HD')):
        folder = tmp_path / name
        folder.mkdir()
        (folder / 'index').write_text(f'{index}\n')
        (folder / 'name').write_text(f'{title}\n')
    assert cameras(tmp_path) == (
        CameraDevice(2, 'Front: HD', '/dev/video2'), CameraDevice(10, 'Rear', '/dev/video10'))
    assert cameras(tmp_path / 'nowhere') == ()


def test_the_lists_are_readable(monkeypatch):
    monkeypatch.setattr(devices, 'cameras', lambda: (CameraDevice(2, 'Front', '/dev/video2'),))
    text = describe_devices()
    assert '  2: Front (/dev/video2)' in text
    assert 'microphones:\n  ' in text


def test_missing_sounddevice_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, 'sounddevice', None)
    with pytest.raises(ResourceError, match='microphones need sounddevice; pip install'):
        portaudio()
    assert 'pip install' in describe_devices()
