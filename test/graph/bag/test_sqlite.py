"""SQLite bags whose recorder was killed: what lies in the journal is read."""

import logging
import os
import shutil
import sqlite3
import sys
from contextlib import closing

import numpy as np
import pytest
from counted import count, record
from inputs import cases

from maven_ros.errors import ResourceError
from maven_ros.graph.bag.bag_graph import BagGraph
from maven_ros.graph.convert import image_message
from maven_ros.graph.interface import STATE
from maven_ros.replay.replay import replay
from maven_ros.settings import Settings

INSERT = 'INSERT INTO messages (topic_id, timestamp, data) VALUES (1, ?, ?)'


def killed(tmp_path, closed, n, mode='WAL', committed=True):
    """Copy a bag while it is written: ``n`` messages, of which so many are in the file itself."""
    bag = record(tmp_path / 'bag', range(closed), 'sqlite3')
    database = sqlite3.connect(bag / 'bag.db3')
    database.execute(f'PRAGMA journal_mode = {mode}')
    database.execute('PRAGMA wal_autocheckpoint = 0')
    database.execute('PRAGMA cache_size = 2')  # so that more than fits lies in the file
    for i in range(closed, n):
        database.execute(INSERT, (1000 + i, count(i)))
    if committed:
        database.commit()
    (tmp_path / 'killed').mkdir()
    for one in bag.glob('bag.db3*'):
        if not one.name.endswith('-shm'):
            shutil.copy(one, tmp_path / 'killed' / one.name)
    database.close()
    return tmp_path / 'killed'


def heard(path):
    with BagGraph(path) as graph:
        return [one.received_ns - 1000 for one in graph.read([*graph.topics()])]


@pytest.mark.parametrize('closed', [0, 13])
def test_what_lies_in_the_journal_is_read_from_the_folder_and_the_file(tmp_path, closed, caplog):
    bag = killed(tmp_path, closed, 26)
    before = {one.name: one.read_bytes() for one in bag.iterdir()}
    assert 'bag.db3-wal' in before
    bag.chmod(0o500)  # a medium on which nothing can be written
    with caplog.at_level(logging.INFO):
        assert heard(bag) == heard(bag / 'bag.db3') == list(range(26))
    assert 'was not closed by its recorder; bag.db3-wal is read, too' in caplog.text
    assert {one.name: one.read_bytes() for one in bag.iterdir()} == before


def test_a_half_written_file_is_put_back(tmp_path):
    bag = killed(tmp_path, 500, 5000, 'DELETE', committed=False)
    assert (bag / 'bag.db3-journal').stat().st_size
    assert heard(bag) == list(range(500))


def test_a_journal_that_cannot_be_read_is_told_once_the_rest_is_read(tmp_path, monkeypatch):
    bag = killed(tmp_path, 13, 26)
    full = tmp_path / 'full'
    full.mkdir()
    monkeypatch.setattr('tempfile.tempdir', str(full))
    monkeypatch.setattr(shutil, 'disk_usage', lambda _: shutil._ntuple_diskusage(9, 9, 0))
    with BagGraph(bag) as graph, pytest.raises(ResourceError, match=(
            r'is damaged: bag\.db3-wal: cannot be read \(bag\.db3-wal: needs .*\); what')):
        got = []
        for one in graph.read(['/x']):
            got.append(one)
    assert len(got) == 13 and not list(full.iterdir())


@pytest.mark.skipif(sys.platform != 'linux', reason='names of files are text elsewhere')
def test_a_journal_beside_a_name_that_is_no_text(tmp_path):
    bag = killed(tmp_path, 13, 26)
    for one in bag.iterdir():
        one.rename(one.with_name(one.name.replace('bag', os.fsdecode(b'l\xe9?%41#'))))
    assert heard(bag) == list(range(26))


def killed_pictures(folder):
    """Copy a bag of 26 pictures while it is written: half of them are in the journal."""
    with BagGraph(folder / 'bag', 'w', 'sqlite3') as bag:
        publisher = bag.advertise('/image', 'sensor_msgs/msg/Image', STATE)
        for bag.time_ns in range(10**18, 10**18 + 26 * 10**8, 10**8):
            publisher.publish(image_message(bag.time_ns, np.zeros((48, 64, 3), np.uint8)))
    with closing(sqlite3.connect(folder / 'bag/bag.db3')) as database:
        later = database.execute('SELECT topic_id, timestamp, data FROM messages '
                                 'ORDER BY timestamp LIMIT -1 OFFSET 13').fetchall()
        database.execute('DELETE FROM messages WHERE timestamp >= ?', later[0][1:2])
        database.commit()
        database.execute('PRAGMA journal_mode = WAL')
        database.execute('PRAGMA wal_autocheckpoint = 0')
        database.executemany(
            'INSERT INTO messages (topic_id, timestamp, data) VALUES (?, ?, ?)', later)
        database.commit()
        (folder / 'killed').mkdir()
        for one in ('bag.db3', 'bag.db3-wal'):
            shutil.copy(folder / 'bag' / one, folder / 'killed')
    return folder / 'killed'


@pytest.mark.parametrize('case', [None, *cases('journal_beside_sqlite/killed')])
def test_a_bag_of_a_killed_recorder_is_replayed_whole(tmp_path, case):
    bag = case or killed_pictures(tmp_path)
    with BagGraph(bag) as graph:
        assert sum(graph.message_counts().values()) == 26
    summary = replay(bag, Settings().with_values({'speech.recogniser': 'none'}), tmp_path / 'out')
    assert summary.messages == 26 and not summary.broken
