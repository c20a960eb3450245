"""Drops and other events, counted by where and why, so that nothing is lost silently."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from typing import ClassVar

from maven_ros.freezing import Freezing

#: What a message says of itself is no longer than this, however long it was.
_LONGEST_DETAIL = 500

_log = logging.getLogger('maven_ros')


class Counters(Freezing):
    """
    Thread-safe counts of what was dropped or went wrong, keyed by source and cause.

    The 1st, 10th, 100th ... of a kind is also a warning in the log, with its detail: enough to
    see it, too little to flood.
    """

    _fixed: ClassVar[frozenset[str]] = frozenset({'_lock'})

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[tuple[str, str]] = Counter()
        self._details: dict[tuple[str, str], str] = {}
        self._refused: Counter[tuple[str, str]] = Counter()

    def count(
        self, source: str, cause: str, detail: str = '', n: int = 1, normal: bool = False,
    ) -> None:
        """
        Count an event.

        :param source: what it happened to, such as ``'video'``, ``'audio'``, ``'/camera/image'``.
        :param cause: a slug, such as ``'late'``.
        :param detail: a sentence for the log that names thing, value and what is allowed.
        :param n: how many at once.
        :param normal: True for what is part of normal work (thinned frames): counted, not logged.
        """
        key = (source, cause)
        detail = detail[:_LONGEST_DETAIL]
        with self._lock:
            before = self._counts[key]
            self._counts[key] = total = before + n
            if detail:
                self._details[key] = detail
        if not normal and (before == 0 or len(str(total)) > len(str(before))):
            _log.warning('%s: %s (%d so far)%s', source, cause.replace('_', ' '), total,
                         f': {detail}' if detail else '')

    def refuse(self, source: str, cause: str, detail: str = '') -> None:
        """Count a message of which nothing is used, as :meth:`count` does."""
        self.count(source, cause, detail)
        self.came_to_nothing(source, cause)

    def came_to_nothing(self, source: str, cause: str) -> None:
        """Note that nothing is used of a message that is counted elsewhere."""
        with self._lock:
            self._refused[source, cause] += 1

    def refused(self) -> dict[tuple[str, str], int]:
        """How many messages came to nothing so far, by source and cause."""
        with self._lock:
            return dict(self._refused)

    def counts(self) -> dict[tuple[str, str], int]:
        """All counts so far, by source and cause."""
        with self._lock:
            return dict(self._counts)

    def get(self, source: str, cause: str) -> int:
        """How often it happened so far."""
        with self._lock:
            return self._counts[source, cause]

    def snapshot(self) -> dict[str, int]:
        """All counts so far, as ``{'source.cause': n}``."""
        with self._lock:
            return {f'{source}.{cause}': n for (source, cause), n in sorted(self._counts.items())
                    if n}

    def detail(self, source: str, cause: str) -> str:
        """The newest detail of a kind; empty where there is none."""
        with self._lock:
            return self._details.get((source, cause), '')

    def summary(self) -> str:
        """All counts so far in a line."""
        return ', '.join(f'{name} {n}' for name, n in self.snapshot().items()) or 'nothing dropped'

    def details(self) -> dict[str, str]:
        """The newest detail of each kind, as ``{'source.cause': sentence}``."""
        with self._lock:
            return {f'{source}.{cause}': text
                    for (source, cause), text in sorted(self._details.items())}
