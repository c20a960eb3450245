"""What an object has gathered, apart from what it is made of: for a state that outlives it."""

from __future__ import annotations

import io
import pickle
from typing import Any, ClassVar, TypeVar

from maven_ros.errors import ResourceError

_Class = TypeVar('_Class', bound=type)

#: What a state may hold, by module and name: these, and the classes of :func:`plain_data`. A
#: module's name is no pass: some of our own classes start processes.
_PLAIN = {
    ('collections', 'deque'), ('collections', 'Counter'), ('numpy', 'ndarray'),
    ('numpy', 'dtype'),
    *((f'numpy.{core}.{module}', name) for core in ('core', '_core') for module, name in (
        ('multiarray', '_reconstruct'), ('multiarray', 'scalar'), ('numeric', '_frombuffer'))),
}


def plain_data(kind: _Class) -> _Class:
    """Mark a class that a state may hold: its instances are plain data, and do nothing."""
    _PLAIN.add((kind.__module__, kind.__qualname__))
    return kind


def encode(state: Any) -> bytes:
    """Return plain data as bytes."""
    return pickle.dumps(state, protocol=5)


def decode(content: bytes | bytearray) -> Any:
    """
    Return what :func:`encode` was given; nothing but plain data is made.

    :raises ResourceError: for bytes that are something else.
    """
    try:
        return _PlainUnpickler(io.BytesIO(content)).load()
    except (pickle.UnpicklingError, EOFError, ImportError, AttributeError, LookupError,
            ValueError, TypeError) as error:
        raise ResourceError(f'checkpoint: cannot be read: {error}') from error


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _PLAIN:
            raise pickle.UnpicklingError(f'{module}.{name} is no plain data')
        return super().find_class(module, name)


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
