"""Whisper on speech and on noise."""

import shutil
import sys
from itertools import pairwise

import jiwer
import numpy as np
import pytest
from inputs import SAMPLE
from listening import chunks_of, feed
from speaking import (
    START_NS,
    accept,
    finals,
    noise,
    pink,
    plain,
    recognise,
    say,
    silence,
    sound_of,
    text_of,
)

from maven_ros.counters import Counters
from maven_ros.errors import ResourceError
from maven_ros.held_files import LOCK
from maven_ros.pipeline import Pipeline
from maven_ros.records import NS, AffectState, Modality, nanoseconds
from maven_ros.senses.speech import SpeechWorker, open_recogniser
from maven_ros.senses.speech.whisper_model import HeardWord, folder_of
from maven_ros.settings import Settings, SpeechSettings

SETTINGS = SpeechSettings()
#: What espeak-ng says clearly enough.
SPOKEN = ('The weather in London is cold today.', 'The children are playing in the garden.')
PAIRS = {'en': 'I would like to have a cup of coffee, please.',
         'de': 'Ich möchte gerne eine Tasse Kaffee trinken, bitte.',
         'fr': 'Je voudrais boire une tasse de café, merci beaucoup.',
         'es': 'Quiero beber una taza de café, muchas gracias.'}


@pytest.fixture(scope='module')
def loaded(whisper_base):
    return open_recogniser(SETTINGS, Counters())


@pytest.fixture
def recogniser(loaded):
    loaded.reset()
    return loaded


@pytest.fixture(scope='module')
def spoken():
    pause = silence(1)
    return np.concatenate([pause, *(part for line in SPOKEN for part in (say(line), pause))])


@pytest.fixture(scope='module')
def heard(loaded, spoken):
    loaded.reset()
    return recognise(loaded, spoken)


def test_words_of_clean_speech(heard):
    assert jiwer.wer(plain(' '.join(SPOKEN)), text_of(heard)) <= 0.1
    assert len(finals(heard)) == len(SPOKEN)


def test_words_are_stamped_with_the_time_they_were_spoken(recogniser):
    """A pause of 2 s, a sentence, a pause: everything lies in the sentence's own time."""
    sentence = say(SPOKEN[0])
    found = recognise(recogniser, np.concatenate([silence(2), sentence, silence(2)]))
    loud = np.flatnonzero(np.abs(sentence) > 0.02)
    begins, ends = (START_NS + 2 * NS + int(at) * NS // 16000 for at in (loud[0], loud[-1]))
    words = [word for one in finals(found) for word in one.words]
    assert abs(words[0].start_ns - begins) < nanoseconds(0.25)
    assert abs(words[-1].end_ns - ends) < nanoseconds(0.4)  # it fades
    assert all(before.end_ns <= after.start_ns for before, after in pairwise(words))


def test_a_final_closes_every_partial(heard):
    assert {one.start_ns for one in heard} == {one.start_ns for one in finals(heard)}
    assert any(not one.is_final for one in heard)
    for one in heard:
        assert all(one.start_ns <= word.start_ns <= word.end_ns <= one.end_ns
                   for word in one.words)
        assert all(0 <= word.confidence <= 1 for word in one.words)
        assert {word.language for word in one.words} <= {one.language}
    ends = [one.end_ns for one in finals(heard)]
    starts = [one.start_ns for one in finals(heard)]
    assert all(end <= start for end, start in zip(ends, starts[1:], strict=False))


def test_results_do_not_depend_on_how_the_sound_was_cut(recogniser, spoken):
    samples = spoken[:4 * 16000]
    expected = recognise(recogniser, samples)
    recogniser.reset()
    assert recognise(recogniser, samples, size=1601) == expected


def test_a_recogniser_that_knows_the_language_goes_on_alike(loaded, spoken):
    loaded.reset()
    other = open_recogniser(SETTINGS, Counters())
    half = 16000 * 4
    accept(loaded, spoken[:half])
    loaded.finish()
    assert not loaded.speaking
    learnt = loaded.learnt
    loaded.learnt = other.learnt = learnt
    assert recognise(loaded, spoken[half:]) == recognise(other, spoken[half:])
    assert loaded.learnt == other.learnt != learnt


# --- what nobody said -------------------------------------------------------------------------


@pytest.mark.parametrize('level', [0.02, 0.2])
@pytest.mark.parametrize('kind', ['silence', 'white', 'pink', 'hum', 'chords', 'bursts'])
def test_where_nobody_speaks_there_are_no_words(recogniser, kind, level):
    times = np.arange(6 * 16000, dtype=np.float32) / 16000
    samples = {
        'silence': lambda: silence(6),
        'white': lambda: noise(6, level),
        'pink': lambda: pink(6, level),
        'hum': lambda: level * sum(np.sin(2 * np.pi * 50 * k * times) / k for k in range(1, 7)),
        'chords': lambda: level * sum(np.sin(2 * np.pi * hz * times) for hz in (262, 330, 392)),
        'bursts': lambda: pink(6, level) * (1 + np.sin(2 * np.pi * 4 * times)) / 2,
    }[kind]()
    assert recognise(recogniser, samples.astype(np.float32)) == []


def test_a_word_where_nobody_spoke_is_dropped_and_counted(whisper_base, spoken, monkeypatch):
    counters = Counters()
    recogniser = open_recogniser(SETTINGS, counters)
    weights = recogniser._weights
    decode = weights.decode

    def invent(encoded, language, length_s, *rest):
        return [*decode(encoded, language, length_s, *rest),
                HeardWord('you', length_s - 0.05, length_s, 0.9, (1,))]

    monkeypatch.setattr(weights, 'decode', invent)
    found = finals(recognise(recogniser, spoken))
    assert found and not any(word.text == 'you' for one in found for word in one.words)
    assert counters.get('speech', 'invented') > 0


def test_no_more_words_than_the_time_holds(whisper_base, spoken, monkeypatch):
    recogniser = open_recogniser(SETTINGS, Counters())
    monkeypatch.setattr(recogniser._weights, 'decode', lambda encoded, language, length_s, *rest: [
        HeardWord(f'word{k}', 0.5, 0.6, 0.9, (1,)) for k in range(100)])
    for one in finals(recognise(recogniser, spoken)):
        assert len(one.words) <= 2 + 8 * (one.end_ns - one.start_ns) / NS + 8 * 3


# --- languages --------------------------------------------------------------------------------


@pytest.mark.parametrize('language', PAIRS)
def test_the_language_of_a_sentence_is_told(recogniser, language):
    voice = {'en': 'en-us', 'de': 'de', 'fr': 'fr-fr', 'es': 'es'}[language]
    found = finals(recognise(recogniser, np.concatenate(
        [silence(0.5), say(PAIRS[language], voice), silence(1)])))
    assert {one.language for one in found} == {language}
    assert all(one.language_confidence > 0.5 for one in found)


def test_a_language_that_is_set_is_not_found_out(whisper_base):
    recogniser = open_recogniser(SpeechSettings(language='de-AT'), Counters())
    found = finals(recognise(recogniser, np.concatenate([say(PAIRS['de'], 'de'), silence(1)])))
    assert [(one.language, one.language_confidence) for one in found] == [('de', 1.0)]


def test_a_language_that_the_model_does_not_know_is_refused(whisper_base):
    with pytest.raises(ResourceError, match=r"speech.language: 'xx' is none that the model knows"):
        open_recogniser(SpeechSettings(language='xx'), Counters())


def states(samples, recogniser):
    """Return what a pipeline makes of sound alone, by the window's end."""
    settings = Settings().with_values({'speech.recogniser': recogniser})
    with Pipeline(settings) as pipeline:
        pipeline.engine.languages = ('en',)
        outputs = feed(pipeline, chunks_of(samples, START_NS, 1600))
        return {one.window_end_ns: one for one in outputs
                if isinstance(one, AffectState)}, pipeline.counters


@pytest.mark.parametrize('language', ['de', 'fr', 'es'])
def test_foreign_speech_is_shown_and_changes_no_state(whisper_base, language):
    """From sound to state, by a text encoder that reads English alone."""
    voice = {'de': 'de', 'fr': 'fr-fr', 'es': 'es'}[language]
    samples = np.concatenate([silence(0.5), say(PAIRS[language], voice), silence(1)])
    heard, counters = states(samples, 'whisper')
    deaf, _ = states(samples, 'none')
    assert heard.keys() == deaf.keys() and any(one.transcript for one in heard.values())
    for end_ns, one in heard.items():
        assert not one.modalities & Modality.TEXT
        assert (one.modalities, repr(one.affect)) == (
            deaf[end_ns].modalities, repr(deaf[end_ns].affect))
    assert counters.get('text', 'language') > 3


# --- clocks and gaps --------------------------------------------------------------------------


def test_a_gap_ends_the_utterance(recogniser, spoken):
    samples = spoken[:2 * 16000]
    accept(recogniser, samples)
    assert recogniser.speaking
    later_ns = START_NS + 10 * NS
    first = accept(recogniser, samples, start_ns=later_ns)
    assert first[0].is_final
    assert first[0].end_ns <= START_NS + 2 * NS
    assert all(one.start_ns >= later_ns for one in first[1:] + recogniser.finish())


def test_reset_forgets_sound_and_language(recogniser, spoken):
    samples = spoken[:4 * 16000]
    expected = recognise(recogniser, samples)
    accept(recogniser, sound_of(SAMPLE)[:40000])
    recogniser.reset()
    assert recogniser.finish() == []
    assert recognise(recogniser, samples) == expected


# --- the folder -------------------------------------------------------------------------------


@pytest.mark.parametrize('name', ['model.bin', 'config.json', 'tokenizer.json'])
def test_a_missing_file_of_the_model_is_named(tmp_path, name):
    for one in {'model.bin', 'config.json', 'tokenizer.json', 'vocabulary.txt'} - {name}:
        (tmp_path / one).touch()
    with pytest.raises(ResourceError, match=f'speech.whisper_model: {tmp_path} lacks {name}'):
        open_recogniser(SpeechSettings(whisper_model=str(tmp_path)), Counters())


def test_a_damaged_model_is_refused(whisper_base, tmp_path):
    broken = shutil.copytree(whisper_base, tmp_path / 'broken',
                             ignore=shutil.ignore_patterns('model.bin', LOCK))
    (broken / 'model.bin').write_bytes(b'\6\0\0\0 nothing')
    with pytest.raises(ResourceError, match=f'{broken} has all files, but one cannot be read'):
        open_recogniser(SpeechSettings(whisper_model=str(broken)), Counters())


def test_a_fetched_file_that_was_changed_is_named(whisper_base, tmp_path):
    if not (whisper_base / LOCK).is_file():
        pytest.skip('the model was not fetched')
    changed = shutil.copytree(whisper_base, tmp_path / 'changed',
                              ignore=shutil.ignore_patterns('model.bin'))
    (changed / 'model.bin').write_bytes(b'other')
    with pytest.raises(ResourceError, match=(
            r'changed: model\.bin \(5 bytes, not 145217532\); maven-ros models fetch')):
        open_recogniser(SpeechSettings(whisper_model=str(changed)), Counters())


def test_without_weights_there_are_no_words_and_it_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv('MAVEN_ROS_MODELS', str(tmp_path))
    counters = Counters()
    assert folder_of(SETTINGS) == tmp_path / 'whisper-base'
    with SpeechWorker(SETTINGS, counters) as worker:
        assert not worker.recognises
    assert 'maven-ros models fetch whisper-base' in counters.details()['speech.no_model']


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, 'faster_whisper', None)
    with pytest.raises(ResourceError, match=r'maven_ros\[whisper\]'):
        open_recogniser(SETTINGS, Counters())


def test_none_opens_nothing():
    assert open_recogniser(SpeechSettings(recogniser='none'), Counters()) is None
