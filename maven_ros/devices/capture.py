"""Keeps a device going: open it, open it again when it goes away, and never hang on it."""

from __future__ import annotations

import threading
from collections.abc import Callable

from maven_ros.counters import Counters
from maven_ros.errors import ResourceError

RETRY_S = 1.0
CLOSE_S = 0.8


class DeviceLost(ResourceError):
    """A device that was open has gone."""


def keep_capturing(
    source: str, capture: Callable[[], None], stop: threading.Event, *,
    counters: Counters, wait: bool,
) -> bool:
    """
    Run ``capture`` again and again, on a thread of its own, until ``stop`` is set.

    Drivers block for many seconds when a device hangs (ALSA's pulse plugin for 45, V4L2 for 10),
    so a capture that does not end is left behind, counted, and this returns all the same.

    :param source: what its events are counted under, such as ``'camera'``.
    :param capture: opens the device, publishes from it and closes it; returns when told to stop,
        raises ResourceError when it cannot open it and DeviceLost when it has gone.
    :param counters: takes ``lost``, ``missing`` (failed attempts) and ``hung``.
    :param wait: whether a device that cannot be opened at the start is waited for, too.
    :returns: whether the device was closed.
    :raises ResourceError: when the device cannot be opened at the start, unless ``wait``.
    """
    failure: list[BaseException] = []

    def keep() -> None:
        patient = wait
        while not stop.is_set():
            try:
                capture()
                return
            except DeviceLost as error:
                patient = True
                counters.count(source, 'lost', f'{error}; trying again each second')
            except ResourceError as error:
                if not patient:
                    raise
                counters.count(source, 'missing', f'{error}; trying again each second')
            stop.wait(RETRY_S)

    def work() -> None:
        try:
            keep()
        except BaseException as error:  # whatever it is, it belongs to the caller
            failure.append(error)

    thread = threading.Thread(target=work, name=source, daemon=True)
    thread.start()
    while thread.is_alive() and not stop.wait(0.05):
        pass
    thread.join(CLOSE_S if stop.is_set() else None)
    if failure:
        raise failure[0]
    if thread.is_alive():
        counters.count(source, 'hung', f'it did not close within {CLOSE_S} s and is left open')
    return not thread.is_alive()
