"""
One way to declare a field of a settings dataclass, and to check it.

A field declares its default, its effect and its allowed values in one place. Flags, ROS
parameters, documents and error messages are generated from that declaration. ::

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
from maven_ros.outside import FORM, is_class_name
from maven_ros.resources import is_there, network_folder


def setting(
    default: Any = MISSING, doc: str = '', *, made: Callable[[], Any] | None = None,
    minimum: float = -math.inf, maximum: float = math.inf, above: float = -math.inf,
    below: float = math.inf, rises: bool = False, choices: tuple[str, ...] = (), path: str = '',
    live: bool = False, outside: bool = False,
) -> Any:
    """
    Declare one field. The bounds and choices of a tuple apply to each of its values.

    :param default: if omitted, the field is required.
    :param doc: one sentence on its effect, for users.
    :param made: creates the default, such as another settings dataclass.
    :param minimum: smallest allowed value.
    :param maximum: largest allowed value.
    :param above: every value must be greater than this.
    :param below: every value must be less than this.
    :param rises: whether the values of a tuple must not decrease.
    :param choices: allowed values, for names.
    :param path: ``'file'`` or ``'folder'`` if the value must name an existing one, or be empty;
        ``'network'`` if it may also be the name of a shipped network.
    :param live: whether the value may change while the node is configured.
    :param outside: whether the name of a class, package.module:Name, is allowed beside choices.
    """
    metadata = {
        'doc': doc, 'minimum': minimum, 'maximum': maximum, 'above': above, 'below': below,
        'rises': rises, 'choices': choices, 'path': path, 'live': live,
        'outside': outside,
    }
    if made:
        return field(default_factory=made, metadata=metadata)
    return field(default=default, metadata=metadata)


def fraction(default: Any, doc: str) -> Any:
    """Declare a share or a probability, in [0, 1]."""
    return setting(default, doc, minimum=0.0, maximum=1.0)


class Checked:
    """A dataclass that checks its values when it is created."""

    def __post_init__(self) -> None:
        self.check()

    def check(self) -> None:
        """
        Check every value by itself and against the others.

        :raises SettingsError: names each wrong field, its value and the allowed values.
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
        """Yield a message for each combination of values that is not allowed."""
        yield from ()


@dataclass(frozen=True)
class Parameter:
    """One field as users see it: its full name, value and declaration."""

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
    outside: bool

    @property
    def allowed(self) -> str:
        """The allowed values, in words."""
        if self.choices:
            names = [*map(repr, self.choices), *([FORM] if self.outside else [])]
            return f'some of {", ".join(names)}' if self._is_tuple else ' or '.join(names)
        if self.type is bool:
            return 'true or false'
        if self.path:
            return f'{self.existing}, or nothing'
        values = [one for one in self._types if one is not Ellipsis]
        kind = str(getattr(values[0], '__name__', values[0]))
        if self._is_tuple:
            count = '' if Ellipsis in self._types else f'{len(values)} '
            kind = f'{count}{"rising " if self.rises else ""}{kind}s'
        return f'{kind}{self._range}'

    @property
    def existing(self) -> str:
        """The path that it must name, in words."""
        return (f'an existing {self.path}' if self.path != 'network' else
                'an existing folder, the name of a shipped network')

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

        :raises SettingsError: if the conversion fails or loses information.
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
        """Yield a message for each fault of the value."""
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

    @property
    def found(self) -> Path:
        """The path that the value names."""
        return network_folder(self.value) if self.path == 'network' else Path(self.value)

    def _allows(self, kind: Any, value: Any) -> bool:
        if kind is float and type(value) is int:
            value = float(value)
        if kind not in (bool, int, float, str):  # a nested dataclass checks itself
            return True
        if type(value) is not kind:
            return False
        if self.choices:
            return value in self.choices or (self.outside and is_class_name(value))
        if kind in (int, float):
            return bool(self.minimum <= value <= self.maximum and self.above < value < self.below)
        if self.path and value:
            return is_there(self.found, file=self.path == 'file')
        return True


def declared(values: Any, prefix: str = '') -> Iterator[Parameter]:
    """
    Yield the fields that a dataclass declares with :func:`setting`, in order.

    :param prefix: prepended to each name.
    """
    types = typing.get_type_hints(type(values))
    for one in dataclasses.fields(values):
        if one.metadata:
            yield Parameter(
                name=f'{prefix}{one.name}', type=types[one.name],
                value=getattr(values, one.name), default=one.default, **one.metadata)
