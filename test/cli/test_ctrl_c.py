"""Ctrl-C in a command that writes: exit 130, a word, and nothing cut under a final name."""

import signal
import subprocess
import sys

import pytest
from inputs import SAMPLE
from waiting import eventually

from maven_ros.cli.main import main
from maven_ros.replay.from_media import bags_from_media
from maven_ros.training.affwild2.generate import GenerateSettings, generate

QUIET = ['--speech.recogniser', 'none']


@pytest.fixture(scope='module')
def made(tmp_path_factory):
    """A bag that takes long, and a set of videos."""
    folder = tmp_path_factory.mktemp('made')
    bags_from_media([SAMPLE], folder, width=160, loop=4)
    generate(folder / 'set', GenerateSettings(6, 6.0, 0))
    return folder


def prepare(made):
    return ['data', 'prepare', 'aff-wild2', '--videos', made / 'set' / 'videos', '--annotations',
            made / 'set' / 'annotations', '--crops', made / 'set' / 'cropped_aligned',
            '--transcripts', made / 'set' / 'transcripts', '--out', 'out']


#: The command, what is there once it is in the middle, what it says, and what it leaves.
COMMANDS = {
    'bag from-media': (
        lambda made: ['bag', 'from-media', SAMPLE, '--loop', '999', '--out', 'out'],
        'out/.sample.part/sample/*.mcap', 'out/sample: stopped; nothing of it is written',
        ['out']),
    'data generate': (
        lambda made: ['data', 'generate', 'aff-wild2', '--videos', '999', '--out', 'out'],
        '.out.part/out/videos/*/*.mp4', 'maven-ros: stopped', []),
    'data prepare': (
        prepare, 'out/*/*', 'stopped; run the same command again to continue', None),
    'replay': (
        lambda made: ['replay', made / 'sample', '--out', 'out', '--rate', '0.5', *QUIET],
        'out/unfinished/journal', 'interrupted; the same command continues from out',
        ['out', 'out/unfinished', 'out/unfinished/journal']),
    'evaluate bags': (
        lambda made: ['evaluate', 'bags', made / 'sample', '--out', 'out', *QUIET],
        'out/replays/sample/unfinished/journal', 'stopped; run the same command again to continue',
        ['out', 'out/replays', 'out/replays/sample', 'out/replays/sample/unfinished',
         'out/replays/sample/unfinished/journal']),
    'evaluate bags by workers': (
        lambda made: ['evaluate', 'bags', made / 'sample', '--out', 'out', '--workers', '2',
                      *QUIET],
        'out/replays/sample/unfinished/journal', 'stopped; run the same command again to continue',
        None),
}


@pytest.mark.parametrize('name', COMMANDS)
def test_ctrl_c_leaves_nothing_under_a_final_name(made, tmp_path, name):
    """A bag from media was cut, under its final name, with exit code 0."""
    arguments, middle, words, left = COMMANDS[name]
    running = subprocess.Popen(
        [sys.executable, '-m', 'maven_ros', *map(str, arguments(made))], cwd=tmp_path,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    eventually(lambda: running.poll() is not None or any(
        path.stat().st_size for path in tmp_path.glob(middle)), 60.0)
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=30)
    assert running.returncode == 128 + signal.SIGINT, said
    assert words in said and 'Traceback' not in said
    found = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob('*'))
    assert left is None or [one for one in found if 'checkpoint' not in one] == left
    assert not list(tmp_path.rglob('*.part')) and not list(tmp_path.rglob('.*.part'))
    for final in ('summary.json', 'scores.json', 'report.html', 'manifest.parquet', '*.mcap'):
        assert not list(tmp_path.rglob(final))


def test_what_a_kill_left_is_no_obstacle(tmp_path, capsys):
    clip = tmp_path / 'short.mp4'
    clip.write_bytes(SAMPLE.read_bytes())
    remains = tmp_path / '.short.part' / 'short'
    remains.mkdir(parents=True)
    (remains / 'short.mcap').write_text('cut')
    assert main(['bag', 'from-media', str(clip), '--width', '64', '--out', str(tmp_path)]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ['short', 'short.mp4']
    assert 'short: ' in capsys.readouterr().out
