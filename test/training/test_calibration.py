import numpy as np
import pytest
import torch
from tiny_encoders import tiny_config

from maven_ros.model.maven import MavenModel
from maven_ros.model.time_grid import Aligned
from maven_ros.scoring.metrics import coverage
from maven_ros.training.calibration import calibrate, calibrate_reader, shift_readers
from maven_ros.training.reading import Reading


def network(readers=None):
    model = MavenModel.untrained(tiny_config(readers=readers), seed=0).eval()
    torch.nn.init.normal_(model.head.spread.weight, std=0.3)
    return model


def read(head, vectors):
    with torch.no_grad():
        point = head(vectors)
    return Reading(torch.stack([point.valence, point.arousal], 1),
                   torch.stack([point.valence_log_variance, point.arousal_log_variance], 1))


@pytest.mark.parametrize('scale', [0.1, 0.5, 1.2])
def test_intervals_hold_nine_tenths_afterwards(scale):
    torch.manual_seed(0)
    model = network()
    head = model.head
    vectors = torch.randn(3000, 12)
    before = read(head, vectors)
    targets = before.points + scale * before.stds * torch.randn(3000, 2)
    calibrate(model, before, torch.ones(3000, 3).bool(), targets)
    after = read(head, vectors)
    assert torch.equal(after.points, before.points)
    for index in range(2):
        held = coverage(after.points[:, index].numpy(), after.stds[:, index].numpy(),
                        targets[:, index].numpy())
        assert held == pytest.approx(0.9, abs=0.01)


def test_what_was_sure_stays_surer():
    torch.manual_seed(1)
    model = network()
    head = model.head
    vectors = torch.randn(3000, 12)
    before = read(head, vectors)
    calibrate(model, before, torch.ones(3000, 3).bool(),
              before.points + 0.5 * before.stds * torch.randn(3000, 2))
    after = read(head, vectors)
    for index in range(2):
        order = np.argsort(before.stds[:, index].numpy())
        assert np.all(np.diff(after.stds[order, index].numpy()) >= -1e-6)
    # Half the spread was asked for, and that is about what comes out.
    ratio = (after.stds / before.stds).median()
    assert ratio == pytest.approx(0.5, abs=0.1)


def held(points, log_variances, targets):
    return [coverage(points[:, index].numpy(), (log_variances[:, index] / 2).exp().numpy(),
                     targets[:, index].numpy()) for index in range(2)]


def windows(reader, count):
    """Windows of 0.1 to 2 s; the less is heard, and the less agreed, the wronger is the reader."""
    seen = torch.randint(1, 21, (count, 1))
    aligned = Aligned(3 * torch.randn(count, 1, 32).expand(-1, 20, -1),
                      torch.arange(20) < seen)
    with torch.no_grad():
        points, facts = reader.read(*aligned, 0.1)
    stds = (torch.tensor([-1.0, 0.5, -0.7, 0.0]) @ facts[:, 0] / 2).exp()
    return aligned, points[:, 0] + stds * torch.randn(count, 2), stds


def test_intervals_of_a_reader_hold_nine_tenths_of_any_amount_of_evidence():
    """Of 0.2 s of voice they held 72%, because one stretch served all evidence."""
    torch.manual_seed(2)
    reader = network(8).readers.each['video']
    reader.votes.weight.data.mul_(3)
    aligned, targets, stds = windows(reader, 6000)
    calibrate_reader(reader, aligned, 0.1, targets)
    with torch.no_grad():
        points, log_variances = reader(*aligned, 0.1)
    torch.testing.assert_close((log_variances[:, 0] / 2).exp(), stds, atol=0.02, rtol=0.12)
    for least, most in ((1, 3), (4, 9), (10, 20)):
        rows = (aligned.mask.sum(1) >= least) & (aligned.mask.sum(1) <= most)
        assert held(points[rows, 0], log_variances[rows, 0], targets[rows]) == pytest.approx(
            [0.9, 0.9], abs=0.025)


def test_a_network_with_readers_is_calibrated_by_what_reads_the_window():
    torch.manual_seed(3)
    model = network(8)
    present = torch.rand(4000, 3) < 0.5
    points = 0.3 * torch.randn(4000, 2)
    reading = Reading(points, torch.full((4000, 2), -2.0) + 0.1 * torch.randn(4000, 2))
    targets = points + 0.6 * reading.stds * torch.randn(4000, 2)
    before = {name: reader.spread.clone() for name, reader in model.readers.each.items()}
    head = model.head.spread.bias.clone()
    shift_readers(model, reading, present, targets)
    assert torch.equal(model.head.spread.bias, head)
    for name, reader in model.readers.each.items():
        assert (reader.spread - before[name])[0].tolist() == pytest.approx(
            [2 * np.log(0.6)] * 2, abs=0.2)
        assert torch.equal(reader.spread[1:], before[name][1:])
    calibrate(model, reading, present & False, targets)
    assert torch.equal(model.head.spread.bias, head)  # it reads none of them
    calibrate(model, reading, present, targets)
    assert not torch.equal(model.head.spread.bias, head)
