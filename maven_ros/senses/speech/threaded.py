"""A recogniser in a thread of its own: sound waits for it, boundedly; utterances come back."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Literal

from maven_ros.counters import Counters
from maven_ros.records import SAMPLE_RATE_HZ, Utterance
from maven_ros.senses.audio import AudioSegment
from maven_ros.senses.speech.recogniser import Recogniser

HURRY_S = 0.6  # behind by more, partial results are left out
#: After so many failures within so many seconds a recogniser rests until that time is past.
FAILURES, WITHIN_S = 4, 60.0
_Order = AudioSegment | Literal['reset', 'finish', 'close']


class ThreadedRecogniser:
    """
    Feeds a recogniser and collects from it.

    :param max_lag_s: when more sound than this waits, it is skipped.
    :param counters: gets ``speech.skipped``, ``speech.failed``, ``speech.stopped`` and
        ``speech.unfinished``.
    """

    recognises = True

    def __init__(self, recogniser: Recogniser, max_lag_s: float, counters: Counters) -> None:
        self._recogniser = recogniser
        self._max_lag_s, self._counters = max_lag_s, counters
        self._changed = threading.Condition()  # guards all below
        self._orders: deque[_Order] = deque()
        self._samples = 0  # that wait or are being recognised
        self._epoch = 0    # counts resets: what was found before one is not handed out
        self._unfinished = 0
        self._found: list[Utterance] = []
        self._failed_s: deque[float] = deque(maxlen=FAILURES)  # when, on the steady clock
        self._thread = threading.Thread(target=self._work, name='speech', daemon=True)
        self._thread.start()

    @property
    def lag_s(self) -> float:
        """Sound that was put and is not yet recognised, in seconds."""
        return self._samples / SAMPLE_RATE_HZ

    def put(self, segment: AudioSegment) -> None:
        """Take sound; where too much of it waits already, what waits is skipped."""
        with self._changed:
            if self._rests():
                self._counters.count('speech', 'skipped', 'the recogniser rests')
                return
            self._samples += len(segment.samples)
            self._order(segment)
            if self.lag_s > self._max_lag_s:
                self._skip()

    def poll(self) -> list[Utterance]:
        """Return what has been recognised since."""
        with self._changed:
            found, self._found = self._found, []
            return found

    def reset(self) -> None:
        """Forget all sound; nothing of it is returned any more."""
        with self._changed:
            self._epoch += 1
            self._found.clear()
            self._drop()
            self._order('reset')

    def finish(self, timeout_s: float) -> list[Utterance]:
        """Close what is being said, once all sound is recognised or the time is up."""
        with self._changed:
            if not self._rests():
                self._unfinished += 1
                self._order('finish')
                if not self._changed.wait_for(lambda: not self._unfinished, timeout_s):
                    self._counters.count(
                        'speech', 'unfinished',
                        f'{self.lag_s:.1f} s of sound not recognised after {timeout_s:g} s')
        return self.poll()

    def close(self) -> None:
        """End within a second; a decoding that takes longer ends with the process."""
        with self._changed:
            self._drop()
            self._order('close')
        self._thread.join(1.0)

    def _rests(self) -> bool:
        return (len(self._failed_s) == FAILURES
                and time.monotonic() - self._failed_s[0] < WITHIN_S)

    def _order(self, order: _Order) -> None:
        self._orders.append(order)
        self._changed.notify_all()

    def _drop(self) -> int:
        """Forget the sound that waits; return how many segments that was."""
        sounds = [one for one in self._orders if isinstance(one, AudioSegment)]
        self._samples -= sum(len(one.samples) for one in sounds)
        self._orders = deque(one for one in self._orders if not isinstance(one, AudioSegment))
        return len(sounds)

    def _skip(self) -> None:
        behind_s = self.lag_s
        self._counters.count(
            'speech', 'skipped', f'{behind_s:.1f} s behind; speech.max_lag_s allows '
            f'{self._max_lag_s:g}', n=max(self._drop(), 1))

    # --- in the thread -----------------------------------------------------------------------

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._orders)
                order, epoch, hurry = self._orders.popleft(), self._epoch, self.lag_s > HURRY_S
            if order == 'close':
                break
            found = self._do(order, hurry)
            with self._changed:
                if isinstance(order, AudioSegment):
                    self._samples -= len(order.samples)
                elif order == 'finish':
                    self._unfinished = max(self._unfinished - 1, 0)
                if epoch == self._epoch:
                    self._found += found
                self._changed.notify_all()
        self._recogniser.close()

    def _do(self, order: _Order, hurry: bool) -> list[Utterance]:
        try:
            if isinstance(order, AudioSegment):
                return self._recogniser.accept(order, hurry)
            if order == 'finish':
                return self._recogniser.finish()
            self._recogniser.reset()
        except Exception as error:  # native code raises whatever: one failure must not end it all
            self._fail(error)
        return []

    def _fail(self, error: Exception) -> None:
        with self._changed:
            self._failed_s.append(time.monotonic())
            self._counters.count('speech', 'failed', f'{error!r}; the recogniser begins anew')
            if self._rests():
                self._counters.count(
                    'speech', 'stopped', f'it failed {FAILURES} times within {WITHIN_S:g} s, and '
                    f'rests until that is past; {error!r}')
                self._drop()
                self._orders = deque(one for one in self._orders if one == 'close')
                self._unfinished = 0
            self._orders.appendleft('reset')
