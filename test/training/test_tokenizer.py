from pathlib import Path

import pytest
from tokenizers import Tokenizer

from maven_ros.errors import ResourceError
from maven_ros.resources import resource
from maven_ros.training.tokenizer import main, texts, train

GOEMOTIONS = Path(__file__).parents[3] / 'shared/data/text/goemotions/train.tsv'


@pytest.fixture(scope='module')
def shipped():
    return Tokenizer.from_file(str(resource('models/compact/tokenizer.json')))


def test_shipped_one_is_small(shipped):
    assert shipped.get_vocab_size() == 4000
    assert resource('models/compact/tokenizer.json').stat().st_size < 400_000
    assert (shipped.token_to_id('<pad>'), shipped.token_to_id('<unk>')) == (0, 1)


def test_written_and_spoken_words_are_the_same(shipped):
    spoken = shipped.encode("well i don't know").ids
    assert shipped.encode('Well... I don’t KNOW!!').ids == spoken
    words = [shipped.encode(word).ids for word in ('well', 'i', "don't", 'know')]
    assert [one for ids in words for one in ids] == spoken


def test_common_words_are_one_subword_and_all_scripts_have_ids(shipped):
    assert shipped.encode('happy').tokens == ['Ġhappy']
    for text in ('日本', 'naïve', 'qzxqzx', '42'):
        ids = shipped.encode(text).ids
        assert ids
        assert 1 not in ids


def test_what_has_no_letter_or_digit_has_no_subword(shipped):
    assert shipped.encode('... ?!').ids == []


def test_recipe_reads_the_first_column_without_placeholders(tmp_path):
    path = tmp_path / 'some.tsv'
    path.write_text('I love [NAME] dearly\t18\tabc\nand [RELIGION] too\t3\tdef\n')
    assert list(texts(path)) == ['I love   dearly', 'and   too']


def test_recipe_says_what_it_cannot_read(tmp_path):
    with pytest.raises(ResourceError, match=r'none.tsv: cannot be read'):
        list(texts(tmp_path / 'none.tsv'))


def test_recipe_gives_the_same_twice():
    sentences = ['a good day', 'a good day to you', 'no good']
    assert train(sentences, 300).to_str() == train(sentences, 300).to_str()


@pytest.mark.skipif(not GOEMOTIONS.is_file(), reason='no shared data')
def test_recipe_makes_what_is_shipped(tmp_path, shipped):
    output = tmp_path / 'tokenizer.json'
    main([str(GOEMOTIONS), str(output)])
    assert Tokenizer.from_file(str(output)).get_vocab() == shipped.get_vocab()
