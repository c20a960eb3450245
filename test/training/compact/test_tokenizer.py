import pytest
from tokenizers import Tokenizer, models

from maven_ros.errors import ResourceError
from maven_ros.resources import resource
from maven_ros.training.compact.tokenizer import build, main

VOCABULARY = {name: number for number, name in enumerate(
    ('[PAD]', '[UNK]', 'good', 'day', '##s', 'don', "'", 't'))}


@pytest.fixture(scope='module')
def shipped():
    return Tokenizer.from_file(str(resource('models/compact/tokenizer.json')))


def test_shipped_one_is_small(shipped):
    assert shipped.get_vocab_size() == 30522
    assert resource('models/compact/tokenizer.json').stat().st_size < 500_000
    assert (shipped.token_to_id('<pad>'), shipped.token_to_id('<unk>')) == (0, 100)


def test_written_and_spoken_words_are_the_same(shipped):
    spoken = shipped.encode("well i don't know").ids
    assert shipped.encode('Well... I don’t KNOW!!').ids == spoken
    words = [shipped.encode(word).ids for word in ('well', 'i', "don't", 'know')]
    assert [one for ids in words for one in ids] == spoken


def test_common_words_are_one_subword_and_rare_ones_have_parts(shipped):
    assert shipped.encode('happy').tokens == ['happy']
    assert shipped.encode('naïve').ids == shipped.encode('naive').ids
    for text in ('日本', 'qzxqzx', '42'):
        ids = shipped.encode(text).ids
        assert ids
        assert 100 not in ids


def test_what_has_no_letter_or_digit_has_no_subword(shipped):
    assert shipped.encode('... ?!').ids == []


def test_ids_are_those_of_the_source(tmp_path):
    source, output = tmp_path / 'theirs.json', tmp_path / 'tokenizer.json'
    Tokenizer(models.WordPiece(VOCABULARY, unk_token='[UNK]')).save(str(source))
    main([str(source), str(output)])
    ours = Tokenizer.from_file(str(output))
    assert ours.encode("Good days! DON'T be").ids == [2, 3, 4, 5, 6, 7, 1]
    assert ours.to_str() == build(VOCABULARY).to_str()


def test_it_says_what_it_cannot_read(tmp_path):
    with pytest.raises(ResourceError, match=r'none.json: cannot be read'):
        main([str(tmp_path / 'none.json'), str(tmp_path / 'out.json')])
