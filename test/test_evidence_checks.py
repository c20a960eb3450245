import dataclasses

import numpy as np
import pytest

from maven_ros.errors import InputError
from maven_ros.evidence_checks import check_evidence
from maven_ros.records import NS, Box, Evidence, Face, Word

LENGTH_NS, SAMPLES = 2 * NS, 32_000
CROP = np.zeros((48, 48, 3), np.uint8)


def check(*pieces):
    check_evidence(pieces, LENGTH_NS, 48)


def at(stamp_ns, crop=CROP, person_id='p'):
    return Face(stamp_ns, person_id, Box(0, 0, 1, 1), crop)


GOOD = Evidence(0, LENGTH_NS, 'p', (at(0), at(LENGTH_NS - 1)), np.zeros(SAMPLES, np.float32),
                np.ones(SAMPLES, np.bool_), (Word('hm', 0, LENGTH_NS, 1.0),))


def change(**values):
    return dataclasses.replace(GOOD, **values)


def test_what_is_promised_is_taken():
    check()
    check(GOOD)
    check(GOOD, change(person_id='q', faces=()), change(start_ns=NS, end_ns=3 * NS, faces=(),
                                                        words=()))
    loud = np.arange(SAMPLES) < 10
    check(change(waveform=np.where(loud, np.float32(1e30), 1.2).astype(np.float32), heard=~loud))
    check(Evidence(0, LENGTH_NS, words=GOOD.words), Evidence(0, LENGTH_NS, 'p', (at(5),)))


@pytest.mark.parametrize(('evidence', 'cause', 'message'), [
    (Evidence(0, LENGTH_NS, 'p'), 'no_evidence',
     r"about 'p' in \[0, 2000000000\) ns: none that the model can use; allowed: a face, a word"),
    (change(end_ns=LENGTH_NS - 1), 'window_length',
     'it is 1999999999 ns long; allowed: 2000000000'),
    (change(end_ns=0), 'window_length', 'it is 0 ns long'),
    (change(faces=(at(0), at(1, person_id='q'))), 'face_of_another', "of 'q'; allowed: 'p'"),
    (change(faces=(at(LENGTH_NS),)), 'face_outside', 'a face at 2000000000 ns; allowed: inside'),
    (change(faces=(at(0, CROP[:32, :32]),)), 'crop_shape',
     r'a crop is uint8 \(32, 32, 3\); allowed: uint8 \(48, 48, 3\)'),
    (change(faces=(at(0, CROP[..., 0]),)), 'crop_shape', r'a crop is uint8 \(48, 48\); allowed'),
    (change(faces=(at(0, np.full((48, 48, 3), np.nan)),)), 'crop_shape',
     r'a crop is float64 \(48, 48, 3\); allowed: uint8'),
    (change(waveform=GOOD.waveform.astype(np.float64)), 'waveform_kind',
     r'waveform is float64 \(32000,\); allowed: float32 \(samples,\)'),
    (change(waveform=GOOD.waveform[:, None]), 'waveform_kind', r'waveform is float32 \(32000, 1'),
    (change(heard=GOOD.heard.astype(np.uint8)), 'waveform_kind',
     r'heard is uint8 \(32000,\); allowed: bool \(samples,\)'),
    (change(waveform=GOOD.waveform[:100]), 'waveform_length',
     '100 samples and 32000 of their mask; allowed: 0 or 32000 of both, at 16000 Hz'),
    (change(heard=GOOD.heard[:-1]), 'waveform_length', '32000 samples and 31999 of their mask'),
    (change(waveform=np.full(SAMPLES, np.nan, np.float32)), 'not_finite', 'NaN or infinity'),
    (change(waveform=np.full(SAMPLES, np.inf, np.float32)), 'not_finite', 'NaN or infinity'),
    (change(waveform=np.full(SAMPLES, -1e30, np.float32)), 'out_of_range',
     r'a sample that was heard is 1e\+30 from 0; allowed: \[-8, 8\]'),
    (change(words=(Word(b'hm', 0, 5, 1.0),)), 'word_text', "a word is b'hm'; allowed: a str"),
    (change(words=(Word('h\ud800', 0, 5, 1.0),)), 'word_text',
     r"a word is 'h\\ud800'; allowed: a str without lone surrogates"),
    (change(words=(Word('hm', -1, 5, 1.0),)), 'word_outside', r"'hm' is spoken in \[-1, 5\) ns"),
    (change(words=(Word('hm', 5, LENGTH_NS + 1, 1.0),)), 'word_outside', 'allowed: inside'),
    (change(words=(Word('hm', 6, 5, 1.0),)), 'word_outside', r'in \[6, 5\) ns'),
    *((change(words=(Word('hm', 0, 5, wrong),)), 'word_confidence',
       rf"'hm' has a confidence of {wrong}; allowed: \[0, 1\]")
      for wrong in (-0.5, 1.5, float('nan'))),
])
def test_refuses_by_name(evidence, cause, message):
    with pytest.raises(InputError, match=message) as raised:
        check(change(person_id='other', faces=()), evidence)
    assert raised.value.cause == cause


def test_refuses_two_people_with_one_id():
    twin = change(faces=(at(7),))
    with pytest.raises(InputError, match=r"about 'p' in \[0, 2000000000\) ns: two pieces of "
                                         'evidence; allowed: one of each person') as raised:
        check(GOOD, change(person_id='q', faces=()), twin)
    assert raised.value.cause == 'two_people'
