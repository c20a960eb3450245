"""
Indian EmoSpeech Command Dataset (Banga et al., 2019, arXiv 1910.13801): single words; CC BY-NC-SA.

75 named speakers and many unnamed ones spoke into their own phones and laptops, in homes, streets
and a metro. Its *calm* is ordinary speech, so it is *neutral* here. Every fifth of the named
speakers validates.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from maven_ros.training.corpus import Examples, require_split
from maven_ros.training.voice_clips import listed_clips, voices

UNKNOWN = 'unknown'
EMOTIONS = {'calm': 'neutral', 'happy': 'happy', 'angry': 'angry', 'fearful': 'fearful'}


class Rooms:
    """All clips; the person of an example is the speaker, or not known."""

    name: ClassVar[str] = 'rooms'
    modality: ClassVar[str] = 'audio'
    licence: ClassVar[str] = 'CC BY-NC-SA 4.0'

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, split: str) -> Examples:
        """Return the clips of a split, in the table's order; ``test`` has none."""
        require_split(split)
        every = {clip.speaker for clip in listed_clips(self._folder)}
        held_out = set(sorted(every - {UNKNOWN})[::5])
        speakers = {'train': every - held_out, 'valid': held_out, 'test': set[str]()}[split]
        return voices(self._folder, EMOTIONS, speakers, UNKNOWN)
