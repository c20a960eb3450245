"""The interface of readers of bags, for any storage."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from rosbags.rosbag2 import Reader, ReaderError

from maven_ros.graph.bag.folder import READERS, FolderReader


class BagReader(Reader):
    """The folder of a rosbag2, or one of its storage files."""

    STORAGE_PLUGINS: Mapping[str, Any] = {'dir': FolderReader, **READERS}

    def check_end(
        self, wanted: Collection[Any], start_ns: int | None, end_ns: int | None, count: int,
    ) -> None:
        """
        Tell that there was more, once all that can be read has been.

        :param wanted: what was read of.
        :param start_ns: from when on; None for the beginning.
        :param end_ns: up to when; None for the end.
        :param count: how many messages were read.
        :raises ReaderError: says where the bag broke, or what it declares and does not hold.
        """
        for one in (*getattr(self.storage, 'storages', ()), self.storage):
            if one.broken and (end_ns is None or end_ns >= one.metadata.end_time):
                raise ReaderError(one.broken)
        declared = sum(one.msgcount for one in wanted)
        all_of_it = (start_ns is None or start_ns <= self.start_time) and (
            end_ns is None or end_ns >= self.end_time)
        if all_of_it and count < declared:
            topics = ', '.join(sorted({one.topic for one in wanted}))
            raise ReaderError(f'{declared} messages are declared on {topics}, and {count} are '
                              'there')
