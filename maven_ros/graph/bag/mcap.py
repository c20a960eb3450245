"""
Read MCAP files, also the intact part of a file that ends too early.

After a killed recorder, a full disk or an incomplete copy, an MCAP lacks its index and its end.
The reader then walks from record to record up to the break, and also into an unfinished chunk if
that is not compressed.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from io import BytesIO
from typing import Any

from rosbags.rosbag2 import ReaderError
from rosbags.rosbag2.storage_mcap import ChunkInfo, McapReader, read_string

from maven_ros.graph.bag.connections import with_full_types

_MAGIC = b'\x89MCAP0\r\n'
_RECORD = struct.Struct('<BQ')       # what each record begins with: its kind, its length
_CHUNK = struct.Struct('<QQQI')      # first time, last time, size when unpacked, checksum
_HEAD = struct.Struct('<BQQQQIIQ')   # of a chunk that is not compressed, up to its records
_LOGGED = struct.Struct('<HIQQ')     # what each message begins with: channel, number, times
_DATA_END, _FOOTER, _MESSAGE, _CHUNK_KIND = 0x0F, 0x02, 0x05, 0x06


class WholePartReader(McapReader):
    """Read an MCAP, or its intact part; ``broken`` then names the place of the break."""

    def __init__(self, path: Any) -> None:
        super().__init__(path)
        self.broken = ''

    def open(self) -> None:
        """Open the file; a broken one up to the break."""
        try:
            super().open()
            about = self.metadata
            if about.message_count and about.start_time > about.end_time:
                raise ReaderError(f'its summary ends at {about.end_time} ns, before it begins')
        except (ReaderError, struct.error, TypeError, OSError) as error:
            try:
                self.bio = self.path.open('rb')
            except OSError:
                raise error from None
            try:
                self._open_whole_part(error)
            except BaseException:  # a signal, too, must not leave the file open
                self.close()
                raise
        self.connections = with_full_types(self.connections)

    def _open_whole_part(self, error: Exception) -> None:
        bio: Any = self.bio
        path: Any = self.path
        size = bio.seek(0, 2)
        bio.seek(0)
        if bio.read(len(_MAGIC)) != _MAGIC or size < len(_MAGIC) + _RECORD.size:
            raise error
        for gathered in (self.schemas, self.channels, self.chunks, self.connections):
            gathered.clear()
        self.data_start = len(_MAGIC)
        chunks, self.data_end, loose = self._walk(size)
        if mended := _finished(bio, self.data_end, size):
            head, chunk = mended
            patched: Any = _Patched(bio, self.data_end, head)
            self.bio = patched
            self.data_end += chunk.chunk_length
            chunks.append(chunk)
        self.meta_scan()
        if not loose:  # with an index, messages need not be in order
            self.chunks += [chunk._replace(channel_count=dict.fromkeys(self.channels, 1))
                            for chunk in chunks]
        statistics: Any = self.statistics
        counts = statistics.channel_message_counts
        self.connections = [one._replace(msgcount=counts.get(one.id, 0))
                            for one in self.connections]
        if statistics.message_count:
            self.metadata = self.metadata._replace(
                duration=statistics.end_time - statistics.start_time + 1,
                start_time=statistics.start_time, end_time=statistics.end_time + 1,
                message_count=statistics.message_count)
        self.broken = (f'{path.name}: broken at byte {self.data_end} of {size} ({error}); '
                       f'{statistics.message_count} messages before that are whole')

    def _walk(self, size: int) -> tuple[list[ChunkInfo], int, bool]:
        """Return the intact chunks, the end of the intact part, and if messages are unchunked."""
        bio: Any = self.bio
        whole_end, loose = self.data_start, False
        chunks: list[ChunkInfo] = []
        for kind, at, end in _records(bio, self.data_start, size):
            if kind in (_DATA_END, _FOOTER):
                break
            loose |= kind == _MESSAGE
            if kind == _CHUNK_KIND:
                head = BytesIO(bio.read(min(end - at, 128)))
                first, last, unpacked, _ = _CHUNK.unpack(head.read(_CHUNK.size))
                compression = read_string(head)
                packed = int.from_bytes(head.read(8), 'little')
                chunks.append(ChunkInfo(first, last, at, end - at, {}, 0, compression, packed,
                                        unpacked, {}))
            whole_end = end
        return chunks, whole_end, loose


def _records(bio: Any, at: int, size: int) -> Iterator[tuple[int, int, int]]:
    """Yield kind, start and end of intact records; the file's position is after the length."""
    while at + _RECORD.size <= size:
        bio.seek(at)
        kind, length = _RECORD.unpack(bio.read(_RECORD.size))
        end = at + _RECORD.size + length
        if end > size or not kind or (kind == _MESSAGE and length < _LOGGED.size):
            return  # 0 is no kind: space that was reserved, and never written
        yield kind, at, end
        at = end


def _finished(bio: Any, at: int, size: int) -> tuple[bytes, ChunkInfo] | None:
    """
    Finish the chunk that begins where the whole part ends, with the records of it that are whole.

    :returns: what it should begin with, and where it lies; None when there is no such chunk, it
        is compressed, or no message in it is whole.
    """
    bio.seek(at)
    head = bio.read(_HEAD.size)
    if len(head) < _HEAD.size:
        return None
    kind, *_, compression, _ = _HEAD.unpack(head)
    if kind != _CHUNK_KIND or compression:
        return None
    begin = end = at + _HEAD.size
    times: list[int] = []
    for kind, _, record_end in _records(bio, begin, size):
        if kind == _MESSAGE:
            times.append(_LOGGED.unpack(bio.read(_LOGGED.size))[2])
        end = record_end
    if not times:
        return None
    first, last, records = min(times), max(times), end - begin
    head = _HEAD.pack(_CHUNK_KIND, end - at - _RECORD.size, first, last, records, 0, 0, records)
    return head, ChunkInfo(first, last, at, end - at, {}, 0, '', records, records, {})


class _Patched:
    """
    A file in which some bytes are replaced when it is read.

    :param at: position of these bytes.
    """

    def __init__(self, bio: Any, at: int, patch: bytes) -> None:
        self._bio, self._at, self._patch = bio, at, patch

    def read(self, size: int = -1) -> bytes:
        """Read as a file does."""
        begin = self._bio.tell()
        found: bytes = self._bio.read(size)
        first, last = max(begin, self._at), min(begin + len(found), self._at + len(self._patch))
        if first < last:
            found = (found[:first - begin] + self._patch[first - self._at:last - self._at]
                     + found[last - begin:])
        return found

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go as in a file."""
        return int(self._bio.seek(offset, whence))

    def tell(self) -> int:
        """Tell as a file does."""
        return int(self._bio.tell())

    def close(self) -> None:
        """Close the file."""
        self._bio.close()
