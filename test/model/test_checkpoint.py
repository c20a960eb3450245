import dataclasses
import json
import pickle
import re
import shutil

import pytest
import tiny_tokenizer
import torch
from safetensors.torch import load_file, save_file
from tiny_encoders import BACKBONES, tiny_config
from tokenizers import Tokenizer, models

from maven_ros.errors import ResourceError, SettingsError
from maven_ros.model.checkpoint import load, save, weights_hash
from maven_ros.model.maven import MavenModel
from maven_ros.resources import resource


@pytest.fixture(scope='module')
def tokenizer():
    return tiny_tokenizer.tokenizer()


@pytest.fixture
def folder(tmp_path, model, tokenizer):
    model.config.trained = True
    save(tmp_path, model, tokenizer)
    return tmp_path


def spoil(folder, change):
    path = folder / 'model.safetensors'
    weights = load_file(path)
    change(weights)
    save_file(weights, path)


def test_what_is_saved_is_loaded(folder, model, inputs):
    loaded = load(folder)
    assert loaded.trained
    assert re.fullmatch('tiny-[0-9a-f]{8}', loaded.name)
    assert weights_hash(loaded.model) == weights_hash(model)
    assert not loaded.model.training
    assert [weight.requires_grad for weight in loaded.model.parameters()] == [
        weight.requires_grad for weight in model.parameters()]
    assert loaded.model.config.own() == model.config.own()
    torch.testing.assert_close(loaded.model(inputs).valence, model(inputs).valence)
    assert loaded.tokenizer.encode('good day').tokens == ['good', 'day']


def test_a_network_that_was_stored_before_it_was_trained_says_so(tmp_path, model, tokenizer):
    """Whatever had a file of weights was called trained."""
    save(tmp_path, model, tokenizer)
    loaded = load(tmp_path)
    assert not loaded.trained
    assert loaded.name.startswith('untrained tiny-')


def test_a_trained_network_without_its_weights_is_refused(folder):
    (folder / 'model.safetensors').unlink()
    with pytest.raises(ResourceError, match=r'model\.safetensors: is missing, and config\.json '
                                            'says that the network is trained'):
        load(folder)


def test_without_weights_it_is_untrained_and_says_so(tmp_path, model, tokenizer):
    folder = tmp_path
    save(folder, model, tokenizer)
    (folder / 'model.safetensors').unlink()
    first, again, other = load(folder, 7), load(folder, 7), load(folder, 8)
    assert not first.trained
    assert first.name.startswith('untrained tiny-')
    assert first.name == again.name != other.name
    assert len(first.name) == len('untrained tiny-') + 8


def test_whatever_differs_has_another_name(folder, tmp_path_factory, model, tokenizer):
    """Two networks that differ in what a weight means, or in what a word is, never share one."""
    name = load(folder).name
    assert load(folder).name == name

    def saved(model, tokenizer):
        other = tmp_path_factory.mktemp('other')
        save(other, model, tokenizer)
        return load(other).name

    assert saved(model, tokenizer) == name
    names = {name, saved(model, tiny_tokenizer.tokenizer(('another', 'vocabulary')))}
    cased = Tokenizer.from_str(tokenizer.to_str())
    cased.normalizer = None
    names.add(saved(model, cased))
    for changes in ({'log_mel_mean': 0.0}, {'head_dropout': 0.5}, {'fusion_heads': 1}):
        other = MavenModel(dataclasses.replace(model.config, **changes))
        other.load_state_dict(model.state_dict())
        names.add(saved(other, tokenizer))
    with torch.no_grad():
        model.head.point.bias[0] += 1
    names.add(saved(model, tokenizer))
    assert len(names) == 7


def test_what_a_file_sets_is_refused_by_the_files_name(tmp_path, tokenizer):
    """It was a SettingsError of no file, that only the building of the network had."""
    folder = tmp_path / 'm'
    save(folder, MavenModel.untrained(tiny_config(**BACKBONES), 0), tokenizer)
    values = json.loads((folder / 'config.json').read_text())
    (folder / 'config.json').write_text(json.dumps({**values, 'max_tokens': 37}))
    message = 'm/config.json: max_tokens: 37 is more than the text encoder takes; allowed: up to'
    spoil(folder, lambda weights: None)  # and leaves them without the configuration inside
    with pytest.raises(ResourceError, match=message):
        load(folder)
    (folder / 'model.safetensors').unlink()
    with pytest.raises(ResourceError, match=message):
        load(folder)


def test_refuses_a_missing_folder(tmp_path):
    with pytest.raises(ResourceError, match=r'nowhere: no such folder'):
        load(tmp_path / 'nowhere')


@pytest.mark.parametrize('name', ['config.json', 'tokenizer.json'])
def test_refuses_a_missing_file(folder, name):
    (folder / name).unlink()
    with pytest.raises(ResourceError, match=rf'{name}: cannot be read'):
        load(folder)


@pytest.mark.parametrize(('name', 'text', 'message'), [
    ('config.json', '{', 'config.json: cannot be read: Expecting'),
    ('config.json', '[]', 'config.json: not a JSON object but list'),
    ('config.json', '{"model_type": "bert"}', "model_type: 'bert' is not 'maven'"),
    ('tokenizer.json', '{}', 'tokenizer.json: not a tokenizer of the tokenizers library'),
])
def test_refuses_a_broken_file(folder, name, text, message):
    (folder / name).write_text(text)
    with pytest.raises(ResourceError, match=message):
        load(folder)


def test_refuses_a_tokenizer_that_knows_more_than_the_model(folder, tokenizer):
    config = json.loads((folder / 'config.json').read_text())
    (folder / 'config.json').write_text(json.dumps({**config, 'vocabulary': 5}))
    size = tokenizer.get_vocab_size()
    with pytest.raises(ResourceError, match=rf'{size} subwords, and config.json allows 5'):
        load(folder)


def test_refuses_a_tokenizer_without_unknown(folder):
    Tokenizer(models.BPE()).save(str(folder / 'tokenizer.json'))
    with pytest.raises(ResourceError, match=r"tokenizer.json: has no '<unk>'"):
        load(folder)


@pytest.mark.parametrize(('change', 'message'), [
    (lambda weights: weights.pop('head.point.bias'), 'tensors missing: head.point.bias'),
    (lambda weights: weights.update(stray=torch.zeros(1)), 'tensors not of this model: stray'),
    (lambda weights: weights.update({'head.point.bias': torch.zeros(4)}),
     r'head.point.bias has shape \(4,\), and config.json asks for \(3,\)'),
    (lambda weights: weights['head.point.bias'].fill_(torch.nan),
     'head.point.bias holds NaN or infinite values'),
    (lambda weights: weights.update({'head.point.bias': torch.zeros(3, dtype=torch.int32)}),
     r'head.point.bias is I32; allowed: floating point'),
])
def test_refuses_weights_by_name(folder, change, message):
    spoil(folder, change)
    with pytest.raises(ResourceError, match=message):
        load(folder)


def test_refuses_a_pickle_under_the_right_name(folder, model):
    torch.save(model.state_dict(), folder / 'model.safetensors')
    with pytest.raises(ResourceError, match=r'model.safetensors: not a safetensors file'):
        load(folder)


class Trap:
    def __reduce__(self):
        return pytest.fail, ('a pickle was read',)


@pytest.mark.parametrize('name', ['pytorch_model.bin', 'model.pt', 'weights.pkl'])
def test_refuses_a_pickle_beside(folder, name):
    (folder / 'model.safetensors').unlink()
    (folder / name).write_bytes(pickle.dumps(Trap()))
    with pytest.raises(ResourceError, match=rf'{name}: weights must be in'):
        load(folder)


def test_refuses_weights_cut_short(folder):
    path = folder / 'model.safetensors'
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ResourceError, match=r'model.safetensors: not a safetensors file'):
        load(folder)


def test_refuses_weights_of_another_configuration(folder, model):
    config = dataclasses.replace(model.config, fusion_heads=4, dropout=0.3)
    (folder / 'config.json').write_text(json.dumps(config.to_dict()))
    with pytest.raises(ResourceError, match=r'they differ in dropout, fusion_heads'):
        load(folder)


def test_refuses_to_save_what_is_not_finite(tmp_path, model, tokenizer):
    with torch.no_grad():
        model.head.point.bias[1] = torch.inf
    with pytest.raises(ResourceError, match=r'head.point.bias holds NaN or infinite values'):
        save(tmp_path / 'new', model, tokenizer)
    assert not (tmp_path / 'new').exists()


def test_saves_as_a_trainer_asks_it_to(tmp_path, model, inputs):
    """Transformers' Trainer passes the weights, and whether this process is the one that saves."""
    state_dict = {name: value.clone() for name, value in model.state_dict().items()}
    state_dict['head.point.bias'] += 1
    model.save_pretrained(tmp_path / 'other', is_main_process=False, state_dict=state_dict)
    assert not (tmp_path / 'other').exists()
    model.save_pretrained(str(tmp_path / 'm'), state_dict=state_dict, is_main_process=True,
                          safe_serialization=True, push_to_hub=False, token=None,
                          max_shard_size='50GB', save_peft_format=True, save_original_format=True)
    loaded = MavenModel.from_pretrained(tmp_path / 'm')
    assert torch.equal(loaded.head.point.bias, model.head.point.bias + 1)
    assert torch.equal(loaded.head.spread.bias, model.head.spread.bias)


@pytest.mark.parametrize(('options', 'message'), [
    ({'safe_serialization': False}, 'save_pretrained: safe_serialization=False; allowed: safe_'),
    ({'push_to_hub': True}, 'save_pretrained: push_to_hub=True; allowed'),
    ({'variant': 'fp16'}, "save_pretrained: variant='fp16'; allowed"),
    ({'max_shard_size': '5MB'}, "save_pretrained: max_shard_size='5MB'; allowed"),
])
def test_refuses_to_save_in_another_way(tmp_path, model, options, message):
    with pytest.raises(SettingsError, match=message):
        model.save_pretrained(tmp_path / 'm', **options)
    assert not (tmp_path / 'm').exists()


@pytest.mark.parametrize(('change', 'message'), [
    (lambda weights: weights.pop('head.point.bias'), 'tensors missing: head.point.bias'),
    (lambda weights: weights.update(stray=torch.zeros(1)), 'tensors not of this model: stray'),
    (lambda weights: weights.update({'head.point.bias': torch.zeros(4)}),
     r'head.point.bias has shape \(4,\), and config.json asks for \(3,\)'),
    (lambda weights: weights.update({'head.point.bias': torch.full((3,), torch.nan)}),
     'head.point.bias holds NaN or infinite values'),
    (lambda weights: weights.update({'head.point.bias': torch.zeros(3, dtype=torch.int32)}),
     'head.point.bias is torch.int32; allowed: floating point'),
])
def test_refuses_to_save_what_it_would_not_load(tmp_path, model, change, message):
    state_dict = dict(model.state_dict())
    change(state_dict)
    with pytest.raises(ResourceError, match=message):
        model.save_pretrained(tmp_path / 'm', state_dict=state_dict)
    assert not (tmp_path / 'm').exists()


def test_weights_that_share_memory_are_stored_one_by_one(tmp_path, model):
    state_dict = dict(model.state_dict())
    shared = torch.randn(model.fusion.refined_norms['video'].weight.shape)
    for modality in ('video', 'audio'):
        state_dict[f'fusion.refined_norms.{modality}.weight'] = shared
    model.save_pretrained(tmp_path / 'm', state_dict=state_dict)
    loaded = MavenModel.from_pretrained(tmp_path / 'm')
    for modality in ('video', 'audio'):
        assert torch.equal(loaded.fusion.refined_norms[modality].weight, shared)


def test_says_where_weights_cannot_be_written(tmp_path, model):
    (tmp_path / 'm' / 'model.safetensors').mkdir(parents=True)
    with pytest.raises(ResourceError, match=r'm: cannot be written: .*'):
        model.save_pretrained(tmp_path / 'm')


def test_says_where_it_cannot_write(tmp_path, model, tokenizer):
    (tmp_path / 'taken').write_text('')
    with pytest.raises(ResourceError, match=r'taken: cannot be written'):
        save(tmp_path / 'taken', model, tokenizer)


def test_a_link_that_leads_nowhere_is_no_lack_of_weights(tmp_path):
    folder = _copied(tmp_path)
    (folder / 'model.safetensors').symlink_to(tmp_path / 'nowhere')
    with pytest.raises(ResourceError, match=r'model\.safetensors'):
        load(folder)


def test_weights_in_several_files_are_refused_by_name(tmp_path):
    folder = _copied(tmp_path)
    (folder / 'model-00001-of-00002.safetensors').write_bytes(b'')
    with pytest.raises(ResourceError, match=r'model-00001-of-00002\.safetensors: weights must'):
        load(folder)


def _copied(tmp_path):
    folder = tmp_path / 'copied'
    shutil.copytree(
        resource('models/compact'), folder, ignore=shutil.ignore_patterns('*.safetensors'))
    return folder


def test_weights_of_half_precision_run_in_full(folder, model):
    spoil(folder, lambda weights: weights.update(
        {name: value.half() for name, value in weights.items() if value.is_floating_point()}))
    loaded = load(folder)
    assert {value.dtype for value in loaded.model.stored_weights().values()
            if value.is_floating_point()} == {torch.float32}
    assert loaded.name
