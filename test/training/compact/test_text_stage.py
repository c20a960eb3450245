import json

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer

from maven_ros.model.configuration import MavenConfig
from maven_ros.model.encoders import TextEncoder
from maven_ros.resources import resource
from maven_ros.training.compact.readings import Targets, TextHead, encode, pad, predict, score
from maven_ros.training.compact.stages import ENCODER, TASK_HEAD, StageContext, load_stage
from maven_ros.training.compact.text_stage import (
    TextModel,
    TextSettings,
    TextTask,
    train_text,
    untaught,
)
from maven_ros.training.corpus import Examples, join
from maven_ros.training.loop import LoopSettings

CONFIG = MavenConfig(text_width=16, text_layers=1, text_heads=2)
SETTINGS = TextSettings(LoopSettings(epochs=2, batch_size=8, learning_rate=0.01), repeats=2)
RATED = Examples(
    ('What a lovely day', 'This is terrible', 'He was furious', 'A calm sea', '...'),
    np.array([[0.8, 0.4], [-0.6, 0.1], [-0.5, 0.6], [0.3, -0.4], [0.0, 0.0]], np.float32))
COMMENTS = Examples(
    ('love it', 'hate it so much', 'meh'),
    np.array([[0.8, 0.5], [-0.5, 0.6], [0, 0]], np.float32),
    emotions=('love', 'anger', 'neutral'), shares=np.eye(3, dtype=np.float32))


class Sentences:
    """Stands where the corpora of a recipe do."""

    def train_and_valid(self, modality):
        return join([RATED, COMMENTS]), RATED


@pytest.fixture(scope='module')
def tokenizer():
    return Tokenizer.from_file(str(resource('models/compact/tokenizer.json')))


def model():
    torch.manual_seed(0)
    head = TextHead(16, 3, torch.tensor([0.1, -0.2]), torch.tensor([0.5, 0.25]))
    return TextModel(TextEncoder(CONFIG), head).eval()


def test_rated_points_are_shares_of_the_targets_spread():
    head = model().head
    with torch.no_grad():
        head.read.weight.zero_()
        head.read.bias.copy_(torch.tensor([2.0, -1.0, 0, 0, 0, 0.3, 0.4]))
    reading = head(torch.randn(1, 4, 16), torch.ones(1, 4, dtype=torch.bool))
    assert reading.rated[0].tolist() == pytest.approx([0.1 + 2 * 0.5, -0.2 - 0.25])
    assert reading.logits.shape == (1, 3)
    assert reading.grouped[0].tolist() == pytest.approx([0.3, 0.4])


def test_text_without_a_letter_is_the_unknown(tokenizer):
    assert [row.tolist() for row in encode(tokenizer, ['...', ''])] == [[100], [100]]


def test_rows_stand_side_by_side_and_long_ones_are_cut():
    tokens, mask = pad([np.arange(1, 4), np.arange(1, 201), np.array([7])])
    assert tokens.shape == mask.shape == (3, 96)
    assert mask.sum(1).tolist() == [3, 96, 1]
    assert tokens[0, :4].tolist() == [1, 2, 3, 0]


def test_a_text_is_read_by_itself(tokenizer):
    together = predict(model(), tokenizer, RATED.evidence)
    for index, text in enumerate(RATED.evidence):
        alone = predict(model(), tokenizer, [text])
        torch.testing.assert_close(
            together.rated[index:index + 1], alone.rated, atol=1e-5, rtol=1e-5)


def test_case_and_punctuation_change_nothing(tokenizer):
    one, other = predict(model(), tokenizer, ['What a lovely day!', 'what a lovely day']).rated
    torch.testing.assert_close(one, other)


def task(tokenizer):
    return TextTask(SETTINGS, tokenizer, untaught(join([RATED, COMMENTS]), SETTINGS.repeats),
                    RATED, model(), torch.device('cpu'))


def test_batches_hold_each_sentence_as_often_as_asked_for(tokenizer):
    whole = task(tokenizer)
    batches = list(whole.batches(0, torch.Generator().manual_seed(0)))
    assert len(batches) == whole.steps == 2
    rated = torch.cat([batch.targets.rated for batch in batches]).bool()
    points = torch.cat([batch.targets.points for batch in batches])
    assert (int(rated.sum()), int((~rated).sum())) == (2 * len(RATED), len(COMMENTS))
    expected = sorted(np.repeat(RATED.targets, 2, 0).tolist())
    assert sorted(points[rated].tolist()) == expected
    for batch in batches:
        assert batch.mask.any(1).all()
        assert (batch.targets.shares.sum(1) == batch.targets.named).all()
        assert (batch.targets.rated + batch.targets.named == 1).all()


@pytest.mark.parametrize('kind', ['rated', 'named'])
def test_a_batch_of_one_kind_alone_has_a_finite_loss(tokenizer, kind):
    whole = task(tokenizer)
    batch = next(iter(whole.batches(0, torch.Generator().manual_seed(0))))
    some = getattr(batch.targets, kind) > 0
    losses = whole.losses(whole.model, batch._replace(
        tokens=batch.tokens[some], mask=batch.mask[some],
        targets=Targets(*(value[some] for value in batch.targets.values()))))
    assert all(value.isfinite() for value in losses.values())
    assert losses['loss'] > 0
    assert losses['emotions' if kind == 'rated' else 'ratings'].item() == 0


def test_the_stage_leaves_its_files(tmp_path, tokenizer):
    train_text(SETTINGS, StageContext(Sentences(), tmp_path / 'out', CONFIG))
    folder = tmp_path / 'out/text'
    trained = model()
    load_stage(folder, ENCODER, trained.encoder)
    load_stage(folder, TASK_HEAD, trained.head)
    metrics = json.loads((folder / 'metrics.json').read_text())
    assert metrics['valid'] == pytest.approx(score(trained, tokenizer, RATED))
    assert (folder / 'curves.png').stat().st_size > 0
