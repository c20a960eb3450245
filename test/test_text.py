"""Text from outside, on terminals, in logs and in tables."""

import logging
import subprocess
import sys

import pytest

from maven_ros.tables import read_table, write_tables
from maven_ros.text import PrintableFormatter, cell, printable, printable_lines, say

# What real terminals obey: a title, a colour, C1's way to begin one, a line gone over, a bell;
# and what turns the direction of writing.
WORKING = ('\x1b]0;title\x07', '\x1b[2J', '\x9b31m', 'seen\rnot seen', 'a\b\b\b', '\x7f', '\u202e',
           '\u2066', '\u2028', '\x00')


@pytest.mark.parametrize('text', WORKING)
def test_nothing_works_on_a_terminal(text):
    assert printable(f'a{text}b').isprintable()


def test_what_is_written_out_can_be_read():
    assert printable('\x1b[31mred\x9b\r\n') == r'\x1b[31mred\x9b\r\n'
    assert printable('caf\udce9 \ud800 \u202e') == r'caf\xe9 \ud800 \u202e'  # bytes, a half


@pytest.mark.parametrize('text', ['grüße, 你好', 'می‌خواهم', '👩‍🔬', 'a\tb', 'שלום', 'a\\b'])
def test_people_read_what_people_wrote(text):
    assert printable(text) == text


def test_lines_of_ours_stay_lines(capsys):
    say('one\ntwo \x1b[1m')
    assert capsys.readouterr().out == 'one\ntwo \\x1b[1m\n'
    assert printable_lines('a\r\nb') == 'a\\r\nb'


def test_a_log_shows_what_it_was_given_and_does_nothing():
    record = logging.LogRecord('maven_ros', logging.WARNING, '', 0, '%s: dropped', ('/a\x1b[2J',),
                               None)
    assert PrintableFormatter('%(message)s').format(record) == r'/a\x1b[2J: dropped'


def test_an_error_of_the_command_line_does_nothing_on_a_terminal(tmp_path):
    found = subprocess.run(
        [sys.executable, '-m', 'maven_ros', 'replay', tmp_path / '\x1b]0;title\x07.mcap'],
        capture_output=True, timeout=60, text=True, check=False)
    assert found.returncode == 1
    assert r'\x1b]0;title\x07.mcap: no such bag' in found.stderr
    assert '\x1b' not in found.stderr


@pytest.mark.parametrize('text', ['=cmd|x', '+1', '-1+2', '@sum(a1)', '\t=1', '\r=1'])
def test_no_cell_is_a_formula(text):
    assert cell(text) == f"'{text}"


@pytest.mark.parametrize('text', ['', 'hello', 'a=b', ' =1', 'person_1'])
def test_other_cells_are_as_they_were(text):
    assert cell(text) == text


def test_a_table_of_csv_holds_no_formula_and_that_of_parquet_the_text_itself(tmp_path):
    said = ['=HYPERLINK("http://a")', '-3', 'well', None]
    rows = ({'transcript': text, 'valence': -0.5} for text in said)
    paths = tmp_path / 'a.parquet', tmp_path / 'a.csv'
    write_tables(rows, {'transcript': 'string', 'valence': 'float32'}, paths)
    assert read_table(paths[0], ['transcript'])['transcript'] == said
    assert paths[1].read_text().splitlines() == [
        '"transcript","valence"', '"\'=HYPERLINK(""http://a"")",-0.5', '"\'-3",-0.5',
        '"well",-0.5', ',-0.5']
