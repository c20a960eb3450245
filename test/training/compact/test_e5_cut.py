import pytest
import tiny_e5
import torch

from maven_ros.model.configuration import MavenConfig
from maven_ros.model.maven import MavenModel
from maven_ros.training.compact.e5_cut import cut, frequent, possible
from maven_ros.training.compact.e5_file import read_e5


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
    return read_e5(tiny_e5.write_e5(tmp_path_factory.mktemp('e5')) / 'e5-small-q4.bin', 1)


def network(read):
    entry = tiny_e5.text()
    model = MavenModel.untrained(MavenConfig(
        text={**entry, 'config': read.config, 'preparation': {**read.preparation, 'width': 8}},
        vocabulary=read.config['vocab_size'], max_tokens=100), 0)
    model.text_encoder.bert.load_state_dict(read.weights)
    return model.eval()


def understood(read, text):
    ids = torch.tensor([read.tokenizer.encode(text, add_special_tokens=False).ids])
    with torch.inference_mode():
        return network(read).text_encoder.understand(ids, torch.ones_like(ids, dtype=torch.bool))


def test_pieces_that_lower_cased_text_cannot_hold_go(whole):
    pieces = [*tiny_e5.PIECES, '▁GOOD', 'É', '’s', 'ﬁ']
    tokenizer = type(whole.tokenizer)(type(whole.tokenizer.model)(
        [(piece, -2.0) for piece in pieces], unk_id=3))
    tokenizer.normalizer = whole.tokenizer.normalizer
    assert possible(tokenizer) == [*range(len(tiny_e5.PIECES))]
    assert possible(whole.tokenizer) == [*range(len(tiny_e5.PIECES))]


def test_what_remains_is_understood_as_before(whole):
    kept = cut(whole, [tiny_e5.PIECES.index(piece) for piece in ('▁good', '▁', *'adoy')])
    assert kept.preparation['prefix'] == [4, 5] and kept.config['vocab_size'] == 12
    assert kept.tokenizer.encode('query:', add_special_tokens=False).ids == [4, 5]
    text = 'good day'
    assert (kept.tokenizer.encode(text).tokens == whole.tokenizer.encode(text).tokens
            == ['▁good', '▁', 'd', 'a', 'y'])
    torch.testing.assert_close(understood(kept, text), understood(whole, text))


def test_a_word_whose_piece_is_gone_is_read_by_its_letters(whole):
    kept = cut(whole, [number for number in possible(whole.tokenizer)
                       if tiny_e5.PIECES[number] != '▁bad'])
    assert kept.tokenizer.encode('bad').tokens == ['▁', 'b', 'a', 'd']


def test_letters_and_signs_stay_then_the_most_frequent_pieces(whole):
    letters = 4 + 1 + len(tiny_e5.LETTERS)

    def words(most, texts):
        return {tiny_e5.PIECES[number] for number in frequent(whole.tokenizer, [texts], most)
                if len(tiny_e5.PIECES[number]) > 1 and number > 3}

    assert words(letters, ['bad good']) == set()
    assert words(letters + 1, ['bad', 'bad good']) == {'▁bad'}
    assert words(letters + 2, ['bad']) == {'▁bad', '▁query'}  # then in the order of the table
    assert len(frequent(whole.tokenizer, [['bad']], letters + 2)) == letters + 2
