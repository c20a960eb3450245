"""The one form of all corpora: what is left out, what is refused, and how several become one."""

from dataclasses import replace

import numpy as np
import pytest

from maven_ros.errors import ResourceError, SettingsError
from maven_ros.training.corpus import Examples, check_examples, join

TARGETS = np.array([[0.5, -0.5], [0.0, 1.0]], np.float32)
RATED = Examples(('well', 'no'), TARGETS)
NAMED = Examples(('yes', 'hm'), -TARGETS, np.full((2, 2), 0.1, np.float32), ('sad', 'happy'),
                 np.array([[1, 0], [0.25, 0.75]], np.float32), ('ann', ''),
                 np.array([1, 2], np.float32))
FACES = Examples(np.zeros((2, 48, 48), np.uint8), TARGETS)
VOICES = Examples((np.zeros(9, np.float32), np.zeros(5, np.float32)), TARGETS)


def test_what_is_left_out_is_not_known():
    assert RATED.spreads.tolist() == [[0, 0]] * 2 and RATED.people == ('', '')
    assert RATED.shares.shape == (2, 0) and RATED.weights.tolist() == [1, 1]
    assert RATED.rated.all() and not NAMED.rated.any()


@pytest.mark.parametrize('chosen', [np.array([1]), np.array([False, True])])
def test_some_are_chosen_with_all_that_is_said_of_them(chosen):
    some = NAMED.of(chosen)
    assert some.evidence == ('hm',) and some.people == ('',) and some.weights.tolist() == [2]
    assert some.shares.tolist() == [[0.25, 0.75]] and some.spreads.shape == (1, 2)
    assert some.targets.tolist() == [[0, -1]]
    assert FACES.of(chosen).evidence.shape == (1, 48, 48)


def test_several_become_one_with_all_their_emotions():
    other = replace(NAMED, emotions=('angry', 'sad'))
    both = join([RATED, NAMED, other])
    assert both.evidence == ('well', 'no', 'yes', 'hm', 'yes', 'hm')
    assert both.emotions == ('sad', 'happy', 'angry')
    assert both.shares.tolist() == [
        [0, 0, 0], [0, 0, 0], [1, 0, 0], [0.25, 0.75, 0], [0, 0, 1], [0.75, 0, 0.25]]
    assert both.weights.tolist() == [1, 1, 1, 2, 1, 2]
    assert both.people == ('', '', 'ann', '', 'ann', '')
    assert join([FACES, FACES]).evidence.shape == (4, 48, 48)
    assert [len(one) for one in join([VOICES, VOICES]).evidence] == [9, 5, 9, 5]


def test_shares_are_in_the_order_asked_for():
    assert NAMED.shares_of(['calm', 'happy', 'sad']).tolist() == [[0, 0, 1], [0, 0.75, 0.25]]
    with pytest.raises(SettingsError, match='emotions: sad; allowed: happy, calm'):
        NAMED.shares_of(['happy', 'calm'])


@pytest.mark.parametrize(('examples', 'modality'), [
    (RATED, 'text'), (NAMED, 'text'), (FACES, 'video'), (VOICES, 'audio')])
def test_what_is_as_it_must_be_passes(examples, modality):
    check_examples(examples, modality, 'mine')


@pytest.mark.parametrize(('examples', 'modality', 'message'), [
    (replace(RATED, targets=TARGETS[:1]), 'text', r'targets are \(1, 2\); allowed: \(2, 2\)'),
    (replace(NAMED, shares=NAMED.shares[:, :1]), 'text', r'shares are \(2, 1\); allowed: \(2, 2'),
    (replace(RATED, people=('a',)), 'text', r'people are \(1,\); allowed: \(2,\)'),
    (Examples((), np.zeros((0, 2), np.float32)), 'text', 'has no example; allowed: at least one'),
    (replace(RATED, targets=TARGETS * 2.1), 'text', r'a target is beyond \[-1, 1\], or NaN'),
    (replace(RATED, targets=TARGETS * np.nan), 'text', r'a target is beyond \[-1, 1\], or NaN'),
    (replace(NAMED, spreads=-NAMED.spreads), 'text', r'a spread is beyond \[0, 2\], or NaN'),
    (replace(NAMED, shares=NAMED.shares / 2), 'text', 'sum to neither 1 nor 0'),
    (RATED, 'video', r'str; allowed: pictures, uint8 \(48, 48\)'),
    (replace(FACES, evidence=FACES.evidence[:, 1:]), 'video',
     r'uint8 \(47, 48\); allowed: pictures, uint8 \(48, 48\)'),
    (replace(VOICES, evidence=[np.zeros(9), np.zeros(9)]), 'audio',
     r'float64 \(9,\); allowed: sound, float32 \(samples,\), finite'),
    (replace(VOICES, evidence=[VOICES.evidence[0], VOICES.evidence[0] * np.nan]), 'audio',
     'allowed: sound, float32'),
    (FACES, 'text', r'uint8 \(48, 48\); allowed: texts, str'),
])
def test_what_is_not_is_named(examples, modality, message):
    with pytest.raises(ResourceError, match=f'^mine: .*{message}'):
        check_examples(examples, modality, 'mine')
