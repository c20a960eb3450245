"""The records that the core passes along."""

import math
import pickle

import numpy as np
import pytest

from maven_ros.errors import InputError
from maven_ros.records import NS, AudioChunk, Box, Evidence, Face, Modality, Utterance, Word


def test_a_chunk_ends_after_its_last_sample():
    assert AudioChunk(5, np.zeros((44100, 2), np.float32), 44100).end_ns == 5 + NS


@pytest.mark.parametrize(('samples', 'rate_hz', 'message'), [
    (np.zeros((4, 1), np.float32), 0, 'sample rate is 0 Hz; allowed: 1000 and above'),
    (np.zeros(4, np.float32), 16000, r'shape \(4,\); allowed: \(samples, channels\)'),
    (np.zeros((4, 0), np.float32), 16000, r'shape \(4, 0\); allowed'),
])
def test_a_chunk_without_a_duration_is_refused(samples, rate_hz, message):
    with pytest.raises(InputError, match=message):
        AudioChunk(0, samples, rate_hz)


def test_evidence_names_what_it_holds():
    face = Face(0, 'a', Box(0, 0, 1, 1), np.zeros((1, 1, 3), np.uint8))
    word = Word('yes', 0, 1, 1.0)
    assert Evidence(0, 1).modalities == Modality.NONE
    assert Evidence(0, 1, faces=(face,)).modalities == Modality.VIDEO
    assert Evidence(0, 1, waveform=np.ones(3, np.float32), words=(word,)).modalities == (
        Modality.AUDIO | Modality.TEXT)


def test_an_utterance_is_as_sure_as_its_words_in_the_mean():
    words = (Word('good', 0, 1, 0.5), Word('day', 1, 2, 1.0))
    assert Utterance(0, 2, words, True, 'x').text == 'good day'
    assert Utterance(0, 2, words, True, 'x').confidence == 0.75
    assert math.isnan(Utterance(0, 2, (), True, 'x').confidence)


def test_input_errors_survive_the_way_between_processes():
    error = pickle.loads(pickle.dumps(InputError('not_finite', 'samples hold NaN')))
    assert error.cause == 'not_finite' and str(error) == 'samples hold NaN'
