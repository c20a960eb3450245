"""
Indian EmoSpeech Command Dataset (Banga et al., 2019, arXiv 1910.13801): single words; CC BY-NC-SA.

75 named speakers and many unnamed ones spoke into their own phones and laptops, in homes, streets
and a metro. Its *calm* is ordinary speech, so it is *neutral* here. Every fifth of the named
speakers validates.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import ClassVar

from maven_ros.training.voice_clips import ListedVoices


class Rooms(ListedVoices):
    """All clips; ``test`` has none."""

    name: ClassVar[str] = 'rooms'
    licence: ClassVar[str] = 'CC BY-NC-SA 4.0'
    emotions: ClassVar[Mapping[str, str]] = {
        'calm': 'neutral', 'happy': 'happy', 'angry': 'angry', 'fearful': 'fearful'}
    unknown: ClassVar[str] = 'unknown'

    def speakers(self, split: str, every: Set[str]) -> Set[str]:
        """Return the speakers of a split."""
        held_out = set(sorted(every - {self.unknown})[::5])
        return {'train': every - held_out, 'valid': held_out, 'test': set[str]()}[split]
