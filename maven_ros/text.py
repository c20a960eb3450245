"""Text from outside (messages, files, servers): shown and written so that it does nothing."""

from __future__ import annotations

import logging
import re
import sys
from typing import Any, TextIO

# Halves of characters, which Python makes of bytes that are no UTF-8, and which cannot be encoded.
_HALVES = re.compile('[\ud800-\udfff]')
# They, control characters but the tab, and what ends lines or turns the direction of writing.
_WORKING = re.compile('[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069'
                      '\ud800-\udfff]')
_FORMULA = re.compile(r'[=+\-@\t\r]')


def shown(name: object) -> str:
    r"""
    Return a file's name, or any text with one in it, as text that every file and message holds.

    A byte that is no UTF-8 is written out as ``\xe9``, so that different names stay different.
    """
    return _HALVES.sub(_written_out, str(name))


def all_shown(content: Any) -> Any:
    """Return mappings and lists with each text in them as :func:`shown` has it."""
    if isinstance(content, dict):
        return {all_shown(key): all_shown(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [all_shown(one) for one in content]
    return shown(content) if isinstance(content, str) else content


def printable(text: object) -> str:
    r"""
    Return text as one line in which nothing works on a terminal.

    What would is written out: an escape as ``\x1b``, the end of a line as ``\n``, a byte that is
    no UTF-8 as ``\xe9``.
    """
    return _WORKING.sub(_written_out, str(text))


def printable_lines(text: object) -> str:
    """Return the same for text of ours in several lines; what is put into it is one line each."""
    return '\n'.join(map(printable, str(text).split('\n')))


def say(text: object, file: TextIO | None = None) -> None:
    """
    Print lines, none of which works on a terminal.

    :param file: standard output when left out.
    """
    print(printable_lines(text), file=file or sys.stdout, flush=True)


def cell(text: str) -> str:
    """
    Return a cell of CSV that no spreadsheet takes for a formula.

    One that would be (it begins with ``=``, ``+``, ``-``, ``@``, a tab or a carriage return) gets
    an apostrophe before it, which spreadsheets do not show.
    """
    return f"'{text}" if _FORMULA.match(text) else text


class PrintableFormatter(logging.Formatter):
    """A log's lines, none of which works on a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """Format as :class:`logging.Formatter` does."""
        return printable_lines(super().format(record))


def _written_out(found: re.Match[str]) -> str:
    code = ord(found[0])
    if 0xdc80 <= code <= 0xdcff:  # a byte that Python could not decode
        return f'\\x{code - 0xdc00:02x}'
    return found[0].encode('unicode_escape').decode()
