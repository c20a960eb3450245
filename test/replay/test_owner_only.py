"""Recordings of people, and what is made of them, are readable by their owner alone."""

import os

import pytest
from black_clip import write_clip
from stopping import After

from maven_ros.cli.main import main
from maven_ros.files import owner_only
from maven_ros.replay.replay import ReplayOptions, replay
from maven_ros.settings import Settings

QUIET = ['--speech.recogniser', 'none']


@pytest.fixture(autouse=True)
def _usual_umask():
    before = os.umask(0o022)
    yield
    os.umask(before)


def open_to_others(folder):
    """Return what others may read or enter below a folder."""
    return [path for path in (folder, *folder.rglob('*')) if path.stat().st_mode & 0o077]


@pytest.fixture
def clip(tmp_path):
    return write_clip(tmp_path / 'clip.mp4', 30)


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_bags_replays_timelines_and_reports_are_the_owners(clip, tmp_path, storage):
    out = tmp_path / 'bags'
    assert main(['bag', 'from-media', str(clip), '--out', str(out), '--storage', storage]) == 0
    bag = out / 'clip'
    assert main(['replay', str(bag), '--storage', storage, *QUIET]) == 0
    assert main(['timeline', f'{bag}_affect/bag', '--out', str(out / 'timeline.png')]) == 0
    assert main(['evaluate', 'bags', str(bag), '--out', str(out / 'eval'), *QUIET]) == 0
    names = {path.name for path in out.rglob('*')}
    assert names >= {'states.csv', 'summary.json', 'report.html', 'timeline.png', 'metadata.yaml'}
    assert not open_to_others(out)
    assert os.umask(0o022) == 0o022


def test_what_an_interrupted_replay_leaves_is_the_owners(clip, tmp_path):
    assert main(['bag', 'from-media', str(clip), '--out', str(tmp_path)]) == 0
    stop, settings = After(25), Settings().with_values({'speech.recogniser': 'none'})
    assert replay(tmp_path / 'clip', settings, tmp_path / 'out', ReplayOptions(rest_s=0.5),
                  stop) is None
    assert (tmp_path / 'out' / 'unfinished' / 'checkpoint').exists()
    assert not open_to_others(tmp_path / 'out')


def test_only_what_is_made_meanwhile_is_closed_to_others(tmp_path):
    with pytest.raises(KeyError), owner_only():
        (tmp_path / 'folder').mkdir()
        (tmp_path / 'folder' / 'file').touch()
        raise KeyError
    (tmp_path / 'after').touch()
    assert open_to_others(tmp_path / 'folder') == []
    assert open_to_others(tmp_path / 'after') == [tmp_path / 'after']
