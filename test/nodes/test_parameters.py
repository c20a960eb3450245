"""Our parameters as ROS gives and changes them: checked, and refused by name."""

from types import SimpleNamespace

import pytest

from maven_ros.errors import SettingsError
from maven_ros.nodes.parameters import changed_values, declare, given_to, initial_values
from maven_ros.settings import Settings, parameters

KNOWN = list(parameters(Settings()))


def test_what_is_given_gets_the_parameters_type():
    values = initial_values(KNOWN, {
        'windows.hop_s': 1, 'speech.language': 7, 'use_sim_time': True,
        'qos_overrides./image.subscription.depth': 3})
    assert values['windows.hop_s'] == 1.0 and type(values['windows.hop_s']) is float
    assert values['speech.language'] == '7'
    assert values.keys() == {one.name for one in KNOWN}
    assert values['faces.max_people'] == 8


def test_files_are_not_looked_for_before_the_node_is_configured():
    assert initial_values(KNOWN, {'model.path': '/nowhere'})['model.path'] == '/nowhere'
    with pytest.raises(SettingsError, match=r"model\.path: '/nowhere' is not an existing"):
        changed_values(KNOWN, {'model.path': '/nowhere'})


def test_every_fault_of_what_is_given_is_named():
    with pytest.raises(SettingsError) as raised:
        initial_values(KNOWN, {'windows.hop': 0.1, 'faces.max_people': 99, 'windows.hop_s': 'a',
                               'model.compile': 1, 'window.hop_s': 1.0})
    assert str(raised.value).split('; ') == [
        'windows.hop: no such parameter', 'did you mean windows.hop_s?',
        'faces.max_people: 99 is not int in [1, 64]',
        "windows.hop_s: 'a' is not float in [0.02, 10]",
        'model.compile: 1 is not true or false',
        'window.hop_s: no such parameter', 'did you mean windows.hop_s?']


def test_what_a_file_for_all_nodes_holds_for_others_is_passed_over(caplog):
    assert initial_values(KNOWN, {'base_link_id': 'base'}) == initial_values(KNOWN, {})
    assert 'base_link_id: no parameter of this node; ignored' in caplog.text


def test_changes_are_checked_one_by_one():
    assert changed_values(KNOWN, {'windows.hop_s': 1, 'speech.recogniser': 'vosk'}) == {
        'windows.hop_s': 1.0, 'speech.recogniser': 'vosk'}
    with pytest.raises(SettingsError, match=r'hop_s: 99\.0 is not .*max_people: 0 is not int'):
        changed_values(KNOWN, {'windows.hop_s': 99.0, 'faces.max_people': 0})


def test_a_class_of_another_package_is_named_at_the_start_only():
    theirs = {'speech.recogniser': 'elsewhere.words:Toy'}
    assert initial_values(KNOWN, theirs)['speech.recogniser'] == 'elsewhere.words:Toy'
    with pytest.raises(SettingsError, match=r"speech\.recogniser: 'elsewhere\.words:Toy' is imp"):
        changed_values(KNOWN, theirs)


@pytest.mark.ros
def test_descriptors_say_what_is_allowed():
    declared = {}

    def declare_parameter(name, value, descriptor, ignore_override):
        assert ignore_override
        declared[name] = value, descriptor

    node = SimpleNamespace(declare_parameter=declare_parameter, _parameter_overrides={
        'windows.hop_s': SimpleNamespace(value=0.5)})
    declare(node, KNOWN, initial_values(KNOWN, given_to(node)), 'fixed')
    value, descriptor = declared['windows.hop_s']
    [allowed] = descriptor.floating_point_range
    assert (value, allowed.from_value, allowed.to_value) == (0.5, 0.02, 10.0)
    assert descriptor.description == 'Time from one window to the next.'
    [allowed] = declared['faces.max_people'][1].integer_range
    assert (allowed.from_value, allowed.to_value) == (1, 64)
    assert declared['model.path'][1].additional_constraints == (
        'an existing folder, or nothing; fixed')
    assert not any(descriptor.read_only for _, descriptor in declared.values())
