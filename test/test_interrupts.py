"""The event that ends a process: at once while nobody looks, in order once somebody does."""

import os
import signal
import subprocess
import sys
from contextlib import suppress

import pytest
from inputs import ROOT

from maven_ros.interrupts import Interrupts


def test_a_signal_before_anybody_looks_ends_on_the_spot():
    with pytest.raises(SystemExit) as ended:
        Interrupts().on_signal(signal.SIGTERM, None)
    assert ended.value.code == 128 + signal.SIGTERM


@pytest.mark.parametrize('look', [Interrupts.is_set, lambda stop: stop.wait(0.0)])
def test_a_signal_after_somebody_looked_only_sets_it(look):
    stop = Interrupts()
    assert not look(stop)
    stop.on_signal(signal.SIGINT, None)
    assert stop.is_set()


def test_a_signal_while_a_module_is_imported_ends_on_the_spot(tmp_path):
    (tmp_path / 'slow.py').write_text(
        'import signal\ntry:\n    signal.raise_signal(signal.SIGTERM)\n'
        'except BaseException: pass\n')  # as libraries do
    run = ('from maven_ros.interrupts import Interrupts; stop = Interrupts.on_signals({}); '
           'import slow')
    for early, code in (('', 128 + signal.SIGTERM), ('early=0', 0)):
        ended = subprocess.run([sys.executable, '-c', f'{run.format(early)}; 1 / 0'], check=False,
                               env={**os.environ, 'PYTHONPATH': str(tmp_path)}, cwd=ROOT)
        assert ended.returncode == code


def test_a_signal_whose_end_gets_lost_is_seen_at_the_first_look():
    stop = Interrupts()
    with suppress(SystemExit):
        stop.on_signal(signal.SIGINT, None)
    assert stop.is_set()


# From an object that outlives the modules: then Python has set its own handlers back already.
ENDS_SLOWLY = """
import signal, sys
from maven_ros.interrupts import Interrupts
class Late:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)
signal.late = Late()
stop = Interrupts.on_signals()
stop.is_set()
for _ in range(2):
    signal.raise_signal(signal.SIGINT)
sys.exit(0 if stop.is_set() else 3)
"""


def test_a_second_signal_while_python_ends_does_not_kill():
    assert subprocess.run([sys.executable, '-c', ENDS_SLOWLY], check=False).returncode == 0
