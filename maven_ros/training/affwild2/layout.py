"""
The layout of Aff-Wild2, and the annotated people in it.

- videos: ``batch1/NAME.mp4``, ``batch2/NAME.avi``, in folders of any depth;
- annotations: ``VA_Estimation_Challenge/Train_Set/NAME.txt`` and ``Validation_Set``, with one line
  per frame; ``NAME_left.txt`` and ``NAME_right.txt`` for two people in a video;
- cropped and aligned faces: ``NAME/00001.jpg``, ``NAME_left/00001.jpg``, optionally in batch
  folders.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from maven_ros.errors import ResourceError
from maven_ros.scoring.annotations import SIDES, SUFFIXES
from maven_ros.text import shown
from maven_ros.training.people.origin import Origin, find_origin

VIDEO_SUFFIXES = ('.avi', '.m4v', '.mkv', '.mov', '.mp4', '.webm')
_CROP = re.compile(r'(\d+)\.(jpe?g|png)', re.IGNORECASE)
_SPLITS = {'train': 'train', 'training': 'train', 'valid': 'valid', 'validation': 'valid',
           'test': 'test'}  # prefix of the annotation folder: our name
_TRACK = 'va_'  # prefix of the folder of the valence-arousal track


@dataclass(frozen=True)
class Subject:
    """
    One annotated person.

    :param person: name of the annotation, such as ``video59_right``.
    :param side: side of the picture; empty if only one person is annotated.
    """

    person: str
    video: str
    side: str
    split: str
    annotation: Path


@dataclass(frozen=True)
class Layout:
    """
    The files of a data set.

    :param videos: videos by name.
    :param subjects: annotated people by the name of their video.
    :param without_video: annotated people without a video.
    :param crops: folders of cropped faces by person.
    :param transcripts: files by the name of the video.
    :param origin: where the data come from.
    """

    videos: Mapping[str, Path]
    subjects: Mapping[str, tuple[Subject, ...]]
    without_video: tuple[Subject, ...]
    crops: Mapping[str, Path]
    transcripts: Mapping[str, Path]
    origin: Origin

    @property
    def without_annotation(self) -> tuple[str, ...]:
        """Names of videos without an annotation."""
        return tuple(name for name in self.videos if name not in self.subjects)


def find_layout(
    videos: Path, annotations: Path, crops: Path | None = None, transcripts: Path | None = None,
) -> Layout:
    """
    Find the files of a data set.

    :raises ResourceError: names the expected and the found files, or duplicate names.
    """
    found = find_videos(videos)
    subjects: dict[str, list[Subject]] = {}
    without_video = []
    for subject in find_annotations(annotations, found):
        if subject.video in found:
            subjects.setdefault(subject.video, []).append(subject)
        else:
            without_video.append(subject)
    if not subjects:
        raise ResourceError(
            f'{annotations}: none of its {len(without_video)} files, such as '
            f'{without_video[0].annotation.name}, has the name of a video in {videos}, such as '
            f'{next(iter(found))}; expected: NAME.txt, NAME_left.txt or NAME_right.txt for '
            'NAME.mp4')
    return Layout(
        found, {name: tuple(subjects[name]) for name in found if name in subjects},
        tuple(without_video), find_crops(crops) if crops else {},
        _by_name(transcripts, ('.json',), 'NAME.json') if transcripts else {},
        find_origin(annotations))


def find_videos(folder: Path) -> dict[str, Path]:
    """Return the videos in a folder, sorted by name."""
    return _by_name(folder, VIDEO_SUFFIXES, 'folders such as batch1 and batch2 with NAME.mp4 or '
                                            'NAME.avi')


def find_annotations(folder: Path, videos: Iterable[str]) -> list[Subject]:
    """Return the annotated people, sorted by name."""
    expected = ('Train_Set and Validation_Set with NAME.txt, in it or in its '
                'VA_Estimation_Challenge')
    inside = _entries(folder, expected)
    track = next((one for one in inside if one.is_dir()
                  and one.name.lower().startswith(_TRACK)), None)
    sets = [(split, one) for one in (_entries(track, expected) if track else inside)
            if one.is_dir() and (split := _split_of(one.name))]
    files = [(split, path) for split, one in sets for path in sorted(one.iterdir())
             if path.suffix.lower() in SUFFIXES and not path.name.startswith('.')]
    if not files:
        raise ResourceError(f'{track or folder}: expected {expected}; found '
                            f'{_listed(track or folder)}')
    _refuse_twins(folder, ((shown(path.stem), path) for _, path in files))
    names = set(videos)
    subjects = []
    for split, path in files:
        name = shown(path.stem)
        base, _, side = name.rpartition('_')
        if name not in names and side in SIDES:
            subjects.append(Subject(name, base, side, split, path))
        else:
            subjects.append(Subject(name, name, '', split, path))
    return sorted(subjects, key=lambda one: one.person)


def find_crops(folder: Path) -> dict[str, Path]:
    """Return the folders of cropped faces by person."""
    expected = 'NAME/00001.jpg, or folders such as batch1 with NAME/00001.jpg'
    people = []
    for one in _entries(folder, expected):
        if one.is_dir():
            people += [one] if _holds_crops(one) else [
                inner for inner in sorted(one.iterdir())
                if inner.is_dir() and _holds_crops(inner)]
    if not people:
        raise ResourceError(f'{folder}: expected {expected}; found {_listed(folder)}')
    _refuse_twins(folder, ((shown(one.name), one) for one in people))
    return {shown(one.name): one for one in people}


def read_crops(folder: Path) -> dict[int, Path]:
    """Return the pictures in a person's folder of cropped faces, by frame number."""
    return {int(match[1]): path for path in folder.iterdir()
            if (match := _CROP.fullmatch(path.name))}


def _holds_crops(folder: Path) -> bool:
    return any(_CROP.fullmatch(one.name) for one in folder.iterdir())


def _split_of(name: str) -> str:
    return _SPLITS.get(name.lower().removesuffix('_set'), '')


def _by_name(folder: Path, suffixes: tuple[str, ...], expected: str) -> dict[str, Path]:
    _entries(folder, expected)
    paths = sorted((path for path in folder.rglob('*') if path.suffix.lower() in suffixes
                    and not path.name.startswith('.') and path.is_file()),
                   key=lambda path: path.stem)
    if not paths:
        raise ResourceError(f'{folder}: expected {expected}; found {_listed(folder)}')
    _refuse_twins(folder, ((shown(path.stem), path) for path in paths))
    return {shown(path.stem): path for path in paths}


def _entries(folder: Path, expected: str) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise ResourceError(f'{folder}: cannot be read: {error.strerror}; expected {expected}'
                            ) from error


def _listed(folder: Path) -> str:
    names = sorted(one.name + '/' * one.is_dir() for one in folder.iterdir())
    return ', '.join(names[:5]) + ', ...' * (len(names) > 5) or 'nothing'


def _refuse_twins(folder: Path, named: Iterable[tuple[str, Path]]) -> None:
    """Refuse duplicate names, which are ambiguous."""
    known: dict[str, Path] = {}
    twins = []
    for name, path in named:
        other = known.setdefault(name, path)
        if other is not path:
            twins.append(f'{other.relative_to(folder)} and {path.relative_to(folder)}')
    if twins:
        raise ResourceError(f'{folder}: duplicate names: {"; ".join(twins)}; allowed: each name '
                            'once, in all folders together')
