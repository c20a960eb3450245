"""Classes of other packages, which settings name as ``package.module:Name``."""

from __future__ import annotations

import importlib
from typing import Any

from maven_ros.errors import SettingsError

FORM = 'package.module:Name'


def is_class_name(name: str) -> bool:
    """Return whether a text has the form ``package.module:Name``."""
    module, _, attribute = name.partition(':')
    return all(part.isidentifier() for part in (*module.split('.'), attribute))


def find_class(setting: str, name: str, methods: tuple[str, ...]) -> type[Any]:
    """
    Import a class.

    :param setting: the setting that names it, for messages.
    :param name: ``package.module:Name``.
    :param methods: what the class must have.
    :raises SettingsError: names what is missing.
    """
    module_name, _, attribute = name.partition(':')
    if not is_class_name(name):
        raise SettingsError(f'{setting}: {name!r} is not of the form {FORM}')
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise SettingsError(f'{setting}: {name}: {error}') from error
    found = getattr(module, attribute, None)
    if not isinstance(found, type):
        raise SettingsError(f'{setting}: {name}: {module_name} has no such class')
    for method in methods:
        if not callable(getattr(found, method, None)):
            raise SettingsError(f'{setting}: {name}: has no method {method}')
    return found
