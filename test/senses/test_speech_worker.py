"""A recogniser beside the rest: a process for PocketSphinx, a thread for Vosk."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest
from speaking import SAMPLE, START_NS, chunks, finals, noise, recognise, silence, sound_of, text_of
from vosk_model import write_model
from waiting import eventually

from maven_ros.counters import Counters
from maven_ros.errors import ResourceError
from maven_ros.records import NS
from maven_ros.senses.speech import SpeechWorker, open_recogniser, remote
from maven_ros.senses.speech.remote import RESTARTS
from maven_ros.settings import SpeechSettings

SETTINGS = SpeechSettings(max_lag_s=60)
PATIENCE_S = 60


@pytest.fixture(scope='module')
def sample():
    return sound_of(SAMPLE)[:5 * 16000]


@pytest.fixture
def counters():
    return Counters()


def children():
    alive = [one for one in psutil.Process().children() if one.status() != psutil.STATUS_ZOMBIE]
    return [child.pid for child in alive if 'speech.host' in ' '.join(child.cmdline())]


def put_all(worker, samples, start_ns=START_NS):
    for chunk in chunks(samples, start_ns=start_ns):
        worker.put(*chunk)


def test_a_process_hears_what_the_recogniser_hears(sample, counters):
    with SpeechWorker(SETTINGS, counters) as worker:
        put_all(worker, sample)
        assert worker.lag_s > 0
        found = worker.finish(PATIENCE_S)
        assert worker.lag_s == 0
    assert found == recognise(open_recogniser(SETTINGS), sample)
    assert counters.snapshot() == {}


def test_a_thread_hears_what_the_recogniser_hears(tmp_path, counters):
    settings = SpeechSettings(
        recogniser='vosk', vosk_model=str(write_model(tmp_path)), max_lag_s=60)
    samples = np.concatenate([noise(1, 0.001), noise(1, 0.2), noise(1.5, 0.001)])
    with SpeechWorker(settings, counters) as worker:
        put_all(worker, samples)
        found = worker.finish(PATIENCE_S)
    assert text_of(found) == 'loud'
    assert found == recognise(open_recogniser(settings), samples)


def test_inline_recognises_at_once(sample, counters):
    with SpeechWorker(SETTINGS, counters, inline=True) as worker:
        put_all(worker, sample)
        assert worker.lag_s == 0
        found = worker.poll() + worker.finish(0)
        assert worker.poll() == []
    assert found == recognise(open_recogniser(SETTINGS), sample)


@pytest.mark.parametrize('inline', [False, True])
def test_none_takes_sound_and_says_nothing(counters, inline):
    with SpeechWorker(SpeechSettings(recogniser='none'), counters, inline) as worker:
        worker.put(noise(1), START_NS)
        worker.reset()
        assert worker.poll() + worker.finish(1) == []
        assert worker.lag_s == 0


def test_an_error_at_loading_comes_from_the_constructor(counters):
    with pytest.raises(ResourceError, match="language: 'de' is not available"):
        SpeechWorker(SpeechSettings(language='de'), counters)
    assert children() == []


def test_a_recogniser_that_hangs_costs_no_more_than_sound(sample, counters):
    """Stopped, it takes nothing: put returns, the sound is skipped and counted."""
    with SpeechWorker(SpeechSettings(max_lag_s=1), counters) as worker:
        (pid,) = children()
        os.kill(pid, signal.SIGSTOP)
        put_all(worker, np.concatenate([sample, sample]))
        assert worker.lag_s <= 1
        assert counters.get('speech', 'skipped') > 0
        assert 'speech.max_lag_s allows 1' in counters.details()['speech.skipped']
        worker.finish(0.1)
        assert counters.get('speech', 'unfinished') == 1
        os.kill(pid, signal.SIGCONT)
        worker.reset()
        put_all(worker, sample[:16000])
        worker.finish(PATIENCE_S)
        assert worker.lag_s == 0


def test_a_hanging_recogniser_is_ended(counters):
    worker = SpeechWorker(SETTINGS, counters)
    (pid,) = children()
    os.kill(pid, signal.SIGSTOP)
    worker.close()
    assert not psutil.pid_exists(pid)


def test_reset_drops_what_was_said_before(sample, counters):
    with SpeechWorker(SETTINGS, counters) as worker:
        put_all(worker, sample)
        worker.reset()
        later_ns = START_NS + 100 * NS
        put_all(worker, sample, later_ns)
        found = worker.finish(PATIENCE_S)
    assert found == recognise(open_recogniser(SETTINGS), sample, start_ns=later_ns)


def test_a_recogniser_that_dies_is_replaced_a_few_times_a_minute(
        sample, counters, monkeypatch):
    with SpeechWorker(SETTINGS, counters) as worker:
        for death in range(1, RESTARTS + 1):
            (pid,) = children()
            os.kill(pid, signal.SIGKILL)
            eventually(lambda n=death: worker.poll() or counters.get('speech', 'restarted') == n)
        assert 'exit code -9' in counters.details()['speech.restarted']
        put_all(worker, sample)
        assert finals(worker.finish(PATIENCE_S))
        os.kill(*children(), signal.SIGKILL)
        eventually(lambda: worker.poll() or counters.get('speech', 'stopped') == 1)
        worker.put(sample, START_NS)
        assert counters.get('speech', 'skipped') == 1
        assert worker.lag_s == 0
        assert worker.finish(PATIENCE_S) == []
        assert '4 times within 60 s' in counters.details()['speech.stopped']
        monkeypatch.setattr(remote, 'WITHIN_S', 0.0)  # the minute is over
        put_all(worker, sample)
        assert finals(worker.finish(PATIENCE_S))
        assert counters.get('speech', 'restarted') == RESTARTS + 1
    worker.put(sample, START_NS)
    assert not children()


def test_the_process_is_deaf_to_ctrl_c_and_small(sample, counters):
    with SpeechWorker(SETTINGS, counters) as worker:
        (pid,) = children()
        os.kill(pid, signal.SIGINT)
        put_all(worker, np.concatenate([sample, silence(1)]))
        assert finals(worker.finish(PATIENCE_S))
        mapped = Path(f'/proc/{pid}/maps').read_text()
        assert 'pocketsphinx' in mapped
        assert 'torch' not in mapped
    assert counters.snapshot() == {}
    assert not psutil.pid_exists(pid)


def test_the_process_ends_when_its_parent_is_killed(tmp_path):
    """The script is not guarded by __name__, as in a ten-line example: it is run only once."""
    script = tmp_path / 'example.py'
    script.write_text(
        'import time\n'
        'from maven_ros.counters import Counters\n'
        'from maven_ros.senses.speech import SpeechWorker\n'
        'from maven_ros.settings import SpeechSettings\n'
        'worker = SpeechWorker(SpeechSettings(), Counters())\n'
        'print("ready", flush=True)\n'
        'time.sleep(60)\n')
    root = Path(__file__).parents[2]
    parent = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True,
                              env={**os.environ, 'PYTHONPATH': str(root)})
    with parent:
        assert parent.stdout.readline() == 'ready\n'
        (child,) = psutil.Process(parent.pid).children()
        parent.kill()
    child.wait(5)
