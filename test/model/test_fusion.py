import math

import numpy as np
import pytest
import torch

from maven_ros.model.fusion import ContextEncoders, CrossModalFusion, Features
from maven_ros.model.time_grid import Aligned
from maven_ros.records import MODALITIES, PATHWAYS

BATCH, SLOTS = 2, 5
WIDTHS = (16, 8, 8)  # of the tiny configuration's encoders


@pytest.fixture
def fusion(tiny):
    torch.manual_seed(3)
    return CrossModalFusion(tiny, WIDTHS).eval()


@pytest.fixture
def features():
    random = torch.Generator().manual_seed(5)
    streams = []
    for width in WIDTHS:
        mask = torch.ones(BATCH, SLOTS, dtype=torch.bool)
        mask[0, len(streams)] = False
        streams.append(Aligned(torch.randn(BATCH, SLOTS, width, generator=random), mask))
    return Features(*streams, slot_s=0.1)


def attend_by_loops(attention, queries, attended, mask):
    """Equation 14 in float64, one query, head and key at a time."""
    inner = attention.attention
    width, heads = queries.shape[-1], inner.num_heads
    size = width // heads
    weight, bias = (value.detach().double().numpy()
                    for value in (inner.in_proj_weight, inner.in_proj_bias))
    q = queries @ weight[:width].T + bias[:width]
    k = attended @ weight[width:2 * width].T + bias[width:2 * width]
    v = attended @ weight[2 * width:].T + bias[2 * width:]
    result = np.zeros_like(queries)
    for slot in range(len(queries)):
        for head in range(heads):
            part = slice(head * size, (head + 1) * size)
            scores = {key: math.exp(sum(q[slot, part] * k[key, part]) / math.sqrt(size))
                      for key in range(len(attended)) if mask[key]}
            for key, score in scores.items():
                result[slot, part] += score / sum(scores.values()) * v[key, part]
    weight, bias = (value.detach().double().numpy()
                    for value in (inner.out_proj.weight, inner.out_proj.bias))
    return result @ weight.T + bias


def norm(values):
    centred = values - values.mean(-1, keepdims=True)
    return centred / np.sqrt((centred ** 2).mean(-1, keepdims=True) + 1e-5)


def project(fusion, features):
    return {name: fusion.project[name](torch.where(stream.mask[..., None], stream.values, 0))
            for name, stream in zip(MODALITIES, features.streams, strict=True)}


def in_float64(projected):
    """The first window of each modality."""
    return {name: values[0].detach().double().numpy() for name, values in projected.items()}


@pytest.mark.parametrize('name', MODALITIES)
def test_pathways_agree_with_equations_13_and_14(fusion, features, name):
    projected = project(fusion, features)
    enhanced = fusion.enhance(name, projected, features.masks)
    sequences = in_float64(projected)
    own = total = sequences.pop(name)
    for other, attended in sequences.items():
        total = total + own + attend_by_loops(
            fusion.pathways[f'{name}_to_{other}'], own, attended, features.masks[other][0])
    assert enhanced[0].detach().numpy() == pytest.approx(norm(total / 3), abs=1e-5)


@pytest.mark.parametrize(('name', 'missing'), PATHWAYS.values())
def test_a_missing_modality_is_left_out_of_the_mean(fusion, features, name, missing):
    features = features.without(missing)
    projected = project(fusion, features)
    enhanced = fusion.enhance(name, projected, features.masks)
    sequences = in_float64(projected)
    own = sequences.pop(name)
    del sequences[missing]
    [(other, values)] = sequences.items()
    attended = attend_by_loops(
        fusion.pathways[f'{name}_to_{other}'], own, values, features.masks[other][0])
    assert enhanced[0].detach().numpy() == pytest.approx(norm((own + own + attended) / 2),
                                                         abs=1e-5)


@pytest.mark.parametrize('name', MODALITIES)
def test_refinement_agrees_with_equation_18(fusion, features, name):
    for other in MODALITIES:
        features = features if other == name else features.without(other)
    fused = fusion(features)
    enhanced, mask = norm(in_float64(project(fusion, features))[name]), features.masks[name][0]
    refined = norm(attend_by_loops(fusion.refine[name], enhanced, enhanced, mask) + enhanced)
    weight, bias = (value.detach().double().numpy()
                    for value in (fusion.concatenate.weight, fusion.concatenate.bias))
    first = 16 * MODALITIES.index(name)
    by_hand = refined @ weight[:, first:first + 16].T + bias
    seen = mask.numpy()
    assert fused.values[0].detach().numpy()[seen] == pytest.approx(by_hand[seen], abs=1e-5)
    assert fused.mask[0].tolist() == mask.tolist()


@pytest.mark.parametrize('pathway', PATHWAYS)
def test_a_map_says_what_its_pathway_attends_to(fusion, features, pathway):
    """The values by the weights of the map, projected, are what the pathway itself gives."""
    attention, projected = fusion.pathways[pathway], fusion.projected(features)
    own, other = (projected[one] for one in PATHWAYS[pathway])
    inner, weights = attention.attention, fusion.attention_maps(features)[pathway]
    width, heads = own.shape[-1], inner.num_heads
    values = other @ inner.in_proj_weight[2 * width:].T + inner.in_proj_bias[2 * width:]
    values = values.view(BATCH, SLOTS, heads, -1).transpose(1, 2)
    weighed = inner.out_proj((weights @ values).transpose(1, 2).flatten(2))
    torch.testing.assert_close(
        weighed, attention(own, other, features.masks[PATHWAYS[pathway][1]]), atol=1e-6, rtol=1e-5)
    assert weights.std() > 0.01


def test_there_are_six_pathways():
    assert len(PATHWAYS) == len(set(PATHWAYS.values())) == 6
    assert PATHWAYS['audio_to_text'] == ('audio', 'text')


@pytest.mark.parametrize('pathway', PATHWAYS)
def test_a_silent_pathway_adds_nothing(fusion, features, pathway):
    before = fusion(features).values
    fusion.silent = frozenset({pathway})
    silent = fusion(features).values
    assert not torch.allclose(silent, before, atol=1e-4)
    with torch.no_grad():
        for parameter in fusion.pathways[pathway].parameters():
            parameter.zero_()
    fusion.silent = frozenset()
    assert torch.equal(fusion(features).values, silent)


@pytest.mark.parametrize('pathway', PATHWAYS)
def test_each_pathway_counts_and_learns(fusion, features, pathway):
    attention = fusion.pathways[pathway]
    before = fusion(features).values
    before.square().sum().backward()
    for name, parameter in attention.named_parameters():
        assert parameter.grad.abs().sum() > 0, name
    with torch.no_grad():
        attention.attention.out_proj.weight.mul_(2)
    assert not torch.allclose(fusion(features).values, before, atol=1e-4)


@pytest.mark.parametrize('name', MODALITIES)
def test_what_is_masked_never_gets_through_not_even_nan(fusion, features, name):
    spoiled = {}
    for other, stream in zip(MODALITIES, features.streams, strict=True):
        mask = stream.mask & (other != name)
        spoiled[other] = Aligned(torch.where(mask[..., None], stream.values, torch.nan), mask)
    expected = fusion(features.without(name))
    fused = fusion(Features(**spoiled, slot_s=0.1))
    assert torch.equal(fused.values, expected.values)
    assert torch.equal(fused.mask, expected.mask)
    assert fused.values.isfinite().all()


@pytest.mark.parametrize('hiding', [MODALITIES, ('text', 'video'), ()])
def test_hiding_is_masking(fusion, features, hiding):
    """The pathways that variants share change nothing; row 0 has no video at all."""
    features.video.mask[0] = False
    variants = [features, *(features.without(name) for name in hiding)]
    fused = fusion(features, hiding)
    for variant, values, mask in zip(variants, fused.values.split(BATCH), fused.mask.split(BATCH),
                                     strict=True):
        expected = fusion(variant)
        assert torch.equal(mask, expected.mask)
        torch.testing.assert_close(values, expected.values, atol=1e-6, rtol=0)


def test_presence(features):
    assert features.present.all()
    assert features.without('audio').present.tolist() == [[True, False, True]] * BATCH


def test_a_slot_is_encoded_as_the_time_of_its_centre(tiny):
    context = ContextEncoders(tiny).eval()
    context.first = context.second = PassedOn()
    width = tiny.context_width
    nothing = Aligned(torch.zeros(1, 4, width), torch.ones(1, 4, dtype=torch.bool))
    added = context(nothing, 0.1)[0]
    # The shortest period is 0.2 s: the centres lie 1/4, 3/4, 5/4 and 7/4 of it in.
    assert added[:, 0].tolist() == pytest.approx([1, -1, 1, -1], abs=1e-5)
    assert added[:, width // 2].tolist() == pytest.approx([0] * 4, abs=1e-5)
    # The longest is 120 s.
    assert added[:, width // 2 - 1].tolist() == pytest.approx(
        [math.sin(2 * math.pi * seconds / 120) for seconds in (0.05, 0.15, 0.25, 0.35)], abs=1e-6)


class PassedOn(torch.nn.Module):
    """Stands where a transformer does: passes on what it is given."""

    def forward(self, values, mask):
        return values
