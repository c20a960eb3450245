import pytest
import torch
from safetensors.torch import save_file
from tiny_encoders import tiny_config

from maven_ros.errors import ResourceError
from maven_ros.model.configuration import MavenConfig
from maven_ros.model.encoders import FaceEncoder, folded
from maven_ros.resources import resource
from maven_ros.training.compact.face_stage import FaceHead
from maven_ros.training.compact.face_start import blend, load_faces, unfold


def test_what_is_unfolded_encodes_as_before_and_can_be_folded_again():
    torch.manual_seed(0)
    before, normed = FaceEncoder(tiny_config()).eval(), FaceEncoder(tiny_config(), normed=True)
    pictures = torch.rand(32, 1, 32, 32)
    unfold(before, normed, pictures)
    others = torch.rand(8, 1, 48, 48)
    with torch.no_grad():
        wanted = before.encode_grey(others)
        torch.testing.assert_close(normed.eval().encode_grey(others), wanted)
        torch.testing.assert_close(folded(normed).encode_grey(others), wanted)
        # In training the statistics of the batch take the place of those of the pictures.
        apart = normed.train().encode_grey(pictures) - before.encode_grey(pictures)
    assert apart.abs().max() < 0.02
    assert not any(layer._forward_hooks for layer in before.modules())


def test_a_blend_is_the_mean_of_the_weights():
    torch.manual_seed(0)
    model, start = FaceHead(4), FaceHead(4)
    wanted = 0.75 * model.votes.weight.detach() + 0.25 * start.votes.weight.detach()
    blend(model, start, 0.25)
    torch.testing.assert_close(model.votes.weight.detach(), wanted)


def test_the_encoder_of_a_checkpoint_and_its_head_are_read(tmp_path):
    torch.manual_seed(1)
    theirs, head = FaceEncoder(tiny_config()), FaceHead(tiny_config().face_channels[-1])
    save_file({f'face_encoder.{name}': value.half() for name, value
               in theirs.state_dict().items()} | {'head.other': torch.zeros(2)},
              tmp_path / 'model.safetensors')
    save_file({f'faces.{name}': value for name, value in head.state_dict().items()},
              tmp_path / 'probes.safetensors')
    ours, own = FaceEncoder(tiny_config()), FaceHead(head.votes.in_features)
    load_faces(tmp_path, ours, own)
    for name, value in ours.state_dict().items():
        torch.testing.assert_close(value, theirs.state_dict()[name], atol=1e-3, rtol=1e-3)
    assert torch.equal(own.votes.weight, head.votes.weight)


def test_the_shipped_checkpoint_has_what_training_begins_with():
    encoder = FaceEncoder(MavenConfig.compact())
    load_faces(resource('models/compact'), encoder, FaceHead(encoder.width))


@pytest.mark.parametrize('file', ['model.safetensors', 'probes.safetensors'])
def test_a_checkpoint_without_a_face_encoder_is_named(tmp_path, file):
    torch.manual_seed(1)
    encoder, head = FaceEncoder(tiny_config()), FaceHead(tiny_config().face_channels[-1])
    for name, prefix, module in (('model.safetensors', 'face_encoder', encoder),
                                 ('probes.safetensors', 'faces', head)):
        prefix = 'voice' if name == file else prefix
        save_file({f'{prefix}.{key}': value for key, value in module.state_dict().items()},
                  tmp_path / name)
    with pytest.raises(
            ResourceError, match=f'(?s){file}: has no face encoder to begin with: .*Missing'):
        load_faces(tmp_path, encoder, head)
    (tmp_path / file).unlink()
    with pytest.raises(ResourceError, match=f'{file}: has no face encoder to begin with: No such'):
        load_faces(tmp_path, encoder, head)
