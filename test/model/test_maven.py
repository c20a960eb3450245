import dataclasses
import itertools
import random

import numpy as np
import pytest
import torch
from tiny_encoders import BACKBONES, tiny_config

from maven_ros.model.batch import MavenInputs
from maven_ros.model.checkpoint import weights_hash
from maven_ros.model.configuration import MavenConfig
from maven_ros.model.maven import MavenModel
from maven_ros.records import MODALITIES, PATHWAYS
from maven_ros.rules import Grid

SAMPLES_PER_SLOT = 1600


def tensors(output):
    return {field.name: value for field in dataclasses.fields(output)
            if (value := getattr(output, field.name)) is not None}


def same(output, other, **tolerance):
    for name, value in tensors(output).items():
        torch.testing.assert_close(
            value, getattr(other, name), equal_nan=True,
            **(tolerance or {'atol': 1e-5, 'rtol': 1e-5}))


def masked(inputs, name):
    """Mask a modality, and put nonsense under the mask."""
    if name == 'video':
        return dataclasses.replace(inputs, frames=torch.full_like(inputs.frames, torch.nan),
                                   frame_mask=torch.zeros_like(inputs.frame_mask))
    if name == 'audio':
        return dataclasses.replace(inputs, waveform=torch.full_like(inputs.waveform, torch.nan),
                                   heard=torch.zeros_like(inputs.heard))
    return dataclasses.replace(inputs, tokens=inputs.tokens + 1 - inputs.tokens,
                               token_mask=torch.zeros_like(inputs.token_mask),
                               token_weights=torch.zeros_like(inputs.token_weights))


def test_compact_has_less_than_three_million_parameters_beside_its_table_of_words():
    model = MavenModel.untrained(MavenConfig(), 0)
    words = model.text_encoder.embedding.weight.numel()
    assert sum(value.numel() for value in model.parameters()) - words < 2.9e6
    assert words < 3e6


def test_output_has_shapes_and_ranges(model, inputs):
    output = model(inputs)
    for name, value in tensors(output).items():
        assert value.shape == ((2, 8) if name.startswith('frame') else (2,)), name
        assert value.isfinite().all(), name
    torch.testing.assert_close(output.valence, output.intensity * output.angle.cos())
    torch.testing.assert_close(output.arousal, output.intensity * output.angle.sin())


@pytest.mark.parametrize('names', [
    names for count in (1, 2) for names in itertools.combinations(MODALITIES, count)])
def test_masked_equals_removed(model, inputs, drop, names):
    hidden = inputs
    for name in names:
        hidden = masked(hidden, name)
    same(model(hidden), model(drop(inputs, *names)), atol=0, rtol=0)


@pytest.mark.parametrize('name', MODALITIES)
def test_removing_a_modality_changes_the_output(model, inputs, drop, name):
    assert not torch.allclose(model(inputs).valence, model(drop(inputs, name)).valence, atol=1e-5)


def test_nothing_at_all_is_nan_never_zero(model, inputs):
    for name in MODALITIES:
        inputs = masked(inputs, name)
    output = model(inputs)
    assert output.valence.isnan().all()
    assert output.frame_arousal.isnan().all()
    assert not output.frame_mask.any()
    influence = model.explain(model.encode(inputs)).influence
    assert (influence == 0).all()


def test_one_slot_is_enough(model, inputs, drop):
    only = torch.zeros(2, 8, dtype=torch.bool)
    only[:, 5] = True
    output = model(dataclasses.replace(drop(inputs, 'audio', 'text'), frame_mask=only))
    assert output.valence.isfinite().all()
    torch.testing.assert_close(output.valence, output.frame_valence[:, 5])
    assert output.frame_valence.isnan().sum() == 2 * 7


def pad(inputs, slots, tokens):
    """Append slots and tokens that hold nonsense under their masks."""
    samples = slots * SAMPLES_PER_SLOT

    def longer(value, size, fill, axis=1):
        shape = list(value.shape)
        shape[axis] = size
        return torch.cat([value, value.new_full(shape, fill)], axis)

    return MavenInputs(
        Grid(inputs.grid.slots + slots, inputs.grid.slot_s),
        longer(inputs.frames, slots, torch.nan), longer(inputs.frame_mask, slots, False),
        longer(inputs.waveform, samples, torch.nan), longer(inputs.heard, samples, False),
        longer(inputs.tokens, tokens, 7), longer(inputs.token_mask, tokens, False),
        longer(longer(inputs.token_weights, tokens, 0.0, 2), slots, 0.0))


@pytest.mark.parametrize('absent', [(), *((name,) for name in MODALITIES)])
def test_padded_equals_unpadded(model, inputs, drop, absent):
    alone = model(drop(inputs, *absent))
    padded = model(drop(pad(inputs, 3, 4), *absent))
    same(dataclasses.replace(
        padded, frame_valence=padded.frame_valence[:, :8],
        frame_arousal=padded.frame_arousal[:, :8], frame_mask=padded.frame_mask[:, :8]), alone)
    assert padded.frame_valence[:, 8:].isnan().all()


def test_windows_of_several_lengths_equal_each_alone(model, more_inputs):
    """Each row of a batch is padded by as much as it lacks of the longest, in every modality."""
    lengths = ((8, 5), (5, 1), (3, 4))  # slots and tokens
    alone = [shortened(more_inputs(1, seed), slots, tokens)
             for seed, (slots, tokens) in enumerate(lengths)]
    rows = [pad(one, 8 - slots, 5 - tokens)
            for one, (slots, tokens) in zip(alone, lengths, strict=True)]
    batch = MavenInputs(Grid(8, rows[0].grid.slot_s), **{
        name: torch.cat([getattr(row, name) for row in rows])
        for name in tensors(rows[0]) if name != 'grid'})
    together = model(batch)
    for row, (one, (slots, _)) in enumerate(zip(alone, lengths, strict=True)):
        for name, value in tensors(model(one)).items():
            found = getattr(together, name)[row:row + 1]
            if name.startswith('frame_'):
                assert name == 'frame_mask' or found[:, slots:].isnan().all()
                found = found[:, :slots]
            torch.testing.assert_close(found, value, atol=1e-5, rtol=1e-5, equal_nan=True)


def shortened(inputs, slots, tokens):
    """Return only the first slots and tokens."""
    samples = slots * SAMPLES_PER_SLOT
    return MavenInputs(
        Grid(slots, inputs.grid.slot_s), inputs.frames[:, :slots], inputs.frame_mask[:, :slots],
        inputs.waveform[:, :samples], inputs.heard[:, :samples], inputs.tokens[:, :tokens],
        inputs.token_mask[:, :tokens], inputs.token_weights[:, :slots, :tokens])


def test_a_batch_equals_one_at_a_time(model, more_inputs):
    inputs = more_inputs(3)
    inputs.frame_mask[1] = False
    inputs.heard[2] = False
    batch = model(inputs)
    for row in range(3):
        alone = model(dataclasses.replace(inputs, **{
            field.name: getattr(inputs, field.name)[row:row + 1]
            for field in dataclasses.fields(inputs) if field.name != 'grid'}))
        same(type(batch)(**{name: value[row:row + 1] for name, value in tensors(batch).items()}),
             alone)


def test_order_in_time_matters(model, inputs, drop):
    inputs = drop(inputs, 'audio', 'text')
    back = dataclasses.replace(inputs, frames=inputs.frames.flip(1),
                               frame_mask=inputs.frame_mask.flip(1))
    assert not torch.allclose(model(inputs).valence, model(back).valence, atol=1e-6)


@pytest.mark.parametrize('head', ['polar', 'raw'])
def test_gradient_reaches_every_parameter(tiny, inputs, head):
    model = MavenModel.untrained(dataclasses.replace(tiny, head=head), 2).train()
    output = model(inputs)
    loss = sum(value.square().sum() for value in (
        output.valence, output.arousal, output.valence_log_variance,
        output.arousal_log_variance, output.frame_valence, output.frame_arousal))
    loss.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize('pathway', PATHWAYS)
def test_each_pathway_reaches_the_point(model, inputs, pathway):
    before = model(inputs)
    (before.valence + before.arousal).sum().backward()
    attention = model.fusion.pathways[pathway]
    for name, parameter in attention.named_parameters():
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().max() > 1e-7, name
    with torch.no_grad():
        for parameter in attention.parameters():
            parameter.zero_()
    after = model(inputs)
    assert ((after.valence - before.valence).abs() > 1e-5).all()
    assert ((after.arousal - before.arousal).abs() > 1e-5).all()


@pytest.mark.parametrize('name', MODALITIES)
def test_gradient_is_finite_without_a_modality(tiny, inputs, name):
    model = MavenModel.untrained(tiny, 2).train()
    model(masked(inputs, name)).valence.sum().backward()
    for own, parameter in model.named_parameters():
        assert parameter.grad is None or parameter.grad.isfinite().all(), own


def test_weights_depend_on_the_seed_alone(tiny):
    torch.manual_seed(11)
    state = torch.random.get_rng_state()
    first = MavenModel.untrained(tiny, 5)
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.manual_seed(12)
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002
    assert weights_hash(MavenModel.untrained(tiny, 5)) == weights_hash(first)
    assert weights_hash(MavenModel.untrained(tiny, 6)) != weights_hash(first)


def test_layers_of_a_stack_start_apart():
    layers = MavenModel.untrained(MavenConfig(), 0).text_encoder.transformer.layers
    assert not torch.equal(layers[0].linear1.weight, layers[1].linear1.weight)


def test_explain_gives_what_fuse_gives(model, inputs):
    features = model.encode(inputs)
    output = model.explain(features)
    influence = output.influence
    same(dataclasses.replace(output, influence=None), model.fuse(features))
    assert influence.shape == (2, 3)
    assert (influence > 0).all()
    torch.testing.assert_close(influence.sum(1), torch.ones(2))


def test_influence_and_attention_are_there_when_asked_for(model, inputs, drop):
    plain, full = model(inputs), model(inputs, influence=True, attention=True)
    assert plain.influence is None
    assert plain.attention is None
    torch.testing.assert_close(full.influence, model.explain(model.encode(inputs)).influence)
    assert full.attention.keys() == PATHWAYS.keys()
    masks = model.encode(inputs).masks
    for name, weights in full.attention.items():
        assert weights.shape == (2, 2, 8, 8)
        torch.testing.assert_close(weights.sum(-1), torch.ones(2, 2, 8))
        hidden = ~masks[name.split('_to_')[1]]
        assert (weights.transpose(1, 3)[hidden] == 0).all(), name
    silent = model(drop(inputs, 'audio'), attention=True).attention
    assert (silent['video_to_audio'] == 0).all()


def test_standard_deviations_are_roots_of_the_variances(model, inputs):
    output = model(inputs)
    torch.testing.assert_close(output.valence_std ** 2, output.valence_log_variance.exp())
    torch.testing.assert_close(output.arousal_std ** 2, output.arousal_log_variance.exp())
    assert ((output.valence_std > 0.01) & (output.valence_std < 1)).all()


def test_frozen_encoders_stay_so_in_training(inputs):
    model = MavenModel.untrained(tiny_config(**BACKBONES), 0).train()
    model(inputs).valence.sum().backward()
    for own in (model.face_encoder, model.voice_encoder, model.text_encoder):
        assert not any(module.training for module in own.modules())
        assert not any(weight.requires_grad for weight in own.parameters())
    assert model.context.training
    assert all(weight.grad is not None for weight in model.context.parameters())


@pytest.mark.parametrize('absent', [(), ('audio',), ('video', 'text')])
def test_asking_for_the_influence_leaves_the_gradient(tiny, inputs, drop, absent):
    """It was all without gradient, so that nothing was trained and nothing said so."""
    inputs = drop(inputs, *absent)
    grads = []
    for influence in (False, True):
        model = MavenModel.untrained(tiny, 2)
        output = model.eval()(inputs, influence=influence)
        (output.valence + output.arousal + output.valence_log_variance).sum().backward()
        grads.append({name: parameter.grad for name, parameter in model.named_parameters()
                      if parameter.grad is not None and parameter.grad.any()})
    assert output.influence is not None
    assert not output.influence.requires_grad
    assert grads[0].keys() == grads[1].keys() != set()
    for name, grad in grads[0].items():
        torch.testing.assert_close(grads[1][name], grad, atol=1e-5, rtol=1e-4)


def test_influence_is_the_distance_moved(model, inputs, drop):
    point = model(inputs)
    distances = []
    for name in MODALITIES:
        other = model(drop(inputs, name))
        distances.append(torch.hypot(other.valence - point.valence, other.arousal - point.arousal))
    expected = torch.stack(distances, 1)
    expected /= expected.sum(1, keepdim=True)
    influence = model.explain(model.encode(inputs)).influence
    torch.testing.assert_close(influence, expected, atol=1e-4, rtol=1e-3)


def test_influence_of_what_is_absent_or_alone(model, inputs, drop):
    two = model.explain(model.encode(drop(inputs, 'audio'))).influence
    assert (two[:, 1] == 0).all()
    torch.testing.assert_close(two.sum(1), torch.ones(2))
    one = model.explain(model.encode(drop(inputs, 'video', 'text'))).influence
    assert one.tolist() == [[0, 1, 0]] * 2


def test_where_masking_moves_nothing_all_share_equally(model, inputs, drop):
    with torch.no_grad():
        for parameter in model.head.point.parameters():
            parameter.zero_()
    influence = model.explain(model.encode(drop(inputs, 'text'))).influence
    assert influence.tolist() == [[0.5, 0.5, 0]] * 2
