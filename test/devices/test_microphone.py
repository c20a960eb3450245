import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import wave

import numpy as np
import pytest
from waiting import eventually

from maven_ros.counters import Counters
from maven_ros.devices.microphone import Microphone, SampleClock
from maven_ros.errors import ResourceError, SettingsError
from maven_ros.graph.messages import time_ns
from maven_ros.records import NS

CHUNK = 'maven_ros/msg/AudioChunk'
ASOUNDRC = """
</usr/share/alsa/alsa.conf>
pcm.!default { type pulse }
ctl.!default { type pulse }
pcm.pulse { type pulse }
"""


class PulseAudio:
    """A PulseAudio daemon of our own, with a null sink whose monitor is the microphone."""

    def __init__(self, folder):
        self._socket = folder / 'native'
        self._log = folder / 'log'
        self._environ = {**os.environ, 'HOME': str(folder), 'XDG_RUNTIME_DIR': str(folder),
                         'PULSE_RUNTIME_PATH': str(folder), 'PULSE_STATE_PATH': str(folder)}
        self._daemon = None

    @property
    def environ(self):
        return {'PULSE_SERVER': f'unix:{self._socket}', 'PULSE_SOURCE': 'null.monitor',
                'ALSA_CONFIG_PATH': str(self._socket.with_name('asound.conf')),
                'PULSE_LATENCY_MSEC': '30'}  # a null sink wakes each 2 s unless asked to hurry

    def start(self):
        self._socket.with_name('asound.conf').write_text(ASOUNDRC)
        with self._log.open('ab') as log:
            self._daemon = subprocess.Popen([
                'pulseaudio', '-n', '--daemonize=no', '--exit-idle-time=-1', '--use-pid-file=no',
                '--disable-shm=yes', '--realtime=no', '--high-priority=no',
                '-L', 'module-null-sink sink_name=null rate=48000',
                '-L', f'module-native-protocol-unix auth-anonymous=1 socket={self._socket}',
            ], env=self._environ, stdout=log, stderr=log)
        deadline = time.monotonic() + 10
        while subprocess.run(['pactl', 'info'], env={**os.environ, **self.environ},
                             capture_output=True, check=False).returncode:
            assert self._daemon.poll() is None, self._log.read_text()
            assert time.monotonic() < deadline, self._log.read_text()
            time.sleep(0.1)

    def signal(self, number):
        self._daemon.send_signal(number)

    def kill(self):
        self._daemon.kill()
        self._daemon.wait()

    def play(self, path):
        return subprocess.Popen(
            ['paplay', '--device=null', str(path)], env={**os.environ, **self.environ})


@pytest.fixture
def pulseaudio(tmp_path, monkeypatch):
    for program in ('pulseaudio', 'pactl', 'paplay'):
        if not shutil.which(program):
            pytest.skip(f'no {program}')
    server = PulseAudio(tmp_path)
    server.start()
    try:
        for name, value in server.environ.items():
            monkeypatch.setenv(name, value)
        refresh_or_skip()
        yield server
    finally:
        server.kill()


def refresh_or_skip():
    """Let PortAudio see the daemon, although it was initialised before."""
    try:
        import sounddevice
    except OSError as error:
        pytest.skip(f'no PortAudio: {error}')
    sounddevice._terminate()
    sounddevice._initialize()
    if not any(device['max_input_channels'] for device in sounddevice.query_devices()):
        pytest.skip("no ALSA plugin for PulseAudio (Debian's libasound2-plugins)")


@pytest.fixture
def tone(tmp_path):
    """A minute of 1 kHz at half of full scale."""
    samples = 16_384 * np.sin(2 * np.pi * 1000 * np.arange(60 * 16_000) / 16_000)
    path = tmp_path / 'tone.wav'
    with wave.open(str(path), 'wb') as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(samples.astype('<i2').tobytes())
    return path


def samples_of(messages):
    return np.concatenate([
        np.frombuffer(bytes(message.data), '<i2').reshape(-1, message.channels)
        for message in messages]) / 32768


def loudest_hz(samples, rate_hz):
    return np.argmax(np.abs(np.fft.rfft(samples))) * rate_hz / len(samples)


@pytest.mark.parametrize(('rate_hz', 'channels'), [(0, 1), (16_000, 2)])
def test_a_tone_is_heard_with_steady_stamps(
        graph, listen, running, pulseaudio, tone, rate_hz, channels):
    chunks = listen('audio', CHUNK)
    counters = Counters()
    playing = pulseaudio.play(tone)
    time.sleep(1.0)  # the sink's own clock settles
    begun_ns = graph.now_ns()
    microphone = running(Microphone(
        graph, 'default', sample_rate_hz=rate_hz, channels=channels, counters=counters))
    assert chunks.wait_for(60)
    published = microphone.stop(1.0)
    ended_ns = graph.now_ns()
    playing.terminate()
    playing.wait()

    messages = chunks.messages
    assert published >= len(messages) >= 60
    assert {message.sample_rate for message in messages} == {rate_hz or 44_100}
    assert {message.channels for message in messages} == {channels}
    gaps = np.diff([message.sequence for message in messages]) - 1
    assert gaps.sum() == counters.get('microphone', 'overflow')
    rate = messages[0].sample_rate
    stamps = [time_ns(message.header.stamp) for message in messages]
    assert begun_ns - NS < stamps[0] < stamps[-1] < ended_ns
    length = round(rate * 0.032)
    steps = np.diff(stamps)
    steady = np.abs(steps - length * NS / rate) < 1_000_000
    # PulseAudio's own measure of latency takes a second to settle; a step that it causes is told.
    told = sum(counters.get('microphone', cause) for cause in ('clock_jump', 'overflow'))
    assert told <= 3
    assert steady.sum() >= len(steps) - told
    heard = samples_of(messages)[-rate:]
    for channel in heard.T:
        assert loudest_hz(channel, rate) == pytest.approx(1000, abs=2)
        assert np.abs(channel).max() == pytest.approx(0.5, abs=0.05)


def test_a_microphone_that_goes_comes_back(graph, listen, running, pulseaudio):
    chunks = listen('audio', CHUNK)
    counters = Counters()
    microphone = running(Microphone(graph, counters=counters))
    assert chunks.wait_for(20)
    pulseaudio.kill()
    killed_s = time.monotonic()
    eventually(lambda: counters.get('microphone', 'lost') and time.monotonic() > killed_s + 1)
    before = len(chunks)
    pulseaudio.start()
    assert chunks.wait_for(before + 20, 20.0)
    microphone.stop(1.0)
    assert counters.get('microphone', 'lost') >= 1
    assert 'gives no more sound' in counters.details()['microphone.lost']
    stamps = [time_ns(message.header.stamp) for message in chunks.messages]
    gap = int(np.argmax(np.diff(stamps)))
    assert stamps[gap + 1] - stamps[gap] > NS
    assert all(after > before for before, after in itertools.pairwise(stamps))
    sequence = [message.sequence for message in chunks.messages]
    assert sequence[gap + 1] - sequence[gap] >= 2


HUNG = """
import sys, threading, time
from maven_ros.counters import Counters
from maven_ros.graph.dds.dds_graph import DdsGraph
from maven_ros.devices.microphone import Microphone
from maven_ros.graph.interface import SOUND

stop, counters, chunks = threading.Event(), Counters(), threading.Semaphore(0)
with DdsGraph() as graph:
    thread = threading.Thread(target=Microphone(graph, counters=counters).run, args=(stop,))
    heard = graph.subscribe('audio', 'maven_ros/msg/AudioChunk', SOUND, lambda _: chunks.release())
    thread.start()
    for _ in range(30):  # about a second: it runs
        chunks.acquire()
    print('running', flush=True)
    sys.stdin.readline()
    time.sleep(2.5)
    stop.set()
    thread.join()
print(counters.get('microphone', 'hung'), flush=True)
"""


@pytest.mark.usefixtures('embedded_graph')
def test_a_microphone_that_hangs_is_left_behind(pulseaudio):
    # In a process of its own, as a thread that hangs in a driver stays: ALSA's for 45 s.
    node = subprocess.Popen([sys.executable, '-c', HUNG], stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, text=True)
    try:
        assert node.stdout.readline() == 'running\n'
        pulseaudio.signal(signal.SIGSTOP)
        output, _ = node.communicate('\n', timeout=15)
    finally:
        pulseaudio.signal(signal.SIGCONT)
        node.kill()
        node.wait()
    assert output == '1\n'


def test_an_unknown_device_is_refused_with_those_that_exist(graph, running, pulseaudio):
    microphone = running(Microphone(graph, 'no such thing'))
    with pytest.raises(ResourceError, match=r"'no such thing': .* there are: .*'pulse'"):
        microphone.result(5.0)
    microphone = running(Microphone(graph, '99'))
    with pytest.raises(ResourceError, match=r'microphone 99: .* there are: '):
        microphone.result(5.0)


def test_what_a_device_cannot_do_is_refused(graph, running, pulseaudio):
    microphone = running(Microphone(graph, 'pulse', channels=100))
    with pytest.raises(ResourceError, match=r"microphone 'pulse': 100 channels at 44100 Hz: .*; "
                                            r'it has 32 channels at 44100 Hz'):
        microphone.result(5.0)


def test_a_missing_microphone_is_waited_for_when_asked(graph, listen, running, pulseaudio):
    pulseaudio.kill()
    chunks = listen('audio', CHUNK)
    counters = Counters()
    microphone = running(Microphone(graph, wait=True, counters=counters))
    eventually(lambda: counters.get('microphone', 'missing'))
    assert not chunks
    pulseaudio.start()
    assert chunks.wait_for(5, 20.0)
    microphone.stop(1.0)
    assert counters.get('microphone', 'missing') >= 1


def test_without_portaudio_it_says_what_to_install(graph, running, tmp_path, monkeypatch):
    (tmp_path / 'sounddevice.py').write_text("raise OSError('PortAudio library not found')\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, 'sounddevice', raising=False)
    microphone = running(Microphone(graph))
    with pytest.raises(ResourceError, match=r'PortAudio library not found.*apt install libporta'):
        microphone.result(5.0)


STARTS = """
import os, sys
from maven_ros.errors import ResourceError
from maven_ros.devices.microphone import Microphone

microphone = Microphone(graph=None)
for os.environ['ALSA_CONFIG_PATH'] in sys.argv[1:]:
    try:
        microphone._refreshed()
        print('it starts')
    except ResourceError as error:
        print(error)
"""


def test_a_portaudio_that_does_not_start_is_told_and_tried_again(tmp_path):
    broken = tmp_path / 'asound.conf'
    broken.write_text('}')
    # In processes of their own, one of which it never starts in; '' is ALSA's own configuration.
    told = [subprocess.run([sys.executable, '-c', STARTS, *paths], capture_output=True, text=True,
                           check=True).stdout.splitlines()
            for paths in ((broken,), ('', broken, ''))]
    if told[0][0].startswith('microphones need') or told[0] == ['it starts']:
        pytest.skip(f'no PortAudio with ALSA: {told[0][0]}')
    [first], [starts, second, again] = told
    assert starts == again == 'it starts'
    for text in (first, second):
        assert re.fullmatch(r'PortAudio does not start: .*; is the sound server up\?', text)


@pytest.mark.parametrize(('options', 'message'), [
    ({'sample_rate_hz': 100}, r'sample_rate_hz: 100 is not in \[8000, 384000\]'),
    ({'channels': 0}, r'channels: 0 is not in \[1, 255\]')])
def test_values_out_of_range_are_refused(graph, options, message):
    with pytest.raises(SettingsError, match=message):
        Microphone(graph, **options)


def test_the_sample_clock_is_steady_under_jitter_and_bursts():
    clock, random = SampleClock(16_000), np.random.default_rng(0)
    early = (0, 32_000_000, 64_000_000)  # of blocks that are handed on three at a time
    stamps = [
        clock.stamp(index * 32_000_000 + int(random.normal(0, 2e6)) - early[index % 3], 512)[0]
        for index in range(1000)]
    assert np.abs(np.diff(stamps) - 32_000_000).max() < 400_000
    assert np.abs(stamps[200:] - np.arange(200, 1000) * 32_000_000).max() < 50_000_000


def test_the_sample_clock_follows_a_slow_drift():
    clock = SampleClock(16_000)
    for index in range(20_000):
        measured_ns = index * 32_003_200  # 100 ppm: 64 ms in these 11 minutes
        stamp_ns, jump_ns = clock.stamp(measured_ns, 512)
        assert not jump_ns
    assert abs(stamp_ns - measured_ns) < 1_000_000


def test_the_sample_clock_ignores_one_measure_that_is_wrong():
    clock = SampleClock(16_000)
    for index in range(100):
        wrong_ns = NS if index == 50 else 0
        stamp_ns, jump_ns = clock.stamp(index * 32_000_000 + wrong_ns, 512)
        assert (stamp_ns, jump_ns) == (index * 32_000_000, 0)


def test_the_sample_clock_starts_anew_after_a_jump_or_when_told():
    clock = SampleClock(16_000)
    jumps = []
    for index in range(100):
        measured_ns = index * 32_000_000 + (NS if index >= 50 else 0)
        stamp_ns, jump_ns = clock.stamp(measured_ns, 512)
        jumps.append(jump_ns)
    assert [jump for jump in jumps if jump] == [NS]
    assert jumps.index(NS) < 50 + 31
    assert stamp_ns == measured_ns
    clock.restart()
    assert clock.stamp(9 * NS, 512) == (9 * NS, 0)
    assert clock.stamp(9 * NS + 32_000_000, 512) == (9 * NS + 32_000_000, 0)
