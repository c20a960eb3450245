"""Callbacks of subscriptions, which must not end the thread of a transport."""

from __future__ import annotations

import logging
from collections.abc import Callable

from maven_ros.counters import Counters
from maven_ros.graph.interface import Received

_log = logging.getLogger(__name__)


def call_back(
    callback: Callable[[Received], None], received: Received, counters: Counters,
) -> None:
    """Run a callback; if it fails, count ``callback_error`` on the topic."""
    try:
        callback(received)
    except Exception as error:  # whatever it is, the other topics must go on
        counters.count(received.topic, 'callback_error', repr(error))
        _log.debug('%s: the callback failed', received.topic, exc_info=True)
