import math

import numpy as np
import pytest
import torch

from maven_ros.model.configuration import MavenConfig
from maven_ros.model.encoders import (
    FaceEncoder,
    TextEncoder,
    VoiceEncoder,
    folded,
    grey,
    mel_bands,
)


@pytest.mark.parametrize('scale', [255, 1.0])
def test_grey_is_bt601_of_bgr(scale):
    """Blue, green, red and white; as bytes, and as floats."""
    pixels = torch.tensor([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1]]) * scale
    crops = (pixels.to(torch.uint8) if scale == 255 else pixels).T.reshape(1, 3, 2, 2)
    shades = grey(crops)
    assert shades.shape == (1, 1, 2, 2)
    assert shades.dtype == torch.float32
    assert shades.flatten().tolist() == pytest.approx([0.114, 0.587, 0.299, 1.0])


def test_mel_bands_by_hand():
    # One band from 0 to 8000 Hz; half of that in mel is 700 (sqrt(1 + 8000 / 700) - 1) Hz.
    band = mel_bands(1, 0, 8000)[:, 0]
    assert band.shape == (257,)
    peak_hz = 1767.7925
    assert band[32] == pytest.approx(1000 / peak_hz, rel=1e-5)
    assert band[128] == pytest.approx((8000 - 4000) / (8000 - peak_hz), rel=1e-5)
    assert (band[0], band[256]) == pytest.approx((0, 0), abs=1e-9)


def test_every_mel_band_hears_something():
    bands = mel_bands(64, 50, 8000)
    assert (bands.max(0) > 0.2).all()
    assert bands.max() <= 1
    assert (np.diff(bands.argmax(0)) >= 0).all()


@pytest.fixture
def voice():
    torch.manual_seed(0)
    return VoiceEncoder(MavenConfig()).eval()


def test_log_mel_of_a_tone_by_hand(voice):
    # At 1000 Hz, bin 32 exactly, |X| is amplitude / 2 times the sum of the taper, which is 200.
    times_s = torch.arange(16_000) / 16_000
    tone = 0.5 * torch.sin(2 * math.pi * 1000 * times_s)[None]
    mel, mask = voice.log_mel(tone, torch.ones(1, 16_000, dtype=torch.bool))
    assert mel.shape == (1, 98, 64)
    assert mask.all()
    power = torch.fft.rfft(tone[0, :400] * voice.taper, 512).abs() ** 2
    assert power[32] == pytest.approx((0.5 / 2 * 200) ** 2, rel=1e-3)
    gain = 10 ** -2.3 / (0.5 ** 2 / 2)  # to -23 dB, from the mean square of the tone
    by_hand = np.log(mel_bands(64, 50, 8000).T @ power.numpy() * gain + 1e-6)
    assert (mel[0, 0] * 4 - 3).numpy() == pytest.approx(by_hand, abs=1e-3)
    loudest = mel_bands(64, 50, 8000)[32].argmax()
    assert mel[0, 50].argmax() == loudest


def test_the_level_of_a_voice_changes_nothing(voice):
    sound = 0.1 * torch.randn(1, 16_000) * (torch.arange(16_000) > 6_000)
    heard = torch.ones(1, 16_000, dtype=torch.bool)
    torch.testing.assert_close(
        voice(sound * 10, heard)[0], voice(sound, heard)[0], atol=1e-3, rtol=1e-3)


def test_a_vector_of_a_voice_also_tells_of_the_rest_of_the_window(voice):
    sound, heard = torch.randn(1, 16_000), torch.ones(1, 16_000, dtype=torch.bool)
    other = sound.clone()
    other[:, 8_000:] = torch.sin(torch.arange(8_000) / 8)
    first, second = voice(sound, heard)[0], voice(other, heard)[0]
    assert not torch.allclose(first[:, 0], second[:, 0], atol=1e-2)


def test_silence_is_the_floor_of_the_log(voice):
    mel, _ = voice.log_mel(torch.zeros(1, 800), torch.ones(1, 800, dtype=torch.bool))
    assert mel.numpy() == pytest.approx((math.log(1e-6) + 3) / 4)


def test_a_frame_with_an_unheard_sample_is_masked(voice):
    heard = torch.ones(1, 1200, dtype=torch.bool)
    heard[0, 500] = False  # frames from 0, 160, ..., 800: those from 160 to 480 hold it
    mel, mask = voice.log_mel(torch.full((1, 1200), torch.nan), heard)
    assert mask[0].tolist() == [True, False, False, False, True, True]
    assert (mel[0, 1:4] == 0).all()


def test_voice_gives_25_vectors_a_second(voice):
    values, mask = voice(torch.randn(1, 32_000), torch.ones(1, 32_000, dtype=torch.bool))
    assert values.shape == (1, 50, 96)
    assert mask.all()


def test_a_vector_counts_if_the_frame_at_its_time_does(voice):
    heard = torch.ones(1, 16_000, dtype=torch.bool)
    heard[0, 4 * 160 * 5] = False  # in the frames from 2800 to 3200, 3200 being the sixth vector's
    _, mask = voice(torch.randn(1, 16_000), heard)
    assert (~mask[0]).nonzero().flatten().tolist() == [5]


@pytest.mark.parametrize('rubbish', [0.5, torch.nan])
def test_what_was_not_heard_changes_nothing(voice, rubbish):
    heard = torch.ones(1, 16_000, dtype=torch.bool)
    heard[0, 6_000:9_000] = False
    sound = torch.randn(1, 16_000)
    other = torch.where(heard, sound, rubbish)
    torch.testing.assert_close(voice(other, heard), voice(sound, heard))


def test_padded_sound_equals_unpadded(voice):
    sound = torch.randn(1, 9_999)
    alone, _ = voice(sound, torch.ones(1, 9_999, dtype=torch.bool))
    padded = torch.cat([sound, torch.full((1, 4_001), torch.nan)], 1)
    values, mask = voice(padded, torch.arange(14_000)[None] < 9_999)
    torch.testing.assert_close(values[:, :alone.shape[1]], alone, atol=1e-5, rtol=1e-5)
    assert not mask[:, alone.shape[1]:].any()
    assert (values[:, alone.shape[1]:] == 0).all()


def test_padded_text_equals_unpadded():
    torch.manual_seed(0)
    text = TextEncoder(MavenConfig()).eval()
    tokens = torch.tensor([[5, 6, 7]])
    alone = text(tokens, torch.ones(1, 3, dtype=torch.bool))
    padded = text(torch.tensor([[5, 6, 7, 9, 9]]), torch.tensor([[True] * 3 + [False] * 2]))
    torch.testing.assert_close(padded[:, :3], alone, atol=1e-5, rtol=1e-5)
    assert text(tokens, torch.zeros(1, 3, dtype=torch.bool)).isfinite().all()


def test_order_of_words_matters():
    torch.manual_seed(0)
    text = TextEncoder(MavenConfig()).eval()
    mask = torch.ones(1, 2, dtype=torch.bool)
    there, back = text(torch.tensor([[5, 6]]), mask), text(torch.tensor([[6, 5]]), mask)
    assert not torch.allclose(there, back.flip(1), atol=1e-3)


def test_faces_are_encoded_each_by_itself_and_dim_light_changes_nothing():
    torch.manual_seed(0)
    face = FaceEncoder(MavenConfig()).eval()
    crops = torch.rand(3, 3, 48, 48)
    together = face(crops)
    assert together.shape == (3, face.width)
    torch.testing.assert_close(face(crops[1:2]), together[1:2], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(face(crops * 0.3 + 0.1), together, atol=1e-3, rtol=1e-3)
    assert face(torch.zeros(1, 3, 48, 48)).isfinite().all()


@torch.no_grad()
@pytest.mark.parametrize(('make', 'inputs'), [
    (FaceEncoder, (torch.rand(16, 3, 32, 32),)),
    (VoiceEncoder, (torch.randn(16, 8_000), torch.arange(8_000).repeat(16, 1) < 7_000))])
def test_normalisation_folds_into_the_convolutions(make, inputs):
    torch.manual_seed(0)
    config = MavenConfig(face_channels=(8, 16, 24), voice_channels=(4, 8, 12))
    encoder = make(config, normed=True).train()
    for norm in encoder.modules():
        if isinstance(norm, torch.nn.BatchNorm2d):
            norm.weight.uniform_(0.5, 2)
            norm.bias.normal_()
    encoder(*inputs)  # gives the norms their statistics
    without = folded(encoder)
    torch.testing.assert_close(without(*inputs), encoder.eval()(*inputs), atol=2e-5, rtol=1e-5)
    plain = make(config)
    plain.load_state_dict(without.state_dict())
    torch.testing.assert_close(plain(*inputs), without(*inputs))
