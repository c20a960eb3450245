import numpy as np
import pytest
import torch

from maven_ros.model.alignment import (
    Grid,
    hidden_keys,
    interpolate,
    newest_per_slot,
    sinusoids,
    slot_of,
    weigh,
    word_weights,
)
from maven_ros.records import Box, Face, Word


def test_slots_are_half_open():
    assert [slot_of(stamp, 1000, 1100, 4) for stamp in (1000, 1024, 1025, 1099)] == [0, 0, 1, 3]


def test_newest_face_stands_in_its_slot():
    faces = [Face(stamp, 'p', Box(0, 0, 1, 1), np.zeros((1, 1, 3), np.uint8))
             for stamp in (99, 0, 30, 49)]
    standing = newest_per_slot(faces, 0, 100, 2)
    assert {slot: face.stamp_ns for slot, face in standing.items()} == {0: 49, 1: 99}


def word(start_ns, end_ns):
    return Word('w', start_ns, end_ns, 1.0)


def test_words_stand_where_they_were_spoken():
    # Slots of 10 ns. Word 0 has two subwords and covers slots 1 and 2; word 1 has one, in 2 and 3.
    weights = word_weights([word(15, 25), word(20, 40)], [0, 0, 1], 0, 50, 5)
    expected = [[0, 0, 0], [0.5, 0.5, 0], [0.25, 0.25, 0.5], [0, 0, 1], [0, 0, 0]]
    assert weights.tolist() == expected
    assert weights.dtype == np.float32


def test_an_instant_word_stands_in_one_slot():
    assert word_weights([word(20, 20)], [0], 0, 50, 5)[:, 0].tolist() == [0, 0, 1, 0, 0]
    for start_ns in (49, 50):  # at the very end it has nowhere else to stand
        weights = word_weights([word(start_ns, 50)], [0], 0, 50, 5)
        assert weights[:, 0].tolist() == [0, 0, 0, 0, 1]


def test_a_word_whose_subwords_were_left_out_stands_nowhere():
    assert word_weights([word(0, 50), word(0, 10)], [1], 0, 50, 5).sum() == 1


def test_weigh_normalises_and_masks():
    values = torch.tensor([[[2.0], [6.0]]])
    aligned = weigh(values, torch.tensor([[[1.0, 1.0], [0.0, 0.0], [0.0, 3.0]]]))
    assert aligned.values[0, :, 0].tolist() == [4, 0, 6]
    assert aligned.mask.tolist() == [[True, False, True]]


def test_interpolates_to_the_centres_of_slots():
    values = torch.tensor([[[0.0], [10.0], [20.0], [30.0]]])  # at 0, 1, 2, 3 s
    aligned = interpolate(values, torch.ones(1, 4, dtype=torch.bool), 0, 1, Grid(8, 0.5))
    # Centres at 0.25, 0.75 ... 3.75 s. Beyond the last vector, but within a step of it: itself.
    assert aligned.values[0, :, 0].tolist() == pytest.approx([2.5, 7.5, 12.5, 17.5, 22.5, 27.5,
                                                              30, 30])
    assert aligned.mask.all()


def test_interpolation_never_reaches_over_what_was_not_heard():
    values = torch.tensor([[[0.0], [10.0], [20.0], [30.0], [40.0]]])
    mask = torch.tensor([[True, False, False, False, True]])
    aligned = interpolate(values, mask, 0.5, 1, Grid(7, 1.0))
    assert aligned.mask.tolist() == [[True, False, False, False, True, False, False]]
    between = interpolate(values, mask, 0.25, 1, Grid(2, 1.0))  # centres at a quarter step
    assert between.values[0, :, 0].tolist() == [0, 0]
    assert between.mask.tolist() == [[True, False]]


def test_sinusoids_have_the_periods_asked_for():
    code = sinusoids(torch.tensor([0.0, 0.05, 30.0]), 4, 0.2, 120.0)  # a quarter of each period
    assert code[0].tolist() == [0, 0, 1, 1]
    assert code[1, 0] == pytest.approx(1, abs=1e-6)
    assert code[2, 1] == pytest.approx(1, abs=1e-6)


def test_a_row_without_evidence_hides_nothing():
    mask = torch.tensor([[True, False], [False, False]])
    assert hidden_keys(mask).tolist() == [[False, True], [False, False]]
