"""What was said of late, as it is known now."""

from __future__ import annotations

from typing import ClassVar

from maven_ros import rules
from maven_ros.counters import Counters
from maven_ros.freezing import Freezing
from maven_ros.records import Utterance, Word

#: Utterances that wait for their windows; those of another clock would gather for ever.
_MOST_UTTERANCES = 1000


class Transcript(Freezing):
    """Gathers results of recognition, and tells which words a window holds."""

    _fixed: ClassVar[frozenset[str]] = frozenset({'_counters'})

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self._utterances: dict[int, Utterance] = {}  # by start: a later result replaces

    def add(self, utterance: Utterance, since_ns: int) -> None:
        """
        Add a result of recognition; it replaces an earlier one that began at the same time.

        One that no window will hold any more is late: dropped and counted.

        :param since_ns: where the next window began, when this became known.
        """
        if utterance.end_ns <= since_ns:
            self._counters.count('speech', 'late', f'words up to {utterance.end_ns} ns were '
                                                   'recognised after their windows had closed')
            return
        self._utterances[utterance.start_ns] = utterance
        while len(self._utterances) > _MOST_UTTERANCES:
            del self._utterances[next(iter(self._utterances))]

    def words(self, start_ns: int, end_ns: int) -> tuple[Word, ...]:
        """Return the words of a window; forget utterances that none will hold any more."""
        for begun_ns, utterance in list(self._utterances.items()):
            if utterance.end_ns < start_ns:
                del self._utterances[begun_ns]
        return rules.words_inside(
            (word for utterance in self._utterances.values() for word in utterance.words),
            start_ns, end_ns)
