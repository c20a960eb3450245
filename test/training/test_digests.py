"""The same data have the same digest, and whatever is otherwise has another."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch

from maven_ros.training.digests import digest_of

NUMBERS = np.arange(6, dtype=np.int32).reshape(2, 3)


@dataclass(frozen=True)
class Spoken:
    waveforms: tuple[Any, ...]
    texts: list[str]


SPOKEN = Spoken((np.zeros(3, np.float32), np.ones(2, np.float32)), ['calm sea', 'day'])


def test_the_same_data_have_the_same_digest():
    again = Spoken(tuple(one.copy() for one in SPOKEN.waveforms), [*SPOKEN.texts])
    one = digest_of(SPOKEN, NUMBERS, {'a': 1, 'b': [2]})
    assert one == digest_of(again, NUMBERS.copy(), {'b': [2], 'a': 1})
    assert len(one) == 16 and set(one) <= set('0123456789abcdef')


def test_where_and_how_numbers_lie_is_no_part_of_them():
    for same in (torch.from_numpy(NUMBERS.copy()), np.asfortranarray(NUMBERS),
                 np.repeat(NUMBERS, 2, 1)[:, ::2]):
        assert digest_of(same) == digest_of(NUMBERS)


@pytest.mark.parametrize(('one', 'other'), [
    (NUMBERS, NUMBERS.view(np.uint32)),  # the same bytes
    (NUMBERS, NUMBERS.reshape(3, 2)),
    (NUMBERS, NUMBERS[::-1]),
    (NUMBERS, NUMBERS + (NUMBERS == 4)),
    (NUMBERS, [*NUMBERS]),
    (torch.zeros(2), torch.zeros(2, dtype=torch.int32)),
    (['calm', 'day'], ['day', 'calm']),
    (['calm', 'day'], ['calmd', 'ay']),
    ([['calm'], ['day']], [['calm', 'day'], []]),
    ('1', 1),
    (1, 1.0),
    ({'a': 1}, {'a': 2}),
    (SPOKEN, replace(SPOKEN, texts=['calm sea', 'days'])),
    (SPOKEN, replace(SPOKEN, waveforms=SPOKEN.waveforms[::-1])),
])
def test_what_is_otherwise_has_another(one, other):
    assert digest_of(one) != digest_of(other)
