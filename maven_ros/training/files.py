"""JSON files that are there as a whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from maven_ros.disk import written
from maven_ros.errors import ResourceError


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
