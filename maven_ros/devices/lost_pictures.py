"""Which pictures of a stream never came out of its decoder."""

from __future__ import annotations

import heapq
from typing import Any

#: Some of their packets are never shown: one without a picture may be such a one.
_WITH_HIDDEN = ('vp8', 'vp9', 'av1', 'mpeg4')


class LostPictures:
    """
    Times of pictures that a stream holds and of which nothing was decoded, in their order.

    Those before the first picture that comes out are none: a stream that was cut begins anywhere.

    :param codec: name of the stream's.
    """

    def __init__(self, codec: str) -> None:
        self._due: list[int] = []
        self._is_told = codec not in _WITH_HIDDEN
        self._begun = False
        #: Whether the decoder has said that anything is damaged.
        self.damaged = False

    @classmethod
    def of(cls, container: Any, stream: Any) -> LostPictures | None:
        """Begin with a stream; None where its packets do not know when they are shown."""
        codec = stream.codec_context
        reordered = container.format.name == 'avi' and codec.has_b_frames
        return None if reordered else cls(codec.name)

    def send(self, packet: Any) -> None:
        """Take a packet before it is decoded."""
        if packet.size and packet.pts is not None and not packet.is_discard:
            heapq.heappush(self._due, packet.pts)

    def before(self, pts: int | None) -> list[int]:
        """
        Return the times of those that were lost before a picture that came out.

        :param pts: its time; None at the end.
        """
        lost = []
        while self._due and (pts is None or self._due[0] <= pts):
            if (time := heapq.heappop(self._due)) != pts and (
                    self.damaged or (self._is_told and self._begun)):
                lost.append(time)
        self._begun = True
        return lost
