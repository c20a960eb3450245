"""
nEMO (Christop, 2024): six acted emotions in Polish, about 90 sentences; CC BY-NC-SA 4.0.

One woman and one man validate; the published set has no split.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import ClassVar

from maven_ros.training.voice_clips import ListedVoices

SPEAKERS = {'train': {'IC0', 'MK0', 'SM0', 'TP0'}, 'valid': {'EB0', 'KS0'}, 'test': set[str]()}


class Nemo(ListedVoices):
    """All clips; ``test`` has none."""

    name: ClassVar[str] = 'nemo'
    licence: ClassVar[str] = 'CC BY-NC-SA 4.0'
    emotions: ClassVar[Mapping[str, str]] = {
        'neutral': 'neutral', 'happiness': 'happy', 'sadness': 'sad', 'anger': 'angry',
        'fear': 'fearful', 'surprised': 'surprised'}

    def speakers(self, split: str, every: Set[str]) -> Set[str]:
        """Return the speakers of a split."""
        return SPEAKERS[split]
