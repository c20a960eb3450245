"""
nEMO (Christop, 2024): six acted emotions in Polish, about 90 sentences; CC BY-NC-SA 4.0.

One woman and one man validate; the published set has no split.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from maven_ros.training.corpus import Examples, require_split
from maven_ros.training.voice_clips import voices

SPEAKERS = {'train': ('IC0', 'MK0', 'SM0', 'TP0'), 'valid': ('EB0', 'KS0'), 'test': ()}
EMOTIONS = {'neutral': 'neutral', 'happiness': 'happy', 'sadness': 'sad', 'anger': 'angry',
            'fear': 'fearful', 'surprised': 'surprised'}  # its name, ours


class Nemo:
    """All clips; the person of an example is the speaker."""

    name: ClassVar[str] = 'nemo'
    modality: ClassVar[str] = 'audio'
    licence: ClassVar[str] = 'CC BY-NC-SA 4.0'

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, split: str) -> Examples:
        """Return the clips of a split, in the table's order."""
        require_split(split)
        return voices(self._folder, EMOTIONS, SPEAKERS[split])
