import numpy as np
import pytest
import tiny_whisper
import torch
from tiny_tokenizer import tokenizer
from transformers import WhisperConfig, WhisperFeatureExtractor
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from maven_ros.errors import SettingsError
from maven_ros.model import checkpoint
from maven_ros.model.backbone_configuration import Backbone
from maven_ros.model.configuration import MavenConfig
from maven_ros.model.maven import MavenModel
from maven_ros.model.whisper_voice import WhisperVoice


def encoder(**how):
    torch.manual_seed(0)
    return WhisperVoice(Backbone.parse('audio', tiny_whisper.voice(**how))).eval()


def speech(seconds=2.0, seed=0):
    random = torch.Generator().manual_seed(seed)
    count = round(16_000 * seconds)
    envelope = 1 + torch.sin(torch.arange(count) / 16_000 * 25)
    return (0.05 * envelope * torch.randn(count, generator=random))[None]


def everything(sound):
    return torch.ones(sound.shape, dtype=torch.bool)


def test_there_is_a_vector_for_each_slot_of_a_tenth_of_a_second():
    voice, sound = encoder(), speech(2.0)
    vectors, mask = voice(sound, everything(sound))
    assert vectors.shape == (1, 20, 8) and mask.all()
    assert voice.step_s == pytest.approx(0.1) and voice.first_s == pytest.approx(0.0525)
    short = speech(2 * voice.first_s)
    assert voice(short, everything(short))[0].shape[1] == 1


def test_the_spectrogram_is_whispers_own_at_one_level():
    voice, sound = encoder(), speech()
    mel, _ = voice.whisper.log_mel(sound, everything(sound))
    theirs = WhisperFeatureExtractor(chunk_length=2)(
        sound[0].numpy(), sampling_rate=16_000, return_tensors='pt').input_features[0].T
    # Theirs pads before the sound, so that ours begins a frame and a quarter later.
    shift = (theirs[2:150].mean() - mel[0, 1:149].mean())
    assert torch.corrcoef(torch.stack([theirs[2:150].flatten(), mel[0, 1:149].flatten()])
                          )[0, 1] > 0.9
    assert abs(shift) < 0.5
    louder, _ = voice.whisper.log_mel(10 * sound, everything(sound))
    torch.testing.assert_close(louder, mel, atol=1e-4, rtol=1e-4)


def test_layers_are_those_of_transformers():
    voice, sound = encoder(layers=(1, 2)), speech(1.2)  # 118 frames
    mel, _ = voice.whisper.log_mel(sound, everything(sound))
    config = WhisperConfig(**{**tiny_whisper.voice()['config'], 'max_source_positions': 59})
    theirs = WhisperEncoder(config).eval()
    own = voice.whisper.state_dict()
    own['embed_positions.weight'] = own['embed_positions.weight'][:59]
    theirs.load_state_dict(own)
    found = theirs(mel.transpose(1, 2), output_hidden_states=True).hidden_states
    hidden, _ = voice.whisper(sound, everything(sound))
    torch.testing.assert_close(hidden[0, 0, 0], found[1][0, :5].mean(0), atol=1e-5, rtol=1e-4)


def test_what_did_not_arrive_changes_nothing():
    voice, sound = encoder(), speech()
    heard = everything(sound)
    heard[:, 8_000:16_000] = False
    vectors, mask = voice(sound, heard)
    assert not mask.all() and (vectors[~mask] == 0).all()
    other, _ = voice(torch.where(heard, sound, torch.nan), heard)
    assert torch.equal(other, vectors)
    nothing, mask = voice(sound, torch.zeros_like(heard))
    assert not mask.any() and (nothing == 0).all()


def test_a_sound_is_encoded_by_itself():
    voice = encoder()
    both = torch.cat([speech(seed=1), 3 * speech(seed=2)])
    together, _ = voice(both, everything(both))
    alone, _ = voice(both[1:], everything(both[1:]))
    torch.testing.assert_close(together[1:], alone, atol=1e-5, rtol=1e-4)


def test_sound_beyond_the_last_position_is_encoded():
    voice, sound = encoder(), speech(3.0)  # 150 vectors of Whisper for 60 positions
    vectors, mask = voice(sound, everything(sound))
    assert vectors.shape == (1, 30, 8) and vectors.isfinite().all() and mask.all()


def test_silence_is_finite():
    voice, sound = encoder(), torch.zeros(1, 16_000)
    assert voice(sound, everything(sound))[0].isfinite().all()


def test_a_network_has_it_and_keeps_it(tmp_path):
    config = MavenConfig(name='tiny', audio=tiny_whisper.voice())
    model = MavenModel.untrained(config, 0).eval()
    assert isinstance(model.voice_encoder, WhisperVoice) and model.voice_encoder.width == 8
    assert not any(one.requires_grad for one in model.voice_encoder.parameters())
    checkpoint.save(tmp_path, model, tokenizer())
    again, sound = checkpoint.load(tmp_path).model, speech()
    torch.testing.assert_close(  # Whisper's own weights have 8 bits in a file
        again.voice_encoder(sound, everything(sound))[0],
        model.voice_encoder(sound, everything(sound))[0], atol=0.01, rtol=0.01)


@pytest.mark.parametrize(('changes', 'message'), [
    ({'layers': [3]}, r'audio\.preparation\.layers: \[3\]; allowed: 1 to 2'),
    ({'layers': []}, r'audio\.preparation\.layers: \[\] is not a rising list of layers'),
    ({'layers': [2, 1]}, r'audio\.preparation\.layers: \[2, 1\] is not a rising list'),
    ({'width': 0}, r'audio\.preparation\.width: 0 is not a whole number from 1 to 65535'),
    ({'normalize': True}, r'audio\.preparation: unknown: normalize')])
def test_a_preparation_that_cannot_be_is_refused(changes, message):
    audio = tiny_whisper.voice()
    with pytest.raises(SettingsError, match=message):
        WhisperVoice(Backbone.parse('audio', {
            **audio, 'preparation': {**audio['preparation'], **changes}}))


@pytest.mark.parametrize(('name', 'value', 'message'), [
    ('encoder_attention_heads', 7, r'audio\.config: cannot be built: ValueError'),
    # Filters for so many took all memory, and the process was killed.
    ('num_mel_bins', 2**31 - 1, r'audio\.config\.num_mel_bins: 2147483647; allowed: 1 to 201'),
    ('num_mel_bins', 0, r'audio\.config\.num_mel_bins: 0; allowed: 1 to 201')])
def test_sizes_that_cannot_be_are_refused(name, value, message):
    audio = tiny_whisper.voice()
    audio['config'][name] = value
    with pytest.raises(SettingsError, match=message):
        WhisperVoice(Backbone.parse('audio', audio))


def test_mel_filters_are_a_sum_of_one_per_hertz():
    filters = encoder().whisper.filters.numpy()  # Slaney's norm: area 1 for each band
    areas = filters.sum(0) * 40
    assert np.median(areas) == pytest.approx(1, abs=0.1)
