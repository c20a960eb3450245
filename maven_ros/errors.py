"""
The errors of maven_ros: one small family.

Each layer raises its own and translates what comes from below with its cause
(``raise ... from error``). Every message names the thing, the value and what is allowed.
"""

from __future__ import annotations


class MavenError(Exception):
    """Base of every error that maven_ros raises on purpose."""


class SettingsError(MavenError):
    """A configuration is refused: an unknown name, a wrong type, a value out of range."""


class ResourceError(MavenError):
    """A file, folder, model, device or package that is needed is missing or unusable."""


class CannotWrite(ResourceError):
    """A file cannot be written, as when the disk is full: no fault of what was to be written."""


class GraphError(MavenError):
    """A transport cannot be opened, or a topic cannot be used as asked."""


class InputError(MavenError):
    """
    One datum cannot be used; the stream that it came from goes on.

    :param cause: a short slug under which the drop is counted, such as ``'unknown_encoding'``.
    :param message: names the thing, the value and what is allowed.
    """

    def __init__(self, cause: str, message: str) -> None:
        super().__init__(message)
        self.cause = cause

    def __reduce__(self) -> tuple[type[InputError], tuple[str, str]]:
        return InputError, (self.cause, str(self))
