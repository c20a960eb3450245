"""The parameter file and the tables of docs/ros2.md say what the code says."""

import re
import xml.etree.ElementTree as ET
from fnmatch import fnmatchcase

import pytest
import yaml
from inputs import ROOT

from maven_ros.cli.main import main
from maven_ros.cli.reference import TABLES, TOPICS, parameter_file, with_tables
from maven_ros.settings import Settings, load_values, parameters

FILE = ROOT / 'config' / 'affect.yaml'
PAGE = ROOT / 'docs' / 'ros2.md'


def test_the_parameter_file_is_current():
    assert FILE.read_text(encoding='utf-8') == parameter_file(), \
        'run tools/update_reference.py'


def test_the_tables_are_current():
    text = PAGE.read_text(encoding='utf-8')
    assert text == with_tables(text), 'run tools/update_reference.py'


def test_the_parameter_file_has_every_parameter_at_its_default_and_of_its_type():
    values = load_values(FILE)
    assert values == {one.name: one.default for one in parameters(Settings())}
    assert {name: type(value) for name, value in values.items()} == {
        one.name: one.type for one in parameters(Settings())}
    assert Settings().with_values(values) == Settings()


def test_the_parameter_file_is_for_any_name_and_namespace():
    [(node, content)] = yaml.safe_load(FILE.read_text(encoding='utf-8')).items()
    assert node == '/**' and list(content) == ['ros__parameters']


def test_the_parameter_file_says_what_is_allowed():
    text = parameter_file()
    for one in parameters(Settings()):
        for word in one.choices:
            assert word in text
    assert '# double, [0.02, 10]' in text and '# string, auto or fp32 or bf16' in text
    assert max(map(len, text.splitlines())) <= 99


def test_the_command_writes_the_parameter_file(capsys):
    assert main(['parameters']) == 0
    assert capsys.readouterr().out == parameter_file()


@pytest.mark.parametrize('name', TABLES)
def test_a_table_without_a_place_is_named(name):
    text = PAGE.read_text(encoding='utf-8').replace(f'<!-- /{name} -->', '')
    with pytest.raises(ValueError, match=f'{name}: no <!-- {name} -->'):
        with_tables(text)


# --- files that the page refers to -----------------------------------------------------------


def test_every_file_that_the_page_links_is_there():
    links = re.findall(r'\]\(([^)#]+)', PAGE.read_text(encoding='utf-8'))
    assert [link for link in links if not (PAGE.parent / link).exists()] == []


def test_the_recording_profile_is_of_topics_that_there_are_and_of_policies_that_rosbag2_has():
    names = {'/' + one.name.lstrip('/') for one in TOPICS}
    profile = yaml.safe_load((ROOT / 'config' / 'record_qos.yaml').read_text(encoding='utf-8'))
    for topic, policies in profile.items():
        assert topic.removesuffix('/compressed') in names
        assert policies.pop('depth') > 0
        assert policies.pop('reliability') in ('reliable', 'best_effort')
        assert policies == {'history': 'keep_last', 'durability': 'volatile'}


def test_the_security_policy_allows_every_topic():
    profile = ET.parse(ROOT / 'config' / 'sros2_policy.xml').find('.//profile')
    allowed = {way: {topic.text for group in profile.findall(f"topics[@{way}='ALLOW']")
                     for topic in group} for way in ('publish', 'subscribe')}
    for one in TOPICS:
        patterns = allowed['subscribe' if one.direction == 'in' else 'publish']
        assert any(fnmatchcase(one.name, pattern) for pattern in patterns), one.name
