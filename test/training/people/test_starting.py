import pytest
import recorded
import torch
from tiny_encoders import BACKBONES, tiny_config

from maven_ros.errors import ResourceError, SettingsError
from maven_ros.model.maven import MavenModel
from maven_ros.training.loop import LoopSettings
from maven_ros.training.people.run_settings import RunSettings, TuneSettings
from maven_ros.training.people.starting import blocks, put_encoders, start, take_encoders

LOOP = LoopSettings(1, 1, 0.1)


def settings(**values):
    return RunSettings(LOOP, **values)


def trained(encoder):
    return [name for name, value in encoder.named_parameters() if value.requires_grad]


def test_encoders_are_copied_and_frozen_and_the_rest_begins_at_random():
    base = MavenModel.untrained(recorded.TINY, 3)
    model = start(settings(), base)
    assert model.config.name == 'affwild2' and base.config.name == 'tiny'
    for own, other in zip(model.face_encoder.state_dict().values(),
                          base.face_encoder.state_dict().values(), strict=True):
        assert torch.equal(own, other) and own is not other
    assert not trained(model.voice_encoder) and len(trained(model.fusion)) > 10
    assert not torch.equal(model.head.point.weight, base.head.point.weight)
    kept = start(settings(keep=('head',)), base)
    assert torch.equal(kept.head.point.weight, base.head.point.weight)
    assert not torch.equal(kept.fusion.concatenate.weight, base.fusion.concatenate.weight)


def test_a_part_of_another_shape_cannot_be_kept():
    base = MavenModel.untrained(recorded.TINY, 3)
    with pytest.raises(ResourceError, match=r"keep: head of models/compact has another shape "
                                            r"than network: \{'head': 'raw'\} asks for: size mis"):
        start(settings(keep=('head',), network={'head': 'raw'}), base)
    with pytest.raises(SettingsError, match='network: fusion_width: 15 is not even'):
        start(settings(network={'fusion_width': 15}), base)


def test_encoders_may_be_taken_out_and_put_back():
    model = MavenModel.untrained(recorded.TINY, 3)
    before = model.state_dict()
    taken = take_encoders(model)
    assert len(model.state_dict()) < len(before) and model.voice_encoder.width == 8
    put_encoders(model, taken)
    assert model.state_dict().keys() == before.keys()


def test_the_last_blocks_of_ours_and_what_follows_them_are_tuned():
    base = MavenModel.untrained(recorded.TINY, 3)
    model = start(settings(tune=TuneSettings(video=1, text=1)), base)
    names = trained(model.face_encoder)
    assert names[0].startswith('blocks.0.') and names[-2:] == ['norm.weight', 'norm.bias']
    assert all(not name.startswith('stem') for name in names)
    assert trained(model.text_encoder)[0].startswith('transformer.layers.0.')
    assert not trained(model.voice_encoder)
    with pytest.raises(SettingsError, match=r'tune\.text: 2 is more than the 1 blocks'):
        start(settings(tune=TuneSettings(text=2)), base)


def test_the_last_blocks_of_the_hubs_are_tuned_and_then_stored():
    base = MavenModel.untrained(tiny_config(**BACKBONES), 3)
    base.config.video = {**base.config.video, 'sha256': '0' * 64}
    model = start(settings(tune=TuneSettings(video=1, audio=1, text=1)), base)
    kinds = [type(blocks(getattr(model, f'{own}_encoder'))[-1]).__name__
             for own in ('face', 'voice', 'text')]
    assert kinds == ['SwinLayer', 'HubertEncoderLayerStableLayerNorm', 'RobertaLayer']
    assert trained(model.train().face_encoder)[0].startswith('backbone.encoder.layers.1.blocks.0.')
    assert not any('embeddings' in name for name in trained(model.text_encoder))
    assert any(name.startswith('face_encoder.') for name in model.stored_weights())
    assert model.config.backbone('video').sha256 == ''
