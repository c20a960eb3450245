import numpy as np
import pytest
import torch

from maven_ros.records import SAMPLE_RATE_HZ
from maven_ros.rules import Grid
from maven_ros.training.compact.face_augmentation import FaceAugmentation
from maven_ros.training.compact.noise import noise_pictures, noise_texts, noise_waveforms
from maven_ros.training.compact.pieces import (
    LENGTH_NS,
    SAMPLES,
    FacePieces,
    TextPieces,
    VoicePieces,
    loudest,
    speak,
    words_of,
)
from maven_ros.training.compact.voice_augmentation import VoiceAugmentation

GRID = Grid(20, 0.1)
RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, (6, 48, 48), dtype=np.uint8)
CLIPS = [(np.sin(np.arange(length) / 20) * 0.3).astype(np.float32)
         for length in (20_000, 50_000, 60_000)]


def faces(images=IMAGES):
    return FacePieces(images, FaceAugmentation(), GRID.slots)


def voices(gaps=0.5, clips=CLIPS):
    return VoicePieces(clips, VoiceAugmentation(), gaps)


def texts(last='yes'):
    return TextPieces(['one two, three !! four five six seven', last], whole=0.3, missed=0.2)


@pytest.mark.parametrize('pieces', [faces(), voices(), texts()])
def test_the_same_seed_renders_the_same_evidence(pieces):
    indices = np.arange(len(pieces))
    one, same, other = (pieces.render(indices, 3, seed) for seed in (1, 1, 2))

    def content(rendered):
        return [([face.crop.tobytes() for face in piece.faces], piece.waveform.tobytes(),
                 piece.heard.tobytes(), piece.words) for own in rendered for piece in own]

    assert content(one) == content(same) != content(other)


def test_as_many_pieces_of_which_one_is_another_have_another_digest():
    images, clips = IMAGES.copy(), [clip.copy() for clip in CLIPS]
    images[3, 20, 20] ^= 1
    clips[1][100] += 0.01
    for own, same, other in ((faces(), faces(IMAGES.copy()), faces(images)),
                             (voices(), voices(clips=[*CLIPS]), voices(clips=clips)),
                             (texts(), texts('yes'), texts('no'))):
        assert own.digest == same.digest != other.digest and len(own) == len(other)


def test_versions_of_a_face_stand_in_slots_of_one_window():
    (window,), = faces().render(np.array([2]), 4, 0)
    assert [face.stamp_ns for face in window.faces] == [0, 10**8, 2 * 10**8, 3 * 10**8]
    plain, *changed = [face.crop for face in window.faces]
    assert (plain == IMAGES[2][:, :, None]).all()
    assert all(crop.shape == (48, 48, 3) and not np.array_equal(crop, plain) for crop in changed)


def test_voices_fill_the_window_and_what_was_not_heard_is_silent():
    rendered = voices(gaps=1.0).render(np.array([0, 1]), 5, 0)
    for plain, *changed in rendered:
        assert plain.heard.all()
        for piece in changed:
            assert piece.waveform.shape == piece.heard.shape == (SAMPLES,)
            assert piece.waveform.dtype == np.float32
            assert 0.2 < piece.heard.mean() < 1
            assert not piece.waveform[~piece.heard].any()


def test_the_loudest_two_seconds_are_found():
    clip = np.zeros(5 * SAMPLE_RATE_HZ, np.float32)
    clip[2 * SAMPLE_RATE_HZ:4 * SAMPLE_RATE_HZ] = 0.5
    assert loudest(clip) == pytest.approx(2 * SAMPLE_RATE_HZ, abs=2)
    assert loudest(clip[:SAMPLE_RATE_HZ]) == -SAMPLE_RATE_HZ // 2  # a short one in the middle


def test_the_plain_text_is_the_whole_sentence_from_edge_to_edge():
    (plain, *parts), _ = texts().render(np.array([0, 1]), 30, 0)
    assert [word.text for word in plain.words] == [
        'one', 'two,', 'three', 'four', 'five', 'six', 'seven']
    assert (plain.words[0].start_ns, plain.words[-1].end_ns) == (0, LENGTH_NS)
    assert len({len(part.words) for part in parts}) >= 4
    for part in parts:
        assert part.words
        for word, after in zip(part.words, part.words[1:], strict=False):
            assert 0 <= word.start_ns < word.end_ns == after.start_ns <= LENGTH_NS


def test_a_text_without_words_is_a_window_without_words():
    assert words_of('!! -- ?') == []
    assert speak([], 0.0, 2.0).words == ()


def test_noise_has_the_form_of_evidence():
    pictures = noise_pictures(IMAGES, 9, np.random.default_rng(0))
    assert pictures.shape == (9, 48, 48) and pictures.dtype == np.uint8
    assert len({picture.tobytes() for picture in pictures}) == 9
    sounds = noise_waveforms(CLIPS, 9, np.random.default_rng(0))
    assert all(sound.shape == (SAMPLES,) and 0.01 < np.abs(sound).max() <= 0.5
               for sound in sounds)
    some = noise_texts(['a b c', 'd e'], 5, np.random.default_rng(0))
    assert all(set(text.split()) <= set('abcde') for text in some)
    assert torch.isfinite(torch.from_numpy(np.stack(sounds))).all()
