"""
Against invented text: what a recogniser writes though nobody said it.

A network that was trained to continue text goes on where the sound has ended: it says a sentence
again and again, or writes more than can be said in the time.
"""

from __future__ import annotations

from collections.abc import Sequence

#: Who stutters, or is very sure, says a word so often; and a longer run so often.
_WORD_TIMES, _RUN_TIMES = 4, 2
#: The fastest speakers say 6 words a second; where words have no spaces, each letter is one.
_WORDS_A_SECOND, _WORDS_MORE = 8, 2


def unlooped(words: Sequence[str]) -> int:
    """
    Return how many of the first words are kept, so that no run of them comes again and again.

    Of a run that does, one is kept, and nothing that comes after it.

    :param words: as they are compared.
    """
    for begin in range(len(words)):
        for period in range(1, (len(words) - begin) // 2 + 1):
            most = _WORD_TIMES if period == 1 else _RUN_TIMES
            run = words[begin:begin + period]
            times = 1
            while words[begin + times * period:begin + (times + 1) * period] == run:
                times += 1
            if times > most:
                return begin + (most if period == 1 else period)
    return len(words)


def speakable(voiced_s: float) -> int:
    """Return how many words can be said in so long."""
    return int(_WORDS_A_SECOND * voiced_s) + _WORDS_MORE
