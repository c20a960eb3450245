"""Some hundred damaged inputs of each kind; ``make fuzz`` feeds as many as there is time for."""

import pytest
from fuzz_targets import KINDS
from fuzzing import tried

COUNT = 200


@pytest.mark.parametrize('name', KINDS)
def test_damaged_input_raises_nothing_but_errors_of_ours(name, tmp_path):
    kind = KINDS[name](tmp_path)
    for given in kind.sound():
        kind.take(given)
    faults = [f'{name} {number}: {fault}'
              for number in range(COUNT) if (fault := tried(kind, number))]
    assert not faults, '\n'.join(faults[:5])
