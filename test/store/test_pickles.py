"""Pickled weights become safetensors that load as the same model; pickles of anything else not."""

import os
import pickle
import zipfile

import pytest
import torch
from full_disk import largest_file
from safetensors.torch import load_file

from maven_ros.errors import CannotWrite, ResourceError
from maven_ros.store.pickles import convert


@pytest.fixture(autouse=True)
def _offline(monkeypatch):
    monkeypatch.setenv('HF_HUB_OFFLINE', '1')


def tiny_roberta():
    from transformers import RobertaConfig, RobertaForMaskedLM

    return RobertaForMaskedLM(RobertaConfig(
        vocab_size=50, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=16, max_position_embeddings=20))


def tiny_hubert():
    from transformers import HubertConfig, HubertModel

    return HubertModel(HubertConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        conv_dim=(8, 8), conv_stride=(5, 2), conv_kernel=(10, 3), num_feat_extract_layers=2,
        num_conv_pos_embeddings=4, num_conv_pos_embedding_groups=2))


def save_as_pickle(model, folder, rename=()):
    """Save as the hub's older models are, which have weights under older names, too."""
    model.config.save_pretrained(folder)
    weights = dict(model.state_dict())
    for old, new in rename:
        weights = {name.replace(new, old): value for name, value in weights.items()}
    torch.save(weights, folder / 'pytorch_model.bin')


def test_a_roberta_with_tied_weights_loads_whole_under_every_name(tmp_path):
    from transformers import RobertaForMaskedLM, RobertaModel

    torch.manual_seed(1)
    model = tiny_roberta().eval()
    save_as_pickle(model, tmp_path)
    convert(tmp_path / 'pytorch_model.bin', tmp_path / 'model.safetensors')
    (tmp_path / 'pytorch_model.bin').unlink()
    assert load_file(tmp_path / 'model.safetensors').keys() == model.state_dict().keys()
    ids = torch.tensor([[0, 5, 9, 2]])
    full = RobertaForMaskedLM.from_pretrained(tmp_path, use_safetensors=True).eval()
    assert torch.equal(full(ids).logits, model(ids).logits)
    encoder, report = RobertaModel.from_pretrained(
        tmp_path, add_pooling_layer=False, output_loading_info=True)
    assert not report['missing_keys']
    assert torch.equal(encoder.eval()(ids).last_hidden_state,
                       model.roberta(ids).last_hidden_state)


@pytest.mark.parametrize('rename', [(), (
    ('weight_g', 'parametrizations.weight.original0'),
    ('weight_v', 'parametrizations.weight.original1'))])
def test_a_hubert_loads_under_its_old_names_too(tmp_path, rename):
    from transformers import HubertModel

    torch.manual_seed(1)
    model = tiny_hubert().eval()
    save_as_pickle(model, tmp_path, rename)
    convert(tmp_path / 'pytorch_model.bin', tmp_path / 'model.safetensors')
    (tmp_path / 'pytorch_model.bin').unlink()
    loaded = HubertModel.from_pretrained(tmp_path).eval()
    sound = torch.randn(1, 400)
    assert torch.equal(loaded(sound).last_hidden_state, model(sound).last_hidden_state)


def test_views_of_one_storage_are_stored_apart_and_exactly(tmp_path):
    whole = torch.arange(12.0).reshape(3, 4)
    torch.save({'whole': whole, 'row': whole[1], 'turned': whole.T}, tmp_path / 'w.bin')
    convert(tmp_path / 'w.bin', tmp_path / 'w.safetensors')
    loaded = load_file(tmp_path / 'w.safetensors')
    assert torch.equal(loaded['whole'], whole)
    assert torch.equal(loaded['row'], whole[1]) and torch.equal(loaded['turned'], whole.T)


def test_a_full_disk_is_no_fault_of_the_weights(tmp_path):
    path = tmp_path / 'pytorch_model.bin'
    torch.save({'weight': torch.ones(5000)}, path)
    with largest_file(10_000), pytest.raises(
            CannotWrite, match=r'model.safetensors: cannot be written: .*File too large'):
        convert(path, tmp_path / 'model.safetensors')
    assert [one.name for one in tmp_path.iterdir()] == ['pytorch_model.bin']
    convert(path, tmp_path / 'model.safetensors')


class Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f'touch {self.path}',)


@pytest.mark.filterwarnings('ignore:Detected pickle protocol')
@pytest.mark.parametrize('save', [torch.save, lambda value, path: path.write_bytes(
    pickle.dumps(value))])
def test_a_malicious_pickle_is_refused_and_not_run(tmp_path, save):
    path = tmp_path / 'pytorch_model.bin'
    save({'weight': Evil(tmp_path / 'owned')}, path)
    with pytest.raises(ResourceError, match=r'model.bin: refused: not a file of weights'):
        convert(path, tmp_path / 'model.safetensors')
    assert [one.name for one in tmp_path.iterdir()] == ['pytorch_model.bin']


@pytest.mark.parametrize(('value', 'message'), [
    (torch.zeros(2), 'no table of tensors but Tensor'),
    ({}, 'no table of tensors but dict'),
    ({'epoch': 3}, "'epoch' is not a tensor but int"),
    ({'model': {'weight': torch.zeros(2)}}, "'model' is not a tensor but dict"),
    ({1: torch.zeros(2)}, '1 is not a tensor'),
])
def test_anything_else_is_refused_by_name(tmp_path, value, message):
    path = tmp_path / 'pytorch_model.bin'
    torch.save(value, path)
    with pytest.raises(ResourceError, match=message):
        convert(path, tmp_path / 'model.safetensors')


@pytest.mark.filterwarnings('ignore')
@pytest.mark.parametrize(('value', 'message'), [
    (lambda: torch.eye(3).to_sparse(), r"'weight' is torch.sparse_coo on cpu; allowed: dense"),
    (lambda: torch.eye(4).to_sparse_csr(), r"'weight' is torch.sparse_csr on cpu"),
    (lambda: torch.empty(1000, device='meta'), r"'weight' is torch.strided on meta"),
    (lambda: torch.zeros(1).expand(10**10), r"'weight' is 40.0 GB of 4 B that are stored"),
    (lambda: torch.zeros(9).as_strided((5, 5), (1, 1)), r"'weight' is 100 B of 36 B"),
    (lambda: torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8), 'is quantized'),
    (lambda: torch.zeros(3, dtype=torch.complex64), 'is torch.complex64; allowed: real'),
], ids=['coo', 'csr', 'meta', 'stride 0', 'overlapping', 'quantized', 'complex'])
def test_what_is_no_dense_tensor_with_its_values_is_refused_by_name(tmp_path, value, message):
    path = tmp_path / 'pytorch_model.bin'
    torch.save({'weight': value()}, path)
    with pytest.raises(ResourceError, match=message) as raised:
        convert(path, tmp_path / 'model.safetensors')
    assert not isinstance(raised.value, CannotWrite)
    assert [one.name for one in tmp_path.iterdir()] == ['pytorch_model.bin']


def test_a_tensor_under_many_names_does_not_fill_the_disk(tmp_path):
    path = tmp_path / 'pytorch_model.bin'
    one = torch.zeros(100_000)
    torch.save({f'weight{index}': one for index in range(100)}, path)
    with pytest.raises(ResourceError, match=r'its tensors are 40.0 MB, over 10 times its size'):
        convert(path, tmp_path / 'model.safetensors')


def test_a_packed_file_is_refused_before_it_is_unpacked(tmp_path):
    torch.save({'weight': torch.zeros(1_000_000)}, tmp_path / 'whole.bin')
    path = tmp_path / 'pytorch_model.bin'
    with (zipfile.ZipFile(tmp_path / 'whole.bin') as whole,
          zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as packed):
        for name in whole.namelist():
            packed.writestr(name, whole.read(name))
    assert path.stat().st_size < 50_000
    with pytest.raises(ResourceError, match=r'is packed; allowed: as torch.save'):
        convert(path, tmp_path / 'model.safetensors')


def test_a_damaged_file_is_refused(tmp_path):
    path = tmp_path / 'pytorch_model.bin'
    path.write_bytes(b'<html>')
    with pytest.raises(ResourceError, match='refused: not a file of weights only'):
        convert(path, tmp_path / 'model.safetensors')
