"""
The rules of windows and voices, each in one place.

This module decides which frames the network sees, where windows begin and end, which samples,
faces and words a window holds, and whose evidence it is. The pipeline, the engine, the features
and clips of training, and the scoring all call it, so a rule that changes here changes for all of
them. Times are integer nanoseconds. A function that takes one stamp also takes an int64 array of
stamps.
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
    VOICE_BLOCK,
    Evidence,
    Mask,
    Samples,
    VoiceAssigned,
    Window,
    Word,
)
from maven_ros.settings import Settings

#: A stamp, or an array of them.
Stamps = TypeVar('Stamps', int, NDArray[np.int64])

#: The sound buffer is this much longer than a window, because streams lag behind one another.
RING_SLACK_S = 5.0


# --- frames ----------------------------------------------------------------------------------


def is_looked_at(stamp_ns: int, before_ns: int | None, rate_hz: float) -> bool:
    """
    Tell whether the network sees a frame: it sees the first frame of each slot of the frame rate.

    Slots are counted from the epoch, so a live run and a replay choose the same frames.

    :param before_ns: stamp of the previous frame; None for the first frame.
    :param rate_hz: slots per second.
    """
    rate_mhz = round(rate_hz * 1000)
    slot, slot_before = (None if one is None else one * rate_mhz // (1000 * NS)
                         for one in (stamp_ns, before_ns))
    return slot != slot_before


def looked_at(stamps_ns: NDArray[np.int64], rate_hz: float) -> Mask:
    """Tell which frames of a stream the network sees: bool (frames,). Stamps must ascend."""
    stamps = stamps_ns.tolist()
    return np.array([is_looked_at(stamp_ns, before_ns, rate_hz)
                     for before_ns, stamp_ns in itertools.pairwise([None, *stamps])], np.bool_)


# --- where windows lie -----------------------------------------------------------------------


def end_after(stamp_ns: Stamps, hop_ns: int) -> Stamps:
    """
    Return the end of the first window that ends after a stamp.

    Windows end at whole multiples of the hop, counted from the epoch.
    """
    return (stamp_ns // hop_ns + 1) * hop_ns


def start_of(end_ns: Stamps, length_ns: int) -> Stamps:
    """Return the start of a window, given its end."""
    return end_ns - length_ns


def speaks_until(end_ns: Stamps, hop_ns: int) -> Stamps:
    """
    Return the time until which a window's state is the current one, given the window's end.

    A state is known at the end of its window and stays current until the next window ends.
    """
    return end_ns + hop_ns


def window_samples(length_ns: int) -> int:
    """Return the number of audio samples in a window."""
    return round(length_ns * SAMPLE_RATE_HZ / NS)


# --- the slots inside a window ---------------------------------------------------------------


class Grid(NamedTuple):
    """The slots of a window: their number, and the length of each in seconds."""

    slots: int
    slot_s: float


def time_grid(length_s: float, rate_hz: float) -> Grid:
    """Return the slots of a window: one per frame that the network sees, at least one."""
    slots = max(1, round(length_s * rate_hz))
    return Grid(slots, length_s / slots)


def slot_of(stamp_ns: Stamps, start_ns: int, end_ns: int, slots: int) -> Stamps:
    """Return the slot of the window ``[start_ns, end_ns)`` that contains a stamp."""
    return (stamp_ns - start_ns) * slots // (end_ns - start_ns)


def newest_per_slot(
    stamps_ns: Sequence[int], start_ns: int, end_ns: int, slots: int,
) -> dict[int, int]:
    """Return the index of the newest frame in each slot, by slot."""
    ordered = sorted(range(len(stamps_ns)), key=lambda place: stamps_ns[place])
    return {slot_of(stamps_ns[place], start_ns, end_ns, slots): place for place in ordered}


def slot_edges(start_ns: int, end_ns: int, slots: int) -> NDArray[np.int64]:
    """Return the start of each slot, then the end of the window: int64 (slots + 1,)."""
    return start_ns - (-np.arange(slots + 1, dtype=np.int64) * (end_ns - start_ns) // slots)


# --- what is in a window ---------------------------------------------------------------------


def holds(start_ns: int, end_ns: int, stamp_ns: Any) -> Any:
    """Tell whether a frame is in the window ``[start_ns, end_ns)``: bool, or an array of it."""
    return (start_ns <= stamp_ns) & (stamp_ns < end_ns)


def words_inside(words: Iterable[Word], start_ns: int, end_ns: int) -> tuple[Word, ...]:
    """Return the words that lie entirely inside ``[start_ns, end_ns)``, in order."""
    return tuple(sorted((word for word in words
                         if start_ns <= word.start_ns and word.end_ns <= end_ns),
                        key=lambda word: word.start_ns))


def voiced(voice: Samples, threshold: float, lead_s: float, hangover_s: float) -> Mask:
    """
    Decide in which blocks there is a voice.

    The first blocks lack the hangover of what came before them, the last ones the lead of what
    comes after.

    :param voice: float32 (n,), the probability of a voice in each of contiguous blocks; n >= 1.
    :param threshold: least probability of a voice.
    :param lead_s: duration for which there was a voice before such a block.
    :param hangover_s: duration for which it goes on after such a block.
    :returns: bool (n,).
    """
    lead, hangover = voice_blocks(lead_s), voice_blocks(hangover_s)
    reached = np.pad(voice >= threshold, (hangover, lead))
    return np.convolve(reached, np.ones(hangover + 1 + lead), 'valid') > 0


def voice_blocks(duration_s: float) -> int:
    """Return the number of blocks of voice activity in a duration."""
    return round(duration_s * SAMPLE_RATE_HZ / VOICE_BLOCK)


def voiced_s(voiced: Mask) -> float:
    """Return the duration of voice in seconds, given one decision per block."""
    return int(voiced.sum()) * VOICE_BLOCK / SAMPLE_RATE_HZ


# --- whose evidence it is --------------------------------------------------------------------


class Gates(NamedTuple):
    """
    The thresholds that evidence has to pass.

    :param min_voiced_s: sound counts only if the window has at least this much voice, in seconds.
    :param confidence: words count only if their confidence is at least this, in [0, 1].
    :param languages: IETF tags of the languages that the text encoder knows; only words of these
        count.
    """

    min_voiced_s: float
    confidence: float
    languages: Collection[str]

    @classmethod
    def of(cls, settings: Settings, languages: Collection[str]) -> Gates:
        """Return the gates that a node's settings and its network describe."""
        return cls(settings.audio.min_voiced_s, settings.speech.confidence_gate, languages)

    def reads(self, language: str) -> bool:
        """Tell whether words of a language are evidence. Words of unknown language are."""
        return not language or is_known(language, self.languages)


def voices(window: Window, speaker: str, gates: Gates) -> dict[str, VoiceAssigned]:
    """
    Return the people in a window and, for each, who the voice in the window belongs to.

    :param speaker: id of the person who speaks, if several are in view; empty while undecided.
    :returns: an entry per person id, in the order in which the faces were seen; the only id is
        ``''`` if nobody is in view.
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
    Return the part of a window's evidence that belongs to one person.

    Sound and words belong to the only person in view or, among several, to the one who speaks.
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
