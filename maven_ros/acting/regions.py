"""Named regions of the circumplex, read from a YAML file and checked."""

from __future__ import annotations

import difflib
import itertools
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maven_ros.affect import Affect
from maven_ros.errors import SettingsError
from maven_ros.resources import resource
from maven_ros.yaml_files import read_yaml

MAX_INTENSITY = 1.5  # above sqrt 2, the intensity of a corner, because upper ends are exclusive
_NAME = re.compile(r'[a-z][a-z0-9_]*')


@dataclass(frozen=True, slots=True)
class Region:
    """
    A sector of a ring around neutral. Its lower ends are inclusive, its upper ends exclusive.

    :param intensity: from and to, with 0 <= from < to <= 1.5.
    :param angle_deg: from and to, anticlockwise, in [-360, 360]; 0 is pleasant, 90 activated. At
        most a full turn, which is the default.
    :raises SettingsError: for any other range.
    """

    intensity: tuple[float, float]
    angle_deg: tuple[float, float] = (0.0, 360.0)

    def __post_init__(self) -> None:
        low, high = self.intensity
        if not 0 <= low < high <= MAX_INTENSITY:
            raise SettingsError(f'intensity: [{low:g}, {high:g}]; allowed: from below to, both in '
                                f'[0, {MAX_INTENSITY}]')
        first, last = self.angle_deg
        if not (-360 <= first < last <= 360 and last - first <= 360):
            raise SettingsError(f'angle_deg: [{first:g}, {last:g}]; allowed: from below to, both '
                                'in [-360, 360] and at most 360 apart')

    def holds(self, point: Affect) -> bool:
        """Whether a point is in the region; an unknown point never is."""
        low, high = self.intensity
        return low <= point.intensity < high and self._past_deg(point) < self._width_deg

    def outside(self, point: Affect) -> float:
        """Return the distance of a point from the region, along the radius or arc; 0 inside."""
        low, high = self.intensity
        past_deg, width_deg = self._past_deg(point), self._width_deg
        apart_deg = 0.0 if past_deg < width_deg else min(past_deg - width_deg, 360.0 - past_deg)
        return max(low - point.intensity, point.intensity - high,
                   point.intensity * math.radians(apart_deg), 0.0)

    def overlaps(self, other: Region) -> bool:
        """Whether the two regions share a point."""
        first_deg, other_deg = self.angle_deg[0], other.angle_deg[0]
        return (max(self.intensity[0], other.intensity[0])
                < min(self.intensity[1], other.intensity[1])
                and ((other_deg - first_deg) % 360.0 < self._width_deg
                     or (first_deg - other_deg) % 360.0 < other._width_deg))

    @property
    def _width_deg(self) -> float:
        return self.angle_deg[1] - self.angle_deg[0]

    def _past_deg(self, point: Affect) -> float:
        """Return the angle from the start of the region to a point, in [0, 360)."""
        # The remainder of a tiny negative angle rounds to 360.
        past_deg = (math.degrees(point.angle) - self.angle_deg[0]) % 360.0
        return 0.0 if past_deg == 360.0 else past_deg


def region_of(regions: Mapping[str, Region], point: Affect) -> str:
    """Return the name of the region that holds a point; empty for none."""
    return next((name for name, one in regions.items() if one.holds(point)), '')


def read_regions(path: str | Path = '') -> dict[str, Region]:
    """
    Read a file of regions.

    :param path: the shipped ``config/regions.yaml`` if empty.
    :returns: regions by name, in the order of the file; no two overlap.
    :raises SettingsError: names the file, the region, the fault and the allowed values.
    """
    path = Path(path or resource('config/regions.yaml'))
    values = read_yaml(path)
    if not isinstance(values, dict):
        raise SettingsError(f'{path}: holds {type(values).__name__}; allowed: a mapping of names '
                            'to regions')
    try:
        regions = {name: _region(name, value) for name, value in values.items()}
        for (name, one), (other, two) in itertools.combinations(regions.items(), 2):
            if one.overlaps(two):
                raise SettingsError(f'{name} and {other} overlap; allowed: regions with no '
                                    'common point')
    except SettingsError as error:
        raise SettingsError(f'{path}: {error}') from error
    return regions


def _region(name: Any, values: Any) -> Region:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise SettingsError(f'{name!r}: is not a name; allowed: lower-case letters, digits and _')
    if not isinstance(values, dict):
        raise SettingsError(f'{name}: {values!r}; allowed: intensity and angle_deg')
    for key in values:
        if key not in ('intensity', 'angle_deg'):
            near = difflib.get_close_matches(str(key), ('intensity', 'angle_deg'), 1)
            hint = f'; did you mean {near[0]}?' if near else ''
            raise SettingsError(f'{name}: {key!r} is unknown; allowed: intensity, angle_deg{hint}')
    if 'intensity' not in values:
        raise SettingsError(f'{name}: has no intensity; needed: a pair of numbers')
    try:
        return Region(**{key: _pair(key, value) for key, value in values.items()})
    except SettingsError as error:
        raise SettingsError(f'{name}: {error}') from error


def _pair(key: str, value: Any) -> tuple[float, float]:
    if not (isinstance(value, list) and len(value) == 2 and all(
            isinstance(one, int | float) and not isinstance(one, bool) for one in value)):
        raise SettingsError(f'{key}: {value!r}; allowed: a pair of numbers')
    return float(value[0]), float(value[1])
