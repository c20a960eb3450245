"""Convert pictures to ``sensor_msgs/Image`` and ``CompressedImage``, and back."""

from __future__ import annotations

import dataclasses
import functools
import logging
from typing import Any

import numpy as np

from maven_ros.errors import GraphError, InputError
from maven_ros.graph.cv_bridges import cv_bridge, reads
from maven_ros.graph.messages import new, time_message, time_ns
from maven_ros.graph.picture_bounds import check_coded, check_size
from maven_ros.records import Frame, Pixels

_log = logging.getLogger(__name__)

IMAGE = 'sensor_msgs/msg/Image'
COMPRESSED_IMAGE = 'sensor_msgs/msg/CompressedImage'

#: Bytes per pixel of each readable encoding; for NV12 and NV21 those of the first plane.
PIXEL_BYTES = {
    'bgr8': 3, 'rgb8': 3, 'bgra8': 4, 'rgba8': 4, 'mono8': 1,
    'bgr16': 6, 'rgb16': 6, 'bgra16': 8, 'rgba16': 8, 'mono16': 2,
    'yuv422': 2, 'uyvy': 2, 'yuv422_yuy2': 2, 'yuyv': 2, 'nv12': 1, 'nv21': 1,
    'bayer_rggb8': 1, 'bayer_bggr8': 1, 'bayer_gbrg8': 1, 'bayer_grbg8': 1,
    'bayer_rggb16': 2, 'bayer_bggr16': 2, 'bayer_gbrg16': 2, 'bayer_grbg16': 2,
}
#: OpenCV's types, which cv_bridge writes if no encoding is named. They state only the number of
#: channels; OpenCV's order is blue, green, red. In ROS, one channel of 16 bits is depth.
OPENCV_TYPES = {'8UC1': 'mono8', '8UC3': 'bgr8', '8UC4': 'bgra8', '16UC3': 'bgr16',
                '16UC4': 'bgra16'}
_DEPTHS = ('16UC1', '32FC1')
_FROM_BGR = {'bgr8': '', 'rgb8': 'COLOR_BGR2RGB', 'bgra8': 'COLOR_BGR2BGRA',
             'rgba8': 'COLOR_BGR2RGBA', 'mono8': 'COLOR_BGR2GRAY'}


def image_message(
    stamp_ns: int, pixels: Pixels, frame_id: str = '', encoding: str = 'bgr8'
) -> Any:
    """
    Build a ``sensor_msgs/Image``.

    :param pixels: uint8 (height, width, 3) BGR; not copied for bgr8.
    :param encoding: encoding of the message: bgr8, rgb8, bgra8, rgba8 or mono8.
    :raises GraphError: for other pixels or another encoding.
    """
    if encoding not in _FROM_BGR:
        raise GraphError(f'encoding: {encoding!r} cannot be sent; allowed: {", ".join(_FROM_BGR)}')
    _check_pixels(pixels)
    if encoding != 'bgr8':
        import cv2

        pixels = cv2.cvtColor(pixels, getattr(cv2, _FROM_BGR[encoding])).astype(np.uint8)
    height, width = pixels.shape[:2]
    return new(IMAGE, header=_header(stamp_ns, frame_id), height=height, width=width,
               encoding=encoding, step=width * PIXEL_BYTES[encoding], data=pixels)


def compressed_message(stamp_ns: int, pixels: Pixels, frame_id: str = '') -> Any:
    """
    Build a ``sensor_msgs/CompressedImage`` in JPEG.

    :param pixels: uint8 (height, width, 3) BGR.
    :raises GraphError: for other pixels.
    """
    import cv2

    _check_pixels(pixels)
    done, data = cv2.imencode('.jpg', pixels)
    if not done:
        raise GraphError(f'pixels: {pixels.shape} cannot be written as JPEG')
    return new(COMPRESSED_IMAGE, header=_header(stamp_ns, frame_id),
               format='bgr8; jpeg compressed bgr8', data=data)


def read_image(message: Any) -> Frame:
    """
    Convert a ``sensor_msgs/Image`` to a frame; pixels are converted only if they are used.

    :raises InputError: ``unknown_encoding``, ``bad_size``, ``bad_step``, ``bad_payload``; and
        ``undecodable`` from the frame's ``decode``.
    """
    encoding, width, height = message.encoding, message.width, message.height
    if encoding in OPENCV_TYPES:
        encoding = _named(encoding)
        message = dataclasses.replace(message, encoding=encoding)
    if encoding not in PIXEL_BYTES:
        kind = ', but depth (grey is mono16)' if encoding in _DEPTHS else ''
        raise InputError('unknown_encoding', f'Image.encoding: {encoding!r:.80} is no colour or '
                                             f'grey picture{kind}; allowed: '
                                             f'{", ".join((*PIXEL_BYTES, *OPENCV_TYPES))}')
    check_size('Image', width, height)
    row = width * PIXEL_BYTES[encoding]
    if message.step < row:
        raise InputError('bad_step', f'Image.step: {message.step} bytes do not fit a width of '
                                     f'{width} {encoding} pixels; allowed: at least {row}')
    rows = _rows(message)
    return Frame(time_ns(message.header.stamp), functools.partial(_decode, message, row, rows),
                 message.header.frame_id)


def read_compressed(message: Any) -> Frame:
    """
    Convert a ``sensor_msgs/CompressedImage`` to a frame, which is decoded only if it is used.

    :raises InputError: ``unknown_encoding``, ``bad_payload``; and from the frame's ``decode``
        ``undecodable`` and ``bad_size``.
    """
    if 'compressedDepth' in message.format:
        raise InputError('unknown_encoding', f'CompressedImage.format: {message.format!r:.80} is '
                                             'a depth picture; allowed: jpeg, png of colour or '
                                             'grey')
    if not len(message.data):
        raise InputError('bad_payload', 'CompressedImage.data: 0 bytes; allowed: a jpeg or png')
    return Frame(time_ns(message.header.stamp), functools.partial(_decompress, message),
                 message.header.frame_id)


@functools.cache
def _named(encoding: str) -> str:
    """Return the encoding that one of OpenCV's types means, with a warning."""
    named = OPENCV_TYPES[encoding]
    _log.warning('Image.encoding: %r is a type of OpenCV and names no colours: read as %s; '
                 "cv2_to_imgmsg(picture, '%s') names them", encoding, named, named)
    return named


def _rows(message: Any) -> int:
    """
    Return the number of rows of the data, and check its size.

    NV12 and NV21 have rows of colour, half as many, below those of brightness. Some drivers
    include them in ``height``, others do not; the size of the data decides.
    """
    height: int = message.height
    step, size = message.step, len(message.data)
    allowed = [height]
    if message.encoding in ('nv12', 'nv21'):
        allowed = [rows for rows in (height, height * 3 // 2) if rows % 3 == 0]
    for rows in allowed:
        if size == step * rows:
            return rows
    sizes = ' or '.join(str(step * rows) for rows in allowed) or 'an even height'
    raise InputError('bad_payload', f'Image.data: {size} bytes do not fit a step of {step} and a '
                                    f'height of {height} ({message.encoding}); allowed: {sizes}')


def _decode(message: Any, row: int, rows: int) -> Pixels:
    import cv2
    from rosbags.image import ImageError

    data = message.data
    if message.step != row:  # both converters take the rows as adjacent
        data = np.ascontiguousarray(data.reshape(rows, message.step)[:, :row]).reshape(-1)
    try:
        return _to_bgr8(dataclasses.replace(message, height=rows, step=row, data=data))
    except (ImageError, cv2.error, TypeError) as error:  # cv_bridge's own is a TypeError
        raise InputError('undecodable', f'Image: {message.width}x{message.height} '
                                        f'{message.encoding} cannot be read: {error}') from error


def _to_bgr8(message: Any) -> Pixels:
    """Convert by cv_bridge if possible, otherwise by rosbags-image, to the same pixels."""
    import cv2
    from rosbags.image import image_to_cvimage

    if reads(message):
        return np.asarray(cv_bridge().imgmsg_to_cv2(message, 'bgr8'), np.uint8)
    if message.encoding.endswith('16'):  # rounded, as cv_bridge has it; rosbags cuts off
        return np.asarray(cv2.convertScaleAbs(
            image_to_cvimage(message, 'bgr16'), alpha=255 / 65535), np.uint8)
    return np.asarray(image_to_cvimage(message, 'bgr8'), np.uint8)


def _decompress(message: Any) -> Pixels:
    import cv2

    which = f'CompressedImage: {len(message.data)} bytes of {message.format!r:.80}'
    try:
        check_coded(message.data.tobytes())
        pixels = cv2.imdecode(message.data, cv2.IMREAD_COLOR)
    except InputError as error:
        raise InputError(error.cause, f'{which} cannot be read: {error}; allowed: jpeg, png'
                         ) from error
    except cv2.error:
        pixels = None
    if pixels is None:
        raise InputError('undecodable', f'{which} cannot be read; allowed: jpeg, png')
    return pixels.astype(np.uint8, copy=False)


def _check_pixels(pixels: Pixels) -> None:
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
        raise GraphError(f'pixels: {pixels.dtype} {pixels.shape}; '
                         'allowed: uint8 (height, width, 3)')


def _header(stamp_ns: int, frame_id: str) -> dict[str, Any]:
    return {'stamp': time_message(stamp_ns), 'frame_id': frame_id}
