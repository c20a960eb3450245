import itertools
import threading
import time
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from maven_ros.counters import Counters
from maven_ros.devices.player import Player
from maven_ros.errors import ResourceError, SettingsError
from maven_ros.graph.interface import Received
from maven_ros.graph.messages import time_ns, to_cdr
from maven_ros.intake.input_reader import InputReader
from maven_ros.records import NS
from maven_ros.settings import AudioSettings

IMAGE, COMPRESSED = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'
CHUNK = 'maven_ros/msg/AudioChunk'


@pytest.fixture(scope='module')
def clip(tmp_path_factory):
    """One second of 64x48 noise at 25 fps and of 16 kHz sound."""
    path = tmp_path_factory.mktemp('player') / 'clip.mkv'
    random = np.random.default_rng(0)
    with av.open(str(path), 'w') as container:
        video = container.add_stream('mpeg4', rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, 'yuv420p'
        audio = container.add_stream('pcm_s16le', rate=16_000, layout='mono')
        for index in range(25):
            frame = av.VideoFrame.from_ndarray(
                random.integers(0, 255, (48, 64, 3), np.uint8), format='bgr24')
            frame.pts, frame.time_base = index, Fraction(1, 25)
            container.mux(video.encode(frame))
            sound = av.AudioFrame.from_ndarray(
                random.integers(-9999, 9999, (1, 640), np.int16), 's16', 'mono')
            sound.sample_rate, sound.time_base = 16_000, Fraction(1, 16_000)
            sound.pts = 640 * index
            container.mux(audio.encode(sound))
        container.mux(video.encode(None))
        container.mux(audio.encode(None))
    return path


def test_a_clip_is_played_in_real_time_on_one_clock(graph, listen, running, clip):
    images, chunks = listen('camera/image_raw', IMAGE), listen('audio', CHUNK)
    counters = Counters()
    report = running(Player(graph, clip, counters=counters)).result(10)
    assert (report.frames, report.chunks, report.duration_ns) == (25, 32, NS)
    assert images.wait_for(25)
    assert chunks.wait_for(32)
    stamps = [time_ns(image.header.stamp) for image in images.messages]
    start_ns = stamps[0]
    assert stamps == [start_ns + index * NS // 25 for index in range(25)]
    assert [time_ns(chunk.header.stamp) for chunk in chunks.messages] == [
        start_ns + index * 512 * NS // 16_000 for index in range(32)]
    assert [chunk.sequence for chunk in chunks.messages] == list(range(32))
    # In real time: nothing arrives before a device would have given it, and little long after.
    delays = [arrived - time_ns(image.header.stamp) for arrived, image in images] + [
        arrived - time_ns(chunk.header.stamp) - len(chunk.data) // 2 * NS // 16_000
        for arrived, chunk in chunks]
    assert min(delays) > -NS // 100
    assert np.median(delays) < NS // 2
    image = images.messages[0]
    assert (image.width, image.height, image.encoding) == (64, 48, 'bgr8')
    assert image.header.frame_id == 'camera'
    assert (chunks.messages[0].sample_rate, chunks.messages[0].channels) == (16_000, 1)


def test_what_is_played_can_be_read_as_records(graph, listen, running, clip):
    chunks = listen('audio', CHUNK)
    images = listen('camera/image_raw', IMAGE)
    running(Player(graph, clip, rate=0)).result(10)
    assert chunks.wait_for(32)
    assert images
    reader = InputReader(AudioSettings())
    records = [reader.read(Received('/audio', CHUNK, to_cdr(chunk, CHUNK), 0))
               for chunk in chunks.messages]
    assert all(after.stamp_ns == before.end_ns for before, after in itertools.pairwise(records))
    expected = np.random.default_rng(0)
    expected.integers(0, 255, (48, 64, 3), np.uint8)
    first = expected.integers(-9999, 9999, (1, 640), np.int16)[0, :512]
    assert np.array_equal(records[0].samples[:, 0] * 32768, first)


def test_at_another_rate_stamps_still_follow_media_time(graph, listen, running, clip):
    chunks, images = listen('audio', CHUNK), listen('camera/image_raw', IMAGE)
    report = running(Player(graph, clip, rate=2.0, loop=2)).result(10)
    assert report.duration_ns == 2 * NS
    assert images.wait_for(50)
    assert chunks.wait_for(63)
    stamps = [time_ns(image.header.stamp) for image in images.messages]
    assert stamps[-1] - stamps[0] == 2 * NS - NS // 25
    arrivals = [arrived for arrived, _ in images]
    assert (arrivals[-1] - arrivals[0]) / NS == pytest.approx(0.98, abs=0.3)


def test_pictures_are_reduced_and_compressed_when_asked(graph, listen, running, clip):
    images = listen('eye/compressed', COMPRESSED)
    listen('ear', CHUNK)
    player = Player(graph, clip, image_topic='eye', audio_topic='ear', width=32, compressed=True)
    running(player).result(10)
    assert images.wait_for(25)
    pixels = cv2.imdecode(np.asarray(images.messages[0].data), cv2.IMREAD_COLOR)
    assert pixels.shape == (24, 32, 3)


def test_it_waits_until_somebody_listens_to_each_topic(graph, listen, running, clip):
    listen('audio', CHUNK)
    playing = running(Player(graph, clip))
    time.sleep(0.3)
    images = listen('camera/image_raw', IMAGE)
    assert playing.result(10).frames == 25
    assert images.wait_for(25)


def test_it_stops_while_it_waits_or_plays(graph, running, clip):
    waiting = running(Player(graph, clip))
    time.sleep(0.2)
    assert waiting.stop(1.0).frames == 0
    playing = running(Player(graph, clip, loop=0, subscribers=0))
    time.sleep(0.5)
    assert 0 < playing.stop(1.0).frames < 50


def test_a_player_that_falls_behind_says_so_and_keeps_its_stamps(graph, listen, clip):
    images = listen('camera/image_raw', IMAGE)
    counters = Counters()
    report = Player(graph, clip, rate=1000.0, loop=20, subscribers=0,
                    counters=counters).run(threading.Event())
    assert report.frames == 500
    assert counters.get('player', 'late') > 0
    assert 'stamps are kept' in counters.details()['player.late']
    assert report.duration_ns == 20 * NS
    assert images.wait_for(100)


@pytest.mark.parametrize(('option', 'value'), [
    ('rate', -1.0), ('rate', float('nan')), ('loop', -1), ('width', -2), ('subscribers', -1)])
def test_values_out_of_range_are_refused(graph, clip, option, value):
    with pytest.raises(SettingsError, match=rf'{option}: {value} is not a number of at least 0'):
        Player(graph, clip, **{option: value})


def test_a_missing_file_is_refused_at_once(graph):
    with pytest.raises(ResourceError, match=r'nowhere\.mp4: no such file'):
        Player(graph, 'nowhere.mp4')
