import numpy as np
import pytest
import torch

from maven_ros.model.configuration import MavenConfig
from maven_ros.model.head import AffectHead
from maven_ros.scoring.metrics import coverage
from maven_ros.training.calibration import calibrate
from maven_ros.training.reading import Reading


def read(head, vectors):
    with torch.no_grad():
        point = head(vectors)
    return Reading(torch.stack([point.valence, point.arousal], 1),
                   torch.stack([point.valence_log_variance, point.arousal_log_variance], 1))


@pytest.mark.parametrize('scale', [0.1, 0.5, 1.2])
def test_intervals_hold_nine_tenths_afterwards(scale):
    torch.manual_seed(0)
    head = AffectHead(MavenConfig(context_width=8, context_heads=2, head_width=(16,))).eval()
    torch.nn.init.normal_(head.spread.weight, std=0.3)
    vectors = torch.randn(3000, 8)
    before = read(head, vectors)
    targets = before.points + scale * before.stds * torch.randn(3000, 2)
    calibrate(head, before, targets)
    after = read(head, vectors)
    assert torch.equal(after.points, before.points)
    for index in range(2):
        held = coverage(after.points[:, index].numpy(), after.stds[:, index].numpy(),
                        targets[:, index].numpy())
        assert held == pytest.approx(0.9, abs=0.01)


def test_what_was_sure_stays_surer():
    torch.manual_seed(1)
    head = AffectHead(MavenConfig(context_width=8, context_heads=2, head_width=(16,))).eval()
    torch.nn.init.normal_(head.spread.weight, std=0.3)
    vectors = torch.randn(3000, 8)
    before = read(head, vectors)
    calibrate(head, before, before.points + 0.5 * before.stds * torch.randn(3000, 2))
    after = read(head, vectors)
    for index in range(2):
        order = np.argsort(before.stds[:, index].numpy())
        assert np.all(np.diff(after.stds[order, index].numpy()) >= -1e-6)
    # Half the spread was asked for, and that is about what comes out.
    ratio = (after.stds / before.stds).median()
    assert ratio == pytest.approx(0.5, abs=0.1)
