"""What an interrupted replay goes on from: plain data, cut where it belongs."""

import pickle
import subprocess
from collections import deque
from pathlib import Path

import numpy as np
import pytest

from maven_ros.errors import ResourceError
from maven_ros.graph.sound import RawFormat
from maven_ros.records import Box, Face, Stream, Word
from maven_ros.replay.journal import (
    Journal,
    JournalEntry,
    ReplayCheckpoint,
    decode,
    encode,
    read_checkpoint,
    read_journal,
)


def test_plain_data_and_our_records_come_back():
    state = {'a': deque([1, 2], maxlen=2), 'b': np.arange(6, dtype=np.float32).reshape(2, 3),
             'c': Face(1, 'person_1', Box(1, 2, 3, 4), np.zeros((2, 2, 3), np.uint8)),
             'd': {Word('hi', 0, 1, 0.5)}, 'e': np.zeros(3, np.bool_)[::2],
             'f': {Stream.AUDIO: RawFormat(16000, 1, 'S16LE')}, 'g': np.float32(1.5)}
    back = decode(encode(state))
    assert back['a'].maxlen == 2 and np.array_equal(back['b'], state['b'])
    assert back['c'].box == Box(1, 2, 3, 4) and back['d'] == state['d']
    assert back['e'].dtype == np.bool_ and back['f'] == state['f'] and back['g'] == 1.5


class Evil:
    def __reduce__(self):
        return subprocess.check_call, (['false'],)


class Hidden:
    """Reaches through one of our modules for something that is not ours."""

    def __reduce__(self):
        from maven_ros.senses.speech import host
        return host.subprocess.Popen, (['false'],)


class Starting:
    """One of our own classes, which runs a module of any name."""

    def __reduce__(self):
        from maven_ros.senses.speech.host import ProcessHost
        return ProcessHost, ('this',)


@pytest.mark.parametrize('content', [
    pickle.dumps(Evil()), pickle.dumps(Hidden()), pickle.dumps(Starting()),
    b'cmaven_ros.cli\nsignal.raise_signal\n.', b'cmaven_ros.cli\nmain\n.', b'nonsense', b''])
def test_nothing_else_is_made(content):
    with pytest.raises(ResourceError, match='checkpoint: cannot be read'):
        decode(content)


def test_a_journal_is_cut_where_its_checkpoint_says(tmp_path):
    path = tmp_path / 'journal'
    with Journal(path) as journal:
        journal.append(JournalEntry(1, 10, b'one'))
        length = journal.secure()
        journal.append(JournalEntry(2, -20, b''))
        with pytest.raises(ResourceError, match='journal: another replay is writing it'):
            Journal(path)
        assert length == 16 and path.stat().st_size <= 29  # nor does its try cut anything
    assert list(read_journal(path)) == [JournalEntry(1, 10, b'one'), JournalEntry(2, -20, b'')]
    with Journal(path) as journal:
        journal.cut(length)
        journal.append(JournalEntry(3, 30, b'three'))
    assert list(read_journal(path)) == [JournalEntry(1, 10, b'one'), JournalEntry(3, 30, b'three')]
    size = path.stat().st_size
    with Journal(path) as journal, pytest.raises(
            ResourceError, match=f'journal: {size} bytes; its checkpoint needs 999'):
        journal.cut(999)


@pytest.mark.skipif(not Path('/dev/full').exists(), reason='no device that is full')
def test_a_full_disk_is_named_when_the_last_entries_are_written():
    journal = Journal(Path('/dev/full'))
    journal.append(JournalEntry(1, 10, b'one'))
    with pytest.raises(ResourceError, match='/dev/full: cannot be written: No space left'):
        journal.close()
    journal.close()  # a second call does nothing


def test_a_checkpoint_is_replaced_as_a_whole(tmp_path):
    path = tmp_path / 'checkpoint'
    assert read_checkpoint(path) is None
    one = ReplayCheckpoint({'bag': 'x'}, 5, 6, 1, 7, 1.5, b'state', ([1.0], 2.0))
    one.write(path)
    assert read_checkpoint(path) == one and list(tmp_path.iterdir()) == [path]
    path.write_bytes(encode([1]))
    with pytest.raises(ResourceError, match='holds a list; allowed: a Checkpoint'):
        read_checkpoint(path)
    with pytest.raises(ResourceError, match='cannot be written'):
        one.write(tmp_path / 'none' / 'checkpoint')
