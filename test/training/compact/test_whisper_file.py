import pytest
import tiny_whisper
import torch

from maven_ros.errors import ResourceError
from maven_ros.model.backbone_configuration import Backbone
from maven_ros.model.whisper_voice import WhisperVoice
from maven_ros.training.compact.whisper_file import read_layers


@pytest.fixture(scope='module')
def written(tmp_path_factory):
    return tiny_whisper.write_whisper(tmp_path_factory.mktemp('whisper'), layers=3) / 'model.bin'


def test_the_layers_fit_the_encoder_of_transformers(written):
    read = read_layers(written, 2)
    assert read.config == tiny_whisper.voice()['config']
    encoder = WhisperVoice(Backbone.parse('audio', tiny_whisper.voice()))
    encoder.whisper.load_state_dict(read.weights)  # every tensor has its place and its shape


def test_the_parts_of_attention_are_in_order(written, tmp_path):
    """CTranslate2 stacks query, key and value; the key has no bias of its own."""
    attention = {name: value for name, value in read_layers(written, 1).weights.items()
                 if 'self_attn.' in name}
    assert {name.split('.')[-2:][0] for name in attention} == {
        'q_proj', 'k_proj', 'v_proj', 'out_proj'}
    assert 'layers.0.self_attn.k_proj.bias' not in attention
    content = written.read_bytes()
    query = attention['layers.0.self_attn.q_proj.weight'].numpy().tobytes()
    value = attention['layers.0.self_attn.v_proj.weight'].numpy().tobytes()
    assert content.index(value) - content.index(query) == 2 * len(query)


def test_half_precision_is_read(tmp_path):
    half = tiny_whisper.write_whisper(tmp_path / 'half', quantization='float16')
    whole = tiny_whisper.write_whisper(tmp_path / 'whole')
    for name, value in read_layers(whole / 'model.bin', 2).weights.items():
        found = read_layers(half / 'model.bin', 2).weights[name]
        assert found.dtype == torch.float32
        torch.testing.assert_close(found, value, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize(('damage', 'message'), [
    (lambda content: b'', 'is no encoder of Whisper with 2 layers'),
    (lambda content: content[:len(content) // 3], 'is no encoder of Whisper'),
    (lambda content: b'\7' + content[1:], 'another kind of model'),
    (lambda content: content.replace(b'WhisperSpec', b'WhisperSpeq'), 'another kind of model')])
def test_a_damaged_file_is_named(written, tmp_path, damage, message):
    path = tmp_path / 'model.bin'
    path.write_bytes(damage(written.read_bytes()))
    with pytest.raises(ResourceError, match=f'{path}: is no encoder.*') as raised:
        read_layers(path, 2)
    assert message in str(raised.value)


def test_what_cannot_serve_is_named(written, tmp_path):
    with pytest.raises(ResourceError, match=r'with 4 layers .* KeyError\(.layer_3'):
        read_layers(written, 4)
    with pytest.raises(ResourceError, match=r'cannot be read: .*No such file'):
        read_layers(tmp_path / 'model.bin', 2)
    small = tiny_whisper.write_whisper(tmp_path / 'int8', quantization='int8')
    with pytest.raises(ResourceError, match='conv1/weight is quantized'):
        read_layers(small / 'model.bin', 2)
