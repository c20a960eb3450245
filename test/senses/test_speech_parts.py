"""The small parts of the recognisers, with values derived by hand."""

import pytest

from maven_ros.records import NS
from maven_ros.senses.speech.endpointer import BLOCK_S, Endpointer, Step
from maven_ros.senses.speech.guards import speakable, unlooped
from maven_ros.senses.speech.language_belief import LanguageBelief
from maven_ros.senses.speech.sound_run import SoundRun


def test_times_count_samples_from_the_beginning_of_the_run():
    run = SoundRun()
    assert run.goes_on(123)
    run.append(5 * NS, 16000)
    assert run.at_ns(8000) == 5.5 * NS
    assert run.goes_on(6 * NS + 20_000_000)
    assert run.goes_on(6 * NS - 20_000_000)
    assert not run.goes_on(6 * NS + 20_000_001)
    assert not run.goes_on(5 * NS)


@pytest.mark.parametrize('ppm', [-300, 300])
def test_a_drifting_clock_breaks_no_run_and_is_followed_between_utterances(ppm):
    """At 300 ppm the stamps leave the counted samples by 20 ms after 67 s."""
    run = SoundRun()
    step_ns = 512 * NS / 16000 * (1 + ppm / 1e6)
    for index in range(20_000):  # ten minutes
        start_ns = round(index * step_ns)
        assert run.goes_on(start_ns)
        run.append(start_ns, 512)
        if index % 100 == 99:  # three seconds of silence pass
            run.settle()
    assert abs(run.at_ns(20_000 * 512) - 20_000 * step_ns) < 10_000_000
    assert not run.goes_on(round(20_000 * step_ns) + 25_000_000)


# --- when somebody speaks ---------------------------------------------------------------------


def steps(endpointer, *probabilities):
    return [endpointer.take(one) for one in probabilities]


def test_speech_begins_with_a_sure_block_and_ends_in_a_pause():
    endpointer = Endpointer(pause_s=4 * BLOCK_S)
    assert steps(endpointer, 0.1, 0.49, 0.5) == [Step.SILENCE, Step.SILENCE, Step.BEGIN]
    assert steps(endpointer, 0.35, 0.0, 0.0, 0.0, 0.35) == [Step.SPEECH] * 5
    assert (endpointer.voiced, endpointer.quiet) == (3, 0)
    assert steps(endpointer, 0.34, 0.1, 0.1) == [Step.SPEECH] * 3
    assert endpointer.take(0.1) is Step.END
    assert endpointer.take(0.1) is Step.SILENCE
    assert endpointer.take(0.9) is Step.BEGIN


def test_long_speech_ends_at_a_shorter_pause():
    endpointer = Endpointer(pause_s=0.5)
    assert set(steps(endpointer, *[0.9] * 160)) == {Step.BEGIN, Step.SPEECH}  # 5.1 s
    assert steps(endpointer, *[0.0] * 8)[-2:] == [Step.SPEECH, Step.END]      # 0.26 s


def test_speech_without_a_pause_is_cut_where_it_is_most_silent():
    endpointer = Endpointer(pause_s=0.5)
    blocks = [0.9] * 375  # 12 s
    blocks[100:103] = [0.0] * 3   # in the first half
    blocks[300:303] = [0.4, 0.3, 0.4]
    found = steps(endpointer, *blocks)
    assert found[-1] is Step.CUT and set(found[1:-1]) == {Step.SPEECH}
    assert endpointer.cut() == 301
    assert endpointer.voice == blocks[301:]
    assert endpointer.take(0.9) is Step.SPEECH


# --- what nobody said -------------------------------------------------------------------------


@pytest.mark.parametrize(('text', 'kept'), [
    ('', 0), ('a b c', 3),
    ('no no no no', 4), ('oh no no no no no no', 5),        # one word: four times
    ('very good very good', 4), ('well well done', 3),      # a run: twice
    ('very good very good very good', 2),
    ('so he came so he came so he came so he', 3),
    ('stop it please stop it please go', 7),
])
def test_what_comes_again_and_again_was_said_once(text, kept):
    assert unlooped(text.split()) == kept


def test_no_more_is_said_than_the_time_holds():
    assert [speakable(seconds) for seconds in (0.0, 0.5, 2.0)] == [2, 6, 18]


# --- languages --------------------------------------------------------------------------------


def test_the_first_utterance_is_taken_as_it_sounds():
    belief = LanguageBelief()
    weighed = belief.weigh({'en': 0.2, 'pl': 0.7, 'ru': 0.1}, voiced_s=1.5)
    assert weighed == pytest.approx({'en': 0.2, 'pl': 0.7, 'ru': 0.1})
    short = belief.weigh({'en': 0.01, 'pl': 0.99}, voiced_s=0.75)  # half the weight: roots
    assert short['pl'] == pytest.approx(0.99 ** 0.5 / (0.99 ** 0.5 + 0.01 ** 0.5))


def test_a_short_utterance_follows_those_before():
    belief = LanguageBelief()
    for _ in range(3):
        belief.learn(belief.weigh({'en': 0.05, 'pl': 0.85, 'ru': 0.1}, 2.0))
    weighed = belief.weigh({'en': 0.3, 'pl': 0.2, 'ru': 0.5}, 0.5)
    assert max(weighed, key=weighed.get) == 'pl' and weighed['pl'] > 0.9


def test_another_language_is_believed_when_it_goes_on():
    belief = LanguageBelief()
    for _ in range(10):
        belief.learn(belief.weigh({'en': 0.98, 'pl': 0.01, 'ru': 0.01}, 2.0))
    turned = []
    for _ in range(3):
        belief.learn(belief.weigh({'en': 0.01, 'pl': 0.98, 'ru': 0.01}, 2.0))
        turned.append(belief.belief['pl'] > 0.5)
    assert (turned[-1] and not turned[0]) or turned == [True] * 3
