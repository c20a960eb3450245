"""Pictures and sound as players show and play them, whatever the container declares."""

import struct
from fractions import Fraction

import av
import numpy as np
import pytest
from av.stream import Disposition
from inputs import cases

from maven_ros.devices.media import probe, read_media
from maven_ros.errors import SettingsError
from maven_ros.records import AudioChunk, Frame

ONE = 1 << 16
RED, GREEN, BLUE, WHITE = (0, 0, 255), (0, 255, 0), (255, 0, 0), (255, 255, 255)
NAMES = {RED: 'r', GREEN: 'g', BLUE: 'b', WHITE: 'w'}
#: What is shown of red|green over blue|white (top left first), by the matrix's a, b, c, d.
MATRICES = {
    'plain': ((1, 0, 0, 1), 'rg/bw'), 'hflip': ((-1, 0, 0, 1), 'gr/wb'),
    'vflip': ((1, 0, 0, -1), 'bw/rg'), 'half': ((-1, 0, 0, -1), 'wb/gr'),
    'clockwise': ((0, 1, -1, 0), 'br/wg'), 'counter': ((0, -1, 1, 0), 'gw/rb'),
    'transpose': ((0, 1, 1, 0), 'rb/gw'), 'transverse': ((0, -1, -1, 0), 'wg/br')}


def film(path, aspect=None, streams=1, sounds=(), size=(64, 48)):
    """Write a clip of four colours; each sound is a constant level, with dispositions."""
    pixels = np.zeros((size[1], size[0], 3), np.uint8)
    half_y, half_x = size[1] // 2, size[0] // 2
    pixels[:half_y, :half_x], pixels[:half_y, half_x:] = RED, GREEN
    pixels[half_y:, :half_x], pixels[half_y:, half_x:] = BLUE, WHITE
    with av.open(str(path), 'w') as container:
        videos = [container.add_stream('mpeg4', rate=10) for _ in range(streams)]
        for video in videos:
            video.width, video.height, video.pix_fmt = *size, 'yuv420p'
            video.codec_context.qmax = 2
            if aspect:
                video.codec_context.sample_aspect_ratio = aspect
        audios = [container.add_stream('pcm_s16le', rate=8000, layout='mono') for _ in sounds]
        for audio, (_, names) in zip(audios, sounds, strict=True):
            for name in names:
                audio.disposition |= Disposition[name]
        for index, video in enumerate(videos):
            frame = av.VideoFrame.from_ndarray(pixels // (index + 1), format='bgr24')
            container.mux([*video.encode(frame), *video.encode(None)])
        for audio, (level, _) in zip(audios, sounds, strict=True):
            frame = av.AudioFrame.from_ndarray(np.full((1, 800), level, np.int16), 's16', 'mono')
            frame.sample_rate = 8000
            container.mux([*audio.encode(frame), *audio.encode(None)])
    return path


def turn(path, matrix):
    data = bytearray(path.read_bytes())
    a, b, c, d = (ONE * one for one in matrix)
    # ISO/IEC 14496-12, 8.3.2, version 0
    struct.pack_into('>9i', data, data.index(b'tkhd') + 44, a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    return path


def shown(path):
    """Return the first picture, and the colours of its quarters."""
    pixels = next(one for one in read_media(path) if isinstance(one, Frame)).decode()
    height, width = pixels.shape[:2]
    rows = [''.join(nearest(pixels[y, x]) for x in (width // 4, width * 3 // 4))
            for y in (height // 4, height * 3 // 4)]
    return pixels, '/'.join(rows)


def nearest(pixel):
    return NAMES[min(NAMES, key=lambda colour: int(np.abs(pixel.astype(int) - colour).sum()))]


@pytest.mark.parametrize('case', [*MATRICES, *cases('mirrored_matrix/*.mp4')])
def test_pictures_are_mirrored_and_turned_as_declared(tmp_path, case):
    matrix, expected = MATRICES[getattr(case, 'stem', case)]
    path = turn(film(tmp_path / 'a.mp4'), matrix) if isinstance(case, str) else case
    pixels, colours = shown(path)
    assert colours == expected
    stored = probe(path)
    assert pixels.shape[:2] == ((stored.height, stored.width) if matrix[0]
                                else (stored.width, stored.height))
    assert pixels.flags.c_contiguous


@pytest.mark.parametrize('kind', ['mp4', 'mkv', 'avi'])
@pytest.mark.parametrize(('aspect', 'shape'), [
    (Fraction(64, 45), (48, 91, 3)), (Fraction(1, 2), (96, 64, 3)), (Fraction(1), (48, 64, 3)),
    (Fraction(100), (48, 64, 3))])
def test_pixels_that_are_not_square_are_made_so(tmp_path, kind, aspect, shape):
    path = film(tmp_path / f'a.{kind}', aspect)
    pixels, colours = shown(path)
    assert pixels.shape == shape and colours == 'rg/bw'
    assert (probe(path).width, probe(path).height) == (64, 48)  # as stored


def test_pixels_are_made_square_before_they_are_turned(tmp_path):
    path = turn(film(tmp_path / 'a.mp4', Fraction(2)), MATRICES['clockwise'][0])
    pixels, colours = shown(path)
    assert pixels.shape == (128, 48, 3) and colours == 'br/wg'


@pytest.mark.parametrize(('sounds', 'played'), [
    ([(100, ()), (200, ())], 100),
    ([(100, ()), (200, ('default',))], 200),
    ([(100, ('comment',)), (200, ())], 200),
    ([(100, ('visual_impaired',)), (200, ('default',))], 200),
    ([(100, ('dub',)), (200, ('original',))], 200),
    ([(100, ('comment',)), (200, ('descriptions', 'hearing_impaired'))], 100),
    ([(100, ('default',)), (200, ('default', 'forced'))], 100)])
def test_the_sound_is_the_one_that_players_choose(tmp_path, sounds, played, caplog):
    path = film(tmp_path / 'a.mkv', sounds=sounds)
    caplog.set_level('INFO')
    assert level(path) == played
    number = [one[0] for one in sounds].index(played) + 1
    assert 'a.mkv: audio streams: 1 (' in caplog.text
    assert f'; number {number} is played (--audio-stream chooses)' in caplog.text
    caplog.clear()
    assert [level(path, audio_stream=number) for number in (1, 2)] == [100, 200]
    assert not caplog.text


def level(path, **chosen):
    return round(next(one for one in read_media(path, **chosen) if isinstance(one, AudioChunk)
                      ).samples[0, 0] * 32768)


def test_a_stream_that_is_not_there_is_refused(tmp_path):
    path = film(tmp_path / 'a.mkv', streams=2, sounds=[(100, ())])
    with pytest.raises(SettingsError, match=(
            r'a\.mkv: audio stream: 2 is not there, or cannot be decoded; allowed: 1')):
        read_media(path, audio_stream=2)
    with pytest.raises(SettingsError, match=r'video stream: -1 is not .*; allowed: 1, 2'):
        probe(path, video_stream=-1)
    assert shown(path)[0].max() > 200
    assert next(read_media(path, video_stream=2, audio=False)).decode().max() < 150
