#!/usr/bin/env python3
"""
Make docs/view.png and docs/view.webp: the view of the sample clip, in a real browser.

The clip is replayed and drawn step by step, and each picture is taken when the browser shows the
step, so the result does not depend on the speed of the machine. It needs the extra `test` and a
Chromium.

    python tools/make_view_pictures.py [FOLDER]
"""

from __future__ import annotations

import heapq
import io
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import sync_playwright

from maven_ros.acting.decisions import read_decisions
from maven_ros.counters import Counters
from maven_ros.graph.bag.bag_graph import BagGraph
from maven_ros.graph.convert import event_record
from maven_ros.graph.interface import Received
from maven_ros.graph.messages import from_cdr
from maven_ros.graph.topics import AUDIO_TOPIC, EVENT_TOPIC, IMAGE_TOPIC, OUTPUT_TYPES
from maven_ros.records import NS
from maven_ros.replay.from_media import bags_from_media
from maven_ros.replay.replay import replay
from maven_ros.resources import resource
from maven_ros.settings import Settings
from maven_ros.view.reader import Reader
from maven_ros.view.recording import Recording

DOCS = Path(__file__).resolve().parent.parent / 'docs'
FLAGS = ['--no-sandbox', '--use-angle=swiftshader', '--enable-unsafe-swiftshader',
         '--ignore-gpu-blocklist']
SIZE_PX, SHOWN_PX = (1280, 720), (896, 504)
STEP_S, FIRST_S, LAST_S = 0.25, 2.0, 12.0
PICTURE_S = 11.0
SETTLED = 0.0005  # largest share of pixels that differ between two pictures of a step


def main() -> None:
    """Make both pictures."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else DOCS
    with tempfile.TemporaryDirectory() as work:
        bag = Path(work) / 'sample'
        bags_from_media([resource('media/sample.mp4')], Path(work))
        replay(bag, Settings(), Path(work) / 'out')
        pictures = list(taken(bag, Path(work) / 'out' / 'bag'))
    shown = next(picture for at_s, picture in pictures if at_s >= PICTURE_S)
    shown.save(folder / 'view.png', optimize=True)
    small = [picture.resize(SHOWN_PX, Image.Resampling.LANCZOS) for _, picture in pictures]
    small[0].save(folder / 'view.webp', save_all=True, append_images=small[1:],
                  duration=round(STEP_S * 1000), loop=0, quality=55)


def taken(bag: Path, believed: Path) -> Iterator[tuple[float, Image.Image]]:
    """Yield the seconds and the picture of each step."""
    with BagGraph(bag) as heard, BagGraph(believed) as told, Recording(live=True) as recording, \
            sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which('chromium'), args=FLAGS)
        page = browser.new_page(viewport=dict(zip(('width', 'height'), SIZE_PX, strict=True)))
        page.goto(recording.url)
        messages = heapq.merge(
            heard.read([f'/{IMAGE_TOPIC}/compressed', f'/{AUDIO_TOPIC}']),
            told.read([f'/{topic}' for topic in OUTPUT_TYPES]), key=lambda one: one.received_ns)
        draw = Drawing(heard, recording)
        at_s, start_ns = FIRST_S, heard.span_ns[0]
        for received in messages:
            while received.received_ns - start_ns >= at_s * NS and at_s <= LAST_S:
                recording.flush()
                print(f'{at_s:.2f} of {LAST_S:.0f} s', flush=True)
                yield at_s, settled(page)
                at_s += STEP_S
            draw.take(received)
        browser.close()


class Drawing:
    """Draw messages, and the reactions of the example behaviour to events."""

    def __init__(self, graph: BagGraph, recording: Recording) -> None:
        self._reader = Reader(graph, recording.screen, Counters())
        self._screen = recording.screen
        self._table = read_decisions()
        self._conduct = self._table.idle

    def take(self, received: Received) -> None:
        """Draw a message."""
        self._reader.take(received)
        if received.topic == f'/{EVENT_TOPIC}':
            event = event_record(from_cdr(received.cdr, received.msgtype))
            self._conduct = self._table.after(event, self._conduct)
            self._screen.show_behaviour(
                received.received_ns, f'speaks {self._conduct.style}, keeps '
                f'{self._conduct.distance_m:g} m', self._conduct.colour(event.after))


def settled(page: Any) -> Image.Image:
    """Return the picture after two consecutive ones agree."""
    before = np.zeros(())
    while True:
        time.sleep(0.2)
        picture = Image.open(io.BytesIO(page.screenshot(timeout=120_000))).convert('RGB')
        now = np.asarray(picture).astype(int)[40:-40]  # without the bars, which show the time
        if before.shape == now.shape and (np.abs(now - before).max(2) > 16).mean() < SETTLED:
            return picture
        before = now


if __name__ == '__main__':
    main()
