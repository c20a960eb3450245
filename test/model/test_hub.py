"""Folders in the hub's format, from their files to a network that is saved and loaded."""

import dataclasses
import io
import json
import shutil
import sys

import pytest
import tiny_encoders as tiny
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoConfig,
    AutoModel,
    DebertaConfig,
    ModernBertConfig,
    PretrainedConfig,
    XLNetConfig,
)

from maven_ros.errors import ResourceError, SettingsError
from maven_ros.model import backbones, hub
from maven_ros.model.backbone_configuration import Backbone
from maven_ros.model.backbones import BeitLayers, TextBackbone
from maven_ros.model.checkpoint import load, save, weights_hash
from maven_ros.model.configuration import MavenConfig
from maven_ros.model.maven import MavenModel
from maven_ros.model.presets import config_dict


@pytest.fixture(scope='module')
def encoders(tmp_path_factory):
    """Return a folder that holds one of each kind."""
    root = tmp_path_factory.mktemp('encoders')
    for kinds in (tiny.VIDEO, tiny.AUDIO, tiny.TEXT, tiny.CONTEXT):
        for kind in kinds:
            tiny.save_encoder(root / kind, kind)
    return root


def build(root, video='swin', audio='hubert-layer', text='roberta', context='beit', **options):
    return MavenModel.from_encoders(
        video=root / video, audio=root / audio, text=root / text, context=root / context,
        config=tiny.tiny_config(), **options).eval()


@pytest.fixture
def folder(tmp_path, encoders):
    """Return a checkpoint beside copies of its encoders."""
    for kind in ('swin', 'hubert-layer', 'roberta'):
        shutil.copytree(encoders / kind, tmp_path / kind)
    model = build(tmp_path, context=encoders / 'beit')
    model.config.trained = True
    save(tmp_path / 'trained', model, hub.text_tokenizer(tmp_path / 'roberta'))
    return tmp_path / 'trained'


@pytest.mark.parametrize('choice', [
    *({'video': kind} for kind in tiny.VIDEO), *({'audio': kind} for kind in tiny.AUDIO),
    *({'text': kind} for kind in tiny.TEXT)], ids=lambda choice: next(iter(choice.values())))
def test_any_encoder_will_do(encoders, inputs, choice):
    inputs.tokens.remainder_(8)
    model = build(encoders, **choice)
    output = model(inputs)
    assert output.valence.isfinite().all()
    assert model.config.backbone(next(iter(choice))).name == next(iter(choice.values()))


def test_weights_are_those_of_the_folder(encoders, tmp_path):
    model = build(encoders)
    for own, kind in (('face_encoder', 'swin'), ('voice_encoder', 'hubert-layer'),
                      ('text_encoder', 'roberta')):
        saved = tiny.save_encoder(tmp_path / kind, kind)
        saved = getattr(saved, saved.base_model_prefix, saved).state_dict()
        loaded = getattr(model, own).backbone.state_dict()
        assert len(loaded) > 10
        for name, value in loaded.items():
            assert torch.equal(value, saved[name]), name


def test_context_starts_twice_from_the_layers_of_beit(encoders, tmp_path):
    saved = tiny.save_encoder(tmp_path / 'beit', 'beit').beit.layers.state_dict()
    context = build(encoders).context
    for encoder in (context.first, context.second):
        for name, value in encoder.layers.state_dict().items():
            assert torch.equal(value, saved[name]), name
    first, second = (next(encoder.parameters()) for encoder in (context.first, context.second))
    assert first is not second
    assert first.requires_grad


def test_configuration_follows_the_encoders(encoders):
    config = build(encoders, text='distilbert').config
    assert (config.crop_px, config.vocabulary, config.max_tokens) == (16, 300, 38)
    assert config.unknown_token == '[UNK]'
    assert config.backbone('video').preparation == tiny.IMAGE_PREPARATION
    assert config.backbone('audio').preparation == {'normalize': True}


def test_pictures_are_prepared_and_pooled_as_the_hub_does(encoders):
    crops = torch.randint(256, (3, 3, 16, 16), dtype=torch.uint8)
    mean, std = (torch.tensor(tiny.IMAGE_PREPARATION[name])[:, None, None]
                 for name in ('mean', 'std'))
    pixels = (crops.flip(1) / 255 - mean) / std
    swin = AutoModel.from_pretrained(encoders / 'swin').eval()
    torch.testing.assert_close(
        build(encoders).face_encoder(crops), swin(pixels).pooler_output, atol=1e-5, rtol=1e-5)
    vit = AutoModel.from_pretrained(encoders / 'vit').eval()
    torch.testing.assert_close(
        build(encoders, video='vit').face_encoder(crops / 255),
        vit(pixels).last_hidden_state[:, 0], atol=1e-5, rtol=1e-5)


def test_sound_is_prepared_as_the_hub_does(encoders):
    from transformers import AutoFeatureExtractor
    sound = torch.randn(1, 8000)
    prepared = AutoFeatureExtractor.from_pretrained(encoders / 'hubert')(
        sound[0].numpy(), sampling_rate=16_000, return_tensors='pt').input_values
    hubert = AutoModel.from_pretrained(encoders / 'hubert').eval()
    encoder = build(encoders, audio='hubert').voice_encoder
    values, mask = encoder(sound, torch.ones(1, 8000, dtype=torch.bool))
    assert mask.all()
    assert (encoder.first_s, encoder.step_s) == (0.0125, 0.02)
    torch.testing.assert_close(values, hubert(prepared).last_hidden_state, atol=1e-4, rtol=1e-4)


def test_text_is_read_between_its_special_tokens(encoders):
    encoder = build(encoders).text_encoder
    roberta = AutoModel.from_pretrained(encoders / 'roberta').eval()
    wanted = roberta(torch.tensor([[0, 7, 8, 9, 2]])).last_hidden_state[:, 1:-1]
    padded = encoder(torch.tensor([[7, 8, 9, 5, 5]]), torch.tensor([[True] * 3 + [False] * 2]))
    torch.testing.assert_close(padded[:, :3], wanted, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize('kind', tiny.TEXT)
def test_padded_text_equals_unpadded_text_of_the_hub(encoders, kind):
    """DeBERTa made zeros of a mask that was meant to be added to its scores."""
    encoder = build(encoders, text=kind).text_encoder
    ids = encoder.first, encoder.last
    hub_model = AutoModel.from_pretrained(encoders / kind).eval()
    wanted = hub_model(torch.tensor([[ids[0], 7, 8, 6, ids[1]]])).last_hidden_state[:, 1:-1]
    padded = encoder(torch.tensor([[7, 8, 6, 5, 5], [5, 6, 7, 8, 5]]),
                     torch.tensor([[True] * 3 + [False] * 2, [True] * 5]))
    torch.testing.assert_close(padded[:1, :3], wanted, atol=1e-5, rtol=1e-5)
    other = encoder(torch.tensor([[7, 8, 5]]), torch.ones(1, 3, dtype=torch.bool))
    assert (other[0, 0] - wanted[0, 0]).abs().max() > 1e-4  # a word reaches its neighbours


@pytest.mark.parametrize('config', [
    DebertaConfig(**tiny.ROBERTA), ModernBertConfig(
        **tiny.ROBERTA, pad_token_id=1, local_attention=4, global_attn_every_n_layers=2),
    XLNetConfig(vocab_size=300, d_model=12, n_layer=1, n_head=2, d_inner=16)],
    ids=lambda config: config.model_type)
def test_a_language_model_gets_a_mask_that_it_reads(config):
    encoder = TextBackbone(Backbone(
        'm', {**config_dict(config), 'model_type': config.model_type},
        {'first': 0, 'last': 2, 'pad': 1, 'unknown': '<unk>'})).eval()
    for parameter in encoder.parameters():
        torch.nn.init.normal_(parameter, 0, 0.3)
    tokens, mask = torch.arange(5, 25).view(2, 10), torch.arange(10) < torch.tensor([[10], [4]])
    alone = encoder(tokens[1:, :4], mask[1:, :4])
    assert alone.isfinite().all() and alone.any()
    torch.testing.assert_close(encoder(tokens, mask)[1:, :4], alone, atol=1e-5, rtol=1e-5)
    sentence = torch.nn.functional.pad(tokens[:1], (1, 1))
    sentence[:, -1] = 2
    torch.testing.assert_close(
        encoder(tokens, mask)[:1], encoder.backbone(
            sentence, attention_mask=torch.ones_like(sentence)).last_hidden_state[:, 1:-1],
        atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize('kind', tiny.AUDIO)
def test_padded_sound_equals_unpadded(encoders, kind):
    """With group norm too, which never sees the padding."""
    encoder = build(encoders, audio=kind).voice_encoder
    sound = torch.randn(2, 8000)
    padded = torch.cat([sound, torch.full((2, 3000), torch.nan)], 1)
    heard = torch.arange(11_000).repeat(2, 1) < torch.tensor([[8000], [5000]])
    values, mask = encoder(padded, heard)
    assert values.isfinite().all()
    for row, length in enumerate((8000, 5000)):
        alone, _ = encoder(sound[row:row + 1, :length], torch.ones(1, length, dtype=torch.bool))
        count = alone.shape[1]
        assert mask[row].sum() == count
        torch.testing.assert_close(values[row, :count], alone[0], atol=1e-4, rtol=1e-4)
        assert (values[row, count:] == 0).all()


@pytest.mark.parametrize('kind', tiny.AUDIO)
def test_unheard_sound_says_nothing(encoders, kind):
    encoder = build(encoders, audio=kind).voice_encoder
    values, mask = encoder(torch.full((1, 8000), torch.nan),
                           torch.zeros(1, 8000, dtype=torch.bool))
    assert not mask.any()
    assert (values == 0).all()


# --- checkpoints -----------------------------------------------------------------------------


def test_a_checkpoint_holds_only_what_is_trained(folder):
    names = load_file(folder / 'model.safetensors').keys()
    assert {name.split('.')[0] for name in names} == {'fusion', 'context', 'head'}
    values = json.loads((folder / 'config.json').read_text())
    assert values['video']['name'] == 'swin'
    assert len(values['video']['sha256']) == 64


def test_loaded_output_is_that_of_the_saved_model(tmp_path, encoders, inputs):
    model = build(encoders, video='vit', text='distilbert')
    inputs.tokens.remainder_(9)
    save(tmp_path / 'm', model, hub.text_tokenizer(encoders / 'distilbert'))
    loaded = MavenModel.from_pretrained(tmp_path / 'm', encoders=[encoders]).eval()
    assert torch.equal(loaded(inputs).valence, model(inputs).valence)
    assert not loaded.face_encoder.training
    assert not any(weight.requires_grad for weight in loaded.face_encoder.parameters())
    assert weights_hash(loaded) == weights_hash(model)


@pytest.mark.parametrize('where', ['inside', 'fetched'])
def test_encoders_are_found_by_name(folder, monkeypatch, tmp_path_factory, where):
    fetched = tmp_path_factory.mktemp('fetched')
    monkeypatch.setenv('MAVEN_ROS_MODELS', str(fetched))
    for kind in ('swin', 'hubert-layer', 'roberta'):
        shutil.move(folder.parent / kind, folder if where == 'inside' else fetched)
    assert load(folder).trained


def test_auto_classes_know_it(folder, inputs):
    assert AutoConfig.from_pretrained(folder).name == 'tiny'
    model = AutoModel.from_pretrained(folder).eval()
    assert isinstance(model, MavenModel)
    assert torch.equal(model(inputs).valence, load(folder).model(inputs).valence)


def test_an_encoder_that_is_trained_is_stored(tmp_path, encoders, inputs):
    config = hub.adapt(tiny.tiny_config(), {'video': encoders / 'swin'})
    config.video = {**config.video, 'frozen': False, 'sha256': ''}
    model = MavenModel.untrained(config, 0).eval()
    model.save_pretrained(tmp_path / 'm')
    loaded = MavenModel.from_pretrained(tmp_path / 'm').eval()
    assert any(name.startswith('face_encoder.') for name in
               load_file(tmp_path / 'm' / 'model.safetensors'))
    assert all(p.requires_grad for p in loaded.face_encoder.parameters())
    frames = dataclasses.replace(inputs, tokens=None, token_mask=None, token_weights=None)
    assert torch.equal(loaded(frames).valence, model(frames).valence)


def test_refuses_another_encoder_of_that_name(folder):
    tiny.save_encoder(folder.parent / 'swin', 'swin', seed=5)
    with pytest.raises(ResourceError, match='swin: the video encoder allowed here has SHA-256 '
                                            r'[0-9a-f]{64}; looked at: .*swin/model.safetensors: '
                                            'SHA-256 is [0-9a-f]{64}'):
        load(folder)


def test_looks_further_for_the_right_encoder_of_that_name(folder, encoders, tmp_path_factory):
    wrong = tmp_path_factory.mktemp('wrong')
    tiny.save_encoder(wrong / 'swin', 'swin', seed=5)
    (wrong / 'roberta').mkdir()
    (wrong / 'roberta' / 'pytorch_model.bin').write_bytes(b'')
    model = MavenModel.from_pretrained(folder, encoders=[str(wrong)])
    right = load_file(encoders / 'swin' / 'model.safetensors')
    assert torch.equal(model.face_encoder.backbone.layernorm.bias, right['swin.layernorm.bias'])


def test_names_all_places_where_an_encoder_is_not(folder, tmp_path, monkeypatch):
    shutil.rmtree(folder.parent / 'roberta')
    fetched = tmp_path / 'fetched'
    monkeypatch.setenv('MAVEN_ROS_MODELS', str(fetched))
    (folder / 'roberta').mkdir()
    (folder / 'roberta' / 'pytorch_model.bin').write_bytes(b'')
    with pytest.raises(ResourceError, match='roberta: the text encoder allowed here') as raised:
        load(folder)
    for said in (f'{folder}/roberta/pytorch_model.bin: weights must be in model.safetensors',
                 f'{folder.parent}/roberta/model.safetensors: no such file',
                 f'{fetched}/roberta/model.safetensors: no such file'):
        assert said in str(raised.value)


def test_refuses_a_frozen_encoder_inside_a_checkpoint(folder):
    path = folder / 'model.safetensors'
    save_file({**load_file(path), 'face_encoder.backbone.stray': torch.zeros(1)}, path)
    with pytest.raises(ResourceError, match='tensors not of this model: face_encoder'):
        load(folder)


# --- folders that will not do ----------------------------------------------------------------


def spoil_json(path, **changes):
    values = json.loads(path.read_text())
    path.write_text(json.dumps({**values, **changes}))


def spoil_weights(folder, change):
    path = folder / 'model.safetensors'
    weights = load_file(path)
    change(weights)
    save_file(weights, path, metadata={'format': 'pt'})


def drop(weights, name):
    del weights[name]


@pytest.mark.parametrize(('kind', 'change', 'message'), [
    ('swin', lambda at: spoil_weights(at, lambda w: drop(w, 'swin.layernorm.bias')),
     r'tensors missing: layernorm.bias'),
    ('swin', lambda at: spoil_weights(at, lambda w: w.update(
        {'swin.layernorm.bias': torch.zeros(3)})),
     r'layernorm.bias has shape \(3,\), and config.json asks for \(16,\)'),
    ('roberta', lambda at: spoil_weights(at, lambda w: w[
        'roberta.embeddings.word_embeddings.weight'].fill_(torch.nan)),
     'embeddings.word_embeddings.weight holds NaN'),
    ('swin', lambda at: (at / 'model.safetensors').rename(at / 'pytorch_model.bin'),
     r'pytorch_model.bin: weights must be in model.safetensors; pickles are not read'),
    ('swin', lambda at: (at / 'model.safetensors').unlink(), 'model.safetensors: no such file'),
    ('swin', lambda at: (at / 'model.safetensors').write_bytes(b'\0' * 64),
     'model.safetensors: not a safetensors file'),
    ('swin', lambda at: (at / 'adapter_config.json').write_text('{}'),
     'adapter_config.json: weights are read from model.safetensors alone'),
    ('swin', lambda at: spoil_json(at / 'config.json', quantization_config={'bits': 4}),
     'config.json: video.config: quantization_config: weights are read as floating point'),
    ('swin', lambda at: (at / 'config.json').unlink(), 'config.json: cannot be read'),
    ('swin', lambda at: spoil_json(at / 'config.json', model_type='fish'),
     "config.json: video.config: 'fish' is not a transformers model"),
    ('swin', lambda at: (at / 'config.json').write_text('[' * 100_000),
     'swin/config.json: cannot be read: it is nested more than 100 deep'),
    ('swin', lambda at: (at / 'config.json').write_text('{"embed_dim": ' + '9' * 400_000 + '}'),
     'swin/config.json: cannot be read: a number of 400000 digits'),
    ('roberta', lambda at: (at / 'tokenizer_config.json').write_text('[' * 100_000),
     'tokenizer_config.json: cannot be read: it is nested more than 100 deep'),
    ('roberta', lambda at: spoil_json(at / 'tokenizer_config.json', auto_map=[]),
     'roberta: its tokenizer cannot be read: '),
    ('roberta', lambda at: spoil_json(at / 'config.json', num_hidden_layers=10**9),
     'num_hidden_layers: 1000000000 is more than any model has; allowed: up to 200'),
    ('swin', lambda at: spoil_json(at / 'config.json', depths=[1, 10**9]),
     'is more than any model has'),
    # Its constructor filled 8 GB of memory for it.
    ('hubert-layer', lambda at: spoil_json(at / 'config.json', hidden_size=2**31 - 1),
     'audio.config: hidden_size: 2147483647 is more than any model has; allowed: up to 65535'),
    ('hubert-layer', lambda at: spoil_json(at / 'config.json', conv_stride=[10**99] + [1] * 6),
     'audio.config: conv_kernel, conv_stride: a vector is of more than 960000 samples'),
    ('swin', lambda at: spoil_json(at / 'config.json', image_size='x'),
     "video.config: 'swin' is not a transformers model: .*image_size"),
    ('swin', lambda at: spoil_json(at / 'preprocessor_config.json', rescale_factor='1'),
     "rescale_factor: '1' is not a finite number"),
    ('swin', lambda at: spoil_json(at / 'preprocessor_config.json', size={'height': [16]}),
     r"size: {'height': \[16\]} is not one side"),
    ('swin', lambda at: (at / 'preprocessor_config.json').unlink(),
     'preprocessor_config.json: cannot be read'),
    ('swin', lambda at: spoil_json(at / 'preprocessor_config.json', rescale_factor=1),
     'rescale_factor: pictures go in as 255 of'),
    ('swin', lambda at: spoil_json(at / 'preprocessor_config.json',
                                   size={'height': 16, 'width': 20}),
     "size: {'height': 16, 'width': 20} is not one side"),
    ('swin', lambda at: spoil_json(at / 'preprocessor_config.json', size=0),
     'preprocessor_config.json: size: 0 is not one side'),
    ('swin', lambda at: spoil_json(at / 'preprocessor_config.json', image_std=[1, 1, 0]),
     r'preprocessor_config.json: video.preparation.std: \[1, 1, 0\] is not three finite'),
    ('beit', lambda at: spoil_json(at / 'config.json', hidden_act='sinh'),
     'config.json: context.config: cannot be built'),
    ('hubert-layer', lambda at: spoil_json(at / 'preprocessor_config.json', sampling_rate=8000),
     'sampling_rate: 8000 Hz; allowed: 16000'),
    ('hubert-layer', lambda at: shutil.copy(at.parent / 'swin/config.json', at / 'config.json'),
     'has no conv_kernel; allowed: speech models'),
    ('roberta', lambda at: [path.unlink() for path in at.glob('token*')],
     'roberta/tokenizer.json: no such file'),
    ('beit', lambda at: shutil.copy(at.parent / 'swin/config.json', at / 'config.json'),
     "model_type: 'swin' is not 'beit'"),
])
def test_refuses_a_folder_by_name(tmp_path, encoders, kind, change, message):
    for name in ('swin', 'hubert-layer', 'roberta', 'beit'):
        shutil.copytree(encoders / name, tmp_path / name)
    change(tmp_path / kind)
    with pytest.raises(ResourceError, match=message) as raised:
        build(tmp_path)
    assert kind in str(raised.value)
    assert '\n' not in str(raised.value)


def test_the_final_norm_of_a_beit_is_that_of_its_file(encoders, tmp_path):
    # Its configuration leaves it out, and nothing stood in its place.
    stored = load_file(encoders / 'beit-pt22k' / 'model.safetensors')
    model = build(encoders, context='beit-pt22k')
    for encoder in (model.context.first, model.context.second):
        assert torch.equal(encoder.norm.weight, stored['layernorm.weight'])
        assert torch.equal(encoder.norm.bias, stored['layernorm.bias'])
    save(tmp_path / 'm', model, hub.text_tokenizer(encoders / 'roberta'))
    loaded = MavenModel.from_pretrained(tmp_path / 'm', encoders=[encoders])
    assert torch.equal(loaded.context.first.norm.weight, stored['layernorm.weight'])


def test_base_has_the_final_norm_of_the_file_on_the_hub():
    with torch.device('meta'):
        layers = BeitLayers(MavenConfig.base().backbone('context'))
    assert isinstance(layers.norm, torch.nn.LayerNorm)


def test_a_width_below_one_is_refused_by_name():
    base = MavenConfig.base()
    base.video['config']['hidden_size'] = -1
    with torch.device('meta'), pytest.raises(SettingsError, match='swin: hidden_size: -1 is not'):
        backbones.FaceBackbone(base.backbone('video'))


def test_a_model_whose_width_nobody_knows_is_refused_by_name():
    with pytest.raises(SettingsError, match='own: its configuration does not name the width'):
        backbones._width(PretrainedConfig(model_type='own'))


@pytest.mark.parametrize('kind', ['swin', 'hubert-layer', 'roberta', 'beit'])
def test_code_of_a_folder_never_runs_and_nothing_is_asked(tmp_path, encoders, monkeypatch, kind):
    # As transformers would import it, if somebody said "y" on stdin.
    code = f"open({str(tmp_path / 'it_ran')!r}, 'w')\nclass Own:\n    pass\n"
    for name in ('swin', 'hubert-layer', 'roberta', 'beit'):
        shutil.copytree(encoders / name, tmp_path / name)
    (tmp_path / kind / 'own.py').write_text(code)
    own = {'AutoConfig': 'own.Own', 'AutoModel': 'own.Own', 'AutoTokenizer': ['own.Own'] * 2}
    spoil_json(tmp_path / kind / 'config.json', auto_map=own, attn_implementation='some/kernels',
               experts_implementation='some/kernels')
    if kind == 'roberta':
        spoil_json(tmp_path / kind / 'tokenizer_config.json', auto_map=own)
    monkeypatch.setattr('sys.stdin', io.StringIO('y\n' * 9))
    model = build(tmp_path)
    assert model.config.video['config'].keys().isdisjoint({'auto_map', 'attn_implementation'})
    assert not (tmp_path / 'it_ran').exists()
    assert not sys.stdin.tell()


def test_a_tokenizer_that_is_only_code_is_refused_unasked(tmp_path, encoders, monkeypatch):
    for name in ('swin', 'hubert-layer', 'roberta', 'beit'):
        shutil.copytree(encoders / name, tmp_path / name)
    at = tmp_path / 'roberta'
    (at / 'own.py').write_text(f"open({str(tmp_path / 'it_ran')!r}, 'w')\nclass Own:\n    pass\n")
    spoil_json(at / 'config.json', model_type='dinov2')  # which has no tokenizer
    spoil_json(at / 'tokenizer_config.json', tokenizer_class='Own',
               auto_map={'AutoTokenizer': ['own.Own', None]})
    monkeypatch.setattr('sys.stdin', io.StringIO('y\n' * 9))
    with pytest.raises(ResourceError, match='needs code of its own, which is never run'):
        hub.text_tokenizer(at)
    assert not (tmp_path / 'it_ran').exists()
    assert not sys.stdin.tell()


def test_paths_may_be_strings(encoders, inputs):
    model = MavenModel.from_encoders(
        **{part: str(encoders / kind) for part, kind in (
            ('video', 'swin'), ('audio', 'hubert'), ('text', 'roberta'), ('context', 'beit'))},
        config=tiny.tiny_config()).eval()
    assert torch.equal(model(inputs).valence, build(encoders, audio='hubert')(inputs).valence)


def test_refuses_a_folder_that_is_not_there(encoders):
    with pytest.raises(ResourceError, match='nowhere: no such folder; the video encoder is one'):
        build(encoders, video='nowhere')
