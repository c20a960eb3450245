"""PocketSphinx on speech and on noise."""

import sys
from itertools import pairwise

import jiwer
import numpy as np
import pytest
from speaking import (
    SAMPLE,
    START_NS,
    chunks,
    finals,
    noise,
    pink,
    recognise,
    say,
    sentences,
    silence,
    sound_of,
    text_of,
)

from maven_ros.counters import Counters
from maven_ros.errors import ResourceError
from maven_ros.records import NS, nanoseconds
from maven_ros.senses.speech import SpeechWorker, open_recogniser
from maven_ros.settings import SpeechSettings

SETTINGS = SpeechSettings()
GATE = SETTINGS.confidence_gate


@pytest.fixture(scope='module')
def loaded():
    return open_recogniser(SETTINGS)


@pytest.fixture
def recogniser(loaded):
    loaded.reset()
    return loaded


@pytest.fixture(scope='module')
def spoken():
    pause = silence(1)
    return np.concatenate([pause, *(part for line in sentences() for part in (say(line), pause))])


def test_words_of_the_sample(recogniser):
    found = recognise(recogniser, sound_of(SAMPLE))
    assert jiwer.wer(' '.join(sentences()), text_of(found)) <= 0.2


def test_words_of_clean_speech(recogniser, spoken):
    assert jiwer.wer(' '.join(sentences()), text_of(recognise(recogniser, spoken))) <= 0.2


def test_words_are_stamped_with_the_time_they_were_spoken(recogniser):
    """A pause of 2 s, a sentence, a pause: everything lies in the sentence's own time."""
    sentence = say(sentences()[-1])
    found = recognise(recogniser, np.concatenate([silence(2), sentence, silence(2)]))
    loud = np.flatnonzero(np.abs(sentence) > 0.02)
    begins, ends = (START_NS + 2 * NS + int(at) * NS // 16000 for at in (loud[0], loud[-1]))
    words = [word for one in finals(found) for word in one.words]
    assert words
    assert abs(words[0].start_ns - begins) < nanoseconds(0.25)
    assert abs(words[-1].end_ns - ends) < nanoseconds(0.25)
    assert all(before.end_ns <= after.start_ns for before, after in pairwise(words))


def test_a_final_closes_every_partial_and_contains_its_words(recogniser, spoken):
    found = recognise(recogniser, spoken)
    assert {one.start_ns for one in found} == {one.start_ns for one in finals(found)}
    assert any(not one.is_final for one in found)
    for one in found:
        assert all(one.start_ns <= word.start_ns < word.end_ns for word in one.words)
        assert all(0 <= word.confidence <= 1 for word in one.words)
    ends = [one.end_ns for one in finals(found)]
    starts = [one.start_ns for one in finals(found)]
    assert all(end <= start for end, start in zip(ends, starts[1:], strict=False))


def test_results_do_not_depend_on_how_the_sound_was_cut(recogniser):
    samples = np.concatenate([say(sentences()[0]), silence(0.6)])
    expected = recognise(recogniser, samples)
    recogniser.reset()
    assert recognise(recogniser, samples, size=1601) == expected


def test_somebody_who_talks_without_a_pause_has_words_in_most_windows(shared_data):
    """Of the 2 s windows, four in five hold a whole word above the gate when they close."""
    samples = sound_of(shared_data / 'clips/talking_head_0.mp4')
    known, heard = {}, []
    with SpeechWorker(SETTINGS, Counters(), inline=True) as worker:
        for chunk, start_ns in chunks(samples, start_ns=0):
            worker.put(chunk, start_ns)
            known.update({one.start_ns: one for one in worker.poll()})
            words = [word for one in known.values() for word in one.words]
            heard.append((start_ns + len(chunk) * NS // 16000, words))
    windows = []
    for end_ns in range(3 * NS, 8 * NS + 1, NS // 5):
        words = [words for at_ns, words in heard if at_ns <= end_ns + NS // 5][-1]
        windows.append(any(end_ns - 2 * NS <= word.start_ns and word.end_ns <= end_ns
                           and word.confidence >= GATE for word in words))
    assert np.mean(windows) >= 0.8


@pytest.mark.parametrize('level', [0.02, 0.2])
@pytest.mark.parametrize('kind', ['white', 'pink', 'hum', 'bursts'])
def test_noise_makes_no_confident_words(recogniser, kind, level):
    times = np.arange(6 * 16000, dtype=np.float32) / 16000
    samples = {
        'white': lambda: noise(6, level),
        'pink': lambda: pink(6, level),
        'hum': lambda: level * sum(np.sin(2 * np.pi * 50 * k * times) / k for k in range(1, 7)),
        'bursts': lambda: pink(6, level) * (1 + np.sin(2 * np.pi * 4 * times)) / 2,
    }[kind]()
    found = recognise(recogniser, samples.astype(np.float32))
    assert [word for one in found for word in one.words if word.confidence >= GATE] == []


def test_a_crowd_makes_no_confident_words(recogniser, shared_data):
    """Babble: sixteen people at once."""
    files = sorted((shared_data / 'speech/ravdess').glob('*-01-01-*.flac'))[::11][:16]
    people = [sound_of(file)[8000:40000] for file in files]
    samples = np.concatenate([sum(person / person.std() for person in people)] * 3)
    found = recognise(recogniser, 0.05 * samples / samples.std())
    words = [word for one in finals(found) for word in one.words]
    assert sum(word.confidence >= GATE for word in words) <= 1


def test_fillers_and_numbers_of_pronunciations_are_no_words(recogniser, spoken):
    texts = {word.text for one in recognise(recogniser, spoken) for word in one.words}
    assert not any(set('<>[]()+') & set(text) for text in texts)


def test_a_gap_ends_the_utterance(recogniser):
    samples = say(sentences()[-1])
    half = len(samples) // 2
    recogniser.accept(samples[:half], START_NS)
    later_ns = START_NS + half * NS // 16000 + NS // 10
    first = recogniser.accept(samples[half:], later_ns)
    assert first[0].is_final
    assert first[0].end_ns <= START_NS + half * NS // 16000
    assert all(one.start_ns >= later_ns for one in first[1:] + recogniser.finish())


def test_jitter_of_stamps_is_no_gap(recogniser):
    samples = np.concatenate([say(sentences()[-1]), silence(0.6)])
    expected = recognise(recogniser, samples)
    recogniser.reset()
    found = []
    for i, (chunk, start_ns) in enumerate(chunks(samples)):
        jitter_ns = (-1) ** i * 9_000_000 if i else 0
        found += recogniser.accept(chunk, start_ns + jitter_ns)
    assert found + recogniser.finish() == expected


def test_reset_forgets_sound_and_voice(recogniser):
    samples = np.concatenate([say(sentences()[0]), silence(0.6)])
    expected = recognise(recogniser, samples)
    recogniser.accept(sound_of(SAMPLE)[:40000], START_NS)
    recogniser.reset()
    assert recogniser.finish() == []
    assert recognise(recogniser, samples) == expected


def test_the_end_in_the_first_second_of_speech_still_gives_words(recogniser):
    """The decoder holds back a second of speech to learn the voice."""
    found = recognise(recogniser, say('wonderful')[:14000])
    assert [one.is_final for one in found] == [True]


def test_a_language_without_a_model_is_refused():
    with pytest.raises(ResourceError, match=r"language: 'de' is not available .* 'en-us'"):
        open_recogniser(SpeechSettings(language='de'))


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, 'pocketsphinx', None)
    with pytest.raises(ResourceError, match=r'maven_ros\[pocketsphinx\]'):
        open_recogniser(SETTINGS)


def test_none_opens_nothing():
    assert open_recogniser(SpeechSettings(recogniser='none')) is None
