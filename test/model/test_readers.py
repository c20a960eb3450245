import dataclasses
import json
import math

import pytest
import torch
from tiny_encoders import BACKBONES, tiny_config

from maven_ros.affect import PRIOR_STD
from maven_ros.errors import ResourceError
from maven_ros.model.maven import MavenModel
from maven_ros.model.readers import Reader
from maven_ros.records import MODALITIES


@pytest.fixture(params=['ours', 'backbones'])
def model(request):
    """A network with readers that differ from each other, and in how sure they are."""
    config = tiny_config(**(BACKBONES if request.param == 'backbones' else {}), readers=5)
    model = MavenModel.untrained(config, seed=1).eval()
    torch.manual_seed(2)
    with torch.no_grad():
        for reader in model.readers.each.values():
            reader.votes.weight.mul_(4)
            reader.spread.copy_(
                torch.tensor([[-1.0], [0.6], [-0.3], [0.1]]) + 0.2 * torch.randn(4, 2))
    return model


def points(output):
    return torch.stack([output.valence, output.arousal], -1)


def log_variances(output):
    return torch.stack([output.valence_log_variance, output.arousal_log_variance], -1)


def readings(model, features):
    return {name: model.readers.each[name](*stream, features.slot_s)
            for name, stream in zip(MODALITIES, features.streams, strict=True)}


@pytest.mark.parametrize('name', MODALITIES)
def test_a_modality_alone_is_its_reader_s(model, inputs, drop, name):
    """The network read single modalities worse than the heads of its encoders did."""
    features = model.encode(drop(inputs, *(one for one in MODALITIES if one != name)))
    output, own = model.fuse(features), readings(model, features)[name]
    torch.testing.assert_close(points(output), own.points[:, 0])
    torch.testing.assert_close(log_variances(output), own.log_variances[:, 0])
    slots = torch.stack([output.frame_valence, output.frame_arousal], -1)
    torch.testing.assert_close(slots[output.frame_mask], own.points[:, 1:][output.frame_mask])
    assert slots[~output.frame_mask].isnan().all()


def test_several_start_from_the_pool_by_inverse_variance(model, inputs):
    features = model.encode(inputs)
    own = readings(model, features)
    with torch.no_grad():
        model.readers.gate.bias.fill_(-100)
    precision = {name: (-one.log_variances[:, 0]).exp() for name, one in own.items()}
    pooled = sum(precision[name] * own[name].points[:, 0] for name in MODALITIES) / sum(
        precision.values())
    torch.testing.assert_close(points(model.fuse(features)), pooled)


def test_the_head_corrects_several_as_far_as_the_gate_is_open(model, inputs, drop):
    features = model.encode(drop(inputs, 'text'))
    ends = {}
    for bias in (-100, 0, 100):
        with torch.no_grad():
            model.readers.gate.weight.zero_()
            model.readers.gate.bias.fill_(bias)
        ends[bias] = points(model.fuse(features))
    torch.testing.assert_close(ends[0], (ends[-100] + ends[100]) / 2)
    bare = MavenModel.untrained(dataclasses.replace(model.config, readers=None), seed=1).eval()
    bare.load_state_dict({name: value for name, value in model.state_dict().items()
                          if not name.startswith('readers.')})
    assert torch.equal(log_variances(bare.fuse(features)), log_variances(model.fuse(features)))
    torch.testing.assert_close(points(bare.fuse(features)), ends[100])


def test_intensity_and_angle_are_those_of_the_point(model, inputs):
    output = model(inputs)
    torch.testing.assert_close(output.valence, output.intensity * output.angle.cos())
    torch.testing.assert_close(output.arousal, output.intensity * output.angle.sin())


def test_hidden_equals_masked_and_influence_adds_up(model, inputs):
    features = model.encode(inputs)
    together = model.fuse(features, MODALITIES)
    alone = [features, *(features.without(name) for name in MODALITIES)]
    torch.testing.assert_close(
        points(together), torch.cat([points(model.fuse(one)) for one in alone]))
    influence = model.explain(features).influence
    torch.testing.assert_close(influence.sum(1), torch.ones(2))


def test_each_modality_s_own_reading_is_known_beside_the_fused_point(model, inputs, drop):
    features = model.encode(drop(inputs, 'audio'))
    own = readings(model, features)
    with torch.autocast('cpu', torch.bfloat16):
        alone = model.readers.alone(features)  # not rounded
    for place, name in enumerate(MODALITIES):
        if name == 'audio':
            assert alone[:, place].isnan().all()
        else:
            torch.testing.assert_close(alone[:, place], own[name].points[:, 0])
    bare = MavenModel.untrained(dataclasses.replace(model.config, readers=None), seed=1).eval()
    assert bare.readers.alone(bare.encode(inputs)).isnan().all()


def test_what_is_masked_is_not_read(model, inputs):
    features = model.encode(inputs)
    spoilt = features._replace(video=features.video._replace(values=torch.where(
        features.video.mask[..., None], features.video.values, torch.nan)))
    torch.testing.assert_close(points(model.fuse(spoilt)), points(model.fuse(features)))


def test_nothing_is_nan_and_spoils_no_gradient(model, inputs):
    features = model.encode(inputs)
    empty = torch.tensor([[True], [False]])
    features = features._replace(**{
        name: stream._replace(mask=stream.mask & empty)
        for name, stream in zip(MODALITIES, features.streams, strict=True)})
    output = model.fuse(features)
    assert points(output)[0].isfinite().all() and points(output)[1].isnan().all()
    sum(value[0] for value in (
        output.valence, output.intensity, output.angle, output.arousal_log_variance)).backward()
    assert all(value.grad.isfinite().all() for value in model.readers.parameters())


def test_more_seconds_make_a_reader_surer_within_bounds():
    torch.manual_seed(0)
    reader = Reader(6, 4)
    vectors = torch.randn(1, 6).expand(3, 20, 6)
    mask = torch.arange(20) < torch.tensor([[2], [6], [20]])
    assert (reader(vectors, mask, 0.1).log_variances[:, 0] / 2).exp().flatten().tolist(
        ) == pytest.approx([PRIOR_STD] * 6)
    with torch.no_grad():
        reader.spread[2] = -0.4
    stds = (reader(vectors, mask, 0.1).log_variances[:, 0] / 2).exp()
    assert (stds.diff(dim=0) < 0).all()
    # A window that holds one slot is that slot.
    one = reader(vectors[:1], mask[:1] & (torch.arange(20) == 1), 0.1)
    torch.testing.assert_close(one.log_variances[:, 0], one.log_variances[:, 2])
    for far in (-50.0, 50.0):
        with torch.no_grad():
            reader.spread[0] = far
        assert (reader(vectors, mask, 0.1).log_variances == max(2 * math.log(0.01), min(0, far))
                ).all()


def test_readings_are_not_rounded_under_autocast(model, inputs):
    features = model.encode(inputs).without('audio').without('text')
    with torch.autocast('cpu', torch.bfloat16):
        output = model.fuse(features)
    assert torch.equal(points(output), points(model.fuse(features)))


def test_readers_are_kept_with_the_checkpoint(model, inputs, tmp_path):
    before = points(model(inputs))
    model.half().save_pretrained(tmp_path)
    again = MavenModel.from_pretrained(tmp_path).eval()
    torch.testing.assert_close(points(again(inputs)), before, atol=2e-3, rtol=0)
    config = json.loads((tmp_path / 'config.json').read_text())
    assert config['readers'] == 5
    del config['readers']
    (tmp_path / 'config.json').write_text(json.dumps(config))
    with pytest.raises(ResourceError, match=r'another config\.json; they differ in readers'):
        MavenModel.from_pretrained(tmp_path)
