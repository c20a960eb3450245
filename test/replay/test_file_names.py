"""Bags, folders and reports whose names are no UTF-8, or look like an address."""

import io
import os
import shutil
import sys

import numpy as np
import pytest
from black_clip import write_clip

from maven_ros.cli.main import main
from maven_ros.graph.bag.bag_graph import BagGraph
from maven_ros.graph.convert import image_message
from maven_ros.graph.interface import STATE
from maven_ros.records import NS
from maven_ros.replay.from_media import START_NS
from maven_ros.replay.state_table import read_states
from maven_ros.scoring.resultset import read_result_set

QUIET = ['--speech.recogniser', 'none']
LATIN, OTHER = os.fsdecode(b'lat\xe9in'), os.fsdecode(b'lat\xe8in')
NAMES = [LATIN, 'run:10:30', 's3:x', 'file:x', 'a?b#c%41 d', '-x', '\u202e größe\n時']


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    """Be in the folder: a name with a colon is an address only where nothing is before it."""
    monkeypatch.chdir(tmp_path)
    # As in a locale that is not C: what is no UTF-8 cannot be printed.
    monkeypatch.setattr(sys, 'stdout', io.TextIOWrapper(io.BytesIO(), 'utf-8', 'strict'))


@pytest.fixture(scope='module')
def recorded(tmp_path_factory):
    """A bag of two seconds without a face."""
    path = tmp_path_factory.mktemp('recorded') / 'bag'
    with BagGraph(path, 'w') as bag:
        pictures = bag.advertise('/image', 'sensor_msgs/msg/Image', STATE)
        for bag.time_ns in range(START_NS, START_NS + 2 * NS, NS // 10):
            pictures.publish(image_message(bag.time_ns, np.zeros((48, 64, 3), np.uint8)))
    return path


@pytest.mark.parametrize('name', NAMES)
def test_a_bag_and_a_folder_of_any_name_are_replayed(recorded, tmp_path, name):
    shutil.copytree(recorded, tmp_path / name)
    assert main(['replay', f'./{name}', f'--out={name}.out', *QUIET]) == 0
    out = tmp_path / f'{name}.out'
    assert len(read_states(out / 'states.parquet')) >= 8
    with BagGraph(out / 'bag') as bag:
        assert bag.message_counts()['/affect/state'] >= 8
    assert main(['timeline', str(out / 'bag'), f'--out={name}.png']) == 0
    assert (tmp_path / f'{name}.png').stat().st_size > 1000


def test_a_report_names_bags_whose_names_are_no_text(recorded, tmp_path):
    for name in (LATIN, OTHER, 'ok'):
        shutil.copytree(recorded, name)
    (tmp_path / 'said').mkdir()
    for name, lines in ((LATIN, 20), (OTHER, 1), ('ok', 1)):
        (tmp_path / 'said' / f'{name}.txt').write_text('valence,arousal\n' + '0.1,0.2\n' * lines)
    assert main(['evaluate', 'bags', LATIN, OTHER, 'ok', '--annotations', 'said', '--out',
                 f'eval:{LATIN}', *QUIET]) == 1  # two have too few lines, and it says so
    page = (tmp_path / f'eval:{LATIN}' / 'report.html').read_text('utf-8')
    assert r'lat\xe9in' in page and r'lat\xe8in.txt: 1 lines' in page
    [pairs] = read_result_set(tmp_path / f'eval:{LATIN}').pairs
    assert pairs.bag == r'lat\xe9in' and len(pairs.times_ns) == 20


@pytest.mark.parametrize('name', NAMES)
@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_a_clip_of_any_name_becomes_a_bag(tmp_path, name, storage):
    write_clip(tmp_path / f'{name}.mp4', 10)
    assert main(['bag', 'from-media', f'--out=./{name}', f'--storage={storage}', '--',
                 f'./{name}.mp4']) == 0
    with BagGraph(tmp_path / name / name) as bag:
        assert len(list(bag.read(['/camera/image_raw/compressed']))) == 10
    # What other readers are told of it is text.
    assert '\\uD' not in (tmp_path / name / name / 'metadata.yaml').read_text('utf-8')
