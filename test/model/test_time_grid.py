import numpy as np
import pytest
import torch

from maven_ros.model.time_grid import (
    hidden_keys,
    interpolate,
    sinusoids,
    weigh,
    word_weights,
)
from maven_ros.records import Word
from maven_ros.rules import Grid


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


def test_a_lone_vector_counts_in_the_slot_that_holds_it():
    # Slots of 100 ms, vectors at 12.5, 32.5 ... 192.5 ms. The centre at 50 ms lies between those
    # at 32.5 and 52.5, that at 150 between 132.5 and 152.5.
    values = torch.arange(10.0)[None, :, None]

    def align(*heard):
        mask = torch.zeros(1, 10, dtype=torch.bool)
        mask[0, list(heard)] = True
        aligned = interpolate(values, mask, 0.0125, 0.02, Grid(2, 0.1))
        return [value if known else None for value, known in zip(
            aligned.values[0, :, 0].tolist(), aligned.mask[0].tolist(), strict=True)]

    assert align(1, 2) == [pytest.approx(1 + 17.5 / 20), None]  # both neighbours: linear
    assert align(1) == [1, None]           # one of them: itself
    assert align(0) == [0, None]           # neither, but inside the slot
    assert align(0, 3, 4) == [3, None]     # the nearest: 22.5 ms away, not 37.5
    assert align(0, 1, 4) == [1, None]     # a neighbour goes before what is only inside
    assert align(5, 9) == [None, 5]        # 112.5: 37.5 ms away; 192.5: 42.5
    assert align(4, 5) == [4, 5]           # each in its own slot
    assert align() == [None, None]


def test_a_lone_vector_is_padded_without_effect():
    values = torch.randn(2, 12, 3)
    mask = torch.zeros(2, 12, dtype=torch.bool)
    mask[0, 0], mask[1, 4] = True, True
    alone = interpolate(values[:, :5], mask[:, :5], 0.0125, 0.02, Grid(1, 0.1))
    padded = interpolate(values, mask, 0.0125, 0.02, Grid(2, 0.1))
    assert torch.equal(padded.values[:, :1], alone.values)
    assert padded.mask.tolist() == [[True, False]] * 2


def test_sinusoids_have_the_periods_asked_for():
    code = sinusoids(torch.tensor([0.0, 0.05, 30.0]), 4, 0.2, 120.0)  # a quarter of each period
    assert code[0].tolist() == [0, 0, 1, 1]
    assert code[1, 0] == pytest.approx(1, abs=1e-6)
    assert code[2, 1] == pytest.approx(1, abs=1e-6)


def test_a_row_without_evidence_hides_nothing():
    mask = torch.tensor([[True, False], [False, False]])
    assert hidden_keys(mask).tolist() == [[False, True], [False, False]]
