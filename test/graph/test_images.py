from __future__ import annotations

import re

import cv2
import numpy as np
import pytest

from maven_ros.errors import GraphError, InputError
from maven_ros.graph import images
from maven_ros.graph.convert import compressed_message, image_message
from maven_ros.graph.images import PIXEL_BYTES
from maven_ros.graph.interface import Received
from maven_ros.graph.messages import new, to_cdr
from maven_ros.intake.input_reader import InputReader
from maven_ros.settings import AudioSettings

IMAGE = 'sensor_msgs/msg/Image'
COMPRESSED = 'sensor_msgs/msg/CompressedImage'


def read(message, msgtype=IMAGE):
    return InputReader(AudioSettings()).read(
        Received('/image', msgtype, to_cdr(message, msgtype), 0))


def colours(height=8, width=12):
    """Four flat quarters: red, green, blue, grey; what survives any colour subsampling."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[:height // 2, :width // 2] = 20, 40, 220
    pixels[:height // 2, width // 2:] = 30, 200, 60
    pixels[height // 2:, :width // 2] = 210, 50, 40
    pixels[height // 2:, width // 2:] = 128, 128, 128
    return pixels


def raw(encoding, pixels, **changes):
    height, width = colours().shape[:2]
    return new(IMAGE, **{
        'height': height, 'width': width, 'encoding': encoding,
        'step': width * PIXEL_BYTES.get(encoding, 3),
        'data': np.ascontiguousarray(pixels).tobytes(), **changes})


def packed_yuv(bgr, order):
    # OpenCV's full-range YUV is near enough to a camera's 16..235 to tell colours apart.
    y, u, v = cv2.split(cv2.cvtColor(bgr, cv2.COLOR_BGR2YUV))
    chroma = np.where(np.arange(y.shape[1]) % 2 == 0, u, v)
    return np.dstack([chroma, y] if order == 'uyvy' else [y, chroma])


def semi_planar(bgr, first):
    i420 = cv2.cvtColor(bgr, cv2.COLOR_BGR2YUV_I420)
    height, width = bgr.shape[:2]
    u, v = i420[height:].reshape(2, -1)
    pair = (u, v) if first == 'u' else (v, u)
    return np.vstack([i420[:height], np.column_stack(pair).reshape(height // 2, width)])


@pytest.mark.parametrize('encoding', ['bgr8', 'rgb8', 'bgra8', 'rgba8', 'mono8'])
def test_what_is_sent_arrives(encoding):
    frame = read(image_message(5, colours(), 'eye', encoding))
    expected = colours()
    if encoding == 'mono8':
        expected = cv2.cvtColor(cv2.cvtColor(expected, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    assert (frame.stamp_ns, frame.frame_id) == (5, 'eye')
    assert np.array_equal(frame.decode(), expected)


def test_bgr8_is_not_copied():
    message = image_message(0, colours())
    cdr = to_cdr(message, IMAGE)
    pixels = InputReader(AudioSettings()).read(Received('/i', IMAGE, cdr, 0)).decode()
    assert np.shares_memory(pixels, np.frombuffer(cdr, np.uint8))


@pytest.mark.parametrize('depth, dtype', [('8', np.uint8), ('16', np.uint16)])
@pytest.mark.parametrize('channels, named', [(1, 'mono'), (3, 'bgr'), (4, 'bgra')])
def test_opencvs_types_are_read_as_opencv_lays_pixels_out_and_it_is_said_once(
        channels, named, depth, dtype, caplog):
    images._named.cache_clear()
    opaque = cv2.cvtColor(colours(), cv2.COLOR_BGR2BGRA)
    pixels = {1: colours()[..., 0], 3: colours(), 4: opaque}[channels]
    pixels = pixels.astype(dtype) * (1 if depth == '8' else 257)
    message = raw(f'{depth}UC{channels}', pixels, step=pixels.nbytes // len(pixels))
    if (channels, depth) == (1, '16'):
        with pytest.raises(InputError, match='but depth'):
            read(message)
        return
    expected = raw(f'{named}{depth}', pixels)
    assert np.array_equal(read(message).decode(), read(expected).decode())
    assert np.array_equal(read(message).decode()[..., 0], colours()[..., 0])
    assert caplog.text.count(f'is a type of OpenCV and names no colours: read as {named}') == 1


@pytest.mark.parametrize('encoding', ['yuv422', 'uyvy', 'yuv422_yuy2', 'yuyv', 'nv12', 'nv21'])
def test_yuv_keeps_its_colours(encoding):
    if encoding.startswith('nv'):
        data = semi_planar(colours(), 'u' if encoding == 'nv12' else 'v')
    else:
        data = packed_yuv(colours(), 'uyvy' if encoding in ('yuv422', 'uyvy') else 'yuyv')
    pixels = read(raw(encoding, data)).decode()
    assert pixels.shape == colours().shape
    for row, column, channel in ((1, 1, 2), (1, 9, 1), (6, 1, 0)):
        assert int(np.argmax(pixels[row, column])) == channel
    assert np.ptp(pixels[6, 9].astype(int)) < 20  # grey


def test_nv12_rows_of_colour_may_count_in_the_height():
    data = semi_planar(colours(), 'u')
    a, b = read(raw('nv12', data)), read(raw('nv12', data, height=12))
    assert np.array_equal(a.decode(), b.decode())


@pytest.mark.parametrize('depth, dtype', [('8', np.uint8), ('16', np.uint16)])
@pytest.mark.parametrize('pattern', ['rggb', 'bggr', 'gbrg', 'grbg'])
def test_bayer_keeps_its_colours(pattern, depth, dtype):
    flat = np.zeros((8, 12, 3), np.uint8)
    flat[:] = 30, 90, 200
    mosaic = np.zeros((8, 12), dtype)
    for i, name in enumerate(pattern):
        plane = flat[..., 'bgr'.index(name)].astype(dtype) * (1 if depth == '8' else 257)
        mosaic[i // 2::2, i % 2::2] = plane[i // 2::2, i % 2::2]
    pixels = read(raw(f'bayer_{pattern}{depth}', mosaic)).decode()
    assert np.abs(pixels[4, 6].astype(int) - (30, 90, 200)).max() <= 1


@pytest.mark.parametrize('big', [0, 1])
def test_16_bits_are_scaled_to_8(big):
    wide = colours().astype('>u2' if big else '<u2') * 257
    wide = wide.astype('>u2' if big else '<u2')
    assert np.array_equal(read(raw('bgr16', wide, is_bigendian=big)).decode(), colours())
    pixels = read(raw('mono16', wide[..., 0], is_bigendian=big)).decode()
    assert np.array_equal(pixels[..., 1], colours()[..., 0])


def test_padded_rows_are_cut():
    padded = np.full((8, 40), 99, np.uint8)
    padded[:, :36] = colours().reshape(8, 36)
    assert np.array_equal(read(raw('bgr8', padded, step=40)).decode(), colours())


@pytest.mark.parametrize('suffix', ['.jpg', '.png'])
def test_compressed_pictures_are_read(suffix):
    message = compressed_message(9, colours(64, 96))
    if suffix == '.png':
        message = new(COMPRESSED, format='png', data=cv2.imencode('.png', colours(64, 96))[1])
    pixels = read(message, COMPRESSED).decode()
    assert np.abs(pixels.astype(int) - colours(64, 96)).mean() < 4


def test_a_grey_jpeg_becomes_bgr():
    data = cv2.imencode('.jpg', np.full((8, 8), 100, np.uint8))[1]
    assert read(new(COMPRESSED, format='jpeg', data=data), COMPRESSED).decode().shape == (8, 8, 3)


def refused(cause, text, message, msgtype=IMAGE):
    with pytest.raises(InputError, match=re.escape(text)) as caught:
        read(message, msgtype)
    assert caught.value.cause == cause


@pytest.mark.parametrize('encoding', ['32FC3', '8UC2', '8SC3', 'nv24', '', 'BGR8'])
def test_unknown_encodings_are_refused_by_name(encoding):
    refused('unknown_encoding', f'Image.encoding: {encoding!r} is no colour or grey picture; '
            'allowed: bgr8, rgb8', raw(encoding, colours()))


def test_sizes_that_do_not_fit_are_refused():
    refused('bad_step', 'Image.step: 12 bytes do not fit a width of 12 bgr8 pixels; allowed: at '
            'least 36', raw('bgr8', colours(), step=12))
    refused('bad_payload', 'Image.data: 288 bytes do not fit a step of 36 and a height of 9 '
            '(bgr8); allowed: 324', raw('bgr8', colours(), height=9))
    refused('bad_payload', '(nv12); allowed: 144', raw('nv12', bytes(100)))
    refused('bad_payload', '(nv12); allowed: an even height', raw('nv12', bytes(84), height=7))
    refused('bad_size', 'Image: 0x8 pixels; allowed: at least 1x1', raw('bgr8', b'', width=0))
    refused('bad_size', 'Image: 12x0 pixels', raw('bgr8', b'', height=0))


def test_a_picture_that_opencv_cannot_convert_is_refused_when_looked_at():
    odd = new(IMAGE, height=2, width=3, encoding='yuv422', step=6, data=bytes(12))
    with pytest.raises(InputError, match='Image: 3x2 yuv422 cannot be read') as caught:
        read(odd).decode()
    assert caught.value.cause == 'undecodable'


def test_bad_compressed_pictures_are_refused():
    refused('bad_payload', 'CompressedImage.data: 0 bytes', new(COMPRESSED, format='jpeg'),
            COMPRESSED)
    refused('unknown_encoding', "'16UC1; compressedDepth png' is a depth picture",
            new(COMPRESSED, format='16UC1; compressedDepth png', data=b'x'), COMPRESSED)
    frame = read(new(COMPRESSED, format='jpeg', data=b'no picture'), COMPRESSED)
    with pytest.raises(InputError, match="10 bytes of 'jpeg' cannot be read") as caught:
        frame.decode()
    assert caught.value.cause == 'undecodable'


def test_pixels_that_cannot_be_sent_are_refused():
    with pytest.raises(GraphError, match="encoding: '32FC1' cannot be sent; allowed: bgr8"):
        image_message(0, colours(), encoding='32FC1')
    for call in (image_message, compressed_message):
        with pytest.raises(GraphError, match=r'pixels: float64 \(2, 2, 3\); allowed: uint8'):
            call(0, np.zeros((2, 2, 3)))
        with pytest.raises(GraphError, match=r'pixels: uint8 \(2, 2\)'):
            call(0, np.zeros((2, 2), np.uint8))
