"""Metrics are what they are called: by hand, and as torchmetrics and scipy have them."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torchmetrics.functional import regression

from maven_ros.affect import Z90
from maven_ros.errors import InputError
from maven_ros.scoring.metrics import DIMENSIONS, METRICS, agreement, coverage

RANDOM = np.random.default_rng(0)
TARGETS, POINTS = RANDOM.normal(size=(2, 200, 2))
STDS = np.ones((200, 2))


def test_every_metric_is_named_once_and_scored():
    found = agreement(POINTS, STDS, TARGETS)
    assert list(found) == [metric.name for metric in METRICS]
    assert len(found) == len(METRICS) and all(metric.meaning for metric in METRICS)


def test_they_agree_with_torchmetrics_and_scipy():
    found = agreement(POINTS, STDS, TARGETS)
    for index, name in enumerate(DIMENSIONS):
        x, y = POINTS[:, index], TARGETS[:, index]
        ccc = regression.concordance_corrcoef(torch.tensor(x), torch.tensor(y)).item()
        assert found[f'{name}_ccc'] == pytest.approx(ccc, abs=1e-9)
        assert found[f'{name}_pearson'] == pytest.approx(stats.pearsonr(x, y).statistic, abs=1e-9)
        assert found[f'{name}_rmse'] == pytest.approx(np.sqrt(np.mean((x - y)**2)), abs=1e-9)
    assert found['mean_ccc'] == pytest.approx((found['valence_ccc'] + found['arousal_ccc']) / 2)


def test_ten_samples_agree_with_themselves_entirely_and_not_with_a_shift_or_a_scale():
    ten = RANDOM.normal(size=(10, 2))
    ten -= ten.mean(0)
    same, opposite, shifted, scaled = (
        agreement(one, STDS[:10], ten) for one in (ten, -ten, ten + 1, 2 * ten))
    assert same['valence_ccc'] == same['arousal_pearson'] == pytest.approx(1, abs=1e-12)
    assert same['valence_rmse'] == same['angle_error_rad'] == 0
    assert opposite['valence_ccc'] == pytest.approx(-1, abs=1e-12)
    assert opposite['angle_error_rad'] == pytest.approx(math.pi)
    for one in (shifted, scaled):
        assert one['valence_ccc'] < one['valence_pearson'] == pytest.approx(1)


@pytest.mark.parametrize('constant', [0.0, 0.1, -1 / 3])
def test_a_constant_has_no_correlation_but_an_error(constant):
    level = np.full_like(TARGETS, constant)
    for found in (agreement(level, STDS, TARGETS), agreement(POINTS, STDS, level)):
        assert all(math.isnan(found[name]) for name in ('valence_ccc', 'arousal_pearson',
                                                        'mean_ccc'))
        assert found['valence_rmse'] > 0


def test_coverage_of_normal_errors_is_nominal():
    errors = RANDOM.normal(size=(20_000, 2))
    zero = np.zeros_like(errors)
    assert coverage(zero, zero + 1, errors) == pytest.approx(0.9, abs=0.01)
    assert coverage(zero, zero + 2, errors * 2, z=1) == pytest.approx(0.683, abs=0.01)
    assert pytest.approx(stats.norm.ppf(0.95)) == Z90
    assert agreement(zero, zero + 1, errors)['valence_within_90'] == coverage(
        zero[:, 0], zero[:, 0] + 1, errors[:, 0])


@pytest.mark.parametrize(('points', 'targets', 'message'), [
    (POINTS, TARGETS[:-1], r'shape \(200, 2\), .* and targets \(199, 2\); allowed: the same'),
    (POINTS[:1], TARGETS[:1], r'shape \(1, 2\); allowed: \(n, 2\), n at least 2'),
    (POINTS[:0], TARGETS[:0], 'allowed: the same, not empty'),
    (POINTS[:, 0], TARGETS[:, 0], r'shape \(200,\); allowed: \(n, 2\)'),
    (np.full((2, 2), np.nan), TARGETS[:2], 'hold NaN or infinity'),
])
def test_what_cannot_be_scored_is_refused(points, targets, message):
    with pytest.raises(InputError, match=message):
        agreement(points, np.ones(points.shape), targets)
