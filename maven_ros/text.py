"""Text from outside (messages, files, servers), made harmless for terminals and files."""

from __future__ import annotations

import difflib
import logging
import re
import sys
from collections.abc import Iterable
from typing import Any, TextIO

# Lone surrogates, into which Python decodes bytes that are not UTF-8. They cannot be encoded.
_HALVES = re.compile('[\ud800-\udfff]')
# Surrogates, control characters except the tab, line ends, and changes of writing direction.
_WORKING = re.compile('[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069'
                      '\ud800-\udfff]')
_FORMULA = re.compile(r'[=+\-@\t\r]')


def shown(name: object) -> str:
    r"""
    Return a file's name, or text that contains one, as text that can be encoded.

    A byte that is not UTF-8 is written out as ``\xe9``, so different names stay different.
    """
    return _HALVES.sub(_written_out, str(name))


def nearest(name: object, known: Iterable[str]) -> str:
    """Return a hint at the known name that is most like an unknown one; empty for none."""
    near = difflib.get_close_matches(str(name), known, 1)
    return f' (did you mean {near[0]}?)' if near else ''


def all_shown(content: Any) -> Any:
    """Return mappings and lists with each text in them as :func:`shown` has it."""
    if isinstance(content, dict):
        return {all_shown(key): all_shown(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [all_shown(one) for one in content]
    return shown(content) if isinstance(content, str) else content


def printable(text: object) -> str:
    r"""
    Return text as one line without effect on a terminal.

    Special characters are written out: an escape as ``\x1b``, the end of a line as ``\n``, a byte
    that is not UTF-8 as ``\xe9``.
    """
    return _WORKING.sub(_written_out, str(text))


def printable_lines(text: object) -> str:
    """Make each line of a text :func:`printable`; its line ends are kept."""
    return '\n'.join(map(printable, str(text).split('\n')))


def say(text: object, file: TextIO | None = None) -> None:
    """
    Print lines without effect on the terminal beyond their text.

    :param file: standard output if omitted.
    """
    print(printable_lines(text), file=file or sys.stdout, flush=True)


def cell(text: str) -> str:
    """
    Return a cell of CSV that spreadsheets do not evaluate as a formula.

    Text that begins with ``=``, ``+``, ``-``, ``@``, a tab or a carriage return gets a leading
    apostrophe, which spreadsheets do not show.
    """
    return f"'{text}" if _FORMULA.match(text) else text


class PrintableFormatter(logging.Formatter):
    """Format log records as lines without effect on a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """Return a record's text, made :func:`printable_lines`."""
        return printable_lines(super().format(record))


def _written_out(found: re.Match[str]) -> str:
    code = ord(found[0])
    if 0xdc80 <= code <= 0xdcff:  # a byte that Python could not decode
        return f'\\x{code - 0xdc00:02x}'
    return found[0].encode('unicode_escape').decode()
