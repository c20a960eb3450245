import pytest

from maven_ros.errors import SettingsError
from maven_ros.yaml_files import read_yaml


def test_a_file_is_read(tmp_path):
    path = tmp_path / 'mine.yaml'
    path.write_text('base: &base {a: 1}\nother: {<<: *base, b: [x, 2.5]}\n')
    assert read_yaml(path) == {'base': {'a': 1}, 'other': {'a': 1, 'b': ['x', 2.5]}}
    path.write_text('')
    assert read_yaml(path) is None


@pytest.mark.parametrize(('content', 'message'), [
    (b'a: 1\nb: {a: 1, c: 2, a: 3}\n',
     'mine.yaml, line 2, column 17: no readable YAML: a is there twice; allowed: once'),
    (b'a:\n\t- 1\n', "mine.yaml, line 2, column 1: no readable YAML: found character '.t'"),
    (b'a: [1\n', r'mine.yaml, line 2, column 1: no readable YAML: expected .,. or .\].'),
    (b'a: !!python/object:os.system 1\n', 'line 1, column 4: no readable YAML: could not determ'),
    (b'? [1]\n: 2\n', 'line 1, column 3: no readable YAML: found unhashable key'),
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
