"""What a prepared person shows, says and sounds like in each window, as the node would have it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from maven_ros.counters import Counters
from maven_ros.records import NS, SAMPLE_RATE_HZ, AudioChunk, Mask, Pixels, Samples, Word
from maven_ros.senses.audio import AudioSense
from maven_ros.settings import AudioSettings
from maven_ros.training.people.feature_spec import Windowing
from maven_ros.training.people.prepared import RecordedPerson
from maven_ros.training.people.recorded_sound import read_flac, read_words

_SLACK_S = 5.0  # of the ring of sound
_READERS = 4


class WindowOfSound(NamedTuple):
    """
    Sound with enough voice in it.

    :param window: its number.
    :param waveform: float32 (samples,).
    :param heard: bool (samples,).
    """

    window: int
    waveform: Samples
    heard: Mask


class WindowOfWords(NamedTuple):
    """Words in order, and the window's number."""

    window: int
    words: tuple[Word, ...]


def crops_of(
    folder: Path, paths: Sequence[str], side_px: int, batch: int, counters: Counters,
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint8]]]:
    """
    Read crops, in batches.

    :param paths: of each frame; empty where there is no face.
    :param side_px: that the encoder takes.
    :param counters: gets crops that cannot be read.
    :returns: numbers of frames, from 0, and crops, uint8 (n, side, side, 3) BGR.
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
                counters.count('video', 'unreadable_crop', f'{folder / paths[lost]} is no picture',
                               n=len(some) - len(read))
            if read:
                yield np.array([number for number, _ in read]), np.stack([one for _, one in read])


def _read_crop(path: Path, side_px: int) -> Pixels | None:
    import cv2

    crop = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if crop is None:
        return None
    if crop.shape[:2] != (side_px, side_px):
        shrinks = max(crop.shape[:2]) > side_px
        crop = cv2.resize(crop, (side_px, side_px),
                          interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return np.asarray(crop, np.uint8)


def sound_of(
    folder: Path, person: RecordedPerson, windowing: Windowing, counters: Counters,
) -> Iterator[WindowOfSound]:
    """
    Return the windows in which somebody speaks.

    :raises ResourceError: when the sound cannot be read.
    """
    if not person.audio:
        return
    settings = AudioSettings(offset_ms=windowing.offset_ms, voice_mode=windowing.voice_mode,
                             min_voiced_s=windowing.min_voiced_s)
    sense = AudioSense(settings, windowing.length_s + _SLACK_S, counters)
    waveform = read_flac(folder / person.audio)
    begin_ns = person.audio_start_ns + round(windowing.offset_ms * 1e6)
    window, count = 0, windowing.count(person.duration_s)
    for first in range(0, len(waveform), SAMPLE_RATE_HZ):
        block = waveform[first:first + SAMPLE_RATE_HZ, None]
        sense.add(AudioChunk(begin_ns + first * NS // SAMPLE_RATE_HZ, block, SAMPLE_RATE_HZ))
        last = first + SAMPLE_RATE_HZ >= len(waveform)
        while window < count:
            start_ns = windowing.start_ns(window)
            end_ns = start_ns + windowing.length_ns
            if not last and end_ns > (sense.watermark_ns or 0):
                break
            heard = sense.read(start_ns, end_ns)
            if heard.voiced_s >= windowing.min_voiced_s:
                yield WindowOfSound(window, heard.waveform, heard.heard)
            window += 1


def words_of(
    folder: Path, person: RecordedPerson, windowing: Windowing,
) -> Iterator[WindowOfWords]:
    """
    Return the windows in which there are words, each wholly inside.

    :raises ResourceError: when the transcript cannot be read.
    """
    if not person.transcript:
        return
    offset_ns = round(windowing.offset_ms * 1e6)  # words are heard when their sound is
    words = [replace(word, start_ns=word.start_ns + offset_ns, end_ns=word.end_ns + offset_ns)
             for word in read_words(folder / person.transcript)
             if word.confidence >= windowing.confidence_gate]
    starts_ns = [word.start_ns for word in words]
    for window in range(windowing.count(person.duration_s)):
        start_ns = windowing.start_ns(window)
        end_ns = start_ns + windowing.length_ns
        first, after = bisect_left(starts_ns, start_ns), bisect_left(starts_ns, end_ns)
        own = tuple(word for word in words[first:after] if word.end_ns <= end_ns)
        if own:
            yield WindowOfWords(window, own)
