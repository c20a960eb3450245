"""One picture costs neither gigabytes nor seconds: bounds come from its header."""

import struct
import time
import zlib

import cv2
import numpy as np
import pytest

from maven_ros.errors import InputError
from maven_ros.graph.images import read_compressed, read_image
from maven_ros.graph.messages import new

IMAGE, COMPRESSED = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'


def chunk(kind, content=b'', claims=None):
    return struct.pack('>I4s', len(content) if claims is None else claims, kind) + content + \
        struct.pack('>I', zlib.crc32(kind + content))


def png(width=64, height=48, rows=None, before=b''):
    """Return a PNG in grey whose header claims a size."""
    header = struct.pack('>IIBBBBB', width, height, 8, 0, 0, 0, 0)
    lines = zlib.compress(bytes((width + 1) * (height if rows is None else rows)))
    return (b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header) + before + chunk(b'IDAT', lines)
            + chunk(b'IEND'))


def jpeg(width=64, height=48, progressive=0):
    pixels = np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)
    return bytes(cv2.imencode('.jpg', pixels, [cv2.IMWRITE_JPEG_PROGRESSIVE, progressive])[1])


def claiming(data, width, height):
    """Return a JPEG whose header claims another size."""
    for marker in (b'\xff\xc0', b'\xff\xc2'):
        at = data.find(marker)
        if at > 0:
            return data[:at + 5] + struct.pack('>HH', height, width) + data[at + 9:]
    raise AssertionError('no frame')


def decode(data):
    return read_compressed(new(COMPRESSED, format='jpeg', data=data)).decode()


@pytest.mark.parametrize('data', [
    png(), png(before=chunk(b'tEXt', b'Title\0it')), jpeg(), jpeg(progressive=1),
    jpeg(3840, 2160)])
def test_pictures_of_cameras_pass(data):
    assert decode(data).shape[2] == 3


@pytest.mark.parametrize(('data', 'cause', 'said'), [
    (png(before=chunk(b'tEXt', b'x', claims=2**31 - 1)), 'undecodable',
     r"a png whose chunk b'tEXt' claims 2147483647 bytes"),
    (png(30000, 30000, rows=1), 'bad_size', 'a png: 30000x30000 pixels; allowed: at least 1x1, '
                                            'at most 8192 a side and 16777216 in all'),
    (png(8192, 8192, rows=1), 'bad_size', '8192x8192'),
    (png(0, 7, rows=1), 'bad_size', '0x7'),
    (png()[:40], 'undecodable', 'a png without an end'),
    (png()[:8], 'undecodable', 'a png without an end'),
    (b'\x89PNG\r\n\x1a\n' + chunk(b'IEND'), 'undecodable', "a png that begins with b'IEND'"),
    (png(before=chunk(b'tEXt') * 30000), 'undecodable', 'a png of more than 20000 chunks'),
    (claiming(jpeg(), 65500, 65500), 'bad_size', '65500x65500'),
    (claiming(jpeg(progressive=1), 4096, 4096), 'bad_size', 'at most 8192 a side and 9437184'),
    (jpeg()[:100], 'undecodable', 'a jpeg without a size'),
    (b'\xff\xd8' + b'\xff' * 100_000, 'undecodable', 'a jpeg without a size'),
    (b'\xff\xd8' + b'\xff\xe0\x00\x02' * 1_000_000, 'undecodable', 'a jpeg without a size'),
    (jpeg()[:-2] + b'\xff\xda' * 65 + jpeg()[-2:], 'undecodable', 'scans; allowed: 64'),
    (b'BM' + bytes(100), 'undecodable', 'neither a jpeg nor a png'),
])
def test_what_costs_too_much_is_refused_before_it_is_decoded(data, cause, said):
    began_s = time.process_time()
    with pytest.raises(InputError, match=said) as caught:
        decode(data)
    assert caught.value.cause == cause and time.process_time() - began_s < 1


@pytest.mark.parametrize(('width', 'height'), [(96, 100_000), (100_000, 1), (8192, 2049)])
def test_raw_pictures_have_bounds_too(width, height):
    with pytest.raises(InputError, match=f'Image: {width}x{height} pixels') as caught:
        read_image(new(IMAGE, width=width, height=height, encoding='mono8', step=width,
                       data=np.zeros(width * height, np.uint8)))
    assert caught.value.cause == 'bad_size'
