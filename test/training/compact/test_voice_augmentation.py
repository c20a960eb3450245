import math
from dataclasses import replace

import pytest
import torch

from maven_ros.errors import SettingsError
from maven_ros.training.compact.voice_augmentation import (
    VoiceAugmentation,
    augment_waveforms,
    resample,
)

NONE = VoiceAugmentation(
    speed=0, gain_db=0, reverb=0, tilt_db=0, noise=0, telephone=0, mu_law=0, clipping=0)


def tones(*hz):
    times_s = torch.arange(16_000) / 16_000
    return torch.stack([0.1 * torch.sin(2 * math.pi * one * times_s) for one in hz])


def augmented(waveforms, seed=0, **settings):
    random = torch.Generator().manual_seed(seed)
    return augment_waveforms(waveforms, replace(NONE, **settings), random)


def level_db(waveforms):
    return 20 * waveforms.square().mean(1).sqrt().log10()


def test_nothing_asked_for_changes_nothing():
    sound = tones(200, 1000)
    torch.testing.assert_close(augmented(sound), sound, atol=1e-5, rtol=1e-4)


def test_all_at_once_is_finite_bounded_and_from_the_seed():
    always = VoiceAugmentation(reverb=1, noise=1, telephone=1, mu_law=1, clipping=1)
    sound = torch.cat([tones(300, 900), torch.zeros(1, 16_000)])
    first, again, other = (augment_waveforms(
        sound, always, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert first.shape == sound.shape
    assert first.isfinite().all()
    assert first.abs().max() <= 1
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_speed_moves_the_pitch_and_begins_where_it_is_told():
    ramp = torch.arange(100.0).repeat(3, 1)
    begin, rate = torch.tensor([10.0, 10, -2]), torch.tensor([1, 0.5, 1])
    out = resample(ramp, begin, rate, 4)
    assert out.tolist() == [[10, 11, 12, 13], [10, 10.5, 11, 11.5], [0, 0, 0, 1]]
    assert resample(ramp[:1], torch.tensor([98.0]), torch.ones(1), 4)[0].tolist() == [98, 99, 0, 0]


def test_gain_stays_in_its_range():
    sound = 0.01 * tones(500).repeat(40, 1)
    change = level_db(augmented(sound, gain_db=12)) - level_db(sound)
    assert change.abs().max() <= 12.01
    assert change.std() > 4


def test_noise_has_the_ratio_asked_for():
    sound = tones(1000).repeat(20, 1)
    # The level is set back, so that voice and noise together are as loud as the voice was.
    noisy = augmented(sound, noise=1, noise_db=(10, 10))
    voice = (noisy * sound).sum(1) / sound.square().sum(1)
    rest = noisy - voice[:, None] * sound
    ratio_db = level_db(voice[:, None] * sound) - level_db(rest)
    assert ratio_db.mean() == pytest.approx(10, abs=1.5)


def test_a_telephone_has_no_bass():
    bass = augmented(tones(60) + tones(1000), telephone=1)
    spectrum = torch.fft.rfft(bass[0]).abs()
    assert spectrum[60] < 0.1 * spectrum[1000]


def test_an_overload_flattens():
    crest = augmented(tones(200), clipping=1)
    assert crest.abs().amax() < 0.1 * 0.99  # of the same level, so lower
    assert (crest.abs() > 0.999 * crest.abs().amax()).float().mean() > 0.2


def test_a_room_rings_on():
    click = torch.zeros(1, 16_000)
    click[0, 1000] = 0.5
    tail = augmented(click, reverb=1)[0, 1048:].square().sum()
    assert tail > 0.01 * 0.25
    assert augmented(click, reverb=1)[0, :999].abs().max() < 1e-4


@pytest.mark.parametrize(('settings', 'message'), [
    ({'noise': 1.5}, r'noise: 1\.5 is not float in \[0, 1\]'),
    ({'reverb_s': 0.0}, r'reverb_s: 0\.0 is not float of at least 0\.1'),
    ({'noise_db': (20.0, 10.0)}, r'noise_db: \(20\.0, 10\.0\) is not 2 rising floats')])
def test_what_cannot_be_is_refused(settings, message):
    with pytest.raises(SettingsError, match=message):
        VoiceAugmentation(**settings)
