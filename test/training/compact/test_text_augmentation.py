import numpy as np
import pytest
from tokenizers import Tokenizer

from maven_ros.errors import SettingsError
from maven_ros.resources import resource
from maven_ros.training.compact.text_augmentation import TextAugmentation, TextAugmenter

SENTENCE = 'I really did not expect that everything would turn out so wonderfully well'


@pytest.fixture(scope='module')
def tokenizer():
    return Tokenizer.from_file(str(resource('models/compact/tokenizer.json')))


def augmenter(tokenizer, **settings):
    nothing = {'fragment': 0.0, 'blank': 0.0}
    return TextAugmenter(tokenizer, TextAugmentation(**{**nothing, **settings}))


@pytest.fixture
def ids(tokenizer):
    return np.array(tokenizer.encode(SENTENCE).ids)


def random(seed=0):
    return np.random.default_rng(seed)


def test_nothing_asked_for_changes_nothing(tokenizer, ids):
    assert augmenter(tokenizer)(ids, random()).tolist() == ids.tolist()


def test_a_fragment_is_whole_words_in_a_row(tokenizer, ids):
    cut = augmenter(tokenizer, fragment=1.0, fragment_words=(3, 5))
    words = SENTENCE.lower().split()
    counts = set()
    for seed in range(50):
        part = ' '.join(tokenizer.id_to_token(one) for one in cut(ids, random(seed)))
        part = part.replace(' ##', '').split()
        counts.add(len(part))
        first = words.index(part[0])
        assert part == words[first:first + len(part)]
    assert counts == {3, 4, 5}


def test_a_short_sentence_stays_whole(tokenizer):
    ids = np.array(tokenizer.encode('so good').ids)
    assert augmenter(tokenizer, fragment=1.0)(ids, random()).tolist() == ids.tolist()


def test_blanks_are_the_unknown_and_as_many_as_asked_for(tokenizer, ids):
    blank = augmenter(tokenizer, blank=0.25)
    many = np.concatenate([blank(ids, random(seed)) for seed in range(100)])
    assert (many == 100).mean() == pytest.approx(0.25, abs=0.04)


def test_the_same_seed_gives_the_same(tokenizer, ids):
    change = TextAugmenter(tokenizer, TextAugmentation(0.5, (3, 12), 0.2))
    assert change(ids, random(4)).tolist() == change(ids, random(4)).tolist()
    assert any(change(ids, random(4)).tolist() != change(ids, random(seed)).tolist()
               for seed in range(3))


@pytest.mark.parametrize(('settings', 'message'), [
    ({'blank': -0.1}, r'blank: -0\.1 is not float in \[0, 1\]'),
    ({'fragment_words': (0, 3)}, r'fragment_words: \(0, 3\) is not 2 rising ints of at least 1')])
def test_what_cannot_be_is_refused(settings, message):
    with pytest.raises(SettingsError, match=message):
        TextAugmentation(**settings)
