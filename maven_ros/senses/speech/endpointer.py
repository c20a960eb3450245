"""When somebody begins and ends to speak, from the voice detector's probabilities alone."""

from __future__ import annotations

import enum
import math

from maven_ros.records import SAMPLE_RATE_HZ, VOICE_BLOCK

BEGIN, STAY = 0.5, 0.35   # probability of a voice with which speech begins, and goes on
BLOCK_S = VOICE_BLOCK / SAMPLE_RATE_HZ
PREROLL = 8               # blocks before the first voiced one that belong to it: soft consonants
TAIL = 5                  # blocks of silence after the last voiced one that a decoding needs
SHORTEST = 3              # voiced blocks without which nobody spoke
LONG_S, SHORT_PAUSE_S = 5.0, 0.25  # speech that is longer ends at a shorter pause ...
LONGEST_S = 12.0          # ... and is cut here, at the most silent place of its second half
_DIP = 3                  # blocks, 0.1 s, of which the most silent ones are sought


class Step(enum.Enum):
    """What one more block means."""

    SILENCE = enum.auto()
    BEGIN = enum.auto()
    SPEECH = enum.auto()
    END = enum.auto()
    CUT = enum.auto()   # the same speech goes on in another utterance


class Endpointer:
    """
    Follows one stream.

    :param pause_s: silence that ends an utterance.
    """

    def __init__(self, pause_s: float) -> None:
        self._pause = math.ceil(pause_s / BLOCK_S)
        #: The probability of each block since speech began.
        self.voice: list[float] = []
        self.speaking = False

    @property
    def quiet(self) -> int:
        """Blocks since the last voiced one."""
        return next((n for n, one in enumerate(reversed(self.voice)) if one >= STAY),
                    len(self.voice))

    @property
    def voiced(self) -> int:
        """Voiced blocks so far."""
        return sum(one >= STAY for one in self.voice)

    def take(self, probability: float) -> Step:
        """Take the probability of the next block; after END and CUT the caller goes on."""
        if not self.speaking:
            if probability < BEGIN:
                return Step.SILENCE
            self.speaking, self.voice = True, [probability]
            return Step.BEGIN
        self.voice.append(probability)
        length_s = len(self.voice) * BLOCK_S
        pause = min(self._pause, round(SHORT_PAUSE_S / BLOCK_S)) if length_s > LONG_S \
            else self._pause
        if self.quiet >= pause:
            self.speaking = False
            return Step.END
        return Step.CUT if length_s >= LONGEST_S else Step.SPEECH

    def cut(self) -> int:
        """Return how many blocks belong to the first part of too long a speech; keep the rest."""
        half = len(self.voice) // 2
        places = range(half, len(self.voice) - _DIP)
        at = min(places, key=lambda place: sum(self.voice[place:place + _DIP])) + _DIP // 2
        self.voice = self.voice[at:]
        return at
