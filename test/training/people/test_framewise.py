from dataclasses import replace

import numpy as np
import pytest

from maven_ros.acting.smoothing import Smoother
from maven_ros.records import NS
from maven_ros.settings import SmoothingSettings
from maven_ros.training.people.framewise import (
    WindowEstimates,
    as_result_set,
    predict,
    write_predictions,
)
from maven_ros.training.people.prepared import Frames, RecordedPerson

PERSON = RecordedPerson('clip', 'clip_left', 'valid', 4.0, 40, '', 0, '', '')
STAMPS = np.arange(40) * NS // 10


def frames(labelled=40):
    values = np.stack([np.linspace(-1, 1, 40), np.linspace(1, -1, 40)], 1).astype(np.float32)
    values[labelled:] = np.nan
    return Frames(STAMPS, values, [''] * 40)


def windows():
    """Eight windows of 2 s, one every half second; their point is a tenth of their number."""
    points = np.repeat(np.arange(1, 9)[:, None] / 10, 2, 1)
    slots = np.repeat(points[:, None], 20, 1)
    return WindowEstimates(
        np.arange(1, 9) * NS // 2, 2 * NS, NS // 2, points, np.full((8, 2), 0.2), slots,
        np.full(8, 5, np.uint8))


def test_the_window_that_ended_last_speaks_for_a_frame():
    found = predict(PERSON, frames(), windows(), 'none', 1.0)
    valence = found.pairs.estimated[:, 0]
    assert valence[5:10].tolist() == pytest.approx([0.1] * 5)  # from 0.5 s, as long as a hop
    assert valence[35:].tolist() == pytest.approx([0.7] * 5)
    # Before any has ended the first stands for it, which is counted, and is no evidence.
    assert valence[:5].tolist() == pytest.approx([0.1] * 5) and found.filled == 5
    assert found.pairs.evidence.tolist() == [0] * 5 + [5] * 35


def test_without_evidence_the_last_one_before_is_held():
    some = windows()
    some.points[2:4] = np.nan
    found = predict(PERSON, frames(), some, 'none', 1.0)
    assert found.pairs.estimated[14:26, 0].tolist() == pytest.approx([0.2] * 11 + [0.5])
    assert found.filled == 15


def test_causal_smoothing_is_the_nodes_and_knows_no_future():
    found = predict(PERSON, frames(), windows(), 'causal', 1.0)
    raw = predict(PERSON, frames(), windows(), 'none', 1.0)
    assert (found.pairs.estimated[10:] < raw.pairs.estimated[10:]).all()  # it lags
    later = windows()
    later.points[6:] = -1
    changed = predict(PERSON, frames(), later, 'causal', 1.0)
    assert (changed.pairs.estimated[:35] == found.pairs.estimated[:35]).all()
    assert Smoother(SmoothingSettings())  # the same class as the node's


def test_centred_smoothing_is_even_to_both_sides():
    some = windows()
    some.slots[:] = np.nan
    some.slots[3, 10] = 0.8  # the frame at 1 s, in the window from 0 to 2 s
    found = predict(PERSON, frames(), some, 'centred', 0.1)
    valence = found.pairs.estimated[:, 0]
    assert valence[10] == pytest.approx(0.8) and found.filled == 40 - 7
    some.slots[3, 12] = 0.4
    valence = predict(PERSON, frames(), some, 'centred', 0.1).pairs.estimated[:, 0]
    assert valence[11] == pytest.approx(0.6)
    assert 0.79 < valence[9] < 0.8 and 0.4 < valence[13] < 0.41


def test_centred_takes_the_mean_over_the_windows_that_hold_a_frame():
    found = predict(PERSON, frames(), windows(), 'centred', 0.01)
    # The frame at 2 s is in the windows that end at 2.5, 3, 3.5 and 4 s.
    assert found.pairs.estimated[20].tolist() == pytest.approx([0.65, 0.65])


def test_a_line_joins_what_is_out_of_the_gaussians_reach():
    some = windows()
    some.slots[:] = np.nan
    some.slots[3, 0], some.slots[7, 10] = 0.0, 0.6  # at 0 s, and at 3 s
    found = predict(PERSON, frames(), some, 'centred', 0.03)
    assert found.pairs.estimated[15, 0] == pytest.approx(0.3, abs=0.02)


def test_labelled_frames_are_scored_and_the_others_counted(tmp_path):
    found = predict(PERSON, frames(30), windows(), 'none', 1.0)
    result = as_result_set('name', [found], {'model': 'm'})
    assert result.about == {'model': 'm', 'filled_frames': 5}
    overall = result.scores().overall
    assert (overall.frames, overall.covered, overall.unlabelled) == (30, 30, 10)
    write_predictions(tmp_path / 'predictions.csv', [found])
    lines = (tmp_path / 'predictions.csv').read_text().splitlines()
    assert lines[0] == 'image_location,valence,arousal' and len(lines) == 41
    assert lines[-1] == 'clip_left/00040.jpg,0.700000,0.700000'


def test_a_name_of_a_person_is_no_formula_and_no_second_column(tmp_path):
    found = predict(replace(PERSON, person='=1,2'), frames(), windows(), 'none', 1.0)
    write_predictions(tmp_path / 'predictions.csv', [found])
    lines = (tmp_path / 'predictions.csv').read_text().splitlines()
    assert lines[1].startswith('"\'=1,2/00001.jpg",')


def test_nothing_is_made_up_for_somebody_without_any_evidence(tmp_path):
    nothing = windows()
    nothing.points[:] = np.nan
    found = predict(PERSON, frames(), nothing, 'none', 1.0)
    assert np.isnan(found.pairs.estimated).all() and found.filled == 0
    result = as_result_set('name', [found], {})
    assert [one.reason for one in result.excluded] == ['no evidence in any window']
    assert result.scores().overall.covered == 0
    write_predictions(tmp_path / 'predictions.csv', [found])
    assert 'clip_left/00001.jpg,nan,nan' in (tmp_path / 'predictions.csv').read_text()


def test_a_split_without_labels_has_nothing_to_score():
    found = predict(PERSON, frames(0), windows(), 'none', 1.0)
    assert as_result_set('name', [found], {}).pairs == []
    assert replace(found).filled == 5
