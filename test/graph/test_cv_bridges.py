"""cv_bridge is used where it imports, and to the same pixels; test_images.py has the pictures."""

import importlib
import logging

import numpy as np
import pytest

from maven_ros.graph import cv_bridges as bridge
from maven_ros.graph import images
from maven_ros.graph.images import PIXEL_BYTES
from maven_ros.graph.messages import new

HEIGHT, WIDTH = 24, 32


@pytest.fixture(autouse=True)
def fresh():
    bridge.cv_bridge.cache_clear()
    yield
    bridge.cv_bridge.cache_clear()


def noise(encoding, **changes):
    size = HEIGHT * WIDTH * PIXEL_BYTES[encoding]
    return new(images.IMAGE, **{
        'height': HEIGHT, 'width': WIDTH, 'encoding': encoding,
        'step': WIDTH * PIXEL_BYTES[encoding],
        'data': np.random.default_rng(1).integers(0, 256, size, np.uint8), **changes})


def test_one_that_does_not_import_is_told_once_and_done_without(tmp_path, monkeypatch, caplog):
    (tmp_path / 'cv_bridge.py').write_text('raise ImportError("_ARRAY_API not found")')
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv('PYTHONPATH', str(tmp_path))
    importlib.invalidate_caches()
    with caplog.at_level(logging.INFO):
        pixels = [images.read_image(noise('rgb8')).decode() for _ in range(2)]
    assert np.array_equal(pixels[0], noise('rgb8').data.reshape(HEIGHT, WIDTH, 3)[..., ::-1])
    assert [record.message for record in caplog.records] == [
        'cv_bridge does not import cleanly (ImportError: _ARRAY_API not found); '
        'rosbags-image converts pictures']


# Where there is none, one skip tells of all.
@pytest.mark.parametrize('encoding', sorted(bridge.ENCODINGS) if bridge.cv_bridge()
                         else [pytest.param('', marks=pytest.mark.skip(reason='no cv_bridge'))])
def test_both_converters_give_the_same_pixels(encoding, monkeypatch):
    message = noise(encoding)
    assert bridge.reads(message)
    one = images.read_image(message).decode()
    monkeypatch.setattr(images, 'reads', lambda message: False)
    assert np.array_equal(one, images.read_image(message).decode())


def test_big_endian_pictures_are_not_for_cv_bridge():
    assert not bridge.reads(noise('mono16', is_bigendian=1))
    assert not bridge.reads(noise('uyvy'))
