"""Every parameter once; a bad configuration is refused before anything opens."""

import pytest

from maven_ros.errors import SettingsError
from maven_ros.settings import Settings, load_values, parameters


def test_the_defaults_are_allowed_and_each_parameter_says_what_it_does():
    names = [one.name for one in parameters(Settings())]
    assert len(names) == len(set(names)) > 20
    for one in parameters(Settings()):
        assert one.doc.endswith('.') and one.value == one.default and one.allowed


@pytest.mark.parametrize(('values', 'message'), [
    ({'windows.hop': 1}, r'windows\.hop: no such parameter; did you mean windows\.hop_s\?'),
    ({'nonsense': 1}, r'nonsense: no such parameter; allowed: faces\.rate_hz'),
    ({'audio.voice_mode': 3}, r'audio\.voice_mode: no longer exists; use audio\.voice_threshold'),
    ({'windows.hop_s': 'soon'}, r"windows\.hop_s: 'soon' is not float in \[0\.02, 10\]"),
    ({'windows.hop_s': 0}, r'windows\.hop_s: 0\.0 is not float in \[0\.02, 10\]'),
    ({'windows.hop_s': 3.0}, r'windows\.hop_s: 3\.0 is longer than windows\.length_s, 2\.0'),
    ({'inputs.camera': False, 'inputs.microphone': False},
     r'inputs\.camera: False, and inputs\.microphone is False, too; allowed: at least one'),
    ({'windows.hop_s': True}, r'windows\.hop_s: True is not float'),
    ({'faces.min_size': float('nan')}, r'faces\.min_size: nan is not float'),
    ({'faces.max_people': 2.5}, r'faces\.max_people: 2\.5 is not int in \[1, 64\]'),
    ({'model.precision': 'fp3'}, r"model\.precision: 'fp3' is not .* did you mean 'fp32'\?"),
    ({'faces.detector': 'haar'},
     r'faces\.detector: no longer exists; YuNet.*faces\.yunet_model names'),
    ({'faces.scan_hz': 1.0}, r'faces\.scan_hz: no longer exists; use faces\.detect_hz'),
    ({'faces.detect_width_px': 320},
     r'faces\.detect_width_px: no longer exists; use faces\.min_size'),
    ({'speech.recogniser': 'vosk'}, r"speech\.vosk_model: '' names no folder"),
    ({'speech.vosk_model': '/nowhere'}, r"'/nowhere' is not an existing folder, or nothing"),
    ({'faces.yunet_model': '/nowhere.onnx'}, r"'/nowhere\.onnx' is not an existing file"),
    ({'speech.language': 'klingon'}, r"'klingon' is not 'auto' or an IETF language tag"),
    ({'speech.language': 'en_US'}, r"'en_US' is not 'auto' or an IETF language tag"),
    ({'speech.recogniser': 'pocketsphinx'}, r"is not 'whisper' or 'vosk' or 'none'"),
    ({'model.device': 'gpu'}, r"model\.device: 'gpu' is not 'auto', 'cpu', 'cuda' or 'cuda:N'"),
    ({'audio.min_voiced_s': 5.0}, r'min_voiced_s: 5\.0 is longer than windows\.length_s, 2\.0'),
    ({'model.compile': 'yes'}, r"model\.compile: 'yes' is not true or false"),
    ({'model.compile': 1}, r'model\.compile: 1 is not true or false'),
    ({'speech.language': 5}, r'speech\.language: 5 is not str'),
])
def test_bad_values_are_refused_by_name_value_and_what_is_allowed(values, message):
    with pytest.raises(SettingsError, match=message):
        Settings().with_values(values)


def test_every_fault_is_named_at_once():
    with pytest.raises(SettingsError, match=r'faces\.rate_hz.*windows\.hop_s'):
        Settings().with_values({'faces.rate_hz': 0, 'windows.hop_s': 99})


def test_text_becomes_the_parameters_type():
    changed = Settings().with_values({'windows.hop_s': '0.1', 'faces.max_people': '3'})
    assert changed.windows.hop_s == 0.1 and changed.faces.max_people == 3
    assert Settings().windows.hop_s != 0.1
    for value, meant in (('true', True), ('False', False), (True, True)):
        assert Settings().with_values({'model.compile': value}).model.compile is meant


def test_sections_of_other_nodes_and_what_ros_declares_itself_are_left_out(tmp_path):
    path = tmp_path / 'robot.yaml'
    path.write_text('camera:\n  ros__parameters: {fps: 30}\n'
                    '/robot1/affect_node:\n  ros__parameters:\n    use_sim_time: true\n'
                    '    windows: {hop_s: 0.5}\n')
    assert load_values(path) == {'windows.hop_s': 0.5}


def test_ros_parameter_files_are_read(tmp_path):
    path = tmp_path / 'affect.yaml'
    path.write_text('/**:\n  ros__parameters:\n    windows: {hop_s: 0.5}\n'
                    '    model.precision: fp32\n')
    assert load_values(path) == {'windows.hop_s': 0.5, 'model.precision': 'fp32'}


@pytest.mark.parametrize(('text', 'message'), [
    ('- 1\n', 'holds list; allowed: a mapping'), ('{', 'no readable YAML'),
    ('', 'holds NoneType; allowed: a mapping')])
def test_parameter_files_that_are_none_are_refused(tmp_path, text, message):
    path = tmp_path / 'bad.yaml'
    path.write_text(text)
    with pytest.raises(SettingsError, match=message):
        load_values(path)
    with pytest.raises(SettingsError, match='cannot be read: No such file'):
        load_values(tmp_path / 'absent.yaml')
