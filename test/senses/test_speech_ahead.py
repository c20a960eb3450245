"""A recogniser that runs ahead says what one that answers at once would have said."""

import os
import signal
import threading

import psutil
import pytest
from speaking import SAMPLE, START_NS, chunks, silence, sound_of

from maven_ros.errors import ResourceError
from maven_ros.records import Utterance
from maven_ros.senses.speech import open_recogniser
from maven_ros.senses.speech.ahead import AheadRecogniser
from maven_ros.senses.speech.worker import InlineRecogniser
from maven_ros.settings import SpeechSettings


@pytest.fixture(scope='module')
def sample():
    return sound_of(SAMPLE)[:5 * 16000]


class Parrot:
    """A recogniser that says what it was asked, once it is let."""

    name, speaking, voice = 'parrot', False, None

    def __init__(self):
        self.lets = threading.Event()
        self.closed = False

    def accept(self, samples, start_ns):
        assert self.lets.wait(10)
        if start_ns < 0:
            raise ResourceError('no such time')
        return [Utterance(start_ns, start_ns + len(samples), (), False, self.name)]

    def finish(self):
        return [Utterance(0, 0, (), True, self.name)]

    def reset(self):
        self.voice = None

    def close(self):
        self.closed = True


@pytest.fixture
def parrot():
    return Parrot()


@pytest.fixture
def ahead(parrot):
    with AheadRecogniser(parrot) as ahead:
        yield ahead
        parrot.lets.set()


def starts(utterances):
    return [one.start_ns for one in utterances]


def test_each_answer_is_what_one_that_answers_at_once_says(sample):
    inline = InlineRecogniser(open_recogniser(SpeechSettings()))
    with AheadRecogniser.open(SpeechSettings()) as ahead:
        polls, expected = [], []
        for number, chunk in enumerate(chunks(sample, start_ns=START_NS)):
            ahead.put(*chunk)
            inline.put(*chunk)
            if number % 3 == 0:
                polls.append(ahead.poll())
                expected.append(inline.poll())
        polls.append(ahead.finish(0.0))
        expected.append(inline.finish(0.0))
        assert [list(one) for one in polls] == expected and any(expected[:-1])
        assert ahead.voice == inline.voice and not ahead.speaking
        ahead.voice = inline.voice = inline.voice
        chunk = next(iter(chunks(silence(1.0), start_ns=START_NS)))
        ahead.put(*chunk)
        inline.put(*chunk)
        assert list(ahead.finish(0.0)) == inline.finish(0.0)


def test_nobody_waits_before_an_answer_is_read(ahead, parrot):
    ahead.put([0.0], 1)
    first = ahead.poll()
    ahead.put([0.0], 2)
    assert ahead.busy and first
    threading.Timer(0.05, parrot.lets.set).start()
    assert starts(first) == [1]
    assert starts(ahead.finish(0.0)) == [2, 0]
    assert not ahead.busy and not ahead.poll()


def test_a_reset_forgets_what_was_not_polled(ahead, parrot):
    parrot.lets.set()
    ahead.put([0.0], 1)
    polled = ahead.poll()
    ahead.put([0.0], 2)
    ahead.reset()
    ahead.put([0.0], 3)
    assert starts(polled) == [1] and starts(ahead.poll()) == [3]


def test_what_goes_wrong_is_raised_where_the_answer_is_read(ahead, parrot):
    parrot.lets.set()
    ahead.put([0.0], -1)
    answer = ahead.poll()
    with pytest.raises(ResourceError, match='no such time'):
        list(answer)


def test_what_was_not_recognised_is_left_when_it_ends(parrot):
    ahead = AheadRecogniser(parrot)
    for _ in range(100):
        ahead.put([0.0], 1)
    threading.Timer(0.05, parrot.lets.set).start()
    ahead.close()
    ahead.close()
    assert parrot.closed


def test_none_recognises_nothing():
    with AheadRecogniser.open(SpeechSettings(recogniser='none')) as ahead:
        ahead.put([0.0], 1)
        assert not ahead.busy and not ahead.speaking and ahead.voice is None
        assert not ahead.poll() and not ahead.finish(0.0)


def test_a_process_that_is_gone_is_told(sample):
    with AheadRecogniser.open(SpeechSettings()) as ahead:
        [child] = [one for one in psutil.Process().children()
                   if 'speech.elsewhere' in ' '.join(one.cmdline())]
        os.kill(child.pid, signal.SIGKILL)
        ahead.put(sample[:1600], START_NS)
        with pytest.raises(ResourceError, match=r'ended in the middle \(a process with exit'):
            list(ahead.poll())


def test_what_cannot_be_opened_is_named():
    with pytest.raises(ResourceError, match=r"speech\.language: 'de' is not available"):
        AheadRecogniser.open(SpeechSettings(language='de'))
