"""Count the messages that were sent but never arrived, by the publishers' sequence numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass

#: Of what a reliable publisher has sent since the last settling, one in so many may still be on
#: its way, for it is sent again.
_RESENT = 8


@dataclass(slots=True)
class _Account:
    """
    What is known of one publisher.

    :param base: the number of the last message before those that are counted here.
    :param newest: the number of the newest, at the last settling.
    :param missing: how many of all since ``base`` had not come then, and at the one before.
    :param lost: how many of them are counted.
    """

    base: int
    newest: int
    missing: tuple[int, int] = 0, 0
    lost: int = 0


class LostMessages:
    """
    The lost messages of one subscription.

    Messages before the first look are not counted, nor are messages that may still be on their
    way: a message counts as lost only if it was also missing at the two settlings before. While
    more messages come, slightly fewer are counted.
    """

    def __init__(self) -> None:
        self._heard: Counter[int] = Counter()
        self._accounts: dict[int, _Account] = {}

    @property
    def awaits_look(self) -> bool:
        """Whether a publisher has been heard of which no number is known."""
        return bool(self._heard.keys() - self._accounts.keys())

    def hear(self, publisher: int) -> None:
        """Take note of a message that came."""
        self._heard[publisher] += 1

    def look(self, newest: Mapping[int, int]) -> None:
        """
        Begin to count what publishers send that are new.

        :param newest: the number of the newest message of each publisher that is there; 0 where
            none has come yet. Nothing newer has been heard.
        """
        for publisher, number in newest.items():
            base = number - self._heard[publisher]
            account = self._accounts.get(publisher)
            if account is not None:  # one was on its way at the first look
                account.base = min(account.base, base)
            elif number:
                self._accounts[publisher] = _Account(base, number)

    def settle(self, newest: Mapping[int, int], reliable: Collection[int] = ()) -> int:
        """
        Compare what has come by now with what was sent, after :meth:`look`.

        :param newest: as for :meth:`look`; something newer may have been heard.
        :param reliable: the publishers that send again what got lost.
        :returns: how many are lost beyond those of earlier times.
        """
        lost = sum(self._close(gone) for gone in self._accounts.keys() - newest.keys())
        return lost + sum(self._settle(publisher, number, publisher in reliable)
                          for publisher, number in newest.items() if number)

    def _settle(self, publisher: int, newest: int, reliable: bool) -> int:
        account, heard = self._accounts[publisher], self._heard[publisher]
        missing = max(0, newest - account.base - heard)
        sent = newest - account.newest
        coming = (1 + sent // _RESENT if reliable else 1) if sent else 0
        lost = min(missing, *account.missing) - coming
        account.missing, account.newest = (missing, account.missing[0]), newest
        new = max(0, lost - account.lost)
        account.lost += new
        return new

    def _close(self, publisher: int) -> int:
        """Nothing more comes of one that has gone."""
        account, heard = self._accounts.pop(publisher), self._heard.pop(publisher)
        return max(0, account.newest - account.base - heard - account.lost)
