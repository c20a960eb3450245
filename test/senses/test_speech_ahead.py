"""A recogniser that runs ahead says what one that answers at once would have said."""

import threading

import numpy as np
import pytest
from inputs import SAMPLE
from speaking import segments, silence, sound_of

from maven_ros.counters import Counters
from maven_ros.errors import ResourceError
from maven_ros.records import VOICE_BLOCK, Utterance
from maven_ros.senses.audio import AudioSegment
from maven_ros.senses.speech import open_recogniser
from maven_ros.senses.speech.ahead import AheadRecogniser
from maven_ros.senses.speech.worker import InlineRecogniser
from maven_ros.settings import SpeechSettings


@pytest.fixture(scope='module')
def sample():
    return sound_of(SAMPLE)[:5 * 16000]


class Parrot:
    """A recogniser that says what it was asked, once it is let."""

    name, speaking, learnt = 'parrot', False, None

    def __init__(self):
        self.lets = threading.Event()
        self.closed = False

    def accept(self, segment):
        assert self.lets.wait(10)
        if segment.start_ns < 0:
            raise ResourceError('no such time')
        return [Utterance(segment.start_ns, segment.start_ns + 1, (), False, self.name)]

    def finish(self):
        return [Utterance(0, 0, (), True, self.name)]

    def reset(self):
        self.learnt = None

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


def sound(start_ns):
    return AudioSegment(start_ns, np.zeros(VOICE_BLOCK, np.float32), np.zeros(1, np.float32))


def starts(utterances):
    return [one.start_ns for one in utterances]


def test_each_answer_is_what_one_that_answers_at_once_says(whisper_base, sample):
    counters = Counters(), Counters()
    recogniser = open_recogniser(SpeechSettings(), counters[0])
    inline = InlineRecogniser(recogniser)
    with AheadRecogniser.open(SpeechSettings(), counters[1]) as ahead:
        assert ahead.recognises
        polls, expected = [], []
        for number, segment in enumerate(segments(sample)):
            ahead.put(segment)
            inline.put(segment)
            if number % 3 == 0:
                polls.append(ahead.poll())
                expected.append(inline.poll())
        polls.append(ahead.finish(0.0))
        expected.append(inline.finish(0.0))
        assert [list(one) for one in polls] == expected and any(expected[:-1])
        assert ahead.learnt == recogniser.learnt and not ahead.speaking
        ahead.learnt = recogniser.learnt = recogniser.learnt
        for segment in segments(silence(1.0)):
            ahead.put(segment)
            inline.put(segment)
        assert list(ahead.finish(0.0)) == inline.finish(0.0)
    assert counters[0].snapshot() == counters[1].snapshot()


def test_nobody_waits_before_an_answer_is_read(ahead, parrot):
    ahead.put(sound(1))
    first = ahead.poll()
    ahead.put(sound(2))
    assert ahead.busy and first
    threading.Timer(0.05, parrot.lets.set).start()
    assert starts(first) == [1]
    assert starts(ahead.finish(0.0)) == [2, 0]
    assert not ahead.busy and not ahead.poll()


def test_a_reset_forgets_what_was_not_polled(ahead, parrot):
    parrot.lets.set()
    ahead.put(sound(1))
    polled = ahead.poll()
    ahead.put(sound(2))
    ahead.reset()
    ahead.put(sound(3))
    assert starts(polled) == [1] and starts(ahead.poll()) == [3]


def test_what_goes_wrong_is_raised_where_the_answer_is_read(ahead, parrot):
    parrot.lets.set()
    ahead.put(sound(-1))
    answer = ahead.poll()
    with pytest.raises(ResourceError, match='no such time'):
        list(answer)


def test_what_was_not_recognised_is_left_when_it_ends(parrot):
    ahead = AheadRecogniser(parrot)
    for _ in range(100):
        ahead.put(sound(1))
    threading.Timer(0.05, parrot.lets.set).start()
    ahead.close()
    ahead.close()
    assert parrot.closed


def test_none_recognises_nothing():
    with AheadRecogniser.open(SpeechSettings(recogniser='none'), Counters()) as ahead:
        ahead.put(sound(1))
        assert not ahead.recognises
        assert not ahead.busy and not ahead.speaking and ahead.learnt is None
        assert not ahead.poll() and not ahead.finish(0.0)


def test_what_cannot_be_opened_is_named(tmp_path):
    settings = SpeechSettings(recogniser='vosk', vosk_model=str(tmp_path))
    with pytest.raises(ResourceError, match=f'{tmp_path} lacks am/final.mdl'):
        AheadRecogniser.open(settings, Counters())
