"""Files that were put together: their clock begins anew, and goes on here."""

import logging
from fractions import Fraction

import av
import numpy as np
import pytest
from inputs import cases

from maven_ros.counters import Counters
from maven_ros.devices.media import read_media
from maven_ros.graph.bag.bag_graph import BagGraph
from maven_ros.records import NS, AudioChunk, Frame
from maven_ros.replay.from_media import bags_from_media

FPS, RATE_HZ = 25, 48_000
#: Format, video and audio codec.
KINDS = {'ts': ('mpegts', 'mpeg4', 'mp2'), 'mpg': ('mpeg', 'mpeg2video', 'mp2'),
         'mkv': ('matroska', 'mpeg4', 'pcm_s16le'), 'webm': ('webm', 'libvpx', 'libopus'),
         'opus': ('ogg', None, 'libopus'), 'm2ts': ('mpegts', 'libx264', 'mp2')}


def write(path, kind, value, begins=0):
    """Write a second of one grey, and of a tone as loud as that is bright."""
    form, video, audio = KINDS[kind]
    with av.open(str(path), 'w', format=form) as container:
        streams = []
        if video:
            stream = container.add_stream(video, rate=FPS)
            stream.width, stream.height, stream.pix_fmt = 64, 48, 'yuv420p'
            streams.append((stream, pictures(value, begins)))
        stream = container.add_stream(audio, rate=RATE_HZ, layout='mono')
        streams.append((stream, sounds(value, stream.codec_context.format.name, begins)))
        encoded = [packet for stream, frames in streams for frame in (*frames, None)
                   for packet in stream.encode(frame)]
        for packet in sorted(encoded, key=lambda one: one.dts * one.time_base):
            container.mux(packet)
    return path


def pictures(value, begins):
    for index in range(FPS):
        frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), value, np.uint8), format='bgr24')
        frame.pts, frame.time_base = index + begins * FPS, Fraction(1, FPS)
        yield frame


def sounds(value, form, begins):
    resampler = av.AudioResampler(form)
    for index in range(FPS):
        size = RATE_HZ // FPS
        tone = np.sin(2 * np.pi * 400 * np.arange(size) / RATE_HZ) * value / 256
        frame = av.AudioFrame.from_ndarray(tone[None].astype(np.float32), 'flt', 'mono')
        frame.sample_rate, frame.time_base = RATE_HZ, Fraction(1, RATE_HZ)
        frame.pts = index * size + begins * RATE_HZ
        yield from resampler.resample(frame)


def joined(tmp_path, kind, *parts):
    path = tmp_path / f'joined.{kind}'
    path.write_bytes(b''.join(write(tmp_path / f'part.{kind}', kind, *part).read_bytes()
                              for part in parts))
    return path


def read(path):
    counters = Counters()
    records = list(read_media(path, counters=counters))
    assert counters.snapshot() == {}
    times = [one.end_ns if isinstance(one, AudioChunk) else one.stamp_ns for one in records]
    assert times == sorted(times)
    return ([one for one in records if isinstance(one, Frame)],
            [one for one in records if isinstance(one, AudioChunk)])


@pytest.mark.parametrize('kind', KINDS)
def test_parts_follow_each_other_with_their_sound(tmp_path, kind, caplog):
    caplog.set_level(logging.INFO)
    values = (40, 200) if kind in ('mkv', 'webm') else (40, 200, 90)  # FFmpeg reads two of those
    frames, chunks = read(joined(tmp_path, kind, *((value,) for value in values)))
    assert 'its clock begins anew' in caplog.text
    if KINDS[kind][1]:
        grey = [round(float(one.decode().mean())) for one in frames]
        assert grey == pytest.approx(np.repeat(values, FPS), abs=12)
        # A part is as long as the longer of its streams: sound comes in whole packets.
        assert NS <= frames[FPS].stamp_ns - frames[0].stamp_ns < 1.1 * NS
    assert chunks[-1].end_ns - chunks[0].stamp_ns == pytest.approx(len(values) * NS, rel=0.06)
    loud = [256 * float(np.abs(one.samples).max()) for one in chunks]
    middles = [(index + 0.5) / len(values) for index in range(len(values))]
    assert [loud[round(len(loud) * at)] for at in middles] == pytest.approx(values, rel=0.15)
    for frame in frames[5:20] + frames[30:45]:  # each with its own part's sound
        heard = [value for one, value in zip(chunks, loud, strict=True)
                 if one.stamp_ns <= frame.stamp_ns < one.end_ns]
        assert heard == pytest.approx([float(frame.decode().mean())], rel=0.2)


def test_stamps_that_go_back_a_little_where_flac_was_joined_lose_no_sound(tmp_path):
    with av.open(str(tmp_path / 'part.flac'), 'w') as container:
        stream = container.add_stream('flac', rate=16_000, layout='mono')
        frame = av.AudioFrame.from_ndarray(np.full((1, 16_000), 9, np.int16), 's16', 'mono')
        frame.sample_rate, frame.pts = 16_000, 0
        container.mux([*stream.encode(frame), *stream.encode(None)])
    (tmp_path / 'a.flac').write_bytes((tmp_path / 'part.flac').read_bytes() * 2)
    _, chunks = read(tmp_path / 'a.flac')
    assert chunks[-1].end_ns == 2 * NS and sum(len(one.samples) for one in chunks) == 32_000


def test_pictures_that_are_reordered_are_no_new_clock(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    for kind in ('mkv', 'mp4', 'ts', 'flv'):
        with av.open(str(tmp_path / f'a.{kind}'), 'w') as container:
            stream = container.add_stream('libx264', rate=10)
            stream.width, stream.height, stream.pix_fmt = 64, 48, 'yuv420p'
            for frame in (*pictures(40, 0), None):  # 10 a second: what is between is longer
                if frame:
                    frame.time_base = Fraction(1, 10)
                container.mux(stream.encode(frame))
        frames, _ = read(tmp_path / f'a.{kind}')
        assert len(frames) == FPS and 'begins anew' not in caplog.text


def test_a_stream_alone_is_laid_as_with_the_other(tmp_path):
    path = joined(tmp_path, 'ts', (40,), (200,))
    frames, chunks = read(path)
    assert [one.stamp_ns for one in read_media(path, audio=False)] == [
        one.stamp_ns for one in frames]
    assert [one.stamp_ns for one in read_media(path, video=False)] == [
        one.stamp_ns for one in chunks]


def test_a_clock_that_jumps_far_ahead_goes_on_where_a_format_has_such_jumps(tmp_path):
    frames, _ = read(joined(tmp_path, 'ts', (40,), (200, 5000)))
    assert len(frames) == 2 * FPS and frames[-1].stamp_ns < 2.3 * NS
    # Elsewhere it is a pause, and stays one.
    with av.open(str(tmp_path / 'a.mkv'), 'w') as container:
        stream = container.add_stream('mpeg4', rate=FPS)
        stream.width, stream.height, stream.pix_fmt = 64, 48, 'yuv420p'
        for frame in (*pictures(40, 0), *pictures(200, 60), None):
            container.mux(stream.encode(frame))
    assert read(tmp_path / 'a.mkv')[0][-1].stamp_ns > 60 * NS


def test_the_counter_of_a_transport_stream_may_begin_anew(tmp_path):
    begins = 2**33 // 90_000  # seconds: it begins anew within this one
    frames, _ = read(write(tmp_path / 'a.ts', 'ts', 40, begins))
    stamps = [one.stamp_ns for one in frames]
    assert len(stamps) == FPS and stamps[-1] - stamps[0] == pytest.approx(NS * 24 / 25, abs=1e5)


@pytest.mark.parametrize('case', [None, *cases('joined_transport_streams/joined.ts')])
def test_transport_streams_put_together_are_one_after_the_other_in_the_bag(tmp_path, case):
    path = case or joined(tmp_path, 'ts', (40,), (200,))
    made, = bags_from_media([path], tmp_path)
    assert made.report.frames == 50 and made.report.duration_ns == pytest.approx(
        2 * NS, rel=0.1)
    with BagGraph(made.path) as bag:
        stamps = [one.received_ns for one in bag.read(['/camera/image_raw/compressed'])]
    assert len({*stamps}) == 50
    colours = np.array([one.decode()[5, 5] for one in read(path)[0]], int)
    assert np.ptp(colours[:25], 0).max() < 12 and np.ptp(colours[25:], 0).max() < 12
    assert np.abs(colours[0] - colours[-1]).max() > 100
