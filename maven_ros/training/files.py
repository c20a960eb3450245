"""Files that are there as a whole or not at all, and tables of many rows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from maven_ros.errors import CannotWrite, ResourceError


@contextmanager
def written(path: Path) -> Iterator[Path]:
    """
    Write a file as a whole: a kill leaves the old one or the new one.

    :returns: a context manager that gives the path to write to, in a folder that is made.
    :raises CannotWrite: when it cannot be written; nothing is left of it then.
    """
    beside = path.with_name(f'{path.name}.part')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield beside
        beside.replace(path)
    except (OSError, SafetensorError) as error:
        raise CannotWrite(f'{path}: cannot be written: {error}; make room, and run the same '
                          'command again: what is done is kept') from error
    finally:  # a signal, too, must leave no half of a file
        with suppress(OSError):
            beside.unlink()


def write_json(path: Path, content: Any) -> None:
    """Write JSON, as :func:`written` does."""
    with written(path) as beside:
        beside.write_text(json.dumps(content, indent=2) + '\n', 'utf-8')


def read_json(path: Path) -> Any:
    """
    Read JSON.

    :raises ResourceError: when it cannot be read, or is none.
    """
    try:
        return json.loads(path.read_text('utf-8'))
    except (OSError, ValueError) as error:
        raise ResourceError(f'{path}: cannot be read: {error}') from error
