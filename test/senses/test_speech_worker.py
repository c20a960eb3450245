"""A recogniser beside the rest: in a thread, which never makes the rest wait."""

import threading
import time

import numpy as np
import pytest
from speaking import START_NS, finals, noise, recognise, segments, text_of
from vosk_model import write_model
from waiting import eventually

from maven_ros.counters import Counters
from maven_ros.errors import ResourceError
from maven_ros.records import NS, Utterance
from maven_ros.senses.speech import SpeechWorker, open_recogniser, threaded
from maven_ros.senses.speech.threaded import FAILURES, ThreadedRecogniser
from maven_ros.settings import SpeechSettings

PATIENCE_S = 60


@pytest.fixture(scope='module')
def settings(tmp_path_factory):
    folder = write_model(tmp_path_factory.mktemp('model'))
    return SpeechSettings(recogniser='vosk', vosk_model=str(folder), max_lag_s=60)


@pytest.fixture(scope='module')
def sample():
    return np.concatenate([noise(1, 0.001), noise(1, 0.2), noise(1.5, 0.001)])


@pytest.fixture
def counters():
    return Counters()


def put_all(worker, samples, start_ns=START_NS):
    for segment in segments(samples, start_ns=start_ns):
        worker.put(segment)


class Stub:
    """A recogniser that waits, or fails, when it is told to."""

    def __init__(self):
        self.go_on = threading.Event()
        self.taken = threading.Event()
        self.hurries = []
        self.fails = False
        self.closed = False

    def accept(self, segment, hurry=False):
        self.taken.set()
        self.go_on.wait()
        self.hurries.append(hurry)
        if self.fails:
            raise RuntimeError('no memory')
        return [Utterance(segment.start_ns, segment.start_ns + 1, (), False, 'stub')]

    def finish(self):
        return []

    def reset(self):
        pass

    def close(self):
        self.closed = True


@pytest.fixture
def stub():
    stub = Stub()
    yield stub
    stub.go_on.set()


def test_a_thread_hears_what_the_recogniser_hears(settings, sample, counters):
    with SpeechWorker(settings, counters) as worker:
        put_all(worker, sample)
        found = worker.finish(PATIENCE_S)
        assert worker.lag_s == 0
    assert text_of(found) == 'loud'
    assert finals(found) == finals(recognise(open_recogniser(settings, counters), sample))
    assert counters.snapshot() == {}


def test_inline_recognises_at_once(settings, sample, counters):
    with SpeechWorker(settings, counters, inline=True) as worker:
        put_all(worker, sample)
        assert worker.lag_s == 0
        found = worker.poll() + worker.finish(0)
        assert worker.poll() == []
    assert found == recognise(open_recogniser(settings, counters), sample)


@pytest.mark.parametrize('inline', [False, True])
def test_none_takes_sound_and_says_nothing(sample, counters, inline):
    with SpeechWorker(SpeechSettings(recogniser='none'), counters, inline) as worker:
        assert not worker.recognises
        put_all(worker, sample)
        worker.reset()
        assert worker.poll() + worker.finish(1) == []
        assert worker.lag_s == 0


def test_an_error_at_loading_comes_from_the_constructor(tmp_path, counters):
    with pytest.raises(ResourceError, match=f'{tmp_path} lacks am/final.mdl'):
        SpeechWorker(SpeechSettings(recogniser='vosk', vosk_model=str(tmp_path)), counters)


def test_a_recogniser_that_hangs_costs_no_more_than_sound(stub, counters):
    """It takes nothing: put returns, the sound is skipped and counted, and it ends."""
    worker = ThreadedRecogniser(stub, 1.0, counters)
    put_all(worker, noise(10))
    assert 0 < worker.lag_s <= 1
    assert counters.get('speech', 'skipped') > 250  # segments of 32 ms
    assert 'speech.max_lag_s allows 1' in counters.details()['speech.skipped']
    assert worker.finish(0.05) == []
    assert 'not recognised after 0.05 s' in counters.details()['speech.unfinished']
    began_s = time.monotonic()
    worker.close()
    assert time.monotonic() - began_s < 2
    stub.go_on.set()
    eventually(lambda: stub.closed)


def test_who_is_behind_leaves_out_partial_results_first(stub, counters):
    worker = ThreadedRecogniser(stub, 3.0, counters)
    put_all(worker, noise(1.0))
    stub.go_on.set()
    worker.finish(PATIENCE_S)
    assert stub.hurries[0] is False or len(stub.hurries) > 20
    assert any(stub.hurries) and not stub.hurries[-1]
    assert counters.snapshot() == {}
    worker.close()


def test_reset_drops_what_was_said_before(stub, counters):
    worker = ThreadedRecogniser(stub, 60.0, counters)
    put_all(worker, noise(1.0))
    stub.taken.wait(PATIENCE_S)
    worker.reset()
    assert worker.lag_s < 0.1  # what is being recognised
    later_ns = START_NS + 100 * NS
    put_all(worker, noise(1.0), later_ns)
    stub.go_on.set()
    found = worker.finish(PATIENCE_S)
    assert found and all(one.start_ns >= later_ns for one in found)
    worker.close()


def test_a_recogniser_that_fails_begins_anew_a_few_times_a_minute(
        stub, counters, monkeypatch):
    worker = ThreadedRecogniser(stub, 60.0, counters)
    stub.go_on.set()
    stub.fails = True
    for failure in range(1, FAILURES):
        put_all(worker, noise(0.04))
        eventually(lambda n=failure: counters.get('speech', 'failed') == n)
    assert "RuntimeError('no memory')" in counters.details()['speech.failed']
    stub.fails = False
    put_all(worker, noise(0.1))
    assert worker.finish(PATIENCE_S)
    stub.fails = True
    put_all(worker, noise(0.04))
    eventually(lambda: counters.get('speech', 'stopped') == 1)
    put_all(worker, noise(0.1))
    assert counters.get('speech', 'skipped') == 3
    assert worker.lag_s == 0
    assert worker.finish(PATIENCE_S) == []
    assert '4 times within 60 s' in counters.details()['speech.stopped']
    monkeypatch.setattr(threaded, 'WITHIN_S', 0.0)  # the minute is over
    stub.fails = False
    put_all(worker, noise(0.1))
    assert worker.finish(PATIENCE_S)
    worker.close()
    eventually(lambda: stub.closed)


def test_whisper_in_a_thread_hears_the_same_words(whisper_base, shared_data, counters):
    """Put at once it is behind all the time: finals come, and partial results are left out."""
    from speaking import sound_of

    clip = next((shared_data / 'speech' / 'ravdess').glob('03-01-01-01-01-01-*.flac'))
    samples = np.concatenate([sound_of(clip), np.zeros(16000, np.float32)])
    settings = SpeechSettings(max_lag_s=60)
    with SpeechWorker(settings, counters) as worker:
        put_all(worker, samples)
        found = worker.finish(PATIENCE_S)
    expected = recognise(open_recogniser(settings, Counters()), samples)
    assert text_of(found) == text_of(expected) != ''
    assert set(counters.snapshot()) <= {'speech.partial_left_out', 'speech.invented'}
