"""What an interrupted replay goes on from, cut where it belongs."""

import hashlib
from pathlib import Path

import pytest

from maven_ros.errors import ResourceError
from maven_ros.freezing import encode
from maven_ros.replay.journal import (
    Journal,
    JournalEntry,
    ReplayCheckpoint,
    read_checkpoint,
    read_journal,
)


def test_a_journal_is_cut_where_its_checkpoint_says(tmp_path):
    path = tmp_path / 'journal'
    with Journal(path) as journal:
        journal.append(JournalEntry(1, 10, b'one'))
        length = journal.secure()
        journal.append(JournalEntry(2, -20, b''))
        with pytest.raises(ResourceError, match='journal: another replay is writing it'):
            Journal(path)
        assert length == 20 and path.stat().st_size <= 37  # nor does its try cut anything
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
    one = ReplayCheckpoint({'bag': 'x'}, 5, 6, 1, 7, 1.5, b'state')
    one.write(path)
    assert read_checkpoint(path) == one and list(tmp_path.iterdir()) == [path]
    content = encode([1])
    path.write_bytes(hashlib.sha256(content).digest() + content)
    with pytest.raises(ResourceError, match='holds a list; allowed: a Checkpoint'):
        read_checkpoint(path)
    with pytest.raises(ResourceError, match='cannot be written'):
        one.write(tmp_path / 'none' / 'checkpoint')


def test_damage_of_a_checkpoint_or_a_journal_is_never_gone_on_with(tmp_path):
    # A flipped bit in a number of the state changed every later one, unnoticed.
    ReplayCheckpoint({'bag': 'x'}, 5, 6, 1, 7, 1.5, b'state').write(
        tmp_path / 'checkpoint')
    with Journal(tmp_path / 'journal') as journal:
        journal.append(JournalEntry(1, 10, b'one'))
        journal.append(JournalEntry(2, 20, b'more'))
    for name, read in (('checkpoint', read_checkpoint),
                       ('journal', lambda path: list(read_journal(path)))):
        whole = (tmp_path / name).read_bytes()
        damaged = tmp_path / f'{name}.damaged'
        for at in range(0, len(whole), 3):
            damaged.write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1:])
            with pytest.raises(ResourceError, match=f'{name}.damaged: is damaged.*: wrong '
                               'checksum; remove its folder'):
                read(damaged)
        damaged.write_bytes(whole[:-1])
        with pytest.raises(ResourceError, match='wrong checksum'):
            read(damaged)
