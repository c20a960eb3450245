import json

import numpy as np
import pytest
import torch

from maven_ros.errors import SettingsError
from maven_ros.model.configuration import MavenConfig
from maven_ros.model.encoders import VoiceEncoder
from maven_ros.training.compact.stages import ENCODER, TASK_HEAD, StageContext, load_stage
from maven_ros.training.compact.voice_stage import (
    EMOTIONS,
    POINTS,
    VoiceHead,
    VoiceModel,
    VoiceSettings,
    VoiceTask,
    disturbances,
    predict,
    score,
    spoken,
    train_voice,
)
from maven_ros.training.corpus import Examples
from maven_ros.training.loop import LoopSettings

CONFIG = MavenConfig(voice_width=16, voice_channels=(4, 8))
LOOP = LoopSettings(epochs=2, batch_size=4, learning_rate=0.01)
SETTINGS = VoiceSettings(LOOP, repeats=2, length_s=(0.3, 0.5), mixup=0.3)


def clips(count=8):
    """Hums, higher and louder by emotion."""
    times_s = np.arange(8_000) / 16_000
    emotions = np.arange(count) % len(EMOTIONS)
    waveforms = tuple(
        (0.02 * (1 + one) * np.sin(2 * np.pi * 150 * (1 + one) * times_s)).astype(np.float32)
        for one in emotions)
    return Examples(waveforms, POINTS[emotions], emotions=EMOTIONS,
                    shares=np.eye(len(EMOTIONS), dtype=np.float32)[emotions])


class Hums:
    """Stands where the corpora of a recipe do."""

    def train_and_valid(self, modality):
        return clips(), clips()


def model():
    torch.manual_seed(0)
    return VoiceModel(VoiceEncoder(CONFIG), VoiceHead(16)).eval()


def test_words_are_between_silences():
    sound = np.zeros(16_000, np.float32)
    sound[4_800:8_000] = 0.5
    assert spoken(sound, 0) == (4_800, 8_000)
    assert spoken(sound, 800) == (4_000, 8_800)
    assert spoken(sound, 16_000) == (0, 16_000)
    assert spoken(np.zeros(500, np.float32), 0) == (0, 480)  # silence throughout
    assert spoken(np.zeros(100, np.float32), 0) == (0, 100)


def test_points_are_the_expectation_over_emotions():
    head = VoiceHead(16).eval()
    with torch.no_grad():
        head.emotions.weight.zero_()
        head.emotions.bias.copy_(torch.tensor([-1e4] * 2 + [0.0] * 2 + [-1e4] * 4))  # happy, sad
    reading = head(torch.randn(1, 5, 16), torch.ones(1, 5, dtype=torch.bool))
    assert reading.points[0].tolist() == pytest.approx(
        [(0.81 - 0.63) / 2, (0.51 - 0.27) / 2], abs=1e-6)


def test_what_is_masked_is_not_pooled():
    head = VoiceHead(16).eval()
    vectors, mask = torch.randn(1, 5, 16), torch.tensor([[True, True, True, False, False]])
    torch.testing.assert_close(
        head(vectors, mask).logits, head(vectors[:, :3], mask[:, :3]).logits)


def test_batches_are_whole_finite_and_from_the_seed():
    task = VoiceTask(SETTINGS, clips(), clips(), model(), torch.device('cpu'))
    assert task.steps == 4

    def batches(seed):
        return list(task.batches(0, torch.Generator().manual_seed(seed)))

    first, again, other = batches(1), batches(1), batches(2)
    assert len(first) == 4
    assert not torch.equal(first[0][0], first[2][0])  # other parts are blanked
    for mel, mask, labels in first:
        assert mel.shape == (4, mask.shape[1], 64)
        assert 0.3 <= mask.shape[1] / 100 + 0.02 <= 0.51
        assert mel.isfinite().all()
        assert mask.all()
        assert not labels[:, 8:].any()
        assert labels.sum(1).tolist() == pytest.approx([1] * 4)
    assert all(torch.equal(one, two) for one, two in zip(first[1], again[1], strict=True))
    assert not torch.equal(first[0][2], other[0][2])


def test_a_clip_is_read_by_itself():
    network, some = model(), clips(3)
    together = predict(network, some.evidence)
    alone = predict(network, some.evidence[1:2])
    torch.testing.assert_close(together.points[1:2], alone.points)
    assert set(score(network, some)) == {'accuracy', 'ccc_valence', 'ccc_arousal'}


def test_disturbances_are_what_their_names_say():
    times_s = torch.arange(16_000) / 16_000
    low, middle = (torch.sin(2 * torch.pi * hz * times_s)[None] / 4 for hz in (100, 1000))
    change = disturbances(0)
    noise = change['noise_10_db'](middle) - middle
    assert 10 * torch.log10(middle.square().mean() / noise.square().mean()) == pytest.approx(
        10, abs=0.2)
    torch.testing.assert_close(change['telephone'](low + middle), middle, atol=1e-4, rtol=1e-3)
    speech = torch.randn(1, 16_000) / 10
    clipped = change['clipping'](speech)
    assert (clipped.abs() == clipped.abs().max()).float().mean() == pytest.approx(0.03, abs=1e-3)
    torch.testing.assert_close(change['louder_10_db'](middle), (middle * 10 ** 0.5).clamp(-1, 1))


def test_the_stage_leaves_its_files(tmp_path):
    context = StageContext(Hums(), tmp_path / 'out', CONFIG)
    train_voice(SETTINGS, context)
    folder = tmp_path / 'out/voice'
    trained = model()
    load_stage(folder, ENCODER, trained.encoder)
    load_stage(folder, TASK_HEAD, trained.head)
    metrics = json.loads((folder / 'metrics.json').read_text())
    assert metrics['valid'] == pytest.approx(score(trained, clips()), abs=1e-5)
    assert set(metrics) == {'valid', *(f'valid, {name}' for name in disturbances(0))}
    assert (folder / 'curves.png').stat().st_size > 0


@pytest.mark.parametrize(('settings', 'message'), [
    ({'length_s': (2.0, 1.0)}, r'length_s: \(2\.0, 1\.0\) is not 2 rising floats of at'),
    ({'repeats': 0}, 'repeats: 0 is not int of at least 1'),
    ({'mixup': -1.0}, r'mixup: -1\.0 is not float of at least 0')])
def test_settings_that_cannot_be_are_refused(settings, message):
    with pytest.raises(SettingsError, match=message):
        VoiceSettings(LOOP, **settings)
