"""
One way to declare a field of a settings dataclass, and to check it.

A field says its default, its effect and what is allowed where it is declared; flags, ROS
parameters, documents and error messages are made of that. ::

    @dataclass(frozen=True)
    class Mine(Checked):
        share: float = fraction(0.5, 'Probability of the one.')
        width: int = setting(8, 'Of the other.', minimum=1)
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import typing
from collections.abc import Callable, Iterator
from dataclasses import MISSING, dataclass, field
from pathlib import Path
from typing import Any

from maven_ros.errors import SettingsError


def setting(
    default: Any = MISSING, doc: str = '', *, made: Callable[[], Any] | None = None,
    minimum: float = -math.inf, maximum: float = math.inf, above: float = -math.inf,
    below: float = math.inf, rises: bool = False, choices: tuple[str, ...] = (), path: str = '',
    live: bool = False,
) -> Any:
    """
    Declare one field; bounds and choices of a tuple are those of each of its values.

    :param default: the field has to be given when this is left out.
    :param doc: one sentence on its effect, for users.
    :param made: makes the default, such as another settings dataclass.
    :param minimum: smallest value allowed.
    :param maximum: largest value allowed.
    :param above: every allowed value is greater.
    :param below: every allowed value is less.
    :param rises: whether no value of a tuple may be less than the one before.
    :param choices: the values allowed, for names.
    :param path: ``'file'`` or ``'folder'`` when it names one that must exist unless empty.
    :param live: whether it may change while the node is configured.
    """
    metadata = {
        'doc': doc, 'minimum': minimum, 'maximum': maximum, 'above': above, 'below': below,
        'rises': rises, 'choices': choices, 'path': path, 'live': live,
    }
    if made:
        return field(default_factory=made, metadata=metadata)
    return field(default=default, metadata=metadata)


def fraction(default: Any, doc: str) -> Any:
    """Declare a share or a probability, in [0, 1]."""
    return setting(default, doc, minimum=0.0, maximum=1.0)


class Checked:
    """A dataclass that refuses, as it is made, what its fields do not allow."""

    def __post_init__(self) -> None:
        """Refuse what is not allowed."""
        self.check()

    def check(self) -> None:
        """
        Check every value, each by itself and against the others.

        :raises SettingsError: names each field at fault, its value and what is allowed.
        """
        faults = [fault for parameter in self.declared() for fault in parameter.faults()]
        if not faults:
            faults = list(self.contradictions())
        if faults:
            raise SettingsError('; '.join(faults))

    def declared(self) -> Iterator[Parameter]:
        """Yield the fields that are checked."""
        return declared(self)

    def contradictions(self) -> Iterator[str]:
        """Yield what cannot be of fields that are allowed each by itself."""
        yield from ()


@dataclass(frozen=True)
class Parameter:
    """One field as users meet it: its full name, value and declaration."""

    name: str
    type: Any
    value: Any
    default: Any
    doc: str
    minimum: float
    maximum: float
    above: float
    below: float
    rises: bool
    choices: tuple[str, ...]
    path: str
    live: bool

    @property
    def allowed(self) -> str:
        """What is allowed, in words."""
        if self.choices:
            names = [repr(choice) for choice in self.choices]
            return f'some of {", ".join(names)}' if self._is_tuple else ' or '.join(names)
        if self.type is bool:
            return 'true or false'
        if self.path:
            return f'an existing {self.path}, or nothing'
        values = [one for one in self._types if one is not Ellipsis]
        kind = str(getattr(values[0], '__name__', values[0]))
        if self._is_tuple:
            count = '' if Ellipsis in self._types else f'{len(values)} '
            kind = f'{count}{"rising " if self.rises else ""}{kind}s'
        return f'{kind}{self._range}'

    @property
    def _range(self) -> str:
        low, high = max(self.minimum, self.above), min(self.maximum, self.below)
        ends = f'{"(" if self.above == low else "["}{low:g}, {high:g}' \
               f'{")" if self.below == high else "]"}'
        if math.isfinite(low) and math.isfinite(high):
            return f' in {ends}'
        if math.isfinite(low):
            return f' above {low:g}' if self.above == low else f' of at least {low:g}'
        if math.isfinite(high):
            return f' below {high:g}' if self.below == high else f' of at most {high:g}'
        return ''

    def parse(self, value: Any) -> Any:
        """
        Convert text (or a YAML value) to this parameter's type.

        :raises SettingsError: when it does not convert without loss.
        """
        try:
            if self.type is bool and isinstance(value, str):
                return {'true': True, 'false': False}[value.lower()]
            if (self.type is bool) != isinstance(value, bool):
                raise ValueError
            if isinstance(value, str) or self.type is not str:
                converted = self.type(value)
                if self.type is not int or isinstance(value, str) or converted == value:
                    return converted
            raise ValueError
        except (KeyError, ValueError, TypeError, OverflowError) as error:
            raise SettingsError(f'{self.name}: {value!r} is not {self.allowed}') from error

    def faults(self) -> Iterator[str]:
        """Yield what is wrong with the value, if anything."""
        if not self._holds():
            near = difflib.get_close_matches(str(self.value), self.choices, 1)
            hint = f'; did you mean {near[0]!r}?' if near else ''
            yield f'{self.name}: {self.value!r} is not {self.allowed}{hint}'

    @property
    def _is_tuple(self) -> bool:
        return typing.get_origin(self.type) is tuple

    @property
    def _types(self) -> tuple[Any, ...]:
        return typing.get_args(self.type) if self._is_tuple else (self.type,)

    def _holds(self) -> bool:
        if not self._is_tuple:
            return self._allows(self.type, self.value)
        if type(self.value) is not tuple:
            return False
        types = self._types
        if types[-1] is Ellipsis:
            types = (types[0],) * len(self.value)
        return (len(types) == len(self.value)
                and all(map(self._allows, types, self.value))
                and not (self.rises and list(self.value) != sorted(self.value)))

    def _allows(self, kind: Any, value: Any) -> bool:
        if kind is float and type(value) is int:
            value = float(value)
        if kind not in (bool, int, float, str):  # it checks itself
            return True
        if type(value) is not kind:
            return False
        if self.choices:
            return value in self.choices
        if kind in (int, float):
            return bool(self.minimum <= value <= self.maximum and self.above < value < self.below)
        if self.path and value:
            return Path(value).is_file() if self.path == 'file' else Path(value).is_dir()
        return True


def declared(values: Any, prefix: str = '') -> Iterator[Parameter]:
    """
    Yield what a dataclass declares by :func:`setting`, in order.

    :param prefix: of the names.
    """
    types = typing.get_type_hints(type(values))
    for one in dataclasses.fields(values):
        if one.metadata:
            yield Parameter(
                name=f'{prefix}{one.name}', type=types[one.name],
                value=getattr(values, one.name), default=one.default, **one.metadata)
