"""The one way in: what a transport delivers becomes records, live, in replay and in the view."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from maven_ros.counters import Counters
from maven_ros.errors import InputError
from maven_ros.graph.interface import Received
from maven_ros.intake.clock import BACK_NS
from maven_ros.intake.face_pairing import TYPES, FacePairing
from maven_ros.intake.input_reader import InputReader
from maven_ros.records import AudioChunk, Frame, Input
from maven_ros.settings import AudioSettings


class Intake:
    """
    Reads messages, in the order in which they arrive; what cannot be used is counted by cause.

    A picture may be held for the faces that others find in it, and then comes with a later
    message.

    :param audio: says what the bytes of AudioData are until an AudioInfo tells.
    """

    def __init__(self, audio: AudioSettings, counters: Counters) -> None:
        self._counters = counters
        self._reader = InputReader(audio)
        self.faces = FacePairing(self._reader.read, counters)
        #: When the newest message arrived, or time was last said to pass.
        self.now_ns = 0
        #: Of each topic of pictures and sound: how many messages could be read, their earliest
        #: and their latest stamp.
        self.stamps: dict[str, list[int]] = {}

    def take(self, received: Received, clock_ns: int = 0) -> list[Input]:
        """
        Return the records that go on with a message; they arrive at :attr:`now_ns`.

        :param clock_ns: what the clock shows; what came before it began arrives as it begins.
        """
        now_ns = self.pass_time(received.received_ns or clock_ns)
        if now_ns != received.received_ns:
            received = replace(received, received_ns=now_ns)
        try:
            return self._read(received)
        except InputError as error:
            self._counters.count(received.topic, error.cause, str(error))
            return []

    def pass_time(self, now_ns: int) -> int:
        """
        Note what time it is, and return it.

        It does not go back by a little: a callback may be slower than whoever asks for the time.
        A clock that was set goes back by more.
        """
        if not self.now_ns - BACK_NS < now_ns < self.now_ns:
            self.now_ns = now_ns
        return self.now_ns

    def reset(self) -> None:
        """Forget the pictures and faces that wait, as after a jump in time."""
        self.faces.reset()

    def freeze(self) -> dict[str, Any]:
        """Return what was gathered, for :meth:`thaw` in another process."""
        return {'reader': self._reader.freeze(), 'faces': self.faces.freeze(),
                'now': self.now_ns, 'stamps': self.stamps}

    def thaw(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`freeze` returned."""
        self._reader.thaw(state['reader'])
        self.faces.thaw(state['faces'])
        self.now_ns, self.stamps = state['now'], state['stamps']

    def _read(self, received: Received) -> list[Input]:
        if received.msgtype in TYPES:
            return [*self.faces.take(received)]
        record = self._reader.read(received)
        if isinstance(record, Frame | AudioChunk):
            self._note(received.topic, record.stamp_ns)
        if isinstance(record, Frame):
            return [*self.faces.hold(received, record)]
        return [] if record is None else [record]

    def _note(self, topic: str, stamp_ns: int) -> None:
        count, first_ns, last_ns = self.stamps.get(topic, (0, stamp_ns, stamp_ns))
        self.stamps[topic] = [count + 1, min(first_ns, stamp_ns), max(last_ns, stamp_ns)]
