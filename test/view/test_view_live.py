"""The live view, as it is seen: in a real browser, while a graph is busy."""

import io
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from made_view import MAGENTA, event, frame, sound, state, utterance
from waiting import eventually

from maven_ros.graph.convert import audio_message, image_message
from maven_ros.graph.dds.dds_graph import DdsGraph
from maven_ros.graph.images import IMAGE
from maven_ros.graph.interface import IMAGE_SOURCE, SOUND_SOURCE, STATE
from maven_ros.graph.messages import new
from maven_ros.graph.sound import AUDIO_CHUNK
from maven_ros.graph.topics import (
    AUDIO_TOPIC,
    BEHAVIOUR_TOPIC,
    IMAGE_TOPIC,
    OUTPUT_TYPES,
    ROBOT_TYPES,
    output_message,
)
from maven_ros.records import NS, SmoothedState
from maven_ros.view.reader import TYPES

BROWSERS = ('chromium', 'chromium-browser', 'google-chrome')
#: What software rendering on a machine without a display needs.
FLAGS = ['--no-sandbox', '--use-angle=swiftshader', '--enable-unsafe-swiftshader',
         '--ignore-gpu-blocklist']
#: What our page forbids, and what the viewer says about that.
BLOCKED = ('Content Security Policy', 'Failed to fetch')
#: Colours that one panel alone shows, and the quarter of the window that it is in.
PANELS = {
    'camera': (MAGENTA[::-1], 'left'), 'valence': ((90, 160, 255), 'right'),
    'arousal': ((255, 130, 80), 'right'), 'face': ((90, 170, 70), 'right'),
    'voice': ((140, 120, 200), 'right'), 'sound': ((120, 200, 160), 'right'),
    'latency': ((180, 180, 180), 'right')}

DIMMED = 0.75


class Busy:
    """A robot that is busy: it publishes all that a view may show, until it is closed."""

    def __init__(self):
        self._graph = DdsGraph(node_name='busy')
        self._stop = threading.Event()
        advertise = self._graph.advertise
        self._image = advertise(IMAGE_TOPIC, IMAGE, IMAGE_SOURCE)
        self._audio = advertise(AUDIO_TOPIC, AUDIO_CHUNK, SOUND_SOURCE)
        self._outputs = {topic: advertise(topic, msgtype, STATE)
                         for topic, msgtype in OUTPUT_TYPES.items()}
        self._robot = advertise(BEHAVIOUR_TOPIC, ROBOT_TYPES[BEHAVIOUR_TOPIC], STATE)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def close(self):
        self._stop.set()
        self._thread.join()
        self._graph.close()

    def _run(self):
        tick = 0
        while not self._stop.wait(0.1):
            now_ns, tick = time.time_ns(), tick + 1
            self._image.publish(image_message(now_ns, frame(now_ns).decode()))
            self._audio.publish(audio_message(sound(now_ns)))
            told = [state(now_ns), SmoothedState(state(now_ns))] if tick % 2 else []
            told += [event(now_ns), utterance(now_ns, f'this is sentence {tick}')] \
                if tick % 20 == 0 else []
            for one in told:
                topic, message = output_message(one, now_ns + NS // 20)
                self._outputs[topic].publish(message)
            self._robot.publish(new(ROBOT_TYPES[BEHAVIOUR_TOPIC], data=f'waits {tick // 20}'))


@pytest.fixture
def busy():
    robot = Busy()
    yield robot
    robot.close()


@pytest.fixture
def page(tmp_path):
    """A page of a real browser, and what its console said."""
    playwright = pytest.importorskip('playwright.sync_api')
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f'no browser ({", ".join(BROWSERS)})')
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=found, args=FLAGS)
        page = browser.new_page(viewport={'width': 1200, 'height': 700})
        page.said = []
        page.on('console', lambda one: page.said.append((one.type, one.text)))
        page.on('pageerror', lambda one: page.said.append(('error', str(one))))
        yield page
        browser.close()


def start_view(*arguments):
    running = subprocess.Popen([sys.executable, '-m', 'maven_ros', 'view', *arguments],
                               stdout=subprocess.PIPE, text=True)
    for line in running.stdout:
        if line.startswith('view: '):
            return running, line.split()[1]
    raise AssertionError(f'the view ended with code {running.wait()}')


def screenshot(page, path):
    path.write_bytes(page.screenshot(timeout=120_000))
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(path.read_bytes())).convert('RGB')).astype(int)


def panels_in(picture):
    """
    Return the panels whose colour is there, where it belongs.

    The viewer dims a picture while the next one is being decoded, which without a GPU is always.
    """
    half = picture.shape[1] * 45 // 100
    halves = {'left': picture[:, :half], 'right': picture[:, half:]}
    return {name for name, (colour, side) in PANELS.items()
            if any((np.abs(halves[side] - shade * np.array(colour)).max(2) < 24).sum() >= 12
                   for shade in (1.0, DIMMED))}


def test_a_browser_shows_every_panel_and_the_data_move(busy, page, tmp_path):
    pytest.importorskip('rerun')
    artefacts = Path(os.environ.get('MAVEN_ROS_ARTEFACTS', tmp_path))
    view, url = start_view('--port', '19500')
    try:
        page.goto(url)
        deadline = time.monotonic() + 200
        while (seen := panels_in(first := screenshot(page, artefacts / 'view_1.png'))
               ) != set(PANELS):
            assert time.monotonic() < deadline, f'not seen: {set(PANELS) - seen}; {page.said}'
            time.sleep(1)
        time.sleep(2)
        second = screenshot(page, artefacts / 'view_2.png')
        assert (np.abs(first - second).max(2) > 24).mean() > 0.01
        errors = [text for kind, text in page.said
                  if kind == 'error' and not any(one in text for one in BLOCKED)]
        assert errors == []
    finally:
        view.terminate()
        view.wait(20)
    assert view.returncode == 0


def test_a_view_that_hangs_holds_up_nobody():
    """A reliable reader that hangs holds up each message for 0.2 s once its queue is full."""
    pytest.importorskip('rerun')
    with DdsGraph(node_name='busy') as graph:
        image = graph.advertise(IMAGE_TOPIC, IMAGE, IMAGE_SOURCE)
        out = {topic: graph.advertise(topic, msgtype, STATE)
               for topic, msgtype in OUTPUT_TYPES.items() if topic in TYPES}
        view, _ = start_view('--port', '19600')
        try:
            eventually(lambda: all(one.subscription_count() for one in (image, *out.values())))
            view.send_signal(signal.SIGSTOP)
            picture = image_message(NS, frame(NS, 640, 480).decode())
            topic, message = output_message(state(NS), 2 * NS)
            began_s = time.monotonic()
            for _ in range(60):
                image.publish(picture)
                out[topic].publish(message)
            assert time.monotonic() - began_s < 4
        finally:
            view.kill()
            view.wait()
