"""Import Rerun, which is an optional package."""

from __future__ import annotations

from typing import Any

from maven_ros.errors import ResourceError


def require_rerun() -> Any:
    """
    Return the package ``rerun``.

    :raises ResourceError: names what to install if it is missing.
    """
    try:
        import rerun
        import rerun.blueprint
    except ImportError as error:
        raise ResourceError(f'rerun: not installed ({error}); pip install "maven_ros[view]"'
                            ) from error
    return rerun
