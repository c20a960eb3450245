import dataclasses
import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from maven_ros.affect import PRIOR_STD, Affect
from maven_ros.model.head import AffectHead, polar_point, raw_point

numbers = st.floats(-1e6, 1e6, width=32)


def as_floats(point):
    return tuple(value.item() for value in point)


@settings(deadline=None, max_examples=300)
@given(numbers, numbers, st.floats(0, 1, width=32))
def test_no_point_leaves_the_square(x, y, share):
    valence, arousal, intensity, angle = as_floats(
        polar_point(torch.tensor([x, y]), torch.tensor(share)))
    assert -1 <= valence <= 1
    assert -1 <= arousal <= 1
    assert 0 <= intensity <= math.sqrt(2) + 1e-6
    assert -math.pi - 1e-6 <= angle <= math.pi + 1e-6
    assert intensity * max(abs(math.cos(angle)), abs(math.sin(angle))) <= 1 + 1e-5
    assert max(abs(valence), abs(arousal)) == pytest.approx(share, abs=1e-5)


@settings(deadline=None, max_examples=200)
@given(st.floats(-1, 1, width=32), st.floats(-1, 1, width=32))
def test_polar_and_cartesian_agree_both_ways(valence, arousal):
    share = max(abs(valence), abs(arousal))
    there = polar_point(torch.tensor([valence, arousal]) * 10, torch.tensor(share))
    assert as_floats(there)[:2] == pytest.approx((valence, arousal), abs=2e-5)
    point = Affect(valence, arousal)
    assert there[2].item() == pytest.approx(point.intensity, abs=2e-5)
    back = Affect.from_polar(there[2].item(), there[3].item())
    assert (back.valence, back.arousal) == pytest.approx((valence, arousal), abs=2e-5)


def test_no_jump_at_pi():
    above, below = (polar_point(torch.tensor([-1.0, y]), torch.tensor(0.8)) for y in (1e-4, -1e-4))
    assert above[3].item() == pytest.approx(-below[3].item())  # the angle jumps ...
    assert as_floats(above)[:2] == pytest.approx(as_floats(below)[:2], abs=1e-3)  # not the point


def loss_and_gradient(kind, angle, label):
    """Squared error of the point (eq. 32) where a head says so, and its gradient there."""
    if kind == 'polar':
        numbers = torch.tensor([math.cos(angle), math.sin(angle)]).double().requires_grad_()
        valence, arousal, *_ = polar_point(numbers, torch.tensor(0.8).double())
    else:
        numbers = torch.tensor(angle).double().requires_grad_()
        valence, arousal, *_ = raw_point(torch.tensor(0.8).double(), numbers)
    loss = (valence - label[0]) ** 2 + (arousal - label[1]) ** 2
    loss.backward()
    return loss.item(), *numbers.grad.flatten().tolist()


@pytest.mark.parametrize('kind', ['polar', 'raw'])
@pytest.mark.parametrize('label', [(-0.7, 0.05), (-0.7, -0.05), (-0.4, 0.6), (0.5, 0.0)])
def test_the_loss_is_continuous_across_pi(kind, label):
    """Over a whole turn, and over the seam, it moves no more than the point does."""
    near = [loss_and_gradient(kind, angle, label) for angle in (math.pi - 1e-6, 1e-6 - math.pi)]
    assert near[0] == pytest.approx(near[1], abs=1e-5)
    turn = [loss_and_gradient(kind, math.pi * step / 500, label)[0] for step in range(400, 601)]
    assert max(abs(now - then) for now, then in pairwise(turn)) < 0.03


def test_no_direction_is_finite_and_so_is_its_gradient():
    direction = torch.zeros(2, requires_grad=True)
    valence, arousal, intensity, angle = polar_point(direction, torch.tensor(0.5))
    assert as_floats((valence, arousal, intensity, angle)) == (0.5, 0, 0.5, 0)
    (valence + arousal + angle).backward()
    assert direction.grad.isfinite().all()


@settings(deadline=None)
@given(st.floats(-2, 2, width=32), st.floats(-20, 20, width=32))
def test_raw_points_come_out_in_canonical_form(intensity, angle):
    valence, arousal, length, direction = as_floats(
        raw_point(torch.tensor(intensity), torch.tensor(angle)))
    assert valence == pytest.approx(intensity * math.cos(angle), abs=1e-5)
    assert arousal == pytest.approx(intensity * math.sin(angle), abs=1e-5)
    assert length >= 0
    assert abs(direction) <= math.pi + 1e-6
    again = Affect.from_polar(length, direction)
    assert (again.valence, again.arousal) == pytest.approx((valence, arousal), abs=1e-5)


@pytest.mark.parametrize('kind', ['polar', 'raw'])
def test_an_untrained_head_says_that_it_knows_nothing(tiny, kind):
    torch.manual_seed(0)
    head = AffectHead(dataclasses.replace(tiny, head=kind)).eval()
    point = head(torch.randn(50, 12))
    for log_variance in (point.valence_log_variance, point.arousal_log_variance):
        assert (log_variance / 2).exp().tolist() == pytest.approx([PRIOR_STD] * 50, rel=0.02)


def test_log_variance_stays_in_its_range(tiny):
    torch.manual_seed(0)
    point = AffectHead(tiny).eval()(torch.randn(50, 12) * 1e5)
    for log_variance in (point.valence_log_variance, point.arousal_log_variance):
        assert (log_variance >= 2 * math.log(0.01) - 1e-6).all()
        assert (log_variance <= 0).all()
