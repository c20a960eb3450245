"""
The rules of windows and voices, each in one place.

Which frames are looked at, where windows lie, what of a stream is in one, and whose evidence it
is. The pipeline, the engine, the features and clips of training and the scoring call these: a rule
that is changed here is changed for what the node sees, what a network is trained on, and what it
is scored by. Times are integer nanoseconds; where a function takes one stamp it takes an int64
array of them as well.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from maven_ros.languages import is_known
from maven_ros.records import (
    NS,
    SAMPLE_RATE_HZ,
    VOICE_FRAME,
    Evidence,
    Mask,
    VoiceAssigned,
    Window,
    Word,
)
from maven_ros.settings import Settings

#: A stamp, or an array of them.
Stamps = TypeVar('Stamps', int, NDArray[np.int64])

#: Sound is kept this much longer than a window, for streams that are behind one another.
RING_SLACK_S = 5.0


# --- frames ----------------------------------------------------------------------------------


def is_looked_at(stamp_ns: int, before_ns: int | None, rate_hz: float) -> bool:
    """
    Tell whether a frame is looked at: the first frame of each slot of the frame rate is.

    Slots are counted from the epoch of the stamps, so that a live run and a replay agree.

    :param before_ns: stamp of the frame before; None for the first frame.
    :param rate_hz: slots a second.
    """
    rate_mhz = round(rate_hz * 1000)
    slot, slot_before = (None if one is None else one * rate_mhz // (1000 * NS)
                         for one in (stamp_ns, before_ns))
    return slot != slot_before


def looked_at(stamps_ns: NDArray[np.int64], rate_hz: float) -> Mask:
    """Tell which frames of a whole stream are looked at: bool (frames,); stamps ascend."""
    stamps = stamps_ns.tolist()
    return np.array([is_looked_at(stamp_ns, before_ns, rate_hz)
                     for before_ns, stamp_ns in itertools.pairwise([None, *stamps])], np.bool_)


# --- where windows lie -----------------------------------------------------------------------


def end_after(stamp_ns: Stamps, hop_ns: int) -> Stamps:
    """
    Return the end of the first window that ends after a stamp.

    Windows end at whole multiples of the hop, counted from the epoch of the stamps.
    """
    return (stamp_ns // hop_ns + 1) * hop_ns


def start_of(end_ns: Stamps, length_ns: int) -> Stamps:
    """Return where a window begins, by where it ends."""
    return end_ns - length_ns


def speaks_until(end_ns: Stamps, hop_ns: int) -> Stamps:
    """
    Return until when a window's state speaks, by where the window ends.

    A state is known at the end of its window; it speaks from then until the next window ends.
    """
    return end_ns + hop_ns


def window_samples(length_ns: int) -> int:
    """Return how many samples of sound a window has."""
    return round(length_ns * SAMPLE_RATE_HZ / NS)


# --- the slots inside a window ---------------------------------------------------------------


class Grid(NamedTuple):
    """The slots of a window: how many, and how long each is in seconds."""

    slots: int
    slot_s: float


def time_grid(length_s: float, rate_hz: float) -> Grid:
    """Return the slots of a window: one for each frame that is looked at, at least one."""
    slots = max(1, round(length_s * rate_hz))
    return Grid(slots, length_s / slots)


def slot_of(stamp_ns: Stamps, start_ns: int, end_ns: int, slots: int) -> Stamps:
    """Return the slot of the window ``[start_ns, end_ns)`` that a stamp falls in."""
    return (stamp_ns - start_ns) * slots // (end_ns - start_ns)


def newest_per_slot(
    stamps_ns: Sequence[int], start_ns: int, end_ns: int, slots: int,
) -> dict[int, int]:
    """Return which frame stands in each slot, by its place among them: the newest one."""
    ordered = sorted(range(len(stamps_ns)), key=lambda place: stamps_ns[place])
    return {slot_of(stamps_ns[place], start_ns, end_ns, slots): place for place in ordered}


def slot_edges(start_ns: int, end_ns: int, slots: int) -> NDArray[np.int64]:
    """Return the first stamp of each slot, and the window's end: int64 (slots + 1,)."""
    return start_ns - (-np.arange(slots + 1, dtype=np.int64) * (end_ns - start_ns) // slots)


# --- what is in a window ---------------------------------------------------------------------


def holds(start_ns: int, end_ns: int, stamp_ns: Any) -> Any:
    """Tell whether a frame is in the window ``[start_ns, end_ns)``: bool, or an array of it."""
    return (start_ns <= stamp_ns) & (stamp_ns < end_ns)


def words_inside(words: Iterable[Word], start_ns: int, end_ns: int) -> tuple[Word, ...]:
    """Return the words that were spoken wholly in ``[start_ns, end_ns)``, in order."""
    return tuple(sorted((word for word in words
                         if start_ns <= word.start_ns and word.end_ns <= end_ns),
                        key=lambda word: word.start_ns))


def voiced_s(voiced: Mask) -> float:
    """Return how long there was a voice, in seconds, by the verdict of each voice frame."""
    return int(voiced.sum()) * VOICE_FRAME / SAMPLE_RATE_HZ


# --- whose evidence it is --------------------------------------------------------------------


class Gates(NamedTuple):
    """
    What evidence has to pass.

    :param min_voiced_s: a window with less voice has no sound.
    :param confidence: words less sure are no evidence.
    :param languages: IETF tags of those that the text encoder knows; words of others are none.
    """

    min_voiced_s: float
    confidence: float
    languages: Collection[str]

    @classmethod
    def of(cls, settings: Settings, languages: Collection[str]) -> Gates:
        """Return those of a node's settings, and of its network."""
        return cls(settings.audio.min_voiced_s, settings.speech.confidence_gate, languages)

    def reads(self, language: str) -> bool:
        """Tell whether words of a language are evidence; one that nobody told is taken for it."""
        return not language or is_known(language, self.languages)


def voices(window: Window, speaker: str, gates: Gates) -> dict[str, VoiceAssigned]:
    """
    Return everybody in a window, and whose the voice in it is to each.

    :param speaker: who speaks, of several people in view; empty while undecided.
    :returns: by id, in the order in which they are seen; ``''`` alone where nobody is in view.
    """
    people = dict.fromkeys(face.person_id for face in window.faces) or {'': None}
    if voiced_s(window.voiced) < gates.min_voiced_s:
        return dict.fromkeys(people, VoiceAssigned.NONE)
    if not speaker or len(people) == 1:
        return dict.fromkeys(people, VoiceAssigned.UNDECIDED)
    return {person_id: VoiceAssigned.SELF if person_id == speaker else VoiceAssigned.OTHER
            for person_id in people}


def evidence_of(
    window: Window, person_id: str, voice: VoiceAssigned, gates: Gates,
) -> Evidence:
    """
    Return what of a window's evidence is of one person.

    Sound and words are of whoever is alone in view, or of the one who speaks.
    """
    faces = tuple(face for face in window.faces if face.person_id == person_id)
    own = len(faces) == len(window.faces) or voice is VoiceAssigned.SELF
    heard = own and voice is not VoiceAssigned.NONE
    return Evidence(
        window.start_ns, window.end_ns, person_id, faces,
        waveform=window.waveform if heard else window.waveform[:0],
        heard=window.heard if heard else window.heard[:0],
        words=tuple(word for word in window.words if own and word.confidence >= gates.confidence
                    and gates.reads(word.language)))
