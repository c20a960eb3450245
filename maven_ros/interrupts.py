"""The one event that ends a process in order."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts(threading.Event):
    """
    Set by SIGINT and SIGTERM; a command that looks at it ends by itself, in order.

    Before it first looks, while modules and models load, a signal ends the command on the spot.
    Signals after the first are nothing new: a terminal's and launch's arrive together.

    :param early: exit code of an end on the spot; 128 and the signal's number when left out.
    """

    _watched = False

    def __init__(self, early: int | None = None) -> None:
        super().__init__()
        self._early = early

    @classmethod
    def on_signals(cls, early: int | None = None) -> Interrupts:
        """Return one that SIGINT, SIGTERM and SIGHUP set from now on."""
        stop = cls(early)
        for number in _SIGNALS:
            # nohup's wish is kept; a shell's background job is deaf to SIGINT, too, by no wish.
            if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, stop.on_signal)
        return stop

    def is_set(self) -> bool:
        """Tell whether it is time to end."""
        self._watched = True
        return super().is_set()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is time to end; False when the time runs out before."""
        self._watched = True
        return super().wait(timeout)

    def set_at_end_of_stdin(self) -> None:
        """Wait until whoever started this process, and holds its input, is gone."""
        while os.read(0, 1024):
            pass
        self.set()

    def on_signal(self, number: int, frame: FrameType | None) -> None:
        """Take a signal."""
        for one in _SIGNALS:
            if signal.getsignal(one) == self.on_signal:
                # Python, where it ends, sets a handler back to what kills; what is ignored stays.
                signal.signal(one, signal.SIG_IGN)
        self.set()  # first: what is raised below may get lost, as in the end of an object
        if not self._watched:
            code = 128 + number if self._early is None else self._early
            if _imports(frame):  # libraries abort, or swallow it, when that is interrupted
                os._exit(code)
            raise SystemExit(code)


def _imports(frame: FrameType | None) -> bool:
    """Tell whether a module is being imported: there is nothing yet to end in order."""
    while frame is not None:
        if frame.f_code.co_filename.startswith('<frozen importlib'):
            return True
        frame = frame.f_back
    return False
