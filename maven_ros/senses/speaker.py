"""
Whose voice it is, of several people in view: the one's whose mouth moves with it.

Of each face, how much the mouth moves from frame to frame (:mod:`maven_ros.senses.mouth`) is kept,
apart for frames in a voice and frames in silence. Somebody *leads* when, over the last
``speaker.memory_s`` of a voice, the mouth

- moved at least ``speaker.min_motion`` (median), and
- ``speaker.margin`` times as much as everybody else's, of whom as much must be known, and
- ``speaker.contrast`` times as much as in the last silence, where one is known: who laughs or
  chews through it does not speak because a voice sets in.

Who leads for ``speaker.dwell_s`` has the voice, until somebody else moves more, the mouth is
still or moves in silence as well, the face is gone, or nobody has spoken for ``speaker.memory_s``.
Until then the voice is nobody's: somebody outside the picture may be speaking. Lips are not read:
that a mouth moves at the very syllables cannot be told from ten frames a second.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from maven_ros.freezing import Freezing, plain_data
from maven_ros.records import (
    NS,
    SAMPLE_RATE_HZ,
    VOICE_BLOCK,
    Face,
    Window,
    nanoseconds,
)
from maven_ros.senses.mouth import Grey, mouth_motion, shades
from maven_ros.settings import SpeakerSettings

#: A mouth is compared with itself about so much earlier, at any rate of frames; further apart,
#: two frames tell nothing of what was between them.
_STEP_NS, _FURTHEST_NS = 90_000_000, 250_000_000
_SILENT_NS = 300_000_000  # without a voice before a frame that counts as in silence
_SILENCES_NS = 10 * NS    # that silence is remembered for
_GONE_NS = NS // 2        # out of view for so long: no longer compared
_FEWEST = 5               # frames in a voice, or in silence, for a median
_KEEPS = 0.85             # of the least motion: who has the voice keeps it down to that


@plain_data
@dataclass(slots=True)
class Mouth:
    """
    What is remembered of one person's mouth, oldest first.

    :param seen: stamp and shades of the newest crops.
    :param speech: stamp and motion of frames in a voice.
    :param silence: the same of frames in silence.
    """

    seen: list[tuple[int, Grey]] = field(default_factory=list)
    speech: list[tuple[int, float]] = field(default_factory=list)
    silence: list[tuple[int, float]] = field(default_factory=list)


class ActiveSpeaker(Freezing):
    """
    Tells, window after window, whose the voice is.

    It depends on the windows alone, and they come in order of time.
    """

    _fixed: ClassVar[frozenset[str]] = frozenset({'_settings'})

    def __init__(self, settings: SpeakerSettings) -> None:
        self._settings = settings
        self.reset()

    def change(self, settings: SpeakerSettings) -> None:
        """Go on with other thresholds and times."""
        self._settings = settings

    def reset(self) -> None:
        """Forget everybody, as after a jump in time."""
        self._mouths: dict[str, Mouth] = {}
        self._taken_ns: int | None = None  # frames before this have been looked at
        self._speaker = ''                 # who has the voice; empty for nobody
        self._leader = ''                  # who leads,
        self._leads_ns = 0                 # and since which window's end

    def take(self, window: Window) -> str:
        """
        Look at what is new in a window.

        :returns: id of the person who speaks, in view in this window; empty while undecided.
        """
        for face in window.faces:
            if self._taken_ns is None or face.stamp_ns >= self._taken_ns:
                self._look(face, window)
        self._taken_ns = window.end_ns
        self._forget(window)
        motions = {person_id: _median(mouth.speech) for person_id, mouth in self._mouths.items()}
        if self._speaker and not self._keeps(motions):
            self._speaker = ''
        leader = self._leading(motions)
        if leader != self._leader:
            self._leader, self._leads_ns = leader, window.end_ns
        if leader and window.end_ns - self._leads_ns >= nanoseconds(self._settings.dwell_s):
            self._speaker = leader
        return self._speaker

    # --- inside ------------------------------------------------------------------------------

    def _look(self, face: Face, window: Window) -> None:
        """Measure a mouth in a frame, and file it by what was heard meanwhile."""
        mouth = self._mouths.setdefault(face.person_id, Mouth())
        grey, stamp_ns = shades(face.crop), face.stamp_ns
        if grey is None:
            return
        earlier = [one for one in mouth.seen if one[0] <= stamp_ns - _STEP_NS][-1:]
        mouth.seen = earlier + [one for one in mouth.seen if one[0] > stamp_ns - _STEP_NS]
        mouth.seen.append((stamp_ns, grey))
        if not earlier or stamp_ns - earlier[0][0] > _FURTHEST_NS:
            return
        [(before_ns, before)] = earlier
        motion = mouth_motion(before, grey)
        if _voiced(window, before_ns, stamp_ns) >= 0.5:
            mouth.speech.append((stamp_ns, motion))
        elif _voiced(window, stamp_ns - _SILENT_NS, stamp_ns) == 0.0:
            mouth.silence.append((stamp_ns, motion))

    def _forget(self, window: Window) -> None:
        """Forget who is out of view, and what is too old."""
        here = {face.person_id for face in window.faces
                if face.stamp_ns >= window.end_ns - _GONE_NS}
        self._mouths = {one: mouth for one, mouth in self._mouths.items() if one in here}
        speech_ns = window.end_ns - nanoseconds(self._settings.memory_s)
        for mouth in self._mouths.values():
            mouth.speech = [one for one in mouth.speech if one[0] >= speech_ns]
            mouth.silence = [
                one for one in mouth.silence if one[0] >= window.end_ns - _SILENCES_NS]

    def _keeps(self, motions: Mapping[str, float | None]) -> bool:
        """Tell whether nothing speaks against the one who has the voice."""
        own = motions.get(self._speaker)
        return (own is not None and own >= _KEEPS * self._settings.min_motion
                and not any(other is not None and other > own for other in motions.values())
                and self._contrasts(self._speaker, own))

    def _leading(self, motions: Mapping[str, float | None]) -> str:
        """Return who clearly moves the mouth with the voice; empty for nobody."""
        known = {one: motion for one, motion in motions.items() if motion is not None}
        if not known or len(known) < len(motions):
            return ''
        leader = max(known, key=lambda one: known[one])
        own = known.pop(leader)
        clear = (own >= self._settings.min_motion
                 and own >= self._settings.margin * max(known.values(), default=0.0)
                 and self._contrasts(leader, own))
        return leader if clear else ''

    def _contrasts(self, person_id: str, own: float) -> bool:
        """Tell whether a mouth moves more in a voice than it did in silence."""
        silent = _median(self._mouths[person_id].silence)
        return silent is None or own >= self._settings.contrast * silent


def _median(motions: list[tuple[int, float]]) -> float | None:
    if len(motions) < _FEWEST:
        return None
    return statistics.median(motion for _, motion in motions)


def _voiced(window: Window, start_ns: int, end_ns: int) -> float:
    """Return the share of voice in [start, end); NaN where not all of it was heard."""
    first, last = (max(0, (one - window.start_ns) * SAMPLE_RATE_HZ // NS)
                   for one in (start_ns, end_ns))
    voiced = window.voiced[first // VOICE_BLOCK:-(-last // VOICE_BLOCK)]
    heard = window.heard[first:last]
    return float(voiced.mean()) if len(voiced) and heard.all() else float('nan')
