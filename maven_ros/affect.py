"""
One point on the affect circumplex: valence and arousal.

Valence (unpleasant -1 to pleasant 1) and arousal (calm -1 to activated 1) follow Russell, "A
circumplex model of affect" (1980). The polar form is MAVEN's (arXiv 2503.12623, eq. 28-31).
"""

from __future__ import annotations

import colorsys
import math
from dataclasses import dataclass

from maven_ros.freezing import plain_data

#: Standard deviation of a uniform distribution on [-1, 1]: the prior, without any evidence.
PRIOR_STD = 1.0 / math.sqrt(3.0)
#: The 90% interval of an estimate extends this many standard deviations to either side.
Z90 = 1.6448536269514722

#: Names of the eight octants, anticlockwise from the pleasant axis (Russell 1980).
OCTANTS = (
    'pleased', 'excited', 'aroused', 'distressed', 'displeased', 'depressed', 'sleepy', 'relaxed',
)

#: Hues of the eight octants in degrees: warm for activated, cool for calm, green for pleasant.
_HUES_DEG = (120.0, 60.0, 25.0, 0.0, -60.0, -120.0, -160.0, -200.0, -240.0)
_FULL_COLOUR = 0.6  # intensity above which a colour is fully saturated


@plain_data
@dataclass(frozen=True, slots=True)
class Affect:
    """
    A point on the circumplex.

    :param valence: in [-1, 1], -1 unpleasant, 1 pleasant.
    :param arousal: in [-1, 1], -1 calm, 1 activated.
    """

    valence: float
    arousal: float

    @property
    def intensity(self) -> float:
        """Distance from neutral, in [0, sqrt 2]."""
        return math.hypot(self.valence, self.arousal)

    @property
    def angle(self) -> float:
        """Direction in radians, in [-pi, pi]: 0 is pleasant, pi/2 activated."""
        return math.atan2(self.arousal, self.valence)

    @property
    def octant(self) -> str:
        """The name of the nearest octant; ``'neutral'`` near the centre."""
        if not self.intensity > 0.1:  # also true for NaN, which has no direction
            return 'neutral' if self.intensity <= 0.1 else 'unknown'
        return OCTANTS[round(self.angle / (math.pi / 4)) % 8]

    @property
    def colour(self) -> tuple[int, int, int]:
        """
        Red, green and blue in [0, 255]. The hue is the direction; white is neutral or unknown.

        Pleased is green, excited yellow, distressed red, depressed blue, relaxed turquoise.
        """
        if not math.isfinite(self.intensity):
            return 255, 255, 255
        turns, past = divmod((self.angle % math.tau) / (math.pi / 4), 1.0)
        first, second = _HUES_DEG[int(turns) % 8], _HUES_DEG[int(turns) % 8 + 1]
        hue = (first + past * (second - first)) / 360.0
        red, green, blue = colorsys.hsv_to_rgb(
            hue % 1.0, min(1.0, self.intensity / _FULL_COLOUR), 1.0)
        return round(255 * red), round(255 * green), round(255 * blue)

    @classmethod
    def from_polar(cls, intensity: float, angle: float) -> Affect:
        """
        Build a point from its polar form.

        :param intensity: distance from neutral, at least 0.
        :param angle: radians, 0 is pleasant and pi/2 activated.
        """
        return cls(intensity * math.cos(angle), intensity * math.sin(angle))


#: The point without evidence.
UNKNOWN = Affect(math.nan, math.nan)


def confidence(valence_std: float, arousal_std: float) -> float:
    """
    Return the confidence in [0, 1] that two standard deviations express.

    ``1 - sqrt((valence_std^2 + arousal_std^2) / 2) / PRIOR_STD``, clipped to [0, 1]: 1 without
    uncertainty, 0 at the uncertainty of the prior or above, NaN if a deviation is NaN.
    """
    spread = math.sqrt((valence_std**2 + arousal_std**2) / 2.0)
    return min(1.0, max(0.0, 1.0 - spread / PRIOR_STD)) if math.isfinite(spread) else math.nan
