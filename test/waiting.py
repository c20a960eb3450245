"""Waiting for what other threads and processes do."""

import time


def eventually(condition, timeout_s=20.0, what='it did not happen'):
    """
    Wait until a condition holds.

    :param what: said when it does not in time; or a function that tells it then.
    """
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, what() if callable(what) else what
        time.sleep(0.01)
