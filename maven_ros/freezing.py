"""What an object has gathered, apart from what it is made of: for a state that outlives it."""

from __future__ import annotations

from typing import Any, ClassVar


class Freezing:
    """
    Hands out what it has gathered so far, and takes it in again.

    ``_fixed`` names the attributes that belong to the object itself (settings, detectors, other
    objects): they are neither handed out nor replaced. All others must be plain data.
    """

    _fixed: ClassVar[frozenset[str]] = frozenset()

    def freeze(self) -> dict[str, Any]:
        """Return what was gathered; not a copy."""
        return {name: value for name, value in vars(self).items() if name not in self._fixed}

    def thaw(self, state: dict[str, Any]) -> None:
        """
        Go on from what :meth:`freeze` returned, here or in another process.

        :raises LookupError: for a state of something else, as of another version of this.
        """
        if differing := Freezing.freeze(self).keys() ^ state.keys():
            raise LookupError(f'{type(self).__name__}: {", ".join(sorted(differing))}')
        vars(self).update(state)
