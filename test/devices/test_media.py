import itertools
import struct
from fractions import Fraction

import av
import numpy as np
import pytest
from inputs import SAMPLE

from maven_ros.counters import Counters
from maven_ros.devices.media import LOST, available_ns, probe, read_media
from maven_ros.errors import InputError, ResourceError, SettingsError
from maven_ros.records import NS, AudioChunk, Frame

RATE_HZ = 16_000
FPS = 25


def write(path, *, seconds=1.0, video=True, audio=True, video_starts=0.0, audio_starts=0.0,
          audio_codec='pcm_s16le', format='s16', silence_at=()):
    """Write a file: a red left third in 64x48, and a 440 Hz tone without the packets named."""
    with av.open(str(path), 'w') as container:
        streams = []
        if video:
            stream = container.add_stream('mpeg4', rate=FPS)
            stream.width, stream.height, stream.pix_fmt = 64, 48, 'yuv420p'
            streams.append((stream, pictures(seconds, video_starts)))
        if audio:
            stream = container.add_stream(audio_codec, rate=RATE_HZ, layout='mono')
            streams.append((stream, sounds(seconds, audio_starts, format, silence_at)))
        for stream, frames in streams:
            for frame in frames:
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    return path


def pictures(seconds, starts):
    pixels = np.zeros((48, 64, 3), np.uint8)
    pixels[:, :21, 2] = 255
    for index in range(round(seconds * FPS)):
        frame = av.VideoFrame.from_ndarray(pixels, format='bgr24')
        frame.pts, frame.time_base = index + round(starts * FPS), Fraction(1, FPS)
        yield frame


def tone(seconds):
    return 0.5 * np.sin(2 * np.pi * 440 * np.arange(round(seconds * RATE_HZ)) / RATE_HZ)


def sounds(seconds, starts, format, silence_at):
    samples = tone(seconds)
    samples = np.round(samples * 32768).astype(np.int16) if format == 's16' \
        else samples.astype(np.float32)
    for number, start in enumerate(range(0, len(samples), 1600)):
        if number in silence_at:
            continue
        frame = av.AudioFrame.from_ndarray(samples[None, start:start + 1600], format, 'mono')
        frame.sample_rate, frame.time_base = RATE_HZ, Fraction(1, RATE_HZ)
        frame.pts = start + round(starts * RATE_HZ)
        yield frame


def frames_of(records):
    return [record for record in records if isinstance(record, Frame)]


def chunks_of(records):
    return [record for record in records if isinstance(record, AudioChunk)]


def heard(records):
    return np.concatenate([chunk.samples for chunk in chunks_of(records)])


def test_probe_tells_what_a_file_holds(tmp_path):
    media = probe(write(tmp_path / 'a.mkv'))
    assert (media.has_video, media.has_audio) == (True, True)
    assert (media.width, media.height, media.frame_rate) == (64, 48, 25.0)
    assert (media.sample_rate_hz, media.channels) == (RATE_HZ, 1)
    assert media.duration_ns == pytest.approx(NS, abs=NS // 10)


def test_records_come_when_a_live_device_would_give_them(tmp_path):
    records = list(read_media(write(tmp_path / 'a.mkv'), start_ns=5 * NS))
    times = [available_ns(record) for record in records]
    assert times == sorted(times)
    assert [frame.stamp_ns for frame in frames_of(records)] == [
        5 * NS + index * NS // FPS for index in range(FPS)]
    chunks = chunks_of(records)
    assert {len(chunk.samples) for chunk in chunks[:-1]} == {512}
    assert chunks[0].stamp_ns == 5 * NS
    assert chunks[-1].end_ns == 6 * NS
    assert [chunk.sequence for chunk in chunks] == list(range(len(chunks)))
    assert all(after.stamp_ns == before.end_ns for before, after in itertools.pairwise(chunks))


def test_sound_and_picture_arrive_unchanged(tmp_path):
    records = list(read_media(write(tmp_path / 'a.mkv')))
    assert np.array_equal(
        heard(records)[:, 0], (np.round(tone(1.0) * 32768) / 32768).astype(np.float32))
    pixels = frames_of(records)[0].decode()
    assert pixels.shape == (48, 64, 3)
    assert pixels.dtype == np.uint8
    assert pixels[24, 8] == pytest.approx([0, 0, 255], abs=40)  # red, and in BGR order
    assert pixels[24, 48] == pytest.approx([0, 0, 0], abs=40)


@pytest.mark.parametrize(('codec', 'format', 'error'), [
    ('pcm_s16le', 's16', 2**-16), ('pcm_f32le', 'flt', 0), ('pcm_s32le', 's16', 2**-16),
    ('pcm_u8', 's16', 2**-7), ('pcm_f64le', 'flt', 0), ('flac', 's16', 2**-16)])
def test_every_sample_format_keeps_its_scale(tmp_path, codec, format, error):
    path = tmp_path / 'a.mkv'
    with av.open(str(path), 'w') as container:
        stream = container.add_stream(codec, rate=RATE_HZ, layout='mono')
        resampler = av.AudioResampler(stream.codec_context.format.name)
        for frame in sounds(0.5, 0, format, ()):
            for converted in resampler.resample(frame):
                container.mux(stream.encode(converted))
        container.mux(stream.encode(None))
    assert heard(read_media(path))[:, 0] == pytest.approx(tone(0.5), abs=error + 1e-7)


@pytest.mark.parametrize(('video_starts', 'audio_starts'), [(0.0, 0.4), (0.4, 0.0), (1.4, 1.0)])
def test_a_stream_that_starts_late_starts_late(tmp_path, video_starts, audio_starts):
    path = write(tmp_path / 'a.mkv', video_starts=video_starts, audio_starts=audio_starts)
    records = list(read_media(path))
    first = min(video_starts, audio_starts)
    assert frames_of(records)[0].stamp_ns == round((video_starts - first) * NS)
    assert chunks_of(records)[0].stamp_ns == round((audio_starts - first) * NS)
    # Leaving one stream out does not move the other.
    assert chunks_of(read_media(path, video=False))[0].stamp_ns == chunks_of(records)[0].stamp_ns


def test_a_gap_in_the_sound_stays_a_gap(tmp_path):
    chunks = chunks_of(read_media(write(tmp_path / 'a.mkv', video=False, silence_at=(4,))))
    gaps = [(before.end_ns, after.stamp_ns) for before, after in itertools.pairwise(chunks)
            if before.end_ns != after.stamp_ns]
    assert gaps == [(400_000_000, 500_000_000)]


def test_looping_goes_on_after_the_longer_stream(tmp_path):
    path = write(tmp_path / 'a.mkv', audio_starts=0.5)
    records = list(read_media(path, loop=2))
    stamps = [frame.stamp_ns for frame in frames_of(records)]
    assert stamps[FPS:] == [1_500_000_000 + stamp for stamp in stamps[:FPS]]
    sequence = [chunk.sequence for chunk in chunks_of(records)]
    assert sequence == list(range(len(sequence)))


def test_zero_loops_for_ever(tmp_path):
    endless = read_media(write(tmp_path / 'a.mkv', seconds=0.2), loop=0)
    last = list(itertools.islice(endless, 200))[-1]
    assert last.stamp_ns > 2 * NS
    endless.close()


def test_one_stream_alone(tmp_path):
    path = write(tmp_path / 'a.mkv')
    assert not chunks_of(read_media(path, audio=False))
    assert not frames_of(read_media(path, video=False))
    assert heard(read_media(write(tmp_path / 'a.wav', video=False))).shape == (RATE_HZ, 1)


def test_rotation_is_respected(tmp_path):
    path = write(tmp_path / 'a.mp4', audio=False)
    data = bytearray(path.read_bytes())
    matrix_at = data.index(b'tkhd') + 44  # ISO/IEC 14496-12, 8.3.2, version 0
    one = 1 << 16
    struct.pack_into('>9i', data, matrix_at, 0, one, 0, -one, 0, 0, 48 * one, 0, 1 << 30)
    path.write_bytes(data)
    pixels = next(read_media(path)).decode()  # a quarter turn clockwise
    assert pixels.shape == (64, 48, 3)
    assert pixels[8, 24] == pytest.approx([0, 0, 255], abs=40)
    assert pixels[48, 24] == pytest.approx([0, 0, 0], abs=40)


def packets_of(path, kind):
    with av.open(str(path)) as container:
        return [(packet.pos, packet.size)
                for packet in container.demux(**{kind: 0}) if packet.pos is not None]


def overwrite(path, packets):
    data = bytearray(path.read_bytes())
    for start, size in packets:
        data[start + size // 3:start + size] = bytes(size - size // 3)
    path.write_bytes(data)


def test_broken_packets_are_skipped_and_counted(tmp_path):
    path = write(tmp_path / 'a.mp4', audio_codec='flac', video=False, seconds=2.0)
    overwrite(path, packets_of(path, 'audio')[5:8])
    counters = Counters()
    chunks = chunks_of(read_media(path, counters=counters))
    assert chunks[-1].end_ns == 2 * NS
    assert sum(len(chunk.samples) for chunk in chunks) == 2 * RATE_HZ - 3 * 1152
    assert counters.get('media', 'broken_packet') == 3
    assert f'{path}: audio packet' in counters.details()['media.broken_packet']


def test_damaged_pictures_are_skipped_and_counted(tmp_path):
    path = tmp_path / 'a.mp4'
    path.write_bytes(SAMPLE.read_bytes())
    packets = packets_of(path, 'video')
    overwrite(path, packets[50:53])
    counters = Counters()
    assert len(frames_of(read_media(path, counters=counters))) == len(packets) - 3
    assert counters.get('media', 'damaged') == 3


@pytest.mark.parametrize(('codec', 'kind'), [
    ('libx264', 'mp4'), ('libx264', 'mkv'), ('mpeg4', 'mp4'), ('mpeg4', 'avi'),
    ('mpeg2video', 'ts'), ('libvpx', 'webm')])
def test_lost_pictures_keep_their_places_where_that_is_asked_for(tmp_path, codec, kind):
    path = tmp_path / f'a.{kind}'
    with av.open(str(path), 'w') as container:
        stream = container.add_stream(codec, rate=FPS)
        stream.width, stream.height, stream.pix_fmt = 64, 48, 'yuv420p'
        rng = np.random.default_rng(0)
        for index in range(60):
            noise = rng.integers(0, 255, (48, 64, 3), np.uint8)
            frame = av.VideoFrame.from_ndarray(noise, format='bgr24')
            frame.pts, frame.time_base = index, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    whole = [one.stamp_ns for one in read_media(path, keep_lost=True)]
    assert whole == [one.stamp_ns for one in read_media(path)] and len(whole) == 60
    packets = packets_of(path, 'video')
    if kind == 'ts':  # the rest of a packet of the stream, with its own headers, stays
        data = bytearray(path.read_bytes())
        for start, size in packets[20:23]:
            for at in range(start - start % 188, start + size, 188):
                data[at + 60:at + 180] = b'\xff' * 120
        path.write_bytes(data)
    else:
        overwrite(path, packets[20:22] + packets[40:41])
    counters = Counters()
    kept = list(read_media(path, keep_lost=True, counters=counters))
    assert [one.stamp_ns for one in kept] == whole
    lost = 0
    for frame in kept:
        try:
            frame.decode()
        except InputError as error:
            assert error.cause == LOST and f'{path}: a picture is damaged' in str(error)
            lost += 1
    assert len(frames_of(read_media(path))) == 60 - lost
    assert bool(lost) == bool(counters.snapshot()) and (lost or kind in ('mkv', 'webm'))


def test_a_file_that_ends_early_is_counted(tmp_path):
    path = write(tmp_path / 'a.mkv', audio_codec='flac', video=False, seconds=2.0)
    data = bytearray(path.read_bytes())
    third = len(data) // 3
    data[third:third + 600] = bytes(600)  # packets and the structure between them
    path.write_bytes(data)
    counters = Counters()
    list(read_media(path, counters=counters))
    assert counters.get('media', 'ended_early') == 1
    assert 'of the 2.0 s that it declares' in counters.details()['media.ended_early']


def test_samples_that_are_not_finite_are_skipped_and_counted(tmp_path):
    path = tmp_path / 'a.wav'
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('pcm_f32le', rate=RATE_HZ, layout='mono')
        for frame in sounds(1.0, 0, 'flt', ()):
            if frame.pts == 4800:
                frame = av.AudioFrame.from_ndarray(
                    np.full((1, 1600), np.nan, np.float32), 'flt', 'mono')
                frame.sample_rate, frame.pts = RATE_HZ, 4800
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    counters = Counters()
    assert np.isfinite(heard(read_media(path, counters=counters))).all()
    assert counters.get('media', 'not_finite') >= 1


def test_sound_of_a_rate_that_no_chunk_has_is_skipped_and_pictures_go_on(tmp_path):
    """Its InputError had no name between the processes, and came out as a KeyError."""
    path, counters = tmp_path / 'a.avi', Counters()
    with av.open(str(path), 'w') as container:
        video = container.add_stream('mpeg4', rate=FPS)
        video.width, video.height, video.pix_fmt = 64, 48, 'yuv420p'
        audio = container.add_stream('pcm_s16le', rate=500, layout='mono')
        for frame in pictures(1.0, 0):
            container.mux(video.encode(frame))
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 500), np.int16), 's16', 'mono')
        sound.sample_rate, sound.pts = 500, 0
        for stream, frame in ((video, None), (audio, sound), (audio, None)):
            container.mux(stream.encode(frame))
    records = [*read_media(path, counters=counters)]
    assert len(records) == FPS and all(isinstance(one, Frame) for one in records)
    assert counters.get('media', 'bad_rate') >= 1


def test_a_truncated_file_gives_what_is_left(tmp_path):
    path = write(tmp_path / 'a.mkv', seconds=2.0)
    path.write_bytes(path.read_bytes()[:path.stat().st_size // 2])
    length_s = len(heard(read_media(path))) / RATE_HZ
    assert 0.5 < length_s < 1.5


@pytest.mark.parametrize(('name', 'content', 'message'), [
    ('none.mp4', None, r'none\.mp4: no such file; allowed is what FFmpeg reads'),
    ('empty.mp4', b'', r'empty\.mp4: cannot be read as a media file \(Invalid data'),
    ('noise.mp4', bytes(range(256)) * 8, r'noise\.mp4: (cannot be read|has neither)'),
    ('words.txt', b'not a film\n' * 60, r'words\.txt: has neither video nor sound'),
    ('a:b.bin', b'not a film\n' * 60, r'a:b\.bin: (cannot be read|has neither)'),
], ids=['missing', 'empty', 'noise', 'text', 'colon'])
def test_what_is_no_media_file_is_refused(tmp_path, name, content, message):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ResourceError, match=message):
        read_media(path)


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(ResourceError, match='is no file'):
        probe(tmp_path)


def test_a_file_without_what_is_asked_for_is_refused(tmp_path):
    path = write(tmp_path / 'a.wav', video=False)
    with pytest.raises(ResourceError, match=r'a\.wav: has no video, and nothing else'):
        read_media(path, audio=False)
    path = write(tmp_path / 'a.mkv', audio=False)
    with pytest.raises(ResourceError, match=r'a\.mkv: has no sound, and nothing else'):
        read_media(path, video=False)


def test_a_file_of_which_nothing_decodes_is_refused_and_ends_a_loop(tmp_path):
    path = write(tmp_path / 'a.mkv', audio=False, seconds=0.2)
    data = bytearray(path.read_bytes())
    for index in range(len(data) - 4):
        if data[index:index + 4] == b'\0\0\1\xb6':  # each MPEG-4 picture's start code
            data[index:index + 4] = b'\0\0\1\xb0'
    path.write_bytes(data)
    with pytest.raises(ResourceError, match='no picture or sound with a time could be decoded'):
        list(itertools.islice(read_media(path, loop=0), 1000))


def test_a_negative_loop_is_refused(tmp_path):
    with pytest.raises(SettingsError, match=r'loop: -1 is not an integer of at least 0'):
        read_media(write(tmp_path / 'a.mkv', seconds=0.2), loop=-1)


@pytest.mark.parametrize(('rate_hz', 'layout'), [(44_100, 'stereo'), (48_000, 'stereo'),
                                                 (8_000, 'mono')])
def test_rate_and_channels_are_the_files_own(tmp_path, rate_hz, layout):
    path, channels = tmp_path / 'a.mkv', {'mono': 1, 'stereo': 2}[layout]
    times = np.arange(rate_hz) / rate_hz
    samples = np.stack([0.1 * (1 + channel) * np.sin(2 * np.pi * 440 * times)
                        for channel in range(channels)]).astype(np.float32)
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('pcm_f32le', rate=rate_hz, layout=layout)
        frame = av.AudioFrame.from_ndarray(samples.T.reshape(1, -1), 'flt', layout)
        frame.sample_rate, frame.pts = rate_hz, 0
        container.mux([*stream.encode(frame), *stream.encode(None)])
    chunks = chunks_of(read_media(path))
    assert {chunk.sample_rate_hz for chunk in chunks} == {rate_hz}
    assert chunks[-1].end_ns == pytest.approx(NS, abs=1000)
    assert np.array_equal(heard(chunks), samples.T)


@pytest.mark.parametrize(('name', 'frames', 'rate_hz', 'seconds'), [
    ('talking_head_0.mp4', 200, 16_000, 8.0), ('changing_face.mp4', 472, 48_000, 19.69),
    ('single_face.mp4', 72, 44_100, 2.42), ('no_face.mp4', 95, 44_100, 3.96)])
def test_real_clips(shared_data, name, frames, rate_hz, seconds):
    records = list(read_media(shared_data / 'clips' / name))
    chunks = chunks_of(records)
    assert len(frames_of(records)) == frames
    assert {chunk.sample_rate_hz for chunk in chunks} == {rate_hz}
    assert {chunk.samples.shape[1] for chunk in chunks} == {2}
    assert chunks[-1].end_ns / NS == pytest.approx(seconds, abs=0.01)
