"""
How many raw pictures come across between two processes at 30 Hz, by size, publisher and buffer.

A process publishes bgr8 pictures as a source of ours does, as a reliable driver and as a
best-effort one; this one subscribes and counts. Each is measured as maven_ros does it, and as
Cyclone DDS does it unless it is told otherwise, with a best-effort subscription. Nothing is
written. ::

    python benchmarks/pictures.py --seconds 2
"""

from __future__ import annotations

import argparse
import itertools
import logging
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from machine import described

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from maven_ros.counters import Counters
from maven_ros.graph.dds.dds_graph import DdsGraph
from maven_ros.graph.dds.domain import stay_on_this_machine
from maven_ros.graph.images import IMAGE
from maven_ros.graph.interface import IMAGE_INPUT, IMAGE_SOURCE, SENSOR, Qos, Reliability
from maven_ros.graph.messages import new, to_cdr

TOPIC = '/camera/image_raw'
SIZES = {'360p': (640, 360), '720p': (1280, 720), '1080p': (1920, 1080), '4K': (3840, 2160)}
PUBLISHERS = {'source': IMAGE_SOURCE, 'reliable': Qos(Reliability.RELIABLE, 5),
              'best effort': SENSOR}
BUFFERS = {'208 kB': '<SocketReceiveBufferSize max="208 kB"/>', 'as granted': ''}
#: What Cyclone DDS 11 does unless it is told otherwise.
PLAIN = ('<General><MaxRexmitMessageSize>1456 B</MaxRexmitMessageSize></General>'
         '<Internal><HeartbeatInterval min="20 ms" minsched="20 ms">100 ms</HeartbeatInterval>'
         '<NackDelay>100 ms</NackDelay>{}</Internal>')
OURS = '<Internal>{}</Internal>'
RATE_HZ = 30
SMALL = 20  # pictures after the others, that come if anything does
SETTLE_S = 3.5


def uri(plain, buffer):
    settings = (PLAIN if plain else OURS).format(BUFFERS[buffer] or (
        '<SocketReceiveBufferSize max="1 MiB"/>' if plain else ''))
    return f'<CycloneDDS><Domain>{settings}</Domain></CycloneDDS>'


def picture(width, height):
    pixels = np.zeros(width * height * 3, np.uint8)
    return to_cdr(new(IMAGE, width=width, height=height, encoding='bgr8', step=width * 3,
                      data=pixels), IMAGE)


def publish(qos, size, count):
    """Publish so many pictures, then some small ones; say how long the first took."""
    large, small = picture(*size), picture(160, 120)
    with DdsGraph() as graph:
        publisher = graph.advertise(TOPIC, IMAGE, qos)
        while not publisher.subscription_count():
            time.sleep(0.01)
        time.sleep(0.5)
        began_s = time.monotonic()
        for number in range(count):
            publisher.publish_cdr(large)
            time.sleep(max(0.0, began_s + (number + 1) / RATE_HZ - time.monotonic()))
        print(f'{count / (time.monotonic() - began_s):.1f}', flush=True)
        time.sleep(1.0)
        for _ in range(SMALL):
            publisher.publish_cdr(small)
            time.sleep(1 / RATE_HZ)
        sys.stdin.read()


def measure(plain, publisher, size, count):
    """Return pictures that came, those counted as lost, small ones, and the publisher's rate."""
    counters, sizes = Counters(), []
    with DdsGraph(counters=counters) as graph:
        graph.subscribe(TOPIC, IMAGE, SENSOR if plain else IMAGE_INPUT,
                        lambda received: sizes.append(len(received.cdr)))
        process = subprocess.Popen(
            [sys.executable, __file__, '--publish', publisher, '--size', size,
             '--count', str(count), *(['--plain'] if plain else [])],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        rate_hz = float(process.stdout.readline())
        time.sleep(1.0 + SMALL / RATE_HZ + SETTLE_S)
        process.communicate(timeout=20)
    small = sum(one < 10**5 for one in sizes)
    return len(sizes) - small, counters.get(TOPIC, 'lost'), small, rate_hz


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[1])
    parser.add_argument('--seconds', type=float, default=2.0, help='of large pictures, each time')
    parser.add_argument('--publish', choices=PUBLISHERS, help=argparse.SUPPRESS)
    parser.add_argument('--size', choices=SIZES, help='this one alone')
    parser.add_argument('--count', type=int, help=argparse.SUPPRESS)
    parser.add_argument('--plain', action='store_true', help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    stay_on_this_machine(os.environ)
    if arguments.publish:
        qos = PUBLISHERS[arguments.publish]
        if arguments.plain:
            qos = Qos(qos.reliability, qos.depth)
        publish(qos, SIZES[arguments.size], arguments.count)
        return
    count = round(arguments.seconds * RATE_HZ)
    print(f'{described()}, '
          f'net.core.rmem_max {Path("/proc/sys/net/core/rmem_max").read_text().strip()}')
    print(f'of {count} pictures at {RATE_HZ} Hz, and of {SMALL} small ones after them')
    for buffer, size, publisher in itertools.product(
            BUFFERS, [arguments.size] if arguments.size else SIZES, PUBLISHERS):
        row = []
        for plain in (True, False):
            os.environ['CYCLONEDDS_URI'] = uri(plain, buffer)
            came, lost, small, rate_hz = measure(plain, publisher, size, count)
            row.append(f'{came:3} came ({lost} counted as lost), {small:2} small, '
                       f'sent at {rate_hz:4.1f} Hz')
        print(f'{buffer:>10} {size:>5} {publisher:>11}: plain {row[0]}; ours {row[1]}', flush=True)


if __name__ == '__main__':
    main()
