import os
import time

import cv2
import numpy as np
import pytest
from waiting import eventually

from maven_ros.counters import Counters
from maven_ros.devices.camera import Camera
from maven_ros.errors import ResourceError, SettingsError
from maven_ros.graph.messages import time_ns
from maven_ros.records import NS

IMAGE, COMPRESSED = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'
FRAMES = 20


@pytest.fixture
def clip(tmp_path):
    """Twenty pictures, each brighter than the one before."""
    path = tmp_path / 'clip.avi'
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'MJPG'), 25, (64, 48))
    for index in range(FRAMES):
        writer.write(np.full((48, 64, 3), 10 * index, np.uint8))
    writer.release()
    return path


def brightness(image):
    return np.asarray(image.data).mean()


def test_pictures_are_published_with_the_time_they_are_grabbed(graph, listen, running, clip):
    images = listen('camera/image_raw', IMAGE)
    begun_ns = graph.now_ns()
    camera = running(Camera(graph, str(clip), frame_id='eye', wait=True))
    assert images.wait_for(FRAMES // 2)
    published = camera.stop(1.0)
    assert published >= len(images)
    stamps = [time_ns(image.header.stamp) for image in images.messages]
    assert begun_ns < stamps[0] < stamps[-1] < graph.now_ns()
    assert sorted(stamps) == stamps
    image = images.messages[-1]
    assert (image.width, image.height, image.encoding, image.step) == (64, 48, 'bgr8', 192)
    assert image.header.frame_id == 'eye'


def test_a_camera_that_goes_comes_back(graph, listen, running, clip):
    images = listen('camera/image_raw', IMAGE)
    counters = Counters()
    camera = running(Camera(graph, str(clip), counters=counters))
    assert images.wait_for(FRAMES + 5)  # the end of the file is as good as an unplug
    camera.stop(1.0)
    assert counters.get('camera', 'lost') >= 1
    assert 'gives no more pictures' in counters.details()['camera.lost']
    stamps = [time_ns(image.header.stamp) for image in images.messages]
    gap = int(np.argmax(np.diff(stamps)))
    assert stamps[gap + 1] - stamps[gap] > 0.9 * NS
    assert brightness(images.messages[gap]) > 150 > 50 > brightness(images.messages[gap + 1])


def test_a_camera_that_is_away_for_longer_is_looked_for(graph, listen, running, clip):
    images = listen('camera/image_raw', IMAGE)
    counters = Counters()
    away = clip.with_name('away.avi')
    clip.rename(away)
    camera = running(Camera(graph, str(clip), wait=True, counters=counters))
    eventually(lambda: counters.get('camera', 'missing'))
    assert not images
    away.rename(clip)
    assert images.wait_for(5)
    camera.stop(1.0)
    assert counters.get('camera', 'missing') >= 1
    assert f'camera {str(clip)!r}: cannot be opened' in counters.details()['camera.missing']


def test_a_camera_that_hangs_is_left_behind(graph, running, tmp_path):
    fifo = tmp_path / 'camera.avi'
    os.mkfifo(fifo)  # opening it blocks, as a driver may
    counters = Counters()
    camera = running(Camera(graph, str(fifo), counters=counters))
    time.sleep(0.5)
    assert camera.stop(1.5) == 0
    assert counters.get('camera', 'hung') == 1
    fifo.open('wb').close()  # lets the thread end


def test_no_camera_is_an_error_that_tells_what_there_is(graph, running):
    camera = running(Camera(graph, '63'))
    with pytest.raises(ResourceError, match=r'camera 63: cannot be opened; there are: '):
        camera.result(10.0)


def test_a_name_that_is_no_text_is_an_error_and_no_crash(graph, running):
    camera = running(Camera(graph, os.fsdecode(b'/dev/vid\xe9o')))
    with pytest.raises(ResourceError, match=r"camera '/dev/vid\\udce9o': its name is no UTF-8"):
        camera.result(10.0)


def test_pictures_are_compressed_when_asked(graph, listen, running, clip):
    images = listen('eye/compressed', COMPRESSED)
    camera = running(Camera(graph, str(clip), image_topic='eye', compressed=True))
    assert images.wait_for(5)
    camera.stop(1.0)
    data = np.asarray(images.messages[0].data)
    assert cv2.imdecode(data, cv2.IMREAD_COLOR).shape == (48, 64, 3)


def test_a_size_that_the_camera_does_not_give_is_told(graph, listen, running, clip):
    images = listen('camera/image_raw', IMAGE)
    counters = Counters()
    camera = running(Camera(graph, str(clip), width=640, height=48, counters=counters))
    assert images.wait_for(1)
    camera.stop(1.0)
    assert counters.get('camera', 'not_as_asked') >= 1
    detail = counters.details()['camera.not_as_asked']
    assert detail.endswith('frame_width 640 was asked for, it gives 64')


@pytest.mark.parametrize(('option', 'value'), [('width', -1), ('height', 99_999), ('fps', -5.0)])
def test_values_out_of_range_are_refused(graph, option, value):
    with pytest.raises(SettingsError, match=rf'{option}: {value} is not in \[0, 16384\]'):
        Camera(graph, 0, **{option: value})
