"""Which words of a partial result will stay."""

from __future__ import annotations

from dataclasses import dataclass, field

from maven_ros.records import NS


@dataclass
class Stability:
    """
    Tells words that stay from words that come and go, between one partial result and the next.

    :param stood_ns: a word counts as settled once this much further sound left it as it was.
    """

    stood_ns: int = 3 * NS // 10
    _seen: list[tuple[str, int, int]] = field(default_factory=list)

    def settled(self, texts: list[str], starts_ns: list[int], now_ns: int) -> list[bool]:
        """
        Say which words have settled.

        :param texts: words of a partial result.
        :param starts_ns: when each began.
        :param now_ns: the end of the sound that the result rests on.
        """
        seen = [
            (text, start, min((since for before, at, since in self._seen
                               if before == text and abs(at - start) <= NS // 10),
                              default=now_ns))
            for text, start in zip(texts, starts_ns, strict=True)]
        self._seen = seen
        return [now_ns - since >= self.stood_ns for _, _, since in seen]
