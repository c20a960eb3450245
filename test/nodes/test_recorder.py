"""The recorder: what is on the graph is in the bag, at the time it arrived."""

import re
import resource
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from full_disk import limit_files
from waiting import eventually

from maven_ros.counters import Counters
from maven_ros.graph.bag.bag_graph import BagGraph
from maven_ros.graph.convert import DIAGNOSTICS, image_message
from maven_ros.graph.images import read_compressed
from maven_ros.graph.interface import SENSOR, STATE, Qos, Reliability
from maven_ros.graph.messages import from_cdr, new
from maven_ros.nodes import recorder as recording
from maven_ros.nodes.recorder import Recorder
from maven_ros.replay.sources import Sources, find_sources

BOOL = 'std_msgs/msg/Bool'
IMAGE = 'sensor_msgs/msg/Image'


def wait_for(publisher):
    eventually(publisher.subscription_count, what=f'nobody records {publisher.topic}')


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_every_topic_is_recorded_also_one_that_comes_later(graph, running, tmp_path, storage):
    stop = threading.Event()
    bag_path = tmp_path / 'bag'

    def record():
        with BagGraph(bag_path, 'w', storage) as bag:
            return Recorder(graph, bag).run(stop)

    thread = threading.Thread(target=record)
    thread.start()
    try:
        flags = graph.advertise('/flag', BOOL, STATE)
        wait_for(flags)
        flags.publish(new(BOOL, data=True))
        images = graph.advertise('/image', IMAGE, Qos(Reliability.RELIABLE, 5))
        wait_for(images)
        pixels = np.arange(27, dtype=np.uint8).reshape(3, 3, 3)
        began_ns = graph.now_ns()
        images.publish(image_message(5, pixels))
        stop.wait(0.5)
    finally:
        stop.set()
        thread.join()
    heard = []
    with BagGraph(bag_path) as bag:
        assert bag.topics() == {'/diagnostics': DIAGNOSTICS, '/flag': BOOL, '/image': IMAGE}
        for topic, msgtype in (('/flag', BOOL), ('/image', IMAGE)):
            bag.subscribe(topic, msgtype, SENSOR, heard.append)
        bag.play()
    assert [one.topic for one in heard] == ['/flag', '/image']
    assert from_cdr(heard[0].cdr, BOOL).data is True
    assert np.array_equal(from_cdr(heard[1].cdr, IMAGE).data, pixels.ravel())
    assert began_ns <= heard[1].received_ns <= graph.now_ns()


@pytest.fixture(scope='module')
def clip(tmp_path_factory):
    """A clip of 40 pictures of 720p."""
    av = pytest.importorskip('av')
    path = tmp_path_factory.mktemp('clip') / 'hd.mp4'
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('mpeg4', rate=25)
        stream.width, stream.height, stream.pix_fmt = 1280, 720, 'yuv420p'
        for number in range(40):
            picture = np.full((720, 1280, 3), 5 * number, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, 'bgr24')))
        container.mux(stream.encode())
    return path


@pytest.mark.usefixtures('embedded_graph')
def test_a_played_clip_of_720p_is_in_the_bag_at_the_usual_buffers(
        clip, tmp_path, monkeypatch):
    monkeypatch.setenv('CYCLONEDDS_URI', '<CycloneDDS><Domain><Internal>'
                       '<SocketReceiveBufferSize max="208 kB"/></Internal></Domain></CycloneDDS>')
    from maven_ros.graph.dds.dds_graph import DdsGraph

    stop, counters = threading.Event(), Counters()
    with DdsGraph(counters=counters) as graph, BagGraph(tmp_path / 'bag', 'w') as bag:
        recorder = threading.Thread(
            target=Recorder(graph, bag, counters=counters).run, args=(stop,))
        recorder.start()
        try:
            played = subprocess.run(
                [sys.executable, '-m', 'maven_ros', 'play', str(clip), '--subscribers', '1'],
                capture_output=True, text=True, timeout=60)
            stop.wait(0.5)
        finally:
            stop.set()
            recorder.join()
    assert 'played 40 frames' in played.stdout, played.stderr
    heard = []
    with BagGraph(tmp_path / 'bag') as bag:
        bag.subscribe('/camera/image_raw', IMAGE, SENSOR, heard.append)
        bag.play()
    assert len(heard) >= 32, counters.summary()  # all, where the machine has nothing else to do


@pytest.mark.usefixtures('embedded_graph')
def test_a_topic_is_recorded_as_it_is_offered(graph, tmp_path):
    stop = threading.Event()
    offered = {graph.advertise('/states', BOOL, STATE): 'reliable',
               graph.advertise('/pictures', BOOL, SENSOR): 'best_effort'}
    with BagGraph(tmp_path / 'bag', 'w') as bag:
        thread = threading.Thread(target=Recorder(graph, bag).run, args=(stop,))
        thread.start()
        try:
            for publisher in offered:
                wait_for(publisher)
                publisher.publish(new(BOOL, data=True))
            stop.wait(0.3)
        finally:
            stop.set()
            thread.join()
    from rosbags.rosbag2 import Reader

    with Reader(tmp_path / 'bag') as reader:
        recorded = {one.topic: one.ext.offered_qos_profiles[0].reliability.name.lower()
                    for one in reader.connections}
    assert recorded == {'/diagnostics': 'reliable',
                        **{publisher.topic: kind for publisher, kind in offered.items()}}


def test_what_the_affect_node_draws_and_mirrors_is_recorded_only_when_named(graph, tmp_path):
    stop = threading.Event()
    flags = graph.advertise('/flag', BOOL, STATE)
    drawn = graph.advertise('/robot1/affect/image_annotated', IMAGE, STATE)
    for index, (topics, heard) in enumerate((((), 0), ([drawn.topic, '/flag'], 1))):
        stop.clear()
        with BagGraph(tmp_path / f'bag{index}', 'w') as bag:
            thread = threading.Thread(target=Recorder(graph, bag, topics).run, args=(stop,))
            thread.start()
            try:
                wait_for(flags)
                stop.wait(0.3)
                assert drawn.subscription_count() == heard
            finally:
                stop.set()
                thread.join()
    with BagGraph(tmp_path / 'echoes', 'w') as bag:
        for topic, msgtype in (('camera/image_raw', IMAGE), (drawn.topic, IMAGE),
                               ('humans/voices/voice_1/speech', 'hri_msgs/msg/LiveSpeech')):
            bag.advertise(topic, msgtype, STATE).publish(new(msgtype))
    with BagGraph(tmp_path / 'echoes') as bag:
        assert find_sources(bag, Sources()).topics(bag) == ['/camera/image_raw']


def test_only_what_is_named_is_recorded(graph, tmp_path):
    stop = threading.Event()
    named = graph.advertise('/wanted', BOOL, STATE)
    other = graph.advertise('/unwanted', BOOL, STATE)
    with BagGraph(tmp_path / 'bag', 'w') as bag:
        thread = threading.Thread(target=Recorder(graph, bag, ['wanted']).run, args=(stop,))
        thread.start()
        try:
            wait_for(named)
            assert other.subscription_count() == 0
        finally:
            stop.set()
            thread.join()
        assert list(bag.topics()) == ['/wanted']


def test_a_recorder_that_cannot_keep_up_still_stops_and_counts_what_it_lost(graph, tmp_path):
    stop, flooding = threading.Event(), threading.Event()
    images = graph.advertise('/image', IMAGE, Qos(Reliability.RELIABLE, 5))
    message = image_message(0, np.zeros((480, 640, 3), np.uint8))

    def flood():
        while not flooding.wait(0.001):
            images.publish(message)

    with BagGraph(tmp_path / 'bag', 'w') as bag:
        recorder = threading.Thread(target=Recorder(graph, bag).run, args=(stop,))
        flooder = threading.Thread(target=flood)
        recorder.start()
        try:
            wait_for(images)
            flooder.start()
            stop.wait(1.0)
            stop.set()
            recorder.join(10)
            assert not recorder.is_alive()
        finally:
            stop.set()
            flooding.set()
            flooder.join()
            recorder.join()


@pytest.fixture
def said(graph):
    """Levels and texts of the recorder's status so far."""
    found = []
    graph.subscribe('/diagnostics', DIAGNOSTICS, STATE, lambda received: found.extend(
        (one.level, one.message) for one in from_cdr(received.cdr, DIAGNOSTICS).status
        if one.name == 'maven_ros: /recorder'))
    return found


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
@pytest.mark.usefixtures('embedded_graph')
def test_a_full_disk_is_named_and_recording_goes_on_when_there_is_room(
        graph, said, tmp_path, storage):
    """The recorder ended for good."""
    images = graph.advertise('/image', IMAGE, Qos(Reliability.RELIABLE, 5))
    recorder = subprocess.Popen(
        [sys.executable, '-m', 'maven_ros', 'record', '--out', str(tmp_path / 'bag'), '--storage',
         storage], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        preexec_fn=lambda: limit_files(3_000_000))
    sent = 0

    def publish_until(condition):
        nonlocal sent
        until_s = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < until_s, said[-1]
            images.publish(image_message(sent, np.zeros((240, 320, 3), np.uint8)))
            sent += 1
            time.sleep(0.02)

    try:
        wait_for(images)
        eventually(lambda: said, 10, 'the recorder publishes no status')
        assert said[0] == (0, 'ok')
        publish_until(lambda: said[-1][0] == 2)
        assert re.match('.*/bag: cannot be written: .*; what arrives is lost until there is room',
                        said[-1][1])
        before = sent
        publish_until(lambda: sent > before + 40)
        late = graph.advertise('/late', BOOL, Qos(Reliability.RELIABLE, 5))
        wait_for(late)
        publish_until(lambda: sent > before + 60)
        resource.prlimit(recorder.pid, resource.RLIMIT_FSIZE, 2 * (resource.RLIM_INFINITY,))
        publish_until(lambda: said[-1][0] < 2)
        resumed = sent
        late.publish(new(BOOL, data=True))
        publish_until(lambda: sent > resumed + 30)
        eventually(lambda: said[-1] == (0, 'ok'), 15, lambda: said[-1])
    finally:
        recorder.send_signal(signal.SIGINT)
        told = recorder.communicate(timeout=30)[0]
    assert recorder.returncode == 0, told
    assert 'can be written again; recording goes on' in told
    written, lost = (int(re.search(text, told)[1]) for text in (
        r'recorded (\d+) messages', r'no_room (\d+)'))
    with BagGraph(tmp_path / 'bag') as bag:
        assert bag.message_counts()['/late'] == 1
        stamps = [from_cdr(one.cdr, IMAGE).header.stamp.nanosec for one in bag.read(['/image'])]
        assert len(stamps) == bag.message_counts()['/image']
        assert sum(bag.message_counts().values()) == written
    assert stamps == sorted({*stamps}) and stamps[-1] == sent - 1
    assert {*range(resumed, sent)} <= {*stamps} and lost > 40
    assert len(stamps) + lost >= sent


def test_what_a_stalled_disk_loses_is_a_warning_until_it_is_over(
        graph, said, running, tmp_path, monkeypatch):
    monkeypatch.setattr(recording, '_SECURE_S', 0.1)
    flags = graph.advertise('/flag', BOOL, Qos(Reliability.RELIABLE, 1000))
    stalls, goes_on = threading.Event(), threading.Event()
    with BagGraph(tmp_path / 'bag', 'w') as bag:
        def secure():
            if not said:
                return
            stalls.set()
            goes_on.wait(20)

        monkeypatch.setattr(bag, 'secure', secure)
        counters = Counters()
        recorder = running(Recorder(graph, bag, ['/flag'], counters))
        wait_for(flags)
        assert stalls.wait(10)
        while not counters.get('recorder', 'overflow'):
            flags.publish(new(BOOL))
            time.sleep(0.001)
        goes_on.set()
        eventually(lambda: any(level == 1 and re.fullmatch(
            'recorder overflow, [0-9]+ times: more than 500 messages of /flag waited', text)
            for level, text in said), 10, lambda: said)
        eventually(lambda: said[-1] == (0, 'ok'), 10, lambda: said)
        recorder.stop()


def test_pictures_are_recorded_as_jpeg_if_asked_and_depth_as_it_is(graph, tmp_path):
    stop = threading.Event()
    counters = Counters()

    def record():
        with BagGraph(tmp_path / 'bag', 'w') as bag:
            Recorder(graph, bag, ['/image', '/depth'], counters, jpeg=True).run(stop)

    thread = threading.Thread(target=record)
    thread.start()
    pixels = np.full((120, 160, 3), (40, 90, 200), np.uint8)
    try:
        images, depths = (graph.advertise(topic, IMAGE, Qos(Reliability.RELIABLE, 5))
                          for topic in ('/image', '/depth'))
        for one in (images, depths):
            wait_for(one)
        images.publish(image_message(7, pixels, 'camera'))
        depth = image_message(8, np.zeros((4, 4, 3), np.uint8))
        depth.encoding, depth.step, depth.data = '32FC1', 16, np.zeros(64, np.uint8)
        depths.publish(depth)
        eventually(lambda: (tmp_path / 'bag').exists())
        stop.wait(0.5)
    finally:
        stop.set()
        thread.join()
    with BagGraph(tmp_path / 'bag') as bag:
        assert bag.topics() == {'/depth': IMAGE,
                                '/image/compressed': 'sensor_msgs/msg/CompressedImage'}
        coded, raw = (from_cdr(one.cdr, one.msgtype) for topic in ('/image/compressed', '/depth')
                      for one in bag.read([topic]))
    frame = read_compressed(coded)
    assert (frame.stamp_ns, frame.frame_id) == (7, 'camera')
    assert np.abs(frame.decode().astype(int) - pixels).max() < 4
    assert raw.encoding == '32FC1' and not counters.snapshot()
