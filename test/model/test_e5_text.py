import pytest
import tiny_e5
import torch
from safetensors.torch import load_file

from maven_ros.errors import SettingsError
from maven_ros.model import checkpoint
from maven_ros.model.backbone_configuration import Backbone
from maven_ros.model.configuration import MavenConfig
from maven_ros.model.e5_text import E5Text
from maven_ros.model.maven import MavenModel
from maven_ros.training.compact.e5_cut import cut, possible
from maven_ros.training.compact.e5_file import read_e5


def encoder(**changes):
    torch.manual_seed(0)
    return E5Text(Backbone.parse('text', tiny_e5.text(**changes))).eval()


def rows(*lengths):
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    tokens = torch.randint(4, tiny_e5.VOCABULARY, mask.shape, generator=torch.Generator()
                           .manual_seed(1))
    return tokens.where(mask, 1), mask


def test_a_vector_for_each_subword():
    tokens, mask = rows(3, 6)
    assert encoder(width=8)(tokens, mask).shape == (2, 6, 8)


def test_padding_changes_nothing():
    text, (tokens, mask) = encoder(), rows(2, 9)
    together = text(tokens, mask)
    torch.testing.assert_close(together[:1, :2], text(tokens[:1, :2], mask[:1, :2]),
                               atol=1e-5, rtol=1e-5)


def test_part_of_a_vector_speaks_of_its_own_subword_and_the_rest_of_all():
    text, (tokens, mask) = encoder(width=8), rows(4)
    vectors = text(tokens, mask)[0]
    assert not torch.allclose(vectors[0, :2], vectors[1, :2])
    torch.testing.assert_close(vectors[:, 2:], vectors[:1, 2:].expand(4, -1))


def test_a_network_has_it_and_keeps_it_in_four_bits(tmp_path):
    read = read_e5(tiny_e5.write_e5(tmp_path) / 'e5-small-q4.bin', 1)
    read = cut(read, possible(read.tokenizer))
    config = MavenConfig(name='tiny', text=tiny_e5.text(), vocabulary=tiny_e5.VOCABULARY,
                         max_tokens=100)
    model = MavenModel.untrained(config, 0).eval()
    model.text_encoder.bert.load_state_dict(read.weights)
    assert isinstance(model.text_encoder, E5Text) and model.text_encoder.width == 8
    assert not any(one.requires_grad for one in model.text_encoder.parameters())
    checkpoint.save(tmp_path / 'saved', model, read.tokenizer)
    again = checkpoint.load(tmp_path / 'saved').model
    for name, value in model.text_encoder.bert.state_dict().items():
        assert torch.equal(again.text_encoder.bert.state_dict()[name], value), name
    (tokens, mask) = rows(5)
    torch.testing.assert_close(again.text_encoder(tokens, mask), model.text_encoder(tokens, mask))
    checkpoint.save(tmp_path / 'twice', again, read.tokenizer)
    once, twice = (load_file(tmp_path / name / 'model.safetensors') for name in ('saved', 'twice'))
    assert once.keys() == twice.keys()
    assert all(torch.equal(once[name], twice[name]) for name in once)


@pytest.mark.parametrize(('changes', 'message'), [
    ({'vocabulary': 9000}, f'vocabulary: 9000 is more than the text encoder takes; allowed: up to '
                           f'{tiny_e5.VOCABULARY}'),
    ({'max_tokens': 500}, 'max_tokens: 500 is more than the text encoder takes; allowed: up to '
                          '116')])
def test_more_than_it_takes_is_refused(changes, message):
    config = MavenConfig(**{'text': tiny_e5.text(), 'vocabulary': tiny_e5.VOCABULARY,
                            'max_tokens': 100, **changes})
    with pytest.raises(SettingsError, match=message):
        MavenModel(config)


@pytest.mark.parametrize(('part', 'changes', 'message'), [
    ('preparation', {'prefix': 'query'}, r"text\.preparation\.prefix: 'query' is not a list of "),
    ('preparation', {'width': 0}, r'text\.preparation\.width: 0 is not a whole number from 1'),
    ('config', {'hidden_size': 40}, r'text\.config\.hidden_size: 40; allowed: multiples of 32'),
    ('config', {'vocab_size': -2**63}, r'text\.config\.vocab_size: -92.*; allowed: 1 to 2\*\*31'),
    ('config', {'num_attention_heads': 7}, r'text\.config: cannot be built')])
def test_an_encoder_that_cannot_be_is_refused(part, changes, message):
    entry = tiny_e5.text()
    with pytest.raises(SettingsError, match=message):
        E5Text(Backbone.parse('text', {**entry, part: {**entry[part], **changes}}))


def test_bits_that_cannot_be_are_refused():
    with pytest.raises(SettingsError, match=r'text\.bits: 5 is not 4, 8 or 16'):
        Backbone.parse('text', {**tiny_e5.text(), 'bits': 5})
