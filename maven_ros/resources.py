"""
Finds what ships beside the code, and what was fetched.

The code may lie in a source tree, a pip install or an ament share folder.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from maven_ros.errors import ResourceError


def _roots() -> Iterator[Path]:
    package = Path(__file__).resolve().parent
    yield package.parent                                  # a source tree
    yield Path(sys.prefix) / 'share' / 'maven_ros'        # a pip install
    for parent in package.parents:                        # an ament install space
        yield parent / 'share' / 'maven_ros'


def resource(name: str) -> Path:
    """
    Return the path of a shipped file or folder.

    :param name: relative to the project's top, such as ``'msg'`` or ``'models/compact'``.
    :raises ResourceError: names what is missing and where it was looked for.
    """
    roots = list(dict.fromkeys(_roots()))
    for root in roots:
        # A root is ours only if it has the message definitions: `models` alone may be anybody's.
        if (root / 'msg' / 'AffectState.msg').is_file() and (root / name).exists():
            return root / name
    raise ResourceError(
        f'{name}: not found in {", ".join(str(root) for root in roots)}; is maven_ros '
        'installed completely?')


def is_there(path: Path, file: bool = False) -> bool:
    """Tell whether a folder, or a file, is there: none is where the system refuses to look."""
    try:
        return path.is_file() if file else path.is_dir()
    except OSError:  # a name too long, a folder that may not be entered
        return False


def network_folder(name: str) -> Path:
    """
    Return the folder of a shipped network, or of any other.

    :param name: name of a shipped one, such as ``'compact-small'``, or a path; a folder of that
        name comes first.
    """
    folder = Path(name)
    if is_there(folder) or folder.name != name:
        return folder
    try:
        return resource(f'models/{name}')
    except (ResourceError, OSError):  # the caller names what is missing
        return folder


def models_folder() -> Path:
    """Return the folder of fetched models; it may not be there yet."""
    if chosen := os.environ.get('MAVEN_ROS_MODELS'):
        return Path(chosen).expanduser()
    data = os.environ.get('XDG_DATA_HOME') or '~/.local/share'
    return Path(data).expanduser() / 'maven_ros' / 'models'
