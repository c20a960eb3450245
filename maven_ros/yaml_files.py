"""
The only reader of YAML files. Its errors name line and column.

It reads the part of YAML that settings need, in bounded time and memory: mappings with text as
keys, lists and scalars. ROS 2 does not read aliases and hardly any tags either.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from maven_ros.errors import SettingsError

_MOST_BYTES = 1 << 18   # the project's largest file has 9 kB
_MOST_VALUES = 10_000   # they take half a second
_DEEPEST = 20
_LONGEST_NUMBER = 100   # characters; Python needs minutes for a number of a million
_TEXT = 'tag:yaml.org,2002:str'
_NUMBERS = ('tag:yaml.org,2002:int', 'tag:yaml.org,2002:float')


class _Refused(yaml.MarkedYAMLError):
    """A part of YAML that this reader refuses."""


class _Loader(yaml.SafeLoader):
    """
    A loader that refuses aliases, tags, excessive size, and keys that are not text.

    It also refuses duplicate keys; YAML itself silently keeps the last value.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._values = self._depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        mark = event.start_mark
        if isinstance(event, yaml.AliasEvent):
            raise _refused('an alias; allowed: none', mark)
        if event.tag and (event.tag != _TEXT or not isinstance(event, yaml.ScalarEvent)):
            raise _refused(f'the tag {event.tag:.40}; allowed: !!str alone', mark)
        self._values += 1
        if self._values > _MOST_VALUES:
            raise _refused(f'more than {_MOST_VALUES} values', mark)
        if self._depth == _DEEPEST:
            raise _refused(f'nested more than {_DEEPEST} deep', mark)
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        if isinstance(node, yaml.ScalarNode):
            _check_scalar(node)
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if key.tag != _TEXT:
                shown = f'{key.value:.20}' if isinstance(key, yaml.ScalarNode) else f'a {key.id}'
                raise _refused(f"key {shown} is no text; allowed: text ('{shown}' in quotes)",
                               key.start_mark)
            if key.value in seen:
                raise _refused(f'{key.value} is there twice; allowed: once', key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _check_scalar(node: yaml.ScalarNode) -> None:
    if node.tag in _NUMBERS and len(node.value) > _LONGEST_NUMBER:
        raise _refused(f'a number of {len(node.value)} characters; allowed: up to '
                       f'{_LONGEST_NUMBER}', node.start_mark)
    try:
        node.value.encode()
    except UnicodeEncodeError:
        raise _refused('half a character (a surrogate)', node.start_mark) from None


def _refused(problem: str, mark: yaml.Mark | None) -> _Refused:
    return _Refused(None, None, problem, mark)


def read_yaml(path: str | Path) -> Any:
    """
    Read a YAML file.

    :returns: its mappings, lists and scalars; None for an empty file.
    :raises SettingsError: names the file and the fault: it cannot be read, is not YAML (with
        line and column), or holds a part of YAML that is refused.
    """
    try:
        with Path(path).open('rb') as file:
            text = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise SettingsError(f'{path}: cannot be read: {error.strerror}') from error
    return parse_yaml(text, str(path))


def parse_yaml(text: bytes | str, name: str) -> Any:
    """
    Parse YAML as :func:`read_yaml` does.

    :param name: name of the source, for messages.
    :raises SettingsError: as :func:`read_yaml`.
    """
    if len(text) > _MOST_BYTES:
        raise SettingsError(f'{name}: is larger than {_MOST_BYTES} bytes, which no settings are')
    try:
        return yaml.load(text.decode() if isinstance(text, bytes) else text, _Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f', line {mark.line + 1}, column {mark.column + 1}' if mark else ''
        raise SettingsError(f'{name}{where}: no readable YAML: {error.problem}') from error
    except (ValueError, yaml.YAMLError) as error:  # bytes that are not text, a 13th month
        raise SettingsError(f'{name}: no readable YAML: {error}') from error
