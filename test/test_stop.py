"""The event that ends a process: at once while nobody looks, in order once somebody does."""

import signal

import pytest

from maven_ros.stop import Stop


def test_a_signal_before_anybody_looks_ends_on_the_spot():
    with pytest.raises(SystemExit) as ended:
        Stop().on_signal(signal.SIGTERM, None)
    assert ended.value.code == 128 + signal.SIGTERM


@pytest.mark.parametrize('look', [Stop.is_set, lambda stop: stop.wait(0.0)])
def test_a_signal_after_somebody_looked_only_sets_it(look):
    stop = Stop()
    assert not look(stop)
    stop.on_signal(signal.SIGINT, None)
    assert stop.is_set()
