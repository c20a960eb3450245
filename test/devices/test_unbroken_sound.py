import subprocess
import sys
from fractions import Fraction

import av
import numpy as np
import pytest
from av.audio.plane import AudioPlane

from maven_ros.devices.unbroken_sound import samples_of

RATE_HZ = 48_000


def constants(format, channels, samples=100):
    """Return a frame of which each channel is a constant, k/32 in channel k."""
    frame = av.AudioFrame(format=format, layout=f'{channels}C', samples=samples)
    scale = {'u8': 2**7, 's16': 2**15, 's32': 2**31, 's64': 2**63, 'flt': 1, 'dbl': 1}[
        format.removesuffix('p')]
    kind = {'u': 'u', 's': 'i'}.get(format[0], 'f')
    values = np.repeat([(np.arange(channels) + 1) / 32 * scale], samples, axis=0)
    data = (values + (128 if kind == 'u' else 0)).astype(f'{kind}{frame.format.bytes}')
    planes = data.T if frame.format.is_planar else [data]
    for number, plane in enumerate(planes):
        view = AudioPlane(frame, number)
        view.update(np.ascontiguousarray(plane).tobytes().ljust(view.buffer_size, b'\0'))
    return frame


@pytest.mark.parametrize('format', ['u8', 's16', 's32', 's64', 'flt', 'dbl', 'u8p', 's16p', 's32p',
                                    's64p', 'fltp', 'dblp'])
def test_any_number_of_channels_in_any_sample_format(format):
    for channels in range(1, 17):
        samples = samples_of(constants(format, channels))
        assert samples.dtype == np.float32
        assert samples == pytest.approx(np.repeat([(np.arange(channels) + 1) / 32], 100, axis=0))


@pytest.mark.parametrize(('name', 'codec', 'layout', 'error'), [
    ('a.mp4', 'aac', '7.1', 0.02), ('a.mkv', 'libopus', '7.1', 0.05),
    ('b.mkv', 'wavpack', 'hexadecagonal', 0.01), ('a.flac', 'flac', '7.1', 0.01),
    ('c.mkv', 'pcm_f32le', 'hexadecagonal', 1e-5), ('b.mp4', 'aac', '5.1', 0.02)])
def test_files_of_many_channels_are_read_and_do_not_crash(tmp_path, name, codec, layout, error):
    path = tmp_path / name
    level = write(path, codec, layout)
    # In a process of its own: a crash would end the tests, too.
    program = ('import sys; from maven_ros.devices.media import read_media; import numpy as np\n'
               'samples = np.concatenate([one.samples for one in read_media(sys.argv[1])])\n'
               'print(*samples[9600:38400].std(axis=0))')
    done = subprocess.run([sys.executable, '-c', program, path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert [float(value) for value in done.stdout.split()] == pytest.approx(level, abs=error)


def write(path, codec, layout):
    """Write a second of tones, each channel louder than the last; return the levels."""
    with av.open(str(path), 'w') as container:
        stream = container.add_stream(codec, rate=RATE_HZ, layout=layout)
        context = stream.codec_context
        channels = context.layout.nb_channels
        level = 0.02 * (1 + np.arange(channels))
        times = np.arange(RATE_HZ) / RATE_HZ
        samples = np.sin(2 * np.pi * 90 * times)[:, None] * level * 2**0.5
        frame = av.AudioFrame(format='flt', layout=layout, samples=RATE_HZ)
        frame.planes[0].update(samples.astype(np.float32).tobytes())
        frame.rate, frame.pts, frame.time_base = RATE_HZ, 0, Fraction(1, RATE_HZ)
        convert = av.AudioResampler(context.format.name, layout, RATE_HZ,
                                    frame_size=context.frame_size or 1024)
        for part in (*convert.resample(frame), *convert.resample(None), None):
            container.mux(stream.encode(part))
    return level
