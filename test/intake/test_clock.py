"""A graph's clock that begins late, stops or jumps is told."""

import time

import pytest

from maven_ros.counters import Counters
from maven_ros.intake.clock import STOPPED_S, ClockWatch
from maven_ros.records import NS

T0 = 1_700_000_000 * NS


@pytest.fixture
def now(monkeypatch):
    """Set the steady clock by hand."""
    steady = [100.0]
    monkeypatch.setattr(time, 'monotonic', lambda: steady[0])
    return steady


@pytest.fixture
def watch(now):
    return ClockWatch(Counters())


def counts(watch):
    return watch._counters.snapshot()


@pytest.mark.parametrize('rate', [0.5, 1, 10])
def test_a_clock_at_any_rate_of_play_is_in_order(watch, now, rate):
    for tick in range(100):
        now[0] += 0.1
        assert watch.look(round(T0 + tick * 0.1 * rate * NS))
    assert not watch.fault() and not counts(watch)


def test_a_clock_that_has_not_begun_is_told_until_it_does(watch, now):
    assert not watch.look(0) and not watch.fault()
    now[0] += STOPPED_S
    assert not watch.look(0)
    assert watch.fault() == ('the clock has not begun for 5 s: use_sim_time is set, and nobody '
                             'publishes /clock')
    assert watch.look(T0) and not watch.fault() and not counts(watch)


def test_a_clock_that_stops_is_told_until_it_moves(watch, now):
    watch.look(T0)
    now[0] += 7
    watch.look(T0)
    assert watch.fault() == 'the clock has stood still for 7 s'
    watch.look(T0 + 1)
    assert not watch.fault()


def test_jumps_are_counted(watch, now):
    for shown in (0, 30, 29.9, 5):
        now[0] += 0.05
        watch.look(T0 + round(shown * NS))
    assert counts(watch) == {'clock.jump_ahead': 1, 'clock.jump_back': 1}
