"""How large a picture may be, read from its header: before a decoder takes memory and time."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from maven_ros.errors import InputError

LONGEST_SIDE_PX = 8192
MOST_PIXELS = 4096 * 4096
#: A progressive JPEG is held whole as numbers of two bytes while it is decoded: 4K fits 60 MB.
MOST_PROGRESSIVE_PIXELS = 4096 * 2304
#: Scans of a JPEG; encoders write about ten, and each costs a pass over the picture.
_MOST_SCANS = 64
_MOST_SEGMENTS = 20_000

_PNG, _JPEG = b'\x89PNG\r\n\x1a\n', b'\xff\xd8'
#: Markers of a frame's header (SOF), and those of them that are progressive.
_FRAMES = {*range(0xc0, 0xd0)} - {0xc4, 0xc8, 0xcc}
_PROGRESSIVE = {0xc2, 0xc6, 0xca, 0xce}
_STANDALONE = {0x01, *range(0xd0, 0xd8)}


def check_size(where: str, width: int, height: int, most: int = MOST_PIXELS) -> None:
    """
    Check that a picture has pixels, and not too many.

    :raises InputError: ``bad_size``.
    """
    if not (0 < width <= LONGEST_SIDE_PX and 0 < height <= LONGEST_SIDE_PX
            and width * height <= most):
        raise InputError('bad_size', f'{where}: {width}x{height} pixels; allowed: at least 1x1, '
                                     f'at most {LONGEST_SIDE_PX} a side and {most} in all')


def check_coded(data: bytes) -> None:
    """
    Check a JPEG or a PNG: what it is, its size, and that what its header claims is there.

    :raises InputError: ``bad_size`` or ``undecodable``.
    """
    if data.startswith(_PNG):
        _check_png(data)
    elif data.startswith(_JPEG):
        _check_jpeg(data)
    else:
        raise _undecodable('neither a jpeg nor a png')


def _check_png(data: bytes) -> None:
    for number, (kind, at, length) in enumerate(_png_chunks(data)):
        if not number:
            if kind != b'IHDR' or length < 8:
                raise _undecodable(f'a png that begins with {kind!r}')
            check_size('a png', *struct.unpack_from('>II', data, at))
        if number > _MOST_SEGMENTS:
            raise _undecodable(f'a png of more than {_MOST_SEGMENTS} chunks')


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield kind, place and length of each chunk up to the end; no decoder need believe them."""
    at = len(_PNG)
    while True:
        if at + 12 > len(data):
            raise _undecodable('a png without an end')
        length, kind = struct.unpack_from('>I4s', data, at)
        if length > len(data) - at - 12:
            raise _undecodable(f'a png whose chunk {kind!r} claims {length} bytes')
        yield kind, at + 8, length
        if kind == b'IEND':
            return
        at += length + 12


def _check_jpeg(data: bytes) -> None:
    at = len(_JPEG)
    for _ in range(_MOST_SEGMENTS):
        at = data.find(b'\xff', at)
        while 0 <= at < len(data) and data[at] == 0xff:  # any number of them may fill
            at += 1
        if not 0 < at <= len(data) - 9:
            break
        marker = data[at]
        if marker in _FRAMES:
            height, width = struct.unpack_from('>HH', data, at + 4)
            check_size('a jpeg', width, height, MOST_PROGRESSIVE_PIXELS
                       if marker in _PROGRESSIVE else MOST_PIXELS)
            scans = data.count(b'\xff\xda', at)
            if scans > _MOST_SCANS:
                raise _undecodable(f'a jpeg of {scans} scans; allowed: {_MOST_SCANS}')
            return
        at += 1 if marker in _STANDALONE else 1 + struct.unpack_from('>H', data, at + 1)[0]
    raise _undecodable('a jpeg without a size')


def _undecodable(what: str) -> InputError:
    return InputError('undecodable', what)
