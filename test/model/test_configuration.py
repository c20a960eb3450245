import dataclasses
import json
import subprocess
import sys

import pytest
import tiny_encoders as tiny
import torch

from maven_ros.errors import SettingsError
from maven_ros.model.backbone_configuration import Backbone
from maven_ros.model.configuration import MavenConfig
from maven_ros.model.maven import ENCODERS, MavenModel
from maven_ros.model.presets import E5_LANGUAGES, config_dict, describe


def test_survives_json():
    config = MavenConfig(name='other', face_channels=(8, 16), head='raw')
    assert MavenConfig.from_dict(json.loads(config.to_json_string())).own() == config.own()


@pytest.mark.parametrize(('values', 'message'), [
    ({'head': 'round'}, r"head: 'round' is not 'polar' or 'raw'"),
    ({'crop_px': 0}, 'crop_px: 0 is not a whole number above 0'),
    ({'crop_px': True}, 'crop_px: True is not a whole number'),
    ({'text_layers': 1.5}, r'text_layers: 1\.5 is not a whole number'),
    ({'face_blocks': 2**31 - 1}, r'face_blocks: 2147483647 is too many; allowed: 1 to 256'),
    ({'dropout': 1.0}, r'dropout: 1\.0 is not in \[0, 1\)'),
    ({'head_dropout': float('nan')}, 'head_dropout: nan is not a finite number'),
    ({'mel_high_hz': 9000.0}, r'50\.0, 9000\.0 do not rise inside \[0, 8000\]'),
    ({'log_mel_std': 0.0}, r'log_mel_std: 0\.0 is not positive'),
    ({'log_mel_std': 1e-60}, 'log_mel_std: 1e-60 is not positive'),
    ({'mel_low_hz': 10 ** 400}, 'mel_low_hz: 1000+ is not a finite number'),
    ({'log_mel_mean': 1e39}, r'log_mel_mean: 1e\+39 is not a finite number'),
    ({'vocabulary': 10 ** 400}, r'vocabulary: 1000+ is not a whole number above 0, below 2\*\*31'),
    ({'fusion_heads': 5}, 'fusion_width: 96 is not even, or not a multiple of its 5 heads'),
    ({'face_channels': ()}, r'face_channels: \(\) is not a list'),
    ({'face_channels': (8, 12)}, 'are not all multiples of 8'),
    ({'voice_channels': (8,)}, r'voice_channels: \(8,\); allowed: two or more'),
    ({'name': ''}, "name: '' is not a name"),
])
def test_refuses_what_cannot_be(values, message):
    with pytest.raises(SettingsError, match=message):
        MavenConfig(**values)


@pytest.mark.parametrize(('change', 'message'), [
    ({'model_type': 'bert'}, "model_type: 'bert' is not 'maven'"),
    ({'depth': 3}, 'unknown: depth'),
    ({'crop_px': None}, 'crop_px: None is not'),
])
def test_refuses_another_config_json(change, message):
    with pytest.raises(SettingsError, match=message):
        MavenConfig.from_dict({**MavenConfig().to_dict(), **change})


BACKBONE = {'name': 'x', 'config': {'model_type': 'swin'}, 'frozen': True, 'sha256': '',
            'preparation': {'mean': [0, 0, 0], 'std': [1, 1, 1]}}
TEXT = {'first': 0, 'last': 2, 'pad': 1, 'unknown': '<unk>'}


@pytest.mark.parametrize(('change', 'message'), [
    ({'depth': 3}, 'video: unknown: depth'),
    ({'name': ''}, "video.name: '' is not a name"),
    ({'config': {}}, r'video.config: {} is not a mapping with a model_type'),
    ({'config': 'swin'}, r"video.config: 'swin' is not a mapping"),
    ({'preparation': {'mean': [0, 0, 0]}}, 'video.preparation: missing: std'),
    ({'preparation': None}, 'video.preparation: None is not a mapping'),
    ({'frozen': 1}, 'video.frozen: 1 is not true or false'),
    ({'sha256': 'ab'}, "video.sha256: 'ab' is not 64 hexadecimal digits"),
    ({'sha256': None}, 'video.sha256: None is not 64 hexadecimal digits'),
    ({'sha256': 'A' * 64}, 'is not 64 hexadecimal digits in lower case, or empty'),
    ({'sha256': 'ab' * 32, 'frozen': False}, r"video.sha256: 'abab.*' says that the weights are"),
])
def test_refuses_a_backbone_that_cannot_be(change, message):
    with pytest.raises(SettingsError, match=message):
        MavenConfig(video={**BACKBONE, **change})


@pytest.mark.parametrize(('part', 'preparation', 'message'), [
    ('video', {'mean': [0, 0], 'std': [1, 1, 1]},
     r'video.preparation.mean: \[0, 0\] is not three finite numbers'),
    ('video', {'mean': [0, 0, float('nan')], 'std': [1, 1, 1]}, 'is not three finite numbers'),
    ('video', {'mean': 0.5, 'std': [1, 1, 1]}, 'mean: 0.5 is not three finite numbers'),
    ('video', {'mean': [0, 0, 0], 'std': [1, 1, 0]},
     r'video.preparation.std: \[1, 1, 0\] is not three finite numbers above 0'),
    ('video', {'mean': [0, 0, 0], 'std': [1, 1, 1e-60]}, 'is not three finite numbers above 0'),
    ('video', {'mean': [10 ** 400, 0, 0], 'std': [1, 1, 1]}, 'mean: .* is not three finite'),
    ('audio', {'normalize': 'no'}, "audio.preparation.normalize: 'no' is not true or false"),
    ('text', {**TEXT, 'first': '0'}, "text.preparation.first: '0' is not an id"),
    ('text', {**TEXT, 'pad': -1}, 'text.preparation.pad: -1 is not an id'),
    ('text', {**TEXT, 'last': 30522},
     'text.preparation.last: 30522 is not an id of the vocabulary; allowed: 0 to 30521'),
    ('text', {**TEXT, 'unknown': 3}, 'text.preparation.unknown: 3 is not a name'),
])
def test_refuses_a_preparation_that_cannot_be(part, preparation, message):
    with pytest.raises(SettingsError, match=message):
        MavenConfig(**{part: {**BACKBONE, 'preparation': preparation}})


def places(tree, path=()):
    """Yield the path of each value in mappings and lists."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, value in items:
        yield (*path, key)
        if isinstance(value, dict | list | tuple):
            yield from places(value, (*path, key))


def changed(tree, path, value):
    if not path:
        return value
    key, *rest = path
    copy = dict(tree) if isinstance(tree, dict) else [*tree]
    copy[key] = changed(copy[key], rest, value)
    return copy


WRONG = (None, True, -1, 4.0, 10 ** 400, float('inf'), '', 'text', [], {}, [{}], [[]], [1, 'a'],
         [None, {}], [1, {}], {'a': {}}, {'model_type': {}}, {'model_type': []})


@pytest.mark.parametrize('config', [MavenConfig.compact(), MavenConfig.base()])
@pytest.mark.parametrize('part', ['', 'video', 'audio', 'text', 'context'])
def test_no_value_of_another_type_is_anything_but_a_settings_error(config, part):
    """A mapping among the layers of Whisper was a TypeError, and bits of 4.0 were taken."""
    whole = {**config.own(), 'model_type': 'maven'}
    tree = (whole[part] or {}) if part else {
        name: value for name, value in whole.items() if not isinstance(value, dict)}
    for path in places({part: tree} if part else tree):
        if 'config' in path[:2] and len(path) > 3:  # of transformers, which checks it itself
            continue
        for value in WRONG:
            try:
                read = MavenConfig.from_dict(changed(whole, path, value))
            except SettingsError:
                continue
            assert 'bits' not in path or type(value) is int, (path, value)
            assert read.own().keys() == config.own().keys()


@pytest.mark.parametrize(('kind', 'most'), [('roberta', 36), ('distilbert', 38)])
def test_no_more_tokens_than_positions(kind, most):
    """RoBERTa counts positions from after the padding's, 1, and two tokens are special."""
    text = describe(Backbone(kind, config_dict(tiny.TEXT[kind][1]), TEXT))
    model = MavenModel(tiny.tiny_config(text=text, max_tokens=most)).eval()
    tokens, mask = torch.full((1, most), 7), torch.ones(1, most, dtype=torch.bool)
    assert model.text_encoder(tokens, mask).isfinite().all()
    with pytest.raises(SettingsError, match=f'max_tokens: {most + 1} is more than the text '
                                            f'encoder takes; allowed: up to {most}'):
        MavenModel(tiny.tiny_config(text=text, max_tokens=most + 1))
    with pytest.raises(SettingsError, match='vocabulary: 301 is more than the text encoder'):
        MavenModel(tiny.tiny_config(text=text, vocabulary=301))


def test_base_takes_as_many_tokens_as_roberta_has_positions_for():
    config = dataclasses.replace(MavenConfig.base(), max_tokens=511)
    with torch.device('meta'), pytest.raises(
            SettingsError, match=r'max_tokens: 511 is more than .*; allowed: up to 510'):
        MavenModel(config)


def test_refuses_a_context_of_another_width():
    context = {**MavenConfig.base().context}
    with pytest.raises(SettingsError, match='context_width: 128 is not the hidden_size of micro'):
        MavenConfig(context=context)


def test_base_has_the_published_sizes():
    base = MavenConfig.base()
    with torch.device('meta'):
        model = MavenModel(base)
    assert [getattr(model, own).width for own in ENCODERS.values()] == [1024, 768, 768]
    assert (base.fusion_width, base.fusion_heads, base.context_width) == (512, 2, 768)
    assert [len(encoder.layers) for encoder in (model.context.first, model.context.second)] == [
        12, 12]
    assert [layer.out_features for layer in model.head.hidden[::3]] == [512, 256]
    assert sum(weight.numel() for weight in model.parameters()) == 487_781_181


def test_compact_rests_on_the_first_layers_of_whisper_and_e5():
    config = MavenConfig.compact()
    changed = {'audio': config.audio, 'text': config.text, 'vocabulary': 219_699,
               'languages': E5_LANGUAGES, 'readers': 8}
    assert config.own() == {**MavenConfig().own(), **changed}
    with torch.device('meta'):
        model = MavenModel(config)
    assert sum(weight.numel() for weight in model.voice_encoder.whisper.parameters()) == 14_286_848
    assert sum(weight.numel() for weight in model.text_encoder.bert.parameters()) == 17_942_784
    assert model.text_encoder.bert.embeddings.word_embeddings.codes.shape == (219_699, 192)


def test_a_number_is_one_layer_of_the_head():
    assert MavenConfig(head_width=64).own() == MavenConfig().own()


def test_refuses_an_unknown_name():
    with pytest.raises(SettingsError, match='unknown: fusion_heds'):
        MavenConfig(fusion_heds=4)


def test_importing_the_package_is_cheap():
    code = ("import sys, maven_ros, maven_ros.engine, maven_ros.pipeline; "
            "sys.exit('torch' in sys.modules or 'transformers' in sys.modules)")
    assert subprocess.run([sys.executable, '-c', code]).returncode == 0


def test_names_what_is_missing():
    values = MavenConfig().to_dict()
    del values['head'], values['crop_px']
    with pytest.raises(SettingsError, match='missing: crop_px, head'):
        MavenConfig.from_dict(values)
