"""The texts of sentences, read from a YAML file and checked: each with the fields it may use."""

from __future__ import annotations

import string
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from maven_ros.errors import SettingsError
from maven_ros.resources import resource
from maven_ros.text import nearest
from maven_ros.yaml_files import read_yaml

SHIPPED = 'config/summary/en.yaml'
_STATE = ('who', 'manner', 'sure', 'basis', 'change', 'saying')

#: Every text, by its name in the file, with the fields that may be filled in.
FIELDS: Mapping[str, tuple[str, ...]] = {
    'who.one': ('person_id',), 'who.several': ('person_id',), 'who.unseen': (),
    'other_region': ('region',),
    **{f'between.{name}': () for name in ('positive', 'negative', 'active', 'calm', 'unclear')},
    **{f'sure.{name}': () for name in ('high', 'middle', 'low')},
    **{f'parts.{name}': () for name in ('video', 'audio', 'text')},
    'and': (), 'basis.alone': ('part',), 'basis.agree': ('parts',), 'basis.together': ('parts',),
    'ago.now': (), 'ago.seconds': ('count',), 'ago.minute': (), 'ago.minutes': ('count',),
    'state.seen': _STATE, 'state.heard': _STATE,
    'change.became': ('ago',), 'change.rose': ('ago',), 'change.fell': ('ago',),
    'saying': ('words',), 'only_words': ('who', 'words'),
    **{f'contrast.{name}': ('tone',) for name in ('video', 'audio', 'text')},
    'tone.positive': (), 'tone.negative': (), 'stale': (), 'attending': ('who',),
    'not_attending': ('who',), 'mood': ('tone',), 'left': ('who',),
}
_REGIONS, _NUMBERS = 'regions', 'numbers'


def read_templates(path: str | Path = '') -> tuple[dict[str, str], tuple[str, ...]]:
    """
    Read a file of texts.

    :param path: the shipped ``config/summary/en.yaml`` if empty.
    :returns: the texts by name, such as ``state.seen``, with those of regions as
        ``regions.NAME``; and the words for the numbers from 0 on.
    :raises SettingsError: names the file, the text, the fault and the allowed values.
    """
    path = Path(path or resource(SHIPPED))
    values = read_yaml(path)
    if not isinstance(values, dict):
        raise SettingsError(f'{path}: holds {type(values).__name__}; allowed: a mapping of names '
                            'to texts')
    try:
        numbers = _texts(_NUMBERS, values.pop(_NUMBERS, None))
        found = dict(_flat(values))
        for name, text in found.items():
            _check(name, text)
        if missing := [name for name in FIELDS if name not in found]:
            raise SettingsError(f'lacks {", ".join(missing)}')
    except SettingsError as error:
        raise SettingsError(f'{path}: {error}') from error
    return found, numbers


def _flat(values: Mapping[str, Any], prefix: str = '') -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, dict) and not prefix:
            yield from _flat(value, f'{key}.')
        else:
            yield f'{prefix}{key}', value


def _check(name: str, text: Any) -> None:
    fields = () if name.startswith(f'{_REGIONS}.') else FIELDS.get(name)
    if fields is None:
        raise SettingsError(f'{name}: is unknown{nearest(name, FIELDS)}')
    if not isinstance(text, str) or not text:
        raise SettingsError(f'{name}: {text!r}; allowed: a text')
    allowed = ', '.join(f'{{{one}}}' for one in fields) or 'no fields'
    try:
        parts = [*string.Formatter().parse(text)]
    except ValueError as error:
        raise SettingsError(f'{name}: {text!r}: {error}; allowed: {allowed}') from error
    for _, field, form, conversion in parts:
        if field is not None and (field not in fields or form or conversion):
            raise SettingsError(f'{name}: {{{field}}} is an unknown field'
                                f'{nearest(field, fields)}; allowed: {allowed}')


def _texts(name: str, values: Any) -> tuple[str, ...]:
    if not (isinstance(values, list) and all(isinstance(one, str) for one in values)):
        raise SettingsError(f'{name}: {values!r}; allowed: a list of the words for 0, 1, 2, ...')
    return tuple(values)
