"""Result sets come back as they were written, and are compared on the frames that both have."""

import math
from dataclasses import replace

import numpy as np
import pytest
from full_disk import largest_file

from maven_ros.errors import ResourceError, SettingsError
from maven_ros.records import NS
from maven_ros.report.breakdown import by_evidence, by_quadrant, worst_spans
from maven_ros.scoring.alignment import Missing, Pairs, align, believed
from maven_ros.scoring.annotations import Annotation
from maven_ros.scoring.compare import as_text, compare
from maven_ros.scoring.offset import search_offset
from maven_ros.scoring.resultset import Excluded, ResultSet, read_result_set


def pairs(seed, noise, bag='talk', count=1200):
    rng = np.random.default_rng(seed)
    annotated = np.clip(np.cumsum(rng.normal(0, 0.1, (count, 2)), 0), -1, 1)
    estimated = np.clip(annotated + np.random.default_rng(9).normal(0, noise, (count, 2)), -1, 1)
    return Pairs(bag, '', np.arange(count) * NS // 10, annotated, estimated,
                 np.full((count, 2), 0.2), np.ones(count, np.uint8), np.zeros(count, np.uint8))


def without(one, index):
    estimated, missing = one.estimated.copy(), one.missing.copy()
    estimated[index], missing[index] = math.nan, Missing.NO_EVIDENCE
    return replace(one, estimated=estimated, missing=missing)


def test_a_set_is_read_as_it_was_written(tmp_path):
    talk = replace(without(pairs(0, 0.1), slice(5)), unlabelled=3)
    found = ResultSet('full', [talk, pairs(1, 0.1, 'walk')],
                      [Excluded('run', 'run.txt', 'line 3: valence is 2')],
                      [Excluded('talk', 'bags/talk', 'audio.gap: 3')], ['sit.txt'],
                      {'overall': {'face': 1.0}}, {'hop_s': [1]})
    scores = found.scores(draws=10)
    found.write(tmp_path / 'set', scores)
    again = read_result_set(tmp_path / 'set')
    assert (again.name, again.excluded, again.lossy, again.unmatched, again.evidence,
            again.about) == (
        found.name, found.excluded, found.lossy, found.unmatched, found.evidence, found.about)
    for own, other in zip(found.pairs, again.pairs, strict=True):
        for name in Pairs.__slots__:
            np.testing.assert_array_equal(getattr(own, name), getattr(other, name))
    assert again.scores(draws=10) == scores


def test_what_is_no_set_is_refused(tmp_path):
    with pytest.raises(ResourceError, match=r'holds no frames.parquet; allowed: the --out of'):
        read_result_set(tmp_path)
    ResultSet('full', [pairs(0, 0.1)]).write(tmp_path, ResultSet('full', []).scores())
    (tmp_path / 'scores.json').write_text('[]')
    with pytest.raises(ResourceError, match=r'is not a result set'):
        read_result_set(tmp_path)


def test_scores_are_there_with_all_of_their_frames_or_not_at_all(tmp_path):
    found = ResultSet('full', [pairs(0, 0.1)])
    scores = found.scores(draws=2)
    found.write(tmp_path, scores)
    with largest_file(2000), pytest.raises(ResourceError, match='a table cannot be written: '):
        found.write(tmp_path, scores)
    assert not (tmp_path / 'scores.json').exists()
    found.write(tmp_path, scores)
    assert len(read_result_set(tmp_path).pairs) == 1
    assert not list(tmp_path.glob('*.part'))


def test_sets_of_different_models_are_compared_aloud():
    one, other = (ResultSet('full', [pairs(0, 0.3)], about={'models': [name], 'hop_s': [0.2]})
                  for name in 'ab')
    assert as_text(compare(one, other)).startswith(
        "NOT COMPARABLE: models: ['a'] and ['b']\n1200 frames")
    assert as_text(compare(one, one)).startswith('1200 frames')


def test_a_set_does_not_differ_from_itself():
    one = ResultSet('full', [pairs(0, 0.3)])
    for difference in compare(one, one).differences.values():
        assert difference.difference == difference.low == difference.high == 0
        assert not difference.clear


def test_a_worse_set_is_clearly_worse_on_the_frames_of_both():
    good, bad = pairs(0, 0.1), without(pairs(0, 0.5), slice(100))
    found = compare(ResultSet('full', [good, pairs(1, 0.1, 'walk')]), ResultSet('worse', [bad]))
    assert (found.frames, found.only_first, found.only_second) == (1100, 1300, 0)
    ccc, rmse = (found.differences[name] for name in ('mean_ccc', 'valence_rmse'))
    assert ccc.high < 0 < rmse.low and ccc.clear and rmse.clear
    assert 'draws of 11 blocks of 10 s' in found.resampling
    text = as_text(found)
    assert '1100 frames with a state in both; 1300 more in full alone' in text
    assert text.count(' *\n') >= 4


def test_sets_that_have_nothing_in_common_cannot_be_compared():
    first = ResultSet('full', [pairs(0, 0.1)])
    with pytest.raises(ResourceError, match=r'share no frame with a state; the bags are talk, and '
                                            r'walk'):
        compare(first, ResultSet('other', [pairs(0, 0.1, 'walk')]))
    with pytest.raises(ResourceError, match=r'talk: the two sets have different annotations'):
        compare(first, ResultSet('other', [pairs(3, 0.1)]))


def test_the_offset_of_late_raters_is_found():
    from test_alignment import state

    curve = np.sin(np.arange(300) / 7) * 0.8
    states = [state(2 + index / 5, valence=value) for index, value in enumerate(curve)]
    held = believed('', states, 0.2)
    times_ns = 10 * NS + np.arange(200) * NS // 5
    seen = np.searchsorted(held.ends_ns, times_ns - NS)  # a second late
    said = Annotation('', 'talk.csv', times_ns, np.repeat(curve[seen], 2).reshape(-1, 2), 0)
    found = search_offset([('talk', said, held)], 2.0)
    assert found.best_s == pytest.approx(1.0, abs=0.2) and not found.at_edge
    assert found.at_best > 0.999 > found.at_zero
    assert search_offset([], 1.0).best_s == 0.0
    with pytest.raises(SettingsError, match=r'offset-search: -1 is not in'):
        search_offset([], -1)


def test_errors_are_split_by_quadrant_and_by_evidence():
    table = np.array([[0.5, 0.5], [-0.5, 0.5], [-0.5, -0.5], [0.5, -0.5], [0.05, 0.0]])
    beside = table + np.array([0.3, 0.4])
    one = Pairs('talk', '', np.arange(5) * NS, table, beside, np.ones((5, 2)),
                np.array([1, 1, 7, 3, 3], np.uint8), np.zeros(5, np.uint8))
    parts = by_quadrant([one])
    assert [part.name for part in parts] == [
        'pleasant, activated', 'unpleasant, activated', 'unpleasant, calm', 'pleasant, calm',
        'neutral']
    assert all(part.distance == pytest.approx(0.5) for part in parts)
    assert parts[0].bias == pytest.approx((0.3, 0.4))
    assert {part.name: part.frames for part in by_evidence([one])} == {
        'face': 2, 'face + voice': 2, 'face + voice + words': 1}


def test_the_worst_ten_seconds_are_where_the_errors_are():
    one = pairs(0, 0.05)
    one.estimated[500:600] = -np.sign(one.annotated[500:600])
    worst, *others = worst_spans([one, align('none', Annotation(
        '', '', np.zeros(0, np.int64), np.zeros((0, 2)), 0), believed('', [], 0.2))])
    assert abs(worst.start_ns - 50 * NS) <= NS and worst.distance > 1
    assert all(other.start_ns >= worst.end_ns or worst.start_ns >= other.end_ns
               for other in others)
