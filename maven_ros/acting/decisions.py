"""The table of a robot's reactions to events, read from a YAML file and checked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from maven_ros.acting.regions import read_regions
from maven_ros.affect import Affect
from maven_ros.errors import SettingsError
from maven_ros.records import AffectEvent, EventKind
from maven_ros.resources import resource
from maven_ros.text import nearest
from maven_ros.yaml_files import read_yaml

IDLE = 'idle'
CIRCUMPLEX = 'circumplex'
NEAREST_M, FARTHEST_M = 0.3, 5.0

_REGION_WORDS = {EventKind.REGION_ENTERED: 'entered', EventKind.REGION_LEFT: 'left'}


@dataclass(frozen=True, slots=True)
class Conduct:
    """
    The behaviour of a robot towards a person.

    :param led: ``#rrggbb``, or ``circumplex``.
    :param style: speaking style; any word.
    :param distance_m: distance to keep, in metres, in [0.3, 5].
    :param look: whether the robot looks at the person's face.
    :raises SettingsError: for any other value.
    """

    led: str
    style: str
    distance_m: float
    look: bool

    def __post_init__(self) -> None:
        if not isinstance(self.led, str) or not (
                self.led == CIRCUMPLEX or re.fullmatch('#[0-9a-fA-F]{6}', self.led)):
            raise SettingsError(f"led: {self.led!r} is not a colour; allowed: '#rrggbb', "
                                f'{CIRCUMPLEX}')
        if not isinstance(self.style, str) or not self.style:
            raise SettingsError(f'style: {self.style!r}; allowed: a word')
        if (isinstance(self.distance_m, bool) or not isinstance(self.distance_m, int | float)
                or not NEAREST_M <= self.distance_m <= FARTHEST_M):
            raise SettingsError(f'distance_m: {self.distance_m!r}; allowed: [{NEAREST_M}, '
                                f'{FARTHEST_M:g}]')
        if not isinstance(self.look, bool):
            raise SettingsError(f'look: {self.look!r}; allowed: true, false')

    def colour(self, affect: Affect) -> tuple[int, int, int]:
        """
        Return the LED's red, green and blue, in [0, 255].

        :param affect: the person's point on the circumplex; NaN if unknown.
        """
        if self.led == CIRCUMPLEX:
            return affect.colour
        red, green, blue = bytes.fromhex(self.led[1:])
        return red, green, blue


class DecisionTable:
    """
    Map events to conduct.

    :param idle: conduct while no person is known.
    :param rules: the changes that each event makes, by event name.
    """

    def __init__(self, idle: Conduct, rules: Mapping[str, Mapping[str, Any]]) -> None:
        self.idle = idle
        self._rules = rules

    def after(self, event: AffectEvent, before: Conduct) -> Conduct:
        """Return the conduct after an event; it stays as it was if no rule matches."""
        if event.kind is EventKind.LEFT:
            return self.idle
        return replace(before, **self._rules.get(event_name(event.kind, event.region), {}))


def event_name(kind: EventKind, region: str = '') -> str:
    """Return the name of an event in a table, such as ``entered distressed``, ``appeared``."""
    return f'{_REGION_WORDS[kind]} {region}' if kind in _REGION_WORDS else kind.name.lower()


def read_decisions(path: str | Path = '', regions: str | Path = '') -> DecisionTable:
    """
    Read a decision table.

    :param path: the shipped ``config/behaviour.yaml`` if empty.
    :param regions: file of the regions that the events name; the shipped one if empty.
    :raises SettingsError: names the file, the event, the fault and the allowed values.
    """
    path = Path(path or resource('config/behaviour.yaml'))
    values = read_yaml(path)
    if not isinstance(values, dict) or IDLE not in values:
        raise SettingsError(f'{path}: allowed: a mapping of events to conduct, with {IDLE}')
    known = [event_name(kind) for kind in EventKind
             if kind not in _REGION_WORDS and kind is not EventKind.LEFT]
    known += [event_name(kind, region) for region in read_regions(regions)
              for kind in _REGION_WORDS]
    try:
        idle = Conduct(**_checked(IDLE, values.pop(IDLE), whole=True))
        for name, rule in values.items():
            if name not in known:
                raise SettingsError(f'{name!r} is not an event{nearest(name, known)}; allowed: '
                                    f'{", ".join([IDLE, *known])}')
            _refuse_under(name, idle, _checked(name, rule))
    except SettingsError as error:
        raise SettingsError(f'{path}: {error}') from error
    return DecisionTable(idle, values)


def _checked(name: str, rule: Any, whole: bool = False) -> dict[str, Any]:
    allowed = [one.name for one in fields(Conduct)]
    if not isinstance(rule, dict):
        raise SettingsError(f'{name}: {rule!r}; allowed: a mapping of {", ".join(allowed)}')
    for key in rule:
        if key not in allowed:
            raise SettingsError(f'{name}: {key!r} is unknown{nearest(key, allowed)}; allowed: '
                                f'{", ".join(allowed)}')
    if whole and (missing := [key for key in allowed if key not in rule]):
        raise SettingsError(f'{name}: lacks {", ".join(missing)}')
    return rule


def _refuse_under(name: str, idle: Conduct, rule: dict[str, Any]) -> None:
    try:
        replace(idle, **rule)
    except SettingsError as error:
        raise SettingsError(f'{name}: {error}') from error
