"""
Holds sound whose form nobody has told yet.

The bytes of ``AudioData`` mean nothing without the ``AudioInfo`` beside them, which may come
later: drivers send it at their start, and each 5 s.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from typing import ClassVar

from maven_ros.counters import Counters
from maven_ros.errors import InputError
from maven_ros.freezing import Freezing
from maven_ros.graph.interface import Received
from maven_ros.graph.sound import AUDIO_DATA, AUDIO_DATA_STAMPED, AUDIO_INFO
from maven_ros.intake.input_reader import InputReader
from maven_ros.records import nanoseconds
from maven_ros.settings import AudioSettings

#: All that waits, at most; then no more is waited.
_MOST_BYTES = 2**24


class SoundPairing(Freezing):
    """
    Lets sound wait, boundedly, for the message that says what its bytes are.

    Where none comes in time, the settings say it.

    :param reader: knows what was told, and reads an AudioInfo.
    """

    _fixed: ClassVar[frozenset[str]] = frozenset({'_wait_ns', '_reader', '_counters'})

    def __init__(self, audio: AudioSettings, reader: InputReader, counters: Counters) -> None:
        self._wait_ns = nanoseconds(audio.info_wait_s)
        self._reader, self._counters = reader, counters
        self._held: deque[Received] = deque()
        self._given_up = not self._wait_ns

    @property
    def held(self) -> int:
        """How many messages wait now."""
        return len(self._held)

    def hold(self, received: Received) -> list[Received]:
        """Take a message; return those that go on now, in order."""
        if received.msgtype == AUDIO_INFO:
            return [received, *self._let_go()]
        if received.msgtype not in (AUDIO_DATA, AUDIO_DATA_STAMPED) \
                or self._given_up or self._reader.form_told:
            return [received]
        self._held.append(received)
        waited_ns = received.received_ns - self._held[0].received_ns
        if 0 <= waited_ns < self._wait_ns and sum(
                len(one.cdr) for one in self._held) < _MOST_BYTES:
            return []
        self._given_up = True
        self._counters.count(
            received.topic, 'assumed_form', f'no AudioInfo has come for {waited_ns / 1e9:.1f} s; '
            f'taken for {self._reader.form} (audio.raw_rate_hz, raw_channels, raw_format)',
            n=len(self._held))
        return self._let_go()

    def describe(self, info: Received | None) -> None:
        """Take an AudioInfo ahead of its turn; None where it is known that none will come."""
        if info is None:
            self._given_up = True
            return
        with suppress(InputError):  # counted when its turn comes
            self._reader.read(info)

    def reset(self) -> None:
        """Forget what waits."""
        self._held.clear()

    def _let_go(self) -> list[Received]:
        held, self._held = [*self._held], deque()
        return held
