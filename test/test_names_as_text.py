"""Names of files as text."""

import os

import pytest

from maven_ros.files import read_json, write_json
from maven_ros.graph.messages import from_cdr, new, to_cdr
from maven_ros.tables import read_table, write_tables
from maven_ros.text import shown

LATIN = os.fsdecode(b'lat\xe9in')


@pytest.mark.parametrize(('name', 'text'), [
    ('plain', 'plain'), ('größe 時 🎬', 'größe 時 🎬'), (LATIN, r'lat\xe9in'),
    (os.fsdecode(b'\xff\x00\x80'), '\\xff\x00\\x80'), ('half \ud83c', r'half \ud83c')])
def test_what_is_no_text_in_a_name_is_shown_by_a_stand_in(name, text):
    assert shown(name) == text
    text.encode()


@pytest.mark.parametrize('folder', ['run:10:30', 's3:x', 'file:x', LATIN, 'a?b#c%41 d'])
def test_tables_lie_in_folders_of_any_name_and_hold_any_text(tmp_path, monkeypatch, folder):
    monkeypatch.chdir(tmp_path)
    (tmp_path / folder).mkdir()
    places = [type(tmp_path)(folder, f'x.{kind}') for kind in ('parquet', 'csv')]
    write_tables(iter([{'bag': LATIN, 'n': 1}]), {'bag': 'string', 'n': 'int64'}, tuple(places))
    assert read_table(places[0], ['bag', 'n']) == {'bag': [r'lat\xe9in'], 'n': [1]}
    assert places[1].read_text('utf-8').splitlines()[1] == r'"lat\xe9in",1'


def test_a_message_holds_a_name_that_is_no_text():
    sent = new('std_msgs/msg/String', data=LATIN)
    assert from_cdr(to_cdr(sent, 'std_msgs/msg/String'), 'std_msgs/msg/String').data == \
        r'lat\xe9in'


def test_json_holds_names_that_are_no_text(tmp_path):
    write_json(tmp_path / 'a.json', {LATIN: [LATIN, {'n': 1, 'of': (LATIN, None)}]})
    text = r'lat\xe9in'
    assert read_json(tmp_path / 'a.json') == {text: [text, {'n': 1, 'of': [text, None]}]}
