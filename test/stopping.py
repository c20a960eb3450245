"""Stopping work at a place that does not depend on time."""

import threading


class After(threading.Event):
    """Is set once it has been asked so often."""

    def __init__(self, times):
        super().__init__()
        self.left = times

    def is_set(self):
        self.left -= 1
        return self.left < 0
