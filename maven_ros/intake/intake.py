"""The one way in: what a transport delivers becomes records, live, in replay and in the view."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any, ClassVar

from maven_ros.counters import Counters
from maven_ros.errors import InputError
from maven_ros.freezing import Freezing
from maven_ros.graph.interface import Received
from maven_ros.graph.sound import AUDIO_CHUNK, AUDIO_DATA
from maven_ros.intake.clock import BACK_NS
from maven_ros.intake.face_pairing import TYPES, FacePairing
from maven_ros.intake.input_reader import InputReader
from maven_ros.intake.sound_pairing import SoundPairing
from maven_ros.intake.stamp_watch import StampWatch
from maven_ros.records import NS, AudioChunk, Frame, Input, RobotSound
from maven_ros.settings import AudioSettings, TimeSettings

#: Messages that a transport delivers at once arrive within this.
_AT_ONCE_NS = NS // 1000
#: Attributes that freeze by themselves.
_PARTS = ('_reader', 'faces', 'sound', 'stamps')


class Intake(Freezing):
    """
    Reads messages, in the order in which they arrive; what cannot be used is counted by cause.

    A picture may be held for the faces that others find in it, and then comes with a later
    message.

    :param audio: says what the bytes of AudioData are where no AudioInfo tells, and how
        long they wait for one.
    :param time: says what becomes of what has no stamp.
    :param robot_audio: full name of the topic of what the robot plays; empty for none.
    """

    _fixed: ClassVar[frozenset[str]] = frozenset(
        {'_counters', '_robot_audio', 'stands_in', *_PARTS})

    def __init__(
        self, audio: AudioSettings, counters: Counters, time: TimeSettings | None = None,
        robot_audio: str = '',
    ) -> None:
        self._counters = counters
        self._robot_audio = robot_audio
        #: Whether the time of arrival stands in for stamps that no driver has set.
        self.stands_in = (time or TimeSettings()).unstamped == 'arrival'
        self._reader = InputReader(audio)
        self.faces = FacePairing(self._reader.read, counters)
        #: Sound that waits for what says its form.
        self.sound = SoundPairing(audio, self._reader, counters)
        #: When the newest message arrived, or time was last said to pass.
        self.now_ns = 0
        #: The stamps of pictures and sound.
        self.stamps = StampWatch()
        #: How many messages of each topic were looked at,
        self.taken: Counter[str] = Counter()
        #: and how many of them held sound that does not change.
        self.flat: Counter[str] = Counter()
        self._refused_chunks = 0  # since the last that could be used
        self._stood_in_ns = 0  # the newest arrival that a picture had for its stamp

    def take(self, received: Received, clock_ns: int = 0) -> list[Input]:
        """
        Return the records that go on with a message; they arrive at :attr:`now_ns`.

        :param clock_ns: what the clock shows; what came before it began arrives as it begins.
        """
        now_ns = self.pass_time(received.received_ns or clock_ns)
        if now_ns != received.received_ns:
            received = replace(received, received_ns=now_ns)
        self.taken[received.topic] += 1
        return [record for one in self.sound.hold(received) for record in self._try(one)]

    def _try(self, received: Received) -> list[Input]:
        """Read a message; one that cannot be used is counted."""
        try:
            return self._read(received)
        except InputError as error:
            self._refused_chunks += (
                received.msgtype == AUDIO_CHUNK and received.topic != self._robot_audio)
            self._counters.refuse(received.topic, error.cause, str(error))
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
        """Forget the pictures, faces and sound that wait, as after a jump in time."""
        self.faces.reset()
        self.sound.reset()

    def describe(self, info: Received | None) -> None:
        """
        Take what a recording says of its sound before all else.

        :param info: its AudioInfo; None where it has none, and no sound need wait for it.
        """
        self.sound.describe(info)

    def freeze(self) -> dict[str, Any]:
        """Return what was gathered, for :meth:`thaw` in another process."""
        parts = {name: getattr(self, name).freeze() for name in _PARTS}
        return {**super().freeze(), **parts}

    def thaw(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`freeze` returned."""
        super().thaw({name: value for name, value in state.items() if name not in _PARTS})
        for name in _PARTS:
            getattr(self, name).thaw(state[name])

    def _read(self, received: Received) -> list[Input]:
        if received.msgtype in TYPES:
            return [*self.faces.take(received)]
        record = self._reader.read(received)
        if isinstance(record, AudioChunk) and received.topic == self._robot_audio:
            # What has no stamp begins to play as it arrives.
            stamp_ns = record.stamp_ns if record.stamped else received.received_ns
            return [RobotSound(replace(record, stamp_ns=stamp_ns))]
        if isinstance(record, Frame | AudioChunk):
            self._note(received, record)
        if isinstance(record, Frame) and not record.stamped:
            received, record = self._apart(received, record)
        if isinstance(record, Frame):
            return [*self.faces.hold(received, record)]
        if isinstance(record, AudioChunk):
            record = replace(record, refused=self._refused_chunks)
            self._refused_chunks = 0
        return [] if record is None else [record]

    def _apart(self, received: Received, frame: Frame) -> tuple[Received, Frame]:
        """Let pictures that were delivered at once have times of their own."""
        if 0 <= self._stood_in_ns - frame.stamp_ns < _AT_ONCE_NS:
            frame = replace(frame, stamp_ns=self._stood_in_ns + 1)
            received = replace(received, received_ns=frame.stamp_ns)
        self._stood_in_ns = frame.stamp_ns
        return received, frame

    def _note(self, received: Received, record: Frame | AudioChunk) -> None:
        """Note the stamp that the driver has set; of types that have none, the arrival."""
        unset = not record.stamped and received.msgtype != AUDIO_DATA
        if isinstance(record, AudioChunk) and (record.samples == record.samples[:1]).all():
            self.flat[received.topic] += 1
        self.stamps.note(
            received.topic, 0 if unset else record.stamp_ns, received.received_ns)
        if unset and not self.stands_in:
            raise InputError('unstamped', f'{received.msgtype}: a stamp of 0: its driver sets '
                                          'none; allowed: one, or time.unstamped: arrival')
