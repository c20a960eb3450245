"""The one way in which YAML files are read, with errors that say where."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from maven_ros.errors import SettingsError

_MERGE = 'tag:yaml.org,2002:merge'


class _Loader(yaml.SafeLoader):
    """Refuses a key that a mapping has twice: YAML itself lets the last one win, silently."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != _MERGE:
                if (name := (key.tag, key.value)) in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f'{key.value} is there twice; allowed: once', key.start_mark)
                seen.add(name)
        return super().construct_mapping(node, deep)


def read_yaml(path: str | Path) -> Any:
    """
    Read a YAML file.

    :returns: its mappings, lists and scalars; None for an empty one.
    :raises SettingsError: names the file and what is wrong: it cannot be read, is no YAML (with
        line and column), or has a mapping with a key twice.
    """
    try:
        return yaml.load(Path(path).read_text(encoding='utf-8'), _Loader)
    except OSError as error:
        raise SettingsError(f'{path}: cannot be read: {error.strerror}') from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f', line {mark.line + 1}, column {mark.column + 1}' if mark else ''
        raise SettingsError(f'{path}{where}: no readable YAML: {error.problem}') from error
    except (ValueError, yaml.YAMLError) as error:  # bytes that are no text, a 13th month
        raise SettingsError(f'{path}: no readable YAML: {error}') from error
