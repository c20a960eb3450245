"""The event that shuts a process down cleanly."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts(threading.Event):
    """
    An event that SIGINT, SIGTERM and SIGHUP set. A command polls it and shuts down cleanly.

    Until the command polls it for the first time, while modules and models load, a signal ends the
    process at once. Further signals change nothing: a terminal and launch often both send one.

    :param early: exit code if the process ends at once; 128 plus the signal's number if omitted.
    """

    _watched = False
    #: Number of the signal that set it; 0 if none did.
    number = 0

    def __init__(self, early: int | None = None) -> None:
        super().__init__()
        self._early = early

    @classmethod
    def on_signals(cls, early: int | None = None) -> Interrupts:
        """Return an event that SIGINT, SIGTERM and SIGHUP set from now on."""
        stop = cls(early)
        for number in _SIGNALS:
            # SIGHUP stays ignored if nohup ignores it. SIGINT does not: shells ignore it in every
            # background job, although nobody asked for that.
            if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, stop.on_signal)
        return stop

    def is_set(self) -> bool:
        """Tell whether the process should end."""
        self._watched = True
        return super().is_set()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the process should end; return False after a timeout."""
        self._watched = True
        return super().wait(timeout)

    def set_at_end_of_stdin(self) -> None:
        """Wait until standard input closes, because the parent process ended; then set it."""
        while os.read(0, 1024):
            pass
        self.set()

    def on_signal(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal."""
        for one in _SIGNALS:
            if signal.getsignal(one) == self.on_signal:
                # Python resets handlers at its exit, and a signal would then kill it; an ignored
                # signal stays ignored.
                signal.signal(one, signal.SIG_IGN)
        self.number = number
        self.set()  # first, because the exception below may be lost, as in a destructor
        if not self._watched:
            code = 128 + number if self._early is None else self._early
            if _imports(frame):  # libraries abort on an exception here, or swallow it
                os._exit(code)
            raise SystemExit(code)


def _imports(frame: FrameType | None) -> bool:
    """Tell whether the interrupted code imports a module; nothing needs a clean end then."""
    while frame is not None:
        if frame.f_code.co_filename.startswith('<frozen importlib'):
            return True
        frame = frame.f_back
    return False
