"""
Generate a small artificial data set in Aff-Wild2's layout.

In each video an actor makes a series of utterances. Valence and arousal move smoothly from the
point of one utterance to that of the next, and faces and words follow them. Some frames have no
face, some are unlabelled (-5), and one video has two people.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maven_ros.declarations import Checked, setting
from maven_ros.errors import ResourceError
from maven_ros.files import written, written_folder
from maven_ros.records import NS, SAMPLE_RATE_HZ, Pixels, Samples, Word
from maven_ros.training.affwild2.cast import FACE_PX, Actor, DrawnActor, Roles, Said
from maven_ros.training.affwild2.frames import encode_jpeg
from maven_ros.training.corpora.emobank import Emobank
from maven_ros.training.corpora.ferplus import Ferplus
from maven_ros.training.corpora.ravdess import Ravdess
from maven_ros.training.people.origin import Origin
from maven_ros.training.people.recorded_sound import write_words

FRAME_RATE_HZ = 25
SIDE_PX = 144
SETS = {'train': 'Train_Set', 'valid': 'Validation_Set', 'test': 'Test_Set'}

_BREATH_S = 4.0      # from one utterance to the next
_CHANGE_S = 0.4      # duration of one face
_HIDDEN_S = 0.6      # time without a face in each video
_UNLABELLED_S = 0.8  # unlabelled time in each video
_CONFIDENCE = 0.9    # of the made-up transcript


@dataclass(frozen=True)
class GenerateSettings(Checked):
    """The settings of the generator."""

    videos: int = setting(
        12, 'Number of videos: a quarter for validation, a sixth for testing, at least one each.',
        minimum=3)
    seconds: float = setting(20.0, 'Length of each video.', minimum=2, maximum=3600)
    seed: int = setting(0, 'Seed of all randomness.')

    @property
    def splits(self) -> dict[str, int]:
        """Number of videos in each split."""
        valid, test = max(1, self.videos // 4), max(1, self.videos // 6)
        return {'train': self.videos - valid - test, 'valid': valid, 'test': test}


@dataclass(frozen=True)
class _Part:
    """The part of one person: a trace (frames, 2), a face per frame, sound and words."""

    trace: NDArray[np.float64]
    faces: Sequence[Pixels]
    waveform: Samples
    words: Sequence[Word]


def generate(out: Path, settings: GenerateSettings, data: Path | None = None) -> None:
    """
    Write ``videos``, ``annotations``, ``cropped_aligned`` and ``transcripts``.

    :param out: folder that does not exist, or is empty.
    :param data: folder of the corpora; if omitted, faces are drawn and voices babble.
    :raises ResourceError: if the folder is not empty, cannot be written, or a file of the corpora
        is missing; nothing is written then.
    """
    if out.exists() and any(out.iterdir()):
        raise ResourceError(f'{out}: is not empty; allowed: a folder that is not there yet')
    with written_folder(out) as beside:
        _write(beside, settings, data)


def _write(out: Path, settings: GenerateSettings, data: Path | None) -> None:
    _origin(data).write(out / 'annotations')
    number = 0
    for place, (split, count) in enumerate(settings.splits.items()):
        roles = Roles(data, split, count + 1) if data else None
        for index in range(count):
            number += 1
            random = np.random.default_rng([settings.seed, place, index])
            people = 2 if split == 'train' and index == 0 else 1
            actors: list[Actor] = [
                roles.actor(count * one + index) if roles else DrawnActor(random)
                for one in range(people)]
            _write_video(out, f'{number}-{FRAME_RATE_HZ}-{SIDE_PX * people}x{SIDE_PX}', split,
                         [_act(actor, settings.seconds, random) for actor in actors], random)


def _origin(data: Path | None) -> Origin:
    if data is None:
        return Origin('generated faces, babble and made-up words', '', generated=True)
    corpora = Ferplus, Ravdess, Emobank
    return Origin(
        f'data generated from {", ".join(one.name for one in corpora)}',
        '; '.join(f'{one.name}: {one.licence}' for one in corpora), generated=True)


# --- contents --------------------------------------------------------------------------------


def _act(actor: Actor, seconds: float, random: np.random.Generator) -> _Part:
    said = [actor.says(random) for _ in range(max(2, round(seconds / _BREATH_S) + 1))]
    times_s = np.arange(len(said)) * seconds / (len(said) - 1)
    frames = round(seconds * FRAME_RATE_HZ)
    trace = _smooth(np.arange(frames) / FRAME_RATE_HZ, times_s,
                    np.array([one.point for one in said]))
    hold = round(_CHANGE_S * FRAME_RATE_HZ)
    shown = [actor.shows(trace[min(first + hold // 2, frames - 1)], random)
             for first in range(0, frames, hold)]
    words: list[Word] = []
    for time_s, one in zip(times_s, said, strict=True):
        words += _spoken(actor.words(one.point, random), time_s - 0.4 * _BREATH_S,
                         0.8 * _BREATH_S, seconds)
    return _Part(trace, [shown[frame // hold] for frame in range(frames)],
                 _mix(said, times_s, seconds), words)


def _smooth(
    times_s: NDArray[np.float64], stations_s: NDArray[np.float64], points: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Interpolate smoothly between points, with slow motion near each: (times, 2)."""
    after = np.clip(np.searchsorted(stations_s, times_s, side='right'), 1, len(points) - 1)
    share = (times_s - stations_s[after - 1]) / (stations_s[after] - stations_s[after - 1])
    eased = (share * share * (3 - 2 * share))[:, None]
    return points[after - 1] + eased * (points[after] - points[after - 1])


def _mix(said: Sequence[Said], times_s: NDArray[np.float64], seconds: float) -> Samples:
    """Mix utterances, each centred at its time."""
    waveform = np.zeros(round(seconds * SAMPLE_RATE_HZ), np.float32)
    longest = round(_BREATH_S * SAMPLE_RATE_HZ)
    for time_s, one in zip(times_s, said, strict=True):
        spare = max(0, len(one.waveform) - longest) // 2
        clip = one.waveform[spare:spare + longest]
        first = round(time_s * SAMPLE_RATE_HZ) - len(clip) // 2
        begin, end = max(0, first), min(len(waveform), first + len(clip))
        waveform[begin:end] += clip[begin - first:end - first]
    return waveform


def _spoken(words: Sequence[str], start_s: float, length_s: float, seconds: float) -> list[Word]:
    """Lay out words in time, with durations by their length in letters; clip to the video."""
    edges_s = np.cumsum([0, *(len(word) + 1 for word in words)]) * length_s
    edges_s = start_s + edges_s / max(1, sum(len(word) + 1 for word in words))
    return [Word(word, round(begin_s * NS), round(end_s * NS), _CONFIDENCE)
            for word, begin_s, end_s in zip(words, edges_s, edges_s[1:], strict=False)
            if begin_s >= 0 and end_s <= seconds]


# --- files -----------------------------------------------------------------------------------


def _write_video(
    out: Path, name: str, split: str, parts: Sequence[_Part], random: np.random.Generator,
) -> None:
    frames = len(parts[0].trace)
    picture = np.full((frames, SIDE_PX, SIDE_PX * len(parts), 3), 40, np.uint8)
    margin = (SIDE_PX - FACE_PX) // 2
    for index, part in enumerate(parts):
        person = name if len(parts) == 1 else f'{name}_{("left", "right")[index]}'
        hidden = _stretch(frames, _HIDDEN_S, random)
        left = SIDE_PX * index + margin
        for frame in np.flatnonzero(~hidden).tolist():
            face = part.faces[frame]
            picture[frame, margin:margin + FACE_PX, left:left + FACE_PX] = face
            with written(out / 'cropped_aligned' / person / f'{frame + 1:05}.jpg') as beside:
                beside.write_bytes(encode_jpeg(face))
        unlabelled = _stretch(frames, _UNLABELLED_S, random)
        lines = ['valence,arousal', *(
            '-5,-5' if skipped else f'{valence:.3f},{arousal:.3f}'
            for (valence, arousal), skipped in zip(part.trace, unlabelled, strict=True))]
        folder = out / 'annotations' / 'VA_Estimation_Challenge' / SETS[split]
        with written(folder / f'{person}.txt') as beside:
            beside.write_text('\n'.join(lines) + '\n', 'utf-8')
    batch = 'batch1' if split == 'train' else 'batch2'
    with written(out / 'videos' / batch / f'{name}.mp4') as beside:
        _encode(beside, picture, parts[0].waveform)  # only the person on the left speaks
    write_words(out / 'transcripts' / f'{name}.json', parts[0].words)


def _stretch(frames: int, seconds: float, random: np.random.Generator) -> NDArray[np.bool_]:
    length = min(frames // 4, round(seconds * FRAME_RATE_HZ))
    first = int(random.integers(frames - length))
    inside = np.zeros(frames, np.bool_)
    inside[first:first + length] = True
    return inside


def _encode(path: Path, pictures: NDArray[np.uint8], waveform: Samples) -> None:
    import av

    with av.open(str(path), 'w', format='mp4') as container:
        video: Any = container.add_stream('libx264', rate=FRAME_RATE_HZ, options={
            'crf': '20', 'preset': 'veryfast', 'threads': '1'})
        video.height, video.width = pictures.shape[1:3]
        video.pix_fmt = 'yuv420p'
        audio: Any = container.add_stream('aac', rate=SAMPLE_RATE_HZ, layout='mono')
        packets = []
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, 'bgr24')
            frame.pts, frame.time_base = number, Fraction(1, FRAME_RATE_HZ)
            packets += video.encode(frame)
        packets += video.encode(None)
        size = audio.codec_context.frame_size or 1024
        for first in range(0, len(waveform), size):
            sound = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(waveform[None, first:first + size]), 'fltp', 'mono')
            sound.sample_rate, sound.time_base = SAMPLE_RATE_HZ, Fraction(1, SAMPLE_RATE_HZ)
            sound.pts = first
            packets += audio.encode(sound)
        packets += audio.encode(None)
        for packet in sorted(packets, key=lambda one: one.dts * one.time_base):
            container.mux(packet)
