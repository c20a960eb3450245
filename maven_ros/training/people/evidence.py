"""The evidence of recorded people in each window, the same as in the node."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from maven_ros import rules
from maven_ros.counters import Counters
from maven_ros.records import (
    NS,
    SAMPLE_RATE_HZ,
    AudioChunk,
    Box,
    Evidence,
    Face,
    Pixels,
    VoiceAssigned,
    Window,
    Word,
)
from maven_ros.senses.audio import AudioSense, WindowSound
from maven_ros.senses.speaker import ActiveSpeaker
from maven_ros.training.people.feature_spec import Windowing
from maven_ros.training.people.prepared import Frames, RecordedPerson
from maven_ros.training.people.recorded_sound import read_flac, read_words

_READERS = 4
_NOWHERE = Box(0, 0, 0, 0)  # the position of a face in the picture is not used
_NO_CROP = np.zeros((0, 0, 3), np.uint8)


@dataclass(frozen=True)
class RecordedVideo:
    """
    One video of a prepared set.

    :param folder: folder of the set.
    :param people: all people in the video; each refers to its sound and words.
    :param frames: frames of each person.
    :param side_px: side of the network's face crops, in pixels.
    :param languages: IETF tags of the languages that the network reads.
    """

    folder: Path
    people: Sequence[RecordedPerson]
    frames: Mapping[str, Frames]
    side_px: int
    languages: Collection[str]


def crops_of(
    folder: Path, paths: Sequence[str], side_px: int, batch: int, counters: Counters,
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint8]]]:
    """
    Read crops in batches.

    :param paths: path of each frame's crop; empty without a face.
    :param side_px: side of the encoder's crops, in pixels.
    :param counters: count crops that cannot be read.
    :returns: indices of frames, and crops, uint8 (n, side, side, 3) BGR.
    """
    shown = [number for number, path in enumerate(paths) if path]
    with ThreadPoolExecutor(_READERS) as pool:
        for first in range(0, len(shown), batch):
            some = shown[first:first + batch]
            crops = pool.map(lambda number: _read_crop(folder / paths[number], side_px), some)
            read = [(number, crop) for number, crop in zip(some, crops, strict=True)
                    if crop is not None]
            if len(read) < len(some):
                lost = next(number for number in some if number not in dict(read))
                counters.count('video', 'unreadable_crop', f'{folder / paths[lost]}: no picture',
                               n=len(some) - len(read))
            if read:
                yield np.array([number for number, _ in read]), np.stack([one for _, one in read])


def evidence_in(
    video: RecordedVideo, windowing: Windowing, counters: Counters,
) -> Iterator[dict[str, Evidence]]:
    """
    Yield the evidence of each person, window by window.

    :returns: evidence by person; the faces have no crops.
    :raises ResourceError: if the sound or the transcript cannot be read.
    """
    several = len(video.people) > 1
    speaker, gates = ActiveSpeaker(windowing.speaker), windowing.gates(video.languages)
    for window in windows_of(video, windowing, counters, crops=several):
        voices = rules.voices(window, speaker.take(window) if several else '', gates)
        beside = voices.get('', VoiceAssigned.OTHER)  # for a person out of view
        pieces = {one.person: rules.evidence_of(
            window, one.person, voices.get(one.person, beside), gates)
            for one in video.people}
        yield {person: replace(piece, faces=tuple(
            replace(face, crop=_NO_CROP) for face in piece.faces))
            for person, piece in pieces.items()}


def windows_of(
    video: RecordedVideo, windowing: Windowing, counters: Counters, crops: bool = True,
) -> Iterator[Window]:
    """
    Yield the windows of a video, the same as in the node.

    :param crops: whether to read the crops of faces.
    :raises ResourceError: if the sound or the transcript cannot be read.
    """
    sound, words = _Sound(video, windowing, counters), _Words(video, windowing)
    coming = deque(_looked_at(video, windowing))
    faces: deque[Face] = deque()
    for window in range(windowing.count(video.people[0].duration_s)):
        start_ns, end_ns = windowing.start_ns(window), windowing.end_ns(window)
        while coming and coming[0][0] <= end_ns:
            stamp_ns, person, path = coming.popleft()
            crop = _counted_crop(video, path, counters) if crops else _NO_CROP
            if crop is not None:
                faces.append(Face(stamp_ns, person, _NOWHERE, crop))
        while faces and faces[0].stamp_ns < start_ns:
            faces.popleft()
        heard = sound.read(start_ns, end_ns)
        yield Window(
            start_ns, end_ns,
            faces=tuple(face for face in faces if rules.holds(start_ns, end_ns, face.stamp_ns)),
            waveform=heard.waveform, heard=heard.heard, voiced=heard.voiced,
            words=words.read(start_ns, end_ns))


class _Sound:
    """The sound of a video on the node's sample clock, read in order of time."""

    def __init__(self, video: RecordedVideo, windowing: Windowing, counters: Counters) -> None:
        person = video.people[0]
        self._sense = AudioSense(
            windowing.audio, windowing.length_s + rules.RING_SLACK_S, counters)
        self._rest = read_flac(video.folder / person.audio) if person.audio \
            else np.zeros(0, np.float32)
        self._next_ns = person.audio_start_ns + windowing.offset_ns

    def read(self, start_ns: int, end_ns: int) -> WindowSound:
        while len(self._rest) and (self._sense.watermark_ns or start_ns) < end_ns:
            block, self._rest = self._rest[:SAMPLE_RATE_HZ], self._rest[SAMPLE_RATE_HZ:]
            self._sense.add(AudioChunk(self._next_ns, block[:, None], SAMPLE_RATE_HZ))
            self._next_ns += len(block) * NS // SAMPLE_RATE_HZ
        return self._sense.read(start_ns, end_ns)


class _Words:
    """The words of a video, which arrive with their sound."""

    def __init__(self, video: RecordedVideo, windowing: Windowing) -> None:
        transcript, offset_ns = video.people[0].transcript, windowing.offset_ns
        self._words = [
            replace(word, start_ns=word.start_ns + offset_ns, end_ns=word.end_ns + offset_ns)
            for word in (read_words(video.folder / transcript) if transcript else ())]
        self._starts_ns = [word.start_ns for word in self._words]
        self._ended_ns = list(accumulate((word.end_ns for word in self._words), max))

    def read(self, start_ns: int, end_ns: int) -> tuple[Word, ...]:
        near = slice(bisect_left(self._ended_ns, start_ns), bisect_right(self._starts_ns, end_ns))
        return rules.words_inside(self._words[near], start_ns, end_ns)


def _looked_at(video: RecordedVideo, windowing: Windowing) -> list[tuple[int, str, str]]:
    """Return stamp, person and crop of each face that the node would use, in order."""
    found = []
    for person, frames in video.frames.items():
        chosen = rules.looked_at(frames.stamps_ns, windowing.rate_hz)
        found += [(stamp_ns, person, path) for stamp_ns, path, is_chosen in zip(
            frames.stamps_ns.tolist(), frames.crops, chosen.tolist(), strict=True)
            if path and is_chosen]
    return sorted(found)


def _counted_crop(video: RecordedVideo, path: str, counters: Counters) -> Pixels | None:
    crop = _read_crop(video.folder / path, video.side_px)
    if crop is None:
        counters.count('video', 'unreadable_crop', f'{video.folder / path}: no picture')
    return crop


def _read_crop(path: Path, side_px: int) -> Pixels | None:
    import cv2

    try:  # read here: OpenCV dies of a path that is no UTF-8
        crop = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
    except (OSError, cv2.error):
        return None
    if crop is None:
        return None
    if crop.shape[:2] != (side_px, side_px):
        shrinks = max(crop.shape[:2]) > side_px
        crop = cv2.resize(crop, (side_px, side_px),
                          interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return np.asarray(crop, np.uint8)
