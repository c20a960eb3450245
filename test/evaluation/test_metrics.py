import math

import numpy as np
import pytest
from scipy import stats

from maven_ros.affect import Z90
from maven_ros.errors import InputError
from maven_ros.evaluation.metrics import agreement, concordance, coverage, pearson, rmse

RANDOM = np.random.default_rng(0)
X, Y = RANDOM.normal(size=(2, 200))


def test_ten_samples_agree_with_themselves_entirely():
    ten = RANDOM.normal(size=10)
    assert agreement(ten, ten) == pytest.approx((1.0, 1.0, 0.0), abs=1e-12)
    assert concordance(ten - ten.mean(), ten.mean() - ten) == pytest.approx(-1, abs=1e-12)


def test_concordance_is_lins():
    by_hand = 2 * np.cov(X, Y)[0, 1] / (
        X.var(ddof=1) + Y.var(ddof=1) + (X.mean() - Y.mean()) ** 2)
    assert concordance(X, Y) == pytest.approx(by_hand, abs=1e-12)
    assert concordance(X, X + 1) < pearson(X, X + 1) == pytest.approx(1)
    assert concordance(X, 2 * X) < 1


def test_pearson_is_scipys():
    assert pearson(X, Y) == pytest.approx(stats.pearsonr(X, Y).statistic, abs=1e-12)


def test_rmse_by_hand():
    assert rmse(np.array([1.0, 2.0]), np.array([1.0, 4.0])) == pytest.approx(math.sqrt(2))


def test_a_constant_has_no_correlation_and_says_so():
    with pytest.warns(UserWarning, match='close to zero'):
        assert math.isnan(concordance(np.zeros(10), X[:10]))
    with pytest.warns(UserWarning, match='close to zero'):
        assert math.isnan(pearson(X[:10], np.ones(10)))


def test_coverage_of_normal_errors_is_nominal():
    errors = RANDOM.normal(size=20_000)
    zero = np.zeros(20_000)
    assert coverage(zero, zero + 1, errors) == pytest.approx(0.9, abs=0.01)
    assert coverage(zero, zero + 2, errors * 2, z=1) == pytest.approx(0.683, abs=0.01)
    assert pytest.approx(stats.norm.ppf(0.95)) == Z90


@pytest.mark.parametrize(('x', 'y', 'message'), [
    (X, Y[:-1], r'shape \(200,\) and targets \(199,\); allowed: \(n,\) of both'),
    (X[:1], Y[:1], 'n at least 2'),
    (np.array([0.0, np.nan]), Y[:2], 'hold NaN or infinity'),
])
def test_what_cannot_be_scored_is_refused(x, y, message):
    with pytest.raises(InputError, match=message):
        rmse(x, y)
