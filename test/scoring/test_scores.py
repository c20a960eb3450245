"""Scores agree with torchmetrics and scipy, are undefined where they are, and have intervals."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import pearsonr
from torchmetrics.functional.regression import concordance_corrcoef, mean_squared_error

from maven_ros.records import NS
from maven_ros.scoring.alignment import Missing, Pairs
from maven_ros.scoring.scores import score


def pairs(annotated, estimated, bag='talk', person='', step_s=0.1, spread=0.2):
    annotated, estimated = np.asarray(annotated, float), np.asarray(estimated, float)
    count = len(annotated)
    missing = np.where(np.isnan(estimated).any(1), Missing.NO_EVIDENCE, Missing.NOTHING)
    return Pairs(bag, person, np.arange(count) * int(step_s * NS), annotated, estimated,
                 np.full((count, 2), spread), np.ones(count, np.uint8), missing.astype(np.uint8))


def random_pairs(count, seed, **kind):
    rng = np.random.default_rng(seed)
    annotated = rng.uniform(-1, 1, (count, 2))
    return pairs(annotated, np.clip(0.6 * annotated + rng.normal(0.1, 0.3, (count, 2)), -1, 1),
                 **kind)


@pytest.mark.parametrize('count', [3, 50, 5000])
def test_they_agree_with_torchmetrics_and_scipy(count):
    one = random_pairs(count, count)
    scores = score([one], draws=2).scores
    for column, name in enumerate(('valence', 'arousal')):
        truth, guess = one.annotated[:, column], one.estimated[:, column]
        expected = concordance_corrcoef(torch.tensor(guess), torch.tensor(truth)).item()
        assert scores[f'{name}_ccc'].value == pytest.approx(expected, abs=1e-9)
        assert scores[f'{name}_pearson'].value == pytest.approx(
            pearsonr(truth, guess).statistic, abs=1e-9)
        expected = mean_squared_error(torch.tensor(guess), torch.tensor(truth), squared=False)
        assert scores[f'{name}_rmse'].value == pytest.approx(expected.item(), abs=1e-9)
        assert scores[f'{name}_sign_agreement'].value == np.mean(np.sign(truth) == np.sign(guess))


def test_a_series_far_from_zero_loses_nothing_to_cancellation():
    rng = np.random.default_rng(0)
    one = pairs(0.9 + 1e-4 * rng.normal(size=(99, 2)), 0.9 + 1e-4 * rng.normal(size=(99, 2)))
    expected = concordance_corrcoef(*(torch.tensor(x[:, 0]) for x in (one.estimated,
                                                                      one.annotated))).item()
    assert score([one], draws=2).scores['valence_ccc'].value == pytest.approx(expected, abs=1e-9)


def test_a_series_agrees_with_itself_and_disagrees_with_its_negation():
    series = random_pairs(10, 1).annotated
    series = series - series.mean(0)
    same, opposite = score([pairs(series, series)]), score([pairs(series, -series)])
    for name in ('valence', 'arousal'):
        assert same.scores[f'{name}_ccc'].value == pytest.approx(1, abs=1e-12)
        assert opposite.scores[f'{name}_ccc'].value == pytest.approx(-1, abs=1e-12)
    assert opposite.scores['angle_error_rad'].value == pytest.approx(math.pi)
    assert same.scores['intensity_error'].value == opposite.scores['intensity_error'].value == 0


def test_values_by_hand():
    """Valence errs by 0.3 twice; (1, 0) against (0, 1) is a right angle; (0, 0) has no angle."""
    scores = score([pairs([[0.5, 0.0], [0.0, 0.0], [1.0, 0.0]],
                          [[0.8, 0.0], [-0.3, 0.0], [0.0, 1.0]])], draws=2).scores
    assert scores['valence_rmse'].value == pytest.approx(math.sqrt((0.09 + 0.09 + 1) / 3))
    assert scores['angle_error_rad'].value == pytest.approx(math.pi / 4)
    assert scores['intensity_error'].value == pytest.approx((0.3 + 0.3 + 0) / 3)
    assert scores['valence_within_90'].value == pytest.approx(2 / 3)
    assert scores['valence_sign_agreement'].value == pytest.approx(1 / 3)


@pytest.mark.parametrize('constant', [0.0, 0.1, -1 / 3])
def test_what_a_constant_leaves_undefined_is_nan_and_said(constant):
    series = random_pairs(1000, 2).annotated
    for one, what in ((pairs(np.full_like(series, constant), series), 'annotated'),
                      (pairs(series, np.full_like(series, constant)), 'estimated')):
        scores = score([one]).scores
        for name in ('valence_ccc', 'arousal_pearson', 'mean_ccc'):
            assert math.isnan(scores[name].value)
            assert f'the {what}' in scores[name].why and 'is constant' in scores[name].why
        assert scores['valence_rmse'].value > 0 and not scores['valence_rmse'].why


def test_nothing_covered_is_no_zero():
    nothing = score([pairs(np.zeros((5, 2)), np.full((5, 2), np.nan))])
    assert (nothing.frames, nothing.covered, nothing.coverage) == (5, 0, 0.0)
    assert nothing.missing == {'no_window': 0, 'not_in_view': 0, 'no_evidence': 5}
    assert all(math.isnan(one.value) and one.why == 'no annotated frame has a state'
               for one in nothing.scores.values())
    assert math.isnan(score([]).coverage)


def test_frames_are_concatenated_and_those_without_a_state_are_counted():
    first, second = random_pairs(60, 3), random_pairs(40, 4, bag='walk')
    second.estimated[::4] = np.nan
    second.missing[::4] = Missing.NO_WINDOW
    both = score([first, second])
    kept = second.covered
    expected = concordance_corrcoef(
        torch.tensor(np.concatenate([first.estimated[:, 1], second.estimated[kept, 1]])),
        torch.tensor(np.concatenate([first.annotated[:, 1], second.annotated[kept, 1]])))
    assert both.scores['arousal_ccc'].value == pytest.approx(expected.item(), abs=1e-9)
    assert (both.frames, both.covered, both.missing['no_window']) == (100, 90, 10)


def test_intervals_are_seeded_and_say_what_is_drawn():
    long = random_pairs(2000, 5)
    one, same, other = score([long]), score([long]), score([long], seed=1)
    ccc = one.scores['valence_ccc']
    assert ccc.low < ccc.value < ccc.high and ccc.high - ccc.low < 0.2
    assert one.scores == same.scores != other.scores
    assert '20 blocks of 10 s, seed 0' in one.resampling
    bags = [random_pairs(20, seed, bag=f'bag {seed}') for seed in range(12)]
    assert 'draws of 12 bags' in score(bags).resampling


def test_one_short_clip_has_no_interval():
    short = score([random_pairs(80, 6)])
    assert 'no intervals: 1 blocks of 10 s' in short.resampling
    assert math.isnan(short.scores['mean_ccc'].low) and short.scores['mean_ccc'].value > 0


def test_people_of_one_bag_share_its_blocks():
    left, right = random_pairs(800, 7, person='left'), random_pairs(800, 8, person='right')
    assert 'draws of 8 blocks' in score([left, right]).resampling


def test_an_interval_covers_the_truth_as_often_as_it_says():
    """Over 60 sets of independent blocks, the 95% interval of the mean error holds nearly all."""
    held = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        level = np.repeat(rng.normal(0, 0.2, (30, 2)), 100, 0)
        one = pairs(np.zeros((3000, 2)), level)
        rmse = score([one], draws=300).scores['valence_rmse']
        held += rmse.low <= 0.2 <= rmse.high
    assert 50 <= held <= 60
