"""JSON that may come from anybody."""

import time

import pytest

from maven_ros.errors import ResourceError
from maven_ros.files import read_json


@pytest.mark.parametrize(('content', 'message'), [
    ('[' * 100_000, 'nested more than 100 deep'),
    ('{"a":' * 500 + '1' + '}' * 500, 'nested more than 100 deep'),
    ('{"a": ' + '9' * 400_000 + '}', 'a number of 400000 digits; allowed: up to 100'),
    ('{"a": ' + '9' * 4000 + '}', 'a number of 4000 digits'),
    (r'{"a": [{"b": "\ud800"}]}', 'surrogates not allowed'),
    ('{"a": 1', "Expecting ',' delimiter"),
    ('\xff', 'invalid start byte'),
], ids=range(7))
def test_hostile_json_is_refused_at_once_in_a_line(tmp_path, content, message):
    path = tmp_path / 'a.json'
    path.write_text(content, 'latin-1')
    began_s = time.process_time()
    with pytest.raises(ResourceError, match=f'a.json: cannot be read: .*{message}') as raised:
        read_json(path)
    assert time.process_time() - began_s < 1
    assert '\n' not in str(raised.value)


def test_json_is_read(tmp_path):
    path = tmp_path / 'a.json'
    path.write_text('{"ü": [1, 2.5, null, {"b": "ß"}, -1e999]}', 'utf-8')
    assert read_json(path) == {'ü': [1, 2.5, None, {'b': 'ß'}, -float('inf')]}
