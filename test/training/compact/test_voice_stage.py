import json

import numpy as np
import pytest
import tiny_whisper
import torch

from maven_ros.errors import ResourceError, SettingsError
from maven_ros.model.configuration import MavenConfig
from maven_ros.training.compact.stages import ENCODER, TASK_HEAD, StageContext, load_stage
from maven_ros.training.compact.voice_stage import (
    EMOTIONS,
    POINTS,
    VoiceHead,
    VoiceModel,
    VoiceSettings,
    VoiceTask,
    begin,
    disturbances,
    figures_of_each,
    hear,
    predict,
    score,
    train_voice,
)
from maven_ros.training.corpus import Examples, join
from maven_ros.training.loop import LoopSettings

CONFIG = MavenConfig(audio=tiny_whisper.voice(width=16))
LOOP = LoopSettings(epochs=2, batch_size=4, learning_rate=0.01)


@pytest.fixture(scope='module')
def settings(tmp_path_factory):
    whisper = tiny_whisper.write_whisper(tmp_path_factory.mktemp('whisper'))
    return VoiceSettings(LOOP, whisper=str(whisper), versions=3)


def clips(count=8):
    """Hums, higher and louder by emotion."""
    times_s = np.arange(8_000) / 16_000
    emotions = np.arange(count) % len(EMOTIONS)
    waveforms = tuple(
        (0.02 * (1 + one) * np.sin(2 * np.pi * 150 * (1 + one) * times_s)).astype(np.float32)
        for one in emotions)
    return Examples(waveforms, POINTS[emotions], emotions=EMOTIONS,
                    shares=np.eye(len(EMOTIONS), dtype=np.float32)[emotions])


def calm_or_happy(count=4):
    """A corpus that distinguishes two emotions only."""
    some = clips(count)
    places = np.arange(count) % 2
    names = ('calm', 'happy')
    return Examples(some.evidence, POINTS[1 + places], emotions=names,
                    shares=np.eye(2, dtype=np.float32)[places])


class Hums:
    """Stands where the corpora of a recipe do."""

    def train_and_valid(self, modality):
        return clips(), clips()


@pytest.fixture(scope='module')
def encoder(settings):
    torch.manual_seed(0)
    return begin(settings, StageContext(Hums(), None, CONFIG))


def model(encoder):
    torch.manual_seed(0)
    return VoiceModel(encoder.learnt, VoiceHead(16)).eval()


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


def test_versions_differ_and_are_kept(settings, encoder, tmp_path):
    once = hear(encoder, clips(), settings, 3, 7, tmp_path)
    assert once.hidden.shape == (8, 3, 20, 2, tiny_whisper.WIDTH)
    assert once.hidden.dtype == torch.float16 and once.mask.shape == (8, 3, 20)
    assert once.mask[:, 0].all()  # the plain version has no gaps
    assert not torch.equal(once.hidden[:, 1], once.hidden[:, 2])
    kept, = tmp_path.glob('*.safetensors')
    written = kept.stat().st_mtime_ns
    again = hear(encoder, clips(), settings, 3, 7, tmp_path)
    assert torch.equal(again.hidden, once.hidden) and kept.stat().st_mtime_ns == written
    assert not torch.equal(hear(encoder, clips(), settings, 3, 8, tmp_path).hidden, once.hidden)


def test_batches_are_whole_and_from_the_seed(settings, encoder, tmp_path):
    heard = hear(encoder, clips(), settings, 3, 7, tmp_path)
    task = VoiceTask(settings, clips(), clips(), heard, heard, model(encoder),
                     torch.device('cpu'))
    assert task.steps == 2

    def batches(seed):
        return list(task.batches(0, torch.Generator().manual_seed(seed)))

    first, again, other = batches(1), batches(1), batches(2)
    assert len(first) == 2
    for hidden, mask, labels, choices in first:
        assert hidden.shape == (4, 20, 2, tiny_whisper.WIDTH) and mask.shape == (4, 20)
        assert hidden.isfinite().all() and mask.any(1).all() and choices.all()
        assert labels.sum(1).tolist() == pytest.approx([1] * 4)
    assert all(torch.equal(one, two) for one, two in zip(first[1], again[1], strict=True))
    assert not torch.equal(first[0][2], other[0][2])


def test_an_emotion_that_a_corpus_does_not_distinguish_is_not_wrong(settings, encoder, tmp_path):
    both = join([clips(), calm_or_happy()])
    assert both.choices_of(EMOTIONS)[8:].tolist() == [[False, True, True] + [False] * 5] * 4
    heard = hear(encoder, both, settings, 1, 7, tmp_path)
    network = model(encoder)
    task = VoiceTask(settings, both, both, heard, heard, network, torch.device('cpu'))
    labels, choices = task.labels.mixed[8:9], task.choices[8:9]
    batch = heard.hidden[8:9, 0], heard.mask[8:9, 0], labels, choices

    def entropy(bias):
        with torch.no_grad():
            network.head.emotions.bias.copy_(torch.tensor(bias))
            return float(task.losses(network, batch)['cross_entropy'])

    plain = [0.0] * 8
    assert entropy([9.0, *plain[1:]]) == pytest.approx(entropy(plain), abs=1e-5)
    assert entropy([0.0, 9.0, *plain[2:]]) < entropy(plain)


def test_a_clip_is_read_by_itself(encoder):
    head, some = model(encoder).head, clips(3)
    together = predict(encoder, head, some.evidence)
    alone = predict(encoder, head, some.evidence[1:2])
    torch.testing.assert_close(together.points[1:2], alone.points)
    assert set(score(encoder, head, some)) == {'accuracy', 'ccc_valence', 'ccc_arousal'}


def test_corpora_are_scored_apart(encoder):
    some = clips(8)
    named = Examples(some.evidence, some.targets, emotions=EMOTIONS, shares=some.shares,
                     people=('ravdess/1',) * 5 + ('nemo/EB0',) * 3)
    found = figures_of_each(predict(encoder, model(encoder).head, named.evidence), named)
    part = score(encoder, model(encoder).head, some.of(np.arange(5)))
    assert found.keys() == {'nemo', 'ravdess'}
    assert found['ravdess'] == pytest.approx(part, abs=1e-5)


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


def test_the_stage_leaves_its_files(settings, tmp_path):
    context = StageContext(Hums(), tmp_path / 'out', CONFIG)
    train_voice(settings, context)
    folder = tmp_path / 'out/voice'
    encoder = begin(settings, context)
    load_stage(folder, ENCODER, encoder)
    trained = model(encoder)
    load_stage(folder, TASK_HEAD, trained.head)
    metrics = json.loads((folder / 'metrics.json').read_text())
    assert metrics['valid'] == pytest.approx(score(encoder, trained.head, clips()), abs=1e-5)
    assert set(metrics) == {'valid', *(f'valid, {name}' for name in disturbances(0))}
    assert (folder / 'curves.png').stat().st_size > 0
    fresh = begin(settings, context)
    for name, value in fresh.whisper.state_dict().items():  # it is frozen
        assert torch.equal(encoder.whisper.state_dict()[name], value)
    heard = hear(fresh, clips(), settings, 3, 0, folder / 'heard')
    standard = (heard.hidden[heard.mask].float() - encoder.learnt.mean) * (
        encoder.learnt.scale)
    assert standard.mean().abs() < 1e-3 and standard.std() == pytest.approx(1, abs=0.05)


def test_what_the_stage_cannot_begin_with_is_named(settings, tmp_path):
    with pytest.raises(SettingsError, match='audio: the stage voice trains what is behind a Whi'):
        begin(settings, StageContext(Hums(), tmp_path, MavenConfig()))
    with pytest.raises(ResourceError, match=r'nowhere: no such folder; run `maven-ros models fe'):
        begin(VoiceSettings(LOOP, whisper='nowhere'), StageContext(Hums(), tmp_path, CONFIG))
    audio = tiny_whisper.voice()
    audio['config']['max_source_positions'] = 61
    with pytest.raises(ResourceError, match=r"_positions': 60}; the network has .*: 61}"):
        begin(settings, StageContext(Hums(), tmp_path, MavenConfig(audio=audio)))


@pytest.mark.parametrize(('settings', 'message'), [
    ({'versions': 0}, 'versions: 0 is not int of at least 1'),
    ({'hidden': 1.5}, r'hidden: 1\.5 is not float in \[0, 1\]'),
    ({'input_dropout': 1.0}, r'input_dropout: 1\.0 is not float in \[0, 1\)')])
def test_settings_that_cannot_be_are_refused(settings, message):
    with pytest.raises(SettingsError, match=message):
        VoiceSettings(LOOP, **settings)
