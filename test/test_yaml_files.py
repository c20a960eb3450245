import time

import pytest

from maven_ros.errors import SettingsError
from maven_ros.yaml_files import read_yaml


def test_a_file_is_read(tmp_path):
    path = tmp_path / 'mine.yaml'
    path.write_text('base: {a: 1}\nother: {b: [x, 2.5], c: !!str 1}\n')
    assert read_yaml(path) == {'base': {'a': 1}, 'other': {'b': ['x', 2.5], 'c': '1'}}
    path.write_text('')
    assert read_yaml(path) is None


BOMB = 'a0: &a0 [x, x]\n' + ''.join(f'a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n' for n in range(1, 40))
HOSTILE = {
    'aliases that multiply': (BOMB, 'line 2, column 10: no readable YAML: an alias'),
    'an alias in itself': ('a: &a [*a]', 'an alias; allowed: none'),
    'brackets': ('[' * 100_000, 'nested more than 20 deep'),
    'dashes': ('- ' * 100_000, 'nested more than 20 deep'),
    'steps': ('\n'.join(' ' * depth + 'a:' for depth in range(500)), 'nested more than 20 deep'),
    'digits': ('a: ' + '9' * 200_000, 'a number of 200000 characters; allowed: up to 100'),
    'sixties': ('a: ' + ':'.join(['1'] * 100_000), 'a number of 199999 characters'),
    'hexadecimal digits': ('a: 0x' + 'f' * 200_000, 'a number of 200002 characters'),
    'values': ('[' + '1,' * 120_000 + ']', 'more than 10000 values'),
    'bytes': ('#' * 1_000_000, 'mine.yaml: is larger than 262144 bytes'),
    'a number for a key': ('a: {1: 2}', r"column 5: no readable YAML: key 1 is no text; allowed: "
                           r"text \('1' in quotes\)"),
    'nothing for a key': ('~: 2', 'key ~ is no text'),
    'another mapping': ('<<: {a: 1}', 'key << is no text'),
    'no truth': ('a: !!bool maybe', 'the tag tag:yaml.org,2002:bool; allowed: !!str alone'),
    'no time': ('a: !!timestamp maybe', 'the tag tag:yaml.org,2002:timestamp'),
    'half a character': (r'a: "\ud800"', 'half a character'),
}


@pytest.mark.parametrize('kind', HOSTILE)
def test_what_multiplies_or_never_ends_is_refused_at_once_in_a_line(tmp_path, kind):
    content, message = HOSTILE[kind]
    path = tmp_path / 'mine.yaml'
    path.write_text(content)
    began_s = time.process_time()
    with pytest.raises(SettingsError, match=message) as raised:
        read_yaml(path)
    assert time.process_time() - began_s < 2  # 0.6 s here; the old code took minutes, or for ever
    assert '\n' not in str(raised.value) and len(str(raised.value)) < 300


@pytest.mark.parametrize(('content', 'message'), [
    (b'a: 1\nb: {a: 1, c: 2, a: 3}\n',
     'mine.yaml, line 2, column 17: no readable YAML: a is there twice; allowed: once'),
    (b'a:\n\t- 1\n', "mine.yaml, line 2, column 1: no readable YAML: found character '.t'"),
    (b'a: [1\n', r'mine.yaml, line 2, column 1: no readable YAML: expected .,. or .\].'),
    (b'a: !!python/object:os.system 1\n', 'line 1, column 4: .*: the tag tag:yaml.org,2002:pyt'),
    (b'? [1]\n: 2\n', 'line 1, column 3: no readable YAML: key a sequence is no text'),
    (b'a: 2026-13-01\n', 'mine.yaml: no readable YAML: month must be in 1..12'),
    (b'a: \xff\n', "mine.yaml: no readable YAML: 'utf-8' codec can't decode byte 0xff"),
    (b'a: \x00\n', 'mine.yaml: no readable YAML: unacceptable character'),
])
def test_a_file_that_cannot_be_read_is_told_with_its_place(tmp_path, content, message):
    path = tmp_path / 'mine.yaml'
    path.write_bytes(content)
    with pytest.raises(SettingsError, match=message):
        read_yaml(path)


def test_a_file_that_is_none_is_named(tmp_path):
    with pytest.raises(SettingsError, match=r'none\.yaml: cannot be read: No such file'):
        read_yaml(tmp_path / 'none.yaml')
    with pytest.raises(SettingsError, match='cannot be read: Is a directory'):
        read_yaml(tmp_path)
