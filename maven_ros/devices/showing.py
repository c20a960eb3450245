"""What a file declares about how its pictures are shown, and which of its streams are played."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from maven_ros.errors import SettingsError

if TYPE_CHECKING:
    import av

Kind: TypeAlias = Literal['video', 'audio']

_TEXT_ART = {'ansi', 'bintext', 'xbin', 'idf'}  # FFmpeg "plays" any .txt and .bin with these
#: Streams that go with another one, are for few, or are no stream of pictures at all.
_ASIDE = ('comment', 'visual_impaired', 'hearing_impaired', 'descriptions', 'karaoke', 'lyrics',
          'clean_effects', 'non_diegetic', 'dependent', 'still_image', 'timed_thumbnails')
_NARROWEST = Fraction(1, 8)  # a pixel's width by its height, or the other way: beyond, it is wrong


def choose(streams: Sequence[Any], wanted: int, where: str) -> Any:
    """
    Choose the stream that is played, as players do: the default one, and none that goes beside.

    :param streams: all of one kind.
    :param wanted: number of the one to be played, from 1; 0 for the file's own choice.
    :param where: file and kind, for messages.
    :returns: None where there is none that can be decoded.
    :raises SettingsError: when there is none of that number.
    """
    usable = [stream for stream in streams if _is_usable(stream)]
    if wanted:
        if not 1 <= wanted <= len(streams) or streams[wanted - 1] not in usable:
            numbers = ', '.join(str(number) for number, one in enumerate(streams, 1)
                                if one in usable) or 'none'
            raise SettingsError(f'{where} stream: {wanted} is not there, or cannot be decoded; '
                                f'allowed: {numbers}')
        return streams[wanted - 1]
    return min(usable, key=_rank, default=None)


def choice(streams: Sequence[Any], chosen: Any, where: str, flag: str) -> str:
    """Say which of several streams is played; nothing where there was no choice."""
    usable = [stream for stream in streams if _is_usable(stream)]
    if len(usable) < 2:
        return ''
    listed = ', '.join(f'{number} ({_described(one)})'
                       for number, one in enumerate(streams, 1) if one in usable)
    return (f'{where} streams: {listed}; number {list(streams).index(chosen) + 1} is played '
            f'({flag} chooses)')


def shown_pixels(frame: av.VideoFrame, aspect: Fraction | None) -> NDArray[Any]:
    """
    Return a frame's pixels as players show them: square, mirrored and turned as is declared.

    :param aspect: width of a pixel by its height, where that is declared.
    :returns: uint8 (height, width, 3) BGR.
    """
    pixels: NDArray[Any] = _square(frame.to_ndarray(format='bgr24'), aspect)
    matrix: Any = frame.side_data.get('DISPLAYMATRIX')
    return np.ascontiguousarray(_turned(pixels, bytes(matrix))) if matrix else pixels


def _square(pixels: NDArray[Any], aspect: Fraction | None) -> NDArray[Any]:
    """Lengthen the short side of pixels that are not square."""
    if not aspect or aspect == 1 or not _NARROWEST <= aspect <= 1 / _NARROWEST:
        return pixels
    import cv2

    height, width = pixels.shape[:2]
    size = (round(width * aspect), height) if aspect > 1 else (width, round(height / aspect))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_LINEAR))


def _turned(pixels: NDArray[Any], matrix: bytes) -> NDArray[Any]:
    """
    Mirror and turn pixels, to the nearest quarter.

    :param matrix: libavutil's: x is shown at a x + c y, and y at b x + d y.
    """
    a, b, _, c, d, *_ = struct.unpack('=9i', matrix)
    across, down = a, d
    if abs(b) + abs(c) > abs(a) + abs(d):
        pixels, across, down = pixels.transpose(1, 0, 2), c, b
    return pixels[::-1 if down < 0 else 1, ::-1 if across < 0 else 1]


def _is_usable(stream: Any) -> bool:
    from av.stream import Disposition

    codec = stream.codec_context
    return bool(codec and codec.name not in _TEXT_ART
                and not stream.disposition & Disposition.attached_pic)  # a cover is no film


def _rank(stream: Any) -> tuple[bool, bool, bool, int]:
    names = _dispositions(stream)
    return (any(name in names for name in _ASIDE), 'default' not in names, 'dub' in names,
            stream.index)


def _dispositions(stream: Any) -> list[str]:
    return [one.name for one in type(stream.disposition) if stream.disposition & one]


def _described(stream: Any) -> str:
    about = [stream.language or '', str(stream.metadata.get('title', '')), *_dispositions(stream)]
    return ', '.join(filter(None, about)) or stream.codec_context.name
