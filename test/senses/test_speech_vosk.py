"""The real Vosk library on a model that hears loud from quiet."""

import shutil
import sys

import numpy as np
import pytest
from speaking import START_NS, accept, finals, noise, recognise
from vosk_model import WORD, write_model

from maven_ros.counters import Counters
from maven_ros.errors import ResourceError
from maven_ros.records import NS, nanoseconds
from maven_ros.senses.speech import open_recogniser
from maven_ros.senses.speech.vosk import language_of
from maven_ros.settings import SpeechSettings

QUIET, LOUD = 0.001, 0.2
NEAR_NS = nanoseconds(0.1)  # Vosk counts frames of 30 ms


@pytest.fixture(scope='module')
def model(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp('model'))


@pytest.fixture
def recogniser(model):
    recogniser = open_recogniser(
        SpeechSettings(recogniser='vosk', vosk_model=str(model)), Counters())
    yield recogniser
    recogniser.close()


def bursts(*lengths_s):
    """Return noise that is quiet and loud by turns."""
    return np.concatenate([noise(length, LOUD if i % 2 else QUIET, seed=i)
                           for i, length in enumerate(lengths_s)])


def assert_heard(utterance, start_s, end_s):
    (word,) = utterance.words
    assert word.text == WORD
    assert abs(word.start_ns - START_NS - nanoseconds(start_s)) <= NEAR_NS
    assert abs(word.end_ns - START_NS - nanoseconds(end_s)) <= NEAR_NS
    assert 0 < word.confidence <= 1


def test_a_loud_second_is_one_word_at_its_time(recogniser):
    found = recognise(recogniser, bursts(1, 1, 1.5))
    (final,) = finals(found)
    assert_heard(final, 1, 2)
    assert final.recogniser == 'vosk'
    assert found[-1] is final


def test_partials_come_before_the_final_and_share_its_start(recogniser):
    found = recognise(recogniser, bursts(1, 2, 1.5))
    partials = [one for one in found if not one.is_final]
    assert partials
    assert all(one.words[0].text == WORD for one in partials)
    assert {one.start_ns for one in found} == {finals(found)[0].start_ns}
    assert all(one.end_ns <= START_NS + 4.5 * NS for one in found)


def test_two_bursts_are_two_utterances_on_one_clock(recogniser):
    first, second = finals(recognise(recogniser, bursts(1, 1, 1.5, 0.8, 0.3)))
    assert_heard(first, 1, 2)
    assert_heard(second, 3.5, 4.3)


def test_results_do_not_depend_on_how_the_sound_was_cut(recogniser):
    samples = bursts(1, 1, 1.5)
    expected = recognise(recogniser, samples)
    assert recognise(recogniser, samples, size=777) == expected


def test_a_gap_ends_the_utterance(recogniser):
    accept(recogniser, bursts(1, 1))
    (final,) = accept(recogniser, bursts(1), start_ns=START_NS + 5 * NS)
    assert final.is_final
    assert_heard(final, 1, 2)
    assert recogniser.finish() == []


def test_reset_forgets_and_starts_the_times_anew(recogniser):
    accept(recogniser, bursts(1, 1))
    recogniser.reset()
    assert recogniser.finish() == []
    (final,) = finals(recognise(recogniser, bursts(0.5, 1, 1.5)))
    assert_heard(final, 0.5, 1.5)


def test_quiet_says_nothing(recogniser):
    assert recognise(recogniser, bursts(2)) == []


@pytest.mark.parametrize('name', ['am/final.mdl', 'graph/HCLG.fst', 'graph/words.txt'])
def test_a_missing_file_of_the_model_is_named(model, tmp_path, name):
    broken = shutil.copytree(model, tmp_path / 'broken')
    (broken / name).unlink()
    with pytest.raises(ResourceError, match=f'{broken} lacks {name}'):
        open_recogniser(SpeechSettings(recogniser='vosk', vosk_model=str(broken)), Counters())


def test_a_damaged_model_is_refused(model, tmp_path):
    broken = shutil.copytree(model, tmp_path / 'broken')
    (broken / 'am/final.mdl').write_text('<TransitionModel> nothing')
    with pytest.raises(ResourceError, match=f'{broken} has all files, but Vosk cannot read one'):
        open_recogniser(SpeechSettings(recogniser='vosk', vosk_model=str(broken)), Counters())


def test_a_missing_package_is_named(monkeypatch, model):
    monkeypatch.setitem(sys.modules, 'vosk', None)
    with pytest.raises(ResourceError, match=r'maven_ros\[vosk\]'):
        open_recogniser(SpeechSettings(recogniser='vosk', vosk_model=str(model)), Counters())


@pytest.mark.parametrize(('name', 'language'), [
    ('vosk-model-small-en-us-0.15', 'en-us'), ('vosk-model-de-0.21', 'de'),
    ('vosk-small-fr', 'fr'), ('vosk-model-cn-0.22', 'zh'), ('vosk-model-0.3', ''),
    ('model', ''), ('en', '')])
def test_a_model_says_its_language_by_its_name(tmp_path, name, language):
    assert language_of(tmp_path / name) == language


def test_the_language_that_is_set_comes_before_the_name(model):
    for settings, language in (({}, ''), ({'language': 'uk'}, 'uk')):
        recogniser = open_recogniser(
            SpeechSettings(recogniser='vosk', vosk_model=str(model), **settings), Counters())
        (final,) = finals(recognise(recogniser, bursts(1, 1, 1.5)))
        assert final.language == final.words[0].language == language
        assert final.language_confidence == bool(language)
