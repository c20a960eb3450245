"""What a prepared person sounds like and says, window by window."""

import os

import cv2
import numpy as np
import pytest

from maven_ros.counters import Counters
from maven_ros.records import NS, SAMPLE_RATE_HZ, Word
from maven_ros.training.affwild2.babble import babble
from maven_ros.training.people.evidence import RecordedVideo, _read_crop, evidence_in
from maven_ros.training.people.feature_spec import Windowing
from maven_ros.training.people.prepared import Frames, RecordedPerson
from maven_ros.training.people.recorded_sound import write_flac, write_words

PERSON = RecordedPerson('clip', 'clip', 'train', 100, 4.0, 'clip.flac', 0, 'clip.json', '')
NO_FRAMES = Frames(np.zeros(0, np.int64), np.zeros((0, 2), np.float32), [])
STARTS_S, ENDS_S = 1.5, 1.9  # of the one word, on the file's clock


@pytest.fixture
def folder(tmp_path):
    """Silence but for a babble, and a word where it is."""
    voice = babble(ENDS_S - STARTS_S, 150.0, 2.6, 0.0, np.random.default_rng(0))
    sound = np.zeros(4 * SAMPLE_RATE_HZ, np.float32)
    first = round(STARTS_S * SAMPLE_RATE_HZ)
    sound[first:first + len(voice)] = voice
    write_flac(tmp_path / 'clip.flac', sound)
    write_words(tmp_path / 'clip.json', [
        Word('well', round(STARTS_S * NS), round(ENDS_S * NS), 1.0)])
    return tmp_path


@pytest.mark.parametrize('offset_ms', [0.0, 250.0, -250.0])
def test_words_move_with_the_sound_that_they_are_heard_in(folder, offset_ms):
    windowing = Windowing(1.5, 0.5, 10.0, offset_ms, 0.5, 0.0, 0.1, 0.05, 0.5)
    video = RecordedVideo(folder, [PERSON], {'clip': NO_FRAMES}, 48, ('en',))
    pieces = [whose['clip'] for whose in evidence_in(video, windowing, Counters())]
    heard = {window: piece.waveform for window, piece in enumerate(pieces) if len(piece.waveform)}
    said = {window: piece.words for window, piece in enumerate(pieces) if piece.words}
    starts_s = {window: windowing.start_ns(window) / NS for window in range(8)}
    assert list(said) == [window for window, start_s in starts_s.items()
                          if start_s <= STARTS_S + offset_ms / 1000
                          and ENDS_S + offset_ms / 1000 <= start_s + 1.5]
    for window, (word,) in said.items():
        loud_s = np.flatnonzero(np.abs(heard[window]) > 0.2) / SAMPLE_RATE_HZ
        assert [word.start_ns / NS, word.end_ns / NS] == pytest.approx(
            [starts_s[window] + loud_s[0], starts_s[window] + loud_s[-1]], abs=0.01)


def test_a_crop_in_a_folder_whose_name_is_no_text_is_read(tmp_path):
    path = tmp_path / os.fsdecode(b'lat\xe9in')
    cv2.imwrite(str(tmp_path / 'a.png'), np.full((8, 8, 3), 7, np.uint8))
    (tmp_path / 'a.png').rename(path)
    assert (_read_crop(path, 8) == 7).all() and _read_crop(path, 4).shape == (4, 4, 3)
    path.write_bytes(b'')
    assert _read_crop(path, 8) is None and _read_crop(tmp_path / 'none', 8) is None
