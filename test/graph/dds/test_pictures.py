"""
Raw pictures at the buffers that Linux has as it comes: each is heard or counted, and all goes on.

Another process publishes them, as fast as cameras do, and small pictures after each burst.
"""

import contextlib
import json
import subprocess
import sys
from collections import Counter

import pytest
from waiting import eventually
from wire import new_wire, on_wire

from maven_ros.counters import Counters
from maven_ros.graph.dds.dds_graph import DdsGraph
from maven_ros.graph.dds.monitor import can_monitor
from maven_ros.graph.interface import IMAGE_INPUT, INPUT

IMAGE = 'sensor_msgs/msg/Image'
COUNT = 'std_msgs/msg/UInt32'
SIZES = {'hd': (1280, 720), 'full_hd': (1920, 1080), 'uhd': (3840, 2160)}
KINDS = ('source', 'reliable', 'best_effort')
BURST, AFTER = 16, 6
SENT = 1 + BURST + AFTER
STOCK = ('<CycloneDDS><Domain><Internal><SocketReceiveBufferSize max="208 kB"/></Internal>'
         '</Domain></CycloneDDS>')

CAMERAS = """
import json, sys, time
import numpy as np
from maven_ros.graph.dds.dds_graph import DdsGraph
from maven_ros.graph.interface import IMAGE_SOURCE, SENSOR, STATE, Qos, Reliability
from maven_ros.graph.messages import new, to_cdr

IMAGE, COUNT = 'sensor_msgs/msg/Image', 'std_msgs/msg/UInt32'
sizes, burst, after = json.loads(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
kinds = {'source': IMAGE_SOURCE, 'best_effort': SENSOR, 'reliable': Qos(Reliability.RELIABLE, 5)}

def picture(width, height):
    pixels = np.zeros(width * height * 3, np.uint8)
    return to_cdr(new(IMAGE, width=width, height=height, encoding='bgr8', step=width * 3,
                      data=pixels), IMAGE)

with DdsGraph() as graph:
    states = graph.advertise('/state', COUNT, STATE)
    cameras = {f'/{kind}/{name}': graph.advertise(f'/{kind}/{name}', IMAGE, qos)
               for name in sizes for kind, qos in kinds.items()}
    while not all(one.subscription_count() for one in (states, *cameras.values())):
        time.sleep(0.01)
    sys.stdin.readline()
    small, sent = picture(160, 120), 0
    for camera in cameras.values():  # the numbers of its messages are known from the first one on
        camera.publish_cdr(picture(16, 16))
        time.sleep(0.05)
    time.sleep(1.5)
    for topic, camera in cameras.items():
        large = picture(*sizes[topic.rpartition('/')[2]])
        for number in range(burst + after):
            began = time.monotonic()
            camera.publish_cdr(large if number < burst else small)
            if number % 6 == 0:
                states.publish(new(COUNT, data=sent))
                sent += 1
            time.sleep(max(0.0, began + 1 / 30 - time.monotonic()))
    print(sent, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(scope='module')
def heard():
    """Return what came of each topic, large and small, what was counted, and states sent."""
    pytest.importorskip('cyclonedds')
    with on_wire(new_wire()), pytest.MonkeyPatch.context() as patch:
        patch.setenv('CYCLONEDDS_URI', STOCK)
        process = subprocess.Popen(
            [sys.executable, '-c', CAMERAS, json.dumps(SIZES), str(BURST), str(AFTER)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        counters, large, small = Counters(), Counter(), Counter()
        with DdsGraph(counters=counters) as graph:
            def arrived(received):
                (large if len(received.cdr) > 10**5 else small)[received.topic] += 1

            topics = [f'/{kind}/{name}' for name in SIZES for kind in KINDS]
            eventually(lambda: process.poll() is not None or set(topics) <= graph.topics().keys())
            for topic in topics:
                graph.subscribe(topic, IMAGE, IMAGE_INPUT, arrived)
            graph.subscribe('/state', COUNT, INPUT, arrived)
            process.stdin.write('\n')
            process.stdin.flush()
            states = int(process.stdout.readline())
            with contextlib.suppress(AssertionError):  # which says less than the tests do
                eventually(lambda: all(
                    accounted(topic, large + small, counters) for topic in topics), 10)
            process.communicate(timeout=20)
        yield large, small, counters, states


def accounted(topic, heard, counters):
    """Tell whether what did not come is counted."""
    return SENT - 2 <= heard[topic] + counters.get(topic, 'lost') <= SENT + 1


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('size', SIZES)
def test_what_is_not_heard_is_counted_and_the_stream_goes_on(heard, size, kind):
    large, small, counters, _ = heard
    topic = f'/{kind}/{size}'
    assert small[topic] >= AFTER // 2  # the first ones may follow too close
    if can_monitor():  # else nobody tells
        assert accounted(topic, large + small, counters), (
            large[topic], small[topic], counters.get(topic, 'lost'))
    assert counters.get(topic, 'lost') == 0 or 'maven-ros doctor' in counters.details()[
        f'{topic}.lost']


def test_a_source_that_waits_keeps_its_pictures(heard):
    large, _, counters, _ = heard
    assert large['/source/hd'] >= BURST - 4, counters.summary()


def test_states_keep_their_rate_beside_them(heard):
    _, small, _, states = heard
    assert small['/state'] == states
