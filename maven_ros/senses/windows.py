"""
Evidence on one clock, cut into windows.

Windows end at whole multiples of the hop, counted from the epoch of the stamps, so that two runs
over the same stamps cut the same windows. A window closes when every live stream has passed its
end, or when it has waited long enough since the first stream did. Closed is closed: what arrives
later for that time is late, for every window. Hence all windows that share a piece of time saw
the same evidence in it, and an engine need encode it only once.

Two clocks are at work and never compared with one another: *stamps* say where evidence belongs,
*now* (any steady clock of the caller) says how long something has been waited for.
"""

from __future__ import annotations

import enum
from collections import deque
from dataclasses import dataclass
from typing import ClassVar

from maven_ros import rules
from maven_ros.counters import Counters
from maven_ros.freezing import Freezing, plain_data
from maven_ros.records import Face, Stream, Window, nanoseconds, seconds
from maven_ros.senses.audio import AudioSense
from maven_ros.settings import WindowSettings


class Admission(enum.Enum):
    """What becomes of a piece of evidence."""

    WELCOME = 'welcome'
    LATE = 'late'        # its time is closed
    RESTART = 'restart'  # time jumped: all that was must be forgotten first


@plain_data
@dataclass(slots=True)
class _Progress:
    """How far a stream has come: in stamps, and when that was."""

    watermark_ns: int
    now_ns: int


class Windows(Freezing):
    """
    Gathers evidence and hands out windows in order, each at most once.

    :param settings: lengths and waits.
    :param audio: the ring that sound is read from; its ``read`` is called as a window closes.
    """

    _fixed: ClassVar[frozenset[str]] = frozenset({'_audio', '_counters'})

    def __init__(self, settings: WindowSettings, audio: AudioSense, counters: Counters) -> None:
        self._audio = audio
        self._counters = counters
        self._use(settings)
        self.reset()

    def reset(self) -> None:
        """Forget everything, the clock included."""
        self._progress: dict[Stream, _Progress] = {}
        self._leads: deque[tuple[int, int]] = deque()  # (watermark, now) as the leader advanced
        self._last_lead = (0, 0)                       # the newest that was taken off it
        self._next_end_ns: int | None = None
        self._sealed_ns: int | None = None
        self._now_ns: int | None = None
        self._faces: deque[Face] = deque()
        self._frame_id = ''

    def change(self, settings: WindowSettings) -> None:
        """Go on with another hop and other waits; windows end at multiples of the new hop."""
        last_end_ns = None if self._next_end_ns is None else self._next_end_ns - self._hop_ns
        self._use(settings)
        if last_end_ns is not None:
            self._next_end_ns = rules.end_after(last_end_ns, self._hop_ns)

    @property
    def sealed_ns(self) -> int | None:
        """Time up to which windows are closed; None before the first has."""
        return self._sealed_ns

    @property
    def next_start_ns(self) -> int:
        """Where the next window begins: what ended before it is of no more use."""
        return rules.start_of(self._next_end_ns or 0, self._length_ns)

    def admit(
        self, stream: Stream, start_ns: int, end_ns: int, now_ns: int, stamped: bool = True,
    ) -> Admission:
        """
        Tell what becomes of evidence from [start, end) of a stream that comes in now.

        After RESTART the caller collects what is open with :meth:`flush`, resets all senses and
        this, and asks no more: the evidence is the first of the new time.

        :param stamped: False where the time is that of arrival.
        """
        if self._jumped(stream, start_ns, end_ns, now_ns, stamped):
            return Admission.RESTART
        if self._sealed_ns is not None and end_ns <= self._sealed_ns:
            return Admission.LATE
        return Admission.WELCOME

    def arrived(self, stream: Stream, watermark_ns: int, now_ns: int) -> None:
        """Note that all of a stream's evidence from before ``watermark_ns`` is in."""
        lead_ns = self._lead_ns()
        known = self._progress.get(stream)
        if known is None:
            self._progress[stream] = _Progress(watermark_ns, now_ns)
        else:
            known.watermark_ns = max(known.watermark_ns, watermark_ns)
            known.now_ns = now_ns
        if lead_ns is None or watermark_ns > lead_ns:
            self._leads.append((watermark_ns, now_ns))
        if self._next_end_ns is None:
            first_ns = watermark_ns if self._sealed_ns is None else max(
                watermark_ns, self._sealed_ns)
            self._next_end_ns = rules.end_after(first_ns, self._hop_ns)

    def add_faces(self, faces: tuple[Face, ...], frame_id: str) -> None:
        """Add the faces of one frame; frames come in order of time."""
        self._faces.extend(faces)
        self._frame_id = frame_id

    def advance(self, now_ns: int) -> list[Window]:
        """Close the windows that are due and return them, oldest first."""
        closed: list[Window] = []
        if self._now_ns is not None and now_ns > self._now_ns + self._jump_ahead_ns:
            self._counters.count('windows', 'slept', 'nothing came and nobody asked for '
                                 f'{seconds(now_ns - self._now_ns):.1f} s; starting over')
            closed = self.flush()
            sealed_ns = self._sealed_ns
            self.reset()
            self._sealed_ns = sealed_ns  # what is closed stays so
        elif self._now_ns is not None and now_ns < self._now_ns:
            self._rewind(now_ns)
        since_ns, self._now_ns = self._now_ns, now_ns
        while (due_ns := self._fell_due(since_ns, now_ns)) is not None:
            closed.append(self._close(due_ns))
        return closed

    def flush(self) -> list[Window]:
        """Close every window that some stream has passed, at the end or before a restart."""
        lead_ns = self._lead_ns()
        closed: list[Window] = []
        if lead_ns is None or self._next_end_ns is None:
            return closed
        while self._next_end_ns <= lead_ns:
            closed.append(self._close(self._now_ns or 0))
        return closed

    def stopped(self, now_ns: int) -> frozenset[Stream]:
        """Return the streams that were live and have given nothing for too long."""
        return frozenset(stream for stream, progress in self._progress.items()
                         if now_ns - progress.now_ns >= self._stale_ns)

    # --- inside ------------------------------------------------------------------------------

    def _use(self, settings: WindowSettings) -> None:
        self._length_ns = nanoseconds(settings.length_s)
        self._hop_ns = nanoseconds(settings.hop_s)
        self._max_wait_ns = nanoseconds(settings.max_wait_s)
        self._stale_ns = nanoseconds(settings.stale_after_s)
        self._jump_back_ns = nanoseconds(settings.jump_back_s)
        self._jump_ahead_ns = nanoseconds(settings.jump_ahead_s)

    def _lead_ns(self) -> int | None:
        return max((one.watermark_ns for one in self._progress.values()), default=None)

    def _jumped(
        self, stream: Stream, start_ns: int, end_ns: int, now_ns: int, stamped: bool,
    ) -> bool:
        """Tell whether a stamp can only mean that time itself was set anew."""
        lead_ns = self._lead_ns()
        if lead_ns is None:
            return False
        silent_ns = max(0, now_ns - max(one.now_ns for one in self._progress.values()))
        if start_ns > lead_ns + silent_ns + self._jump_ahead_ns:
            return self._note_jump('ahead', stream, start_ns - lead_ns)
        own = self._progress.get(stream)
        # Arrivals come in bursts after a stall: only a clock that was set puts them far back.
        own_back_ns = self._jump_back_ns if stamped else self._jump_ahead_ns
        if own is not None and start_ns < own.watermark_ns - own_back_ns:
            return self._note_jump('back', stream, start_ns - own.watermark_ns)
        others = self._progress.keys() - self.stopped(now_ns) - {stream, Stream.TEXT}
        # A stream that goes on where it was only stood still: its backlog catches up.
        back_ns = self._jump_back_ns if own is None else self._jump_ahead_ns
        if not others and self._sealed_ns is not None and end_ns < self._sealed_ns - back_ns:
            return self._note_jump('back', stream, start_ns - self._sealed_ns)
        return False

    def _note_jump(self, where: str, stream: Stream, by_ns: int) -> bool:
        self._counters.count('windows', f'jump_{where}',
                             f'{stream.value} stamps jumped by {seconds(by_ns):+.3f} s; '
                             'starting over')
        return True

    def _rewind(self, now_ns: int) -> None:
        """The caller's clock went back: no wait may last longer for it."""
        for progress in self._progress.values():
            progress.now_ns = min(progress.now_ns, now_ns)
        self._leads = deque((lead_ns, min(then_ns, now_ns)) for lead_ns, then_ns in self._leads)
        lead_ns, then_ns = self._last_lead
        gone_on_ns = max(0, (self._now_ns or now_ns) - then_ns)
        self._last_lead = (lead_ns + gone_on_ns, now_ns)

    def _fell_due(self, since_ns: int | None, now_ns: int) -> int | None:
        """
        Return when the next window fell due since somebody last looked; None if it is not.

        What has stopped by then is the same however often somebody looks, live or in replay.
        """
        end_ns = self._next_end_ns
        if end_ns is None:
            return None
        moments_ns = [one.now_ns + self._stale_ns for one in self._progress.values()]
        passed_ns = self._passed(end_ns, live=False)
        if passed_ns is not None:
            moments_ns.append(passed_ns + self._max_wait_ns)
        between_ns = (ns for ns in moments_ns if (since_ns or now_ns) < ns < now_ns)
        return next(filter(self._due, (*sorted(between_ns), now_ns)), None)

    def _due(self, now_ns: int) -> bool:
        """Tell whether the next window may close: the one place that decides it."""
        end_ns = self._next_end_ns
        if end_ns is None:
            return False
        stopped = self.stopped(now_ns)
        # A stream whose clock is another altogether is not waited for.
        live = [one for stream, one in self._progress.items() if stream not in stopped
                and one.watermark_ns > end_ns - self._jump_ahead_ns]
        if live and all(one.watermark_ns >= end_ns for one in live):
            return True
        # What lags or is silent is waited for, but not for ever.
        passed_ns = self._passed(end_ns, bool(live))
        return passed_ns is not None and now_ns - passed_ns >= self._max_wait_ns

    def _passed(self, end_ns: int, live: bool) -> int | None:
        """Return the *now* at which the first stream passed a time; None if none has."""
        while self._leads and self._leads[0][0] < end_ns:
            self._last_lead = self._leads.popleft()
        if self._leads:
            return self._leads[0][1]
        if live:
            return None
        # All streams are silent: their time goes on as the caller's does.
        lead_ns, then_ns = self._last_lead
        return then_ns + (end_ns - lead_ns)

    def _close(self, now_ns: int) -> Window:
        assert self._next_end_ns is not None
        end_ns = self._next_end_ns
        start_ns = rules.start_of(end_ns, self._length_ns)
        stopped = self.stopped(now_ns)
        for stream, progress in self._progress.items():
            if progress.watermark_ns < end_ns and stream not in stopped:
                self._counters.count('windows', f'closed_without_{stream.value}', normal=True)
        while self._faces and self._faces[0].stamp_ns < start_ns:
            self._faces.popleft()
        heard = self._audio.read(start_ns, end_ns)
        self._sealed_ns = end_ns
        self._next_end_ns = rules.end_after(end_ns, self._hop_ns)
        return Window(
            start_ns, end_ns,
            faces=tuple(face for face in self._faces
                        if rules.holds(start_ns, end_ns, face.stamp_ns)),
            waveform=heard.waveform, heard=heard.heard, voiced=heard.voiced,
            stale=stopped, frame_id=self._frame_id)
