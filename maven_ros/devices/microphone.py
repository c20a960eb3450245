"""Publishes a microphone's sound, stamped by counting its samples."""

from __future__ import annotations

import atexit
import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from statistics import median_low
from typing import Any

from maven_ros.counters import Counters
from maven_ros.devices.capture import DeviceLost, keep_capturing
from maven_ros.devices.listing import microphones, portaudio
from maven_ros.devices.unbroken_sound import CHUNK_S
from maven_ros.errors import ResourceError, SettingsError
from maven_ros.graph.convert import audio_message
from maven_ros.graph.interface import SOUND_SOURCE, Graph
from maven_ros.graph.topics import AUDIO_TOPIC
from maven_ros.records import NS, AudioChunk, Samples, nanoseconds

SILENT_S = 1.0  # a stream without a callback for so long has gone
START_S = 5.0  # but a sleeping source takes its time (PulseAudio's monitors up to 2 s)
POLL_S = 0.1
MAX_WAITING = 100  # blocks, 3.2 s
MAX_AGE_S = 10.0
JUMP_NS = 100_000_000
MEDIAN = 31  # blocks, 1 s
FOLLOW = 100  # blocks, 3.2 s: a clock that is off by 100 ppm stays 0.3 ms behind

_log = logging.getLogger(__name__)


class SampleClock:
    """
    Stamps blocks of sound by counting samples while it follows a noisy clock slowly.

    The stamps are as steady as the sample clock, and yet never drift away from the graph's. It
    follows the median of the last second: drivers that hand on several blocks at once give all
    but the first a time that is 20 to 60 ms early (PulseAudio's ALSA plugin).
    """

    def __init__(self, sample_rate_hz: int) -> None:
        self._rate_hz = sample_rate_hz
        self.restart()

    def restart(self) -> None:
        """Forget the past: samples are missing before the next block."""
        self._counted = 0
        self._start_ns = 0
        self._starts_ns: deque[int] = deque(maxlen=MEDIAN)  # where each block puts the start

    def stamp(self, measured_ns: int, samples: int) -> tuple[int, int]:
        """
        Count a block.

        :param measured_ns: when its first sample was taken, by the clock to be followed.
        :param samples: its length.
        :returns: its stamp, and by how much the clocks had parted if it was too much, else 0.
        """
        jump_ns = 0
        self._starts_ns.append(measured_ns - self._counted_ns)
        if len(self._starts_ns) == 1:
            self._start_ns = self._starts_ns[0]
        parted_ns = median_low(self._starts_ns) - self._start_ns
        if abs(parted_ns) > JUMP_NS:
            self.restart()
            self._start_ns, jump_ns = measured_ns, parted_ns
            self._starts_ns.append(measured_ns)
        else:
            self._start_ns += parted_ns // FOLLOW
        stamp_ns = self._start_ns + self._counted_ns
        self._counted += samples
        return stamp_ns, jump_ns

    @property
    def _counted_ns(self) -> int:
        return self._counted * NS // self._rate_hz


class Microphone:
    """
    Publishes maven_ros/msg/AudioChunk from a sound input, through PortAudio.

    A microphone that goes away is looked for each second. As PortAudio lists devices only when it
    is initialised, that is done anew: use one microphone a process.

    :param graph: where to publish, and whose clock stamps.
    :param device: index, part of a name, or 'default'.
    :param sample_rate_hz: 0 for the device's own.
    :param wait: whether a microphone that is missing at the start is waited for.
    :param counters: takes, under ``'microphone'``: overflow, dropped, clock_jump, lost, missing,
        hung.
    """

    def __init__(
        self, graph: Graph, device: int | str = 'default', *, audio_topic: str = AUDIO_TOPIC,
        sample_rate_hz: int = 0, channels: int = 1, frame_id: str = 'microphone',
        wait: bool = False, counters: Counters | None = None,
    ) -> None:
        if sample_rate_hz and not 8_000 <= sample_rate_hz <= 384_000:
            raise SettingsError(
                f'sample_rate_hz: {sample_rate_hz} is not in [8000, 384000] (or 0: the device\'s)')
        if not 1 <= channels <= 255:
            raise SettingsError(f'channels: {channels} is not in [1, 255]')
        self._graph = graph
        self._device = int(device) if str(device).isdigit() else device
        self._topic = audio_topic
        self._rate_hz = sample_rate_hz
        self._channels = channels
        self._frame_id = frame_id
        self._wait = wait
        self._counters = counters or Counters()
        self._sequence = 0
        self._sounddevice: Any = None

    def run(self, stop: threading.Event) -> int:
        """
        Publish until ``stop`` is set.

        :returns: how many chunks were published.
        :raises ResourceError: when the device cannot be opened at the start (unless ``wait``), or
            PortAudio is missing.
        """
        publisher = self._graph.advertise(self._topic, 'maven_ros/msg/AudioChunk', SOUND_SOURCE)
        published = 0

        def capture() -> None:
            nonlocal published
            with closing(self._chunks(stop)) as chunks:
                for chunk in chunks:
                    publisher.publish(audio_message(chunk, self._frame_id))
                    published += 1

        try:
            closed = keep_capturing(
                'microphone', capture, stop, counters=self._counters, wait=self._wait)
        finally:
            publisher.close()
        if not closed and self._sounddevice:
            # At exit it would wait for the hung device once more.
            atexit.unregister(self._sounddevice._exit_handler)
        return published

    def _chunks(self, stop: threading.Event) -> Generator[AudioChunk, None, None]:
        """Open the device and yield what it gives until ``stop`` is set."""
        sounddevice = self._refreshed()
        info = self._query(sounddevice)
        rate_hz = self._rate_hz or round(info['default_samplerate'])
        clock = SampleClock(rate_hz)
        if self._sequence:
            self._sequence += 1  # what was said since the device was lost
        with _Stream(sounddevice, info, rate_hz, self._channels, self._graph.now_ns,
                     self._counters) as stream:
            for samples, measured_ns, missing in stream.blocks(stop):
                if missing:
                    clock.restart()
                stamp_ns, jump_ns = clock.stamp(measured_ns, len(samples))
                if jump_ns:
                    self._counters.count(
                        'microphone', 'clock_jump', f'its clock and the graph\'s parted by '
                        f'{jump_ns / NS:.3f} s, allowed {JUMP_NS / NS:g} s; stamps start anew')
                self._sequence += missing
                yield AudioChunk(stamp_ns, samples, rate_hz, self._sequence)
                self._sequence += 1

    def _refreshed(self) -> Any:
        """Return sounddevice with a list of devices that is up to date."""
        sounddevice = portaudio()
        if self._sounddevice:
            try:
                while sounddevice._initialized:
                    sounddevice._terminate()
                sounddevice._initialize()
            except sounddevice.PortAudioError as error:
                raise ResourceError(f'PortAudio does not start: {error}; is the sound server up?'
                                    ) from error
        self._sounddevice = sounddevice
        return sounddevice

    def _query(self, sounddevice: Any) -> dict[str, Any]:
        named = None if self._device == 'default' else self._device
        try:
            info: dict[str, Any] = sounddevice.query_devices(named, 'input')
        except (ValueError, sounddevice.PortAudioError) as error:
            there = ', '.join(f'{device.index} {device.name!r}' for device in microphones())
            raise ResourceError(
                f'microphone {self._device!r}: {error}; there are: {there or "none"}') from error
        return info


class _Stream:
    """An open PortAudio stream: its callback only appends, ``blocks`` takes."""

    def __init__(
        self, sounddevice: Any, info: dict[str, Any], rate_hz: int, channels: int,
        now_ns: Callable[[], int], counters: Counters,
    ) -> None:
        self._name = info['name']
        self._now_ns = now_ns
        self._counters = counters
        self._waiting: queue.Queue[tuple[Samples, int, int]] = queue.Queue(MAX_WAITING)
        self._missing = 0
        try:
            self._stream = sounddevice.InputStream(
                device=info['index'], samplerate=rate_hz, channels=channels, dtype='float32',
                blocksize=round(rate_hz * CHUNK_S), callback=self._put)
        except sounddevice.PortAudioError as error:
            raise ResourceError(
                f'microphone {self._name!r}: {channels} channels at {rate_hz} Hz: {error}; it has '
                f'{info["max_input_channels"]} channels at {info["default_samplerate"]:g} Hz'
            ) from error
        self._error_type = sounddevice.PortAudioError

    def __enter__(self) -> _Stream:
        try:
            self._stream.start()
        except self._error_type as error:
            self._stream.close()
            raise DeviceLost(f'microphone {self._name!r}: does not start: {error}') from error
        _log.info('microphone %r: open at %g Hz', self._name, self._stream.samplerate)
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.abort()
        self._stream.close()

    def _put(self, data: Samples, frames: int, times: Any, status: Any) -> None:
        # Both times are read here, as this thread may have waited for Python's global lock.
        age_s = self._stream.time - times.inputBufferAdcTime
        if not 0 <= age_s < MAX_AGE_S:  # some drivers give none
            age_s = frames / self._stream.samplerate
        measured_ns = self._now_ns() - nanoseconds(age_s)
        missing = self._missing + bool(status.input_overflow)
        try:
            self._waiting.put_nowait((data.copy(), measured_ns, missing))
            self._missing = 0
        except queue.Full:
            self._missing = missing + 1
            self._counters.count(
                'microphone', 'dropped', f'{MAX_WAITING} blocks wait to be published already')

    def blocks(self, stop: threading.Event) -> Iterator[tuple[Samples, int, int]]:
        """
        Yield samples, when the first was taken, and how many blocks are missing before them.

        :raises DeviceLost: when nothing comes for too long.
        """
        expected = time.monotonic() + START_S
        while not stop.is_set():
            try:
                block = self._waiting.get(timeout=POLL_S)
            except queue.Empty:
                if not self._stream.active or time.monotonic() > expected:
                    raise DeviceLost(f'microphone {self._name!r}: gives no more sound') from None
                continue
            expected = time.monotonic() + SILENT_S
            if block[2]:
                self._counters.count(
                    'microphone', 'overflow', f'microphone {self._name!r}: samples were lost '
                    'before they were taken; the machine is too busy', block[2])
            yield block
