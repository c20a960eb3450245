"""Words count in the windows that they were spoken in, as they are known then."""

import pytest

from maven_ros.counters import Counters
from maven_ros.records import NS, Utterance, Word
from maven_ros.senses.transcript import Transcript

T0 = 1_700_000_000 * NS
MS = 1_000_000


class Rig:
    """A transcript, in milliseconds."""

    def __init__(self):
        self.counters = Counters()
        self.transcript = Transcript(self.counters)

    def say(self, *spans_ms, final=True, since_ms=-2000):
        spoken = tuple(Word(f'w{start}', T0 + start * MS, T0 + end * MS, 0.9)
                       for start, end in spans_ms)
        self.transcript.add(
            Utterance(spoken[0].start_ns, spoken[-1].end_ns, spoken, final, 'test'),
            T0 + since_ms * MS)

    def words(self, start_ms, end_ms):
        found = self.transcript.words(T0 + start_ms * MS, T0 + end_ms * MS)
        return [word.text for word in found]


@pytest.fixture
def rig():
    return Rig()


def test_words_count_where_they_were_spoken_as_known_at_the_close(rig):
    rig.say((20, 180), (190, 260), final=False)
    assert rig.words(-1800, 200) == ['w20']             # the second is not over yet
    rig.say((20, 150), (160, 390))                      # the final result replaces it
    assert rig.words(-1600, 400) == ['w20', 'w160']
    rig.say((300, 310))                                 # an utterance of its own
    assert rig.words(-1400, 600) == ['w20', 'w160', 'w300']


def test_a_word_counts_in_windows_that_hold_all_of_it(rig):
    rig.say((100, 200), (200, 300))
    assert rig.words(100, 300) == ['w100', 'w200']
    assert rig.words(101, 300) == ['w200'] and rig.words(100, 299) == ['w100']


def test_what_ended_before_a_window_is_forgotten(rig):
    rig.say((100, 200))
    rig.say((300, 400))
    assert rig.words(200, 400) == ['w300'] and rig.words(0, 400) == ['w100', 'w300']
    assert rig.words(201, 400) == ['w300'] and rig.words(0, 400) == ['w300']


def test_utterances_of_another_clock_do_not_gather(rig):
    for index in range(3000):
        rig.say((10_000_000 + index * 10, 10_000_009 + index * 10))
    assert len(rig.transcript._utterances) == 1000


def test_words_that_come_after_all_their_windows_are_late(rig):
    rig.say((100, 300), since_ms=300)
    assert rig.words(0, 400) == [] and rig.counters.get('speech', 'late') == 1
    rig.say((100, 301), since_ms=300)
    assert rig.words(0, 400) == ['w100'] and rig.counters.get('speech', 'late') == 1
