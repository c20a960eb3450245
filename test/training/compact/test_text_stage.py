import json
from dataclasses import replace

import numpy as np
import pytest
import tiny_corpora
import tiny_e5
import torch
from tokenizers import Tokenizer

from maven_ros.errors import ResourceError, SettingsError
from maven_ros.model.configuration import MavenConfig
from maven_ros.model.e5_text import E5Text
from maven_ros.training.compact.stages import (
    ENCODER,
    METRICS,
    TASK_HEAD,
    StageContext,
    load_stage,
)
from maven_ros.training.compact.text_stage import (
    TOKENIZER,
    TextHead,
    TextModel,
    TextSettings,
    TextTask,
    begin,
    gather,
    means_of,
    score,
    train_text,
    versions_of,
)
from maven_ros.training.loop import LoopSettings

CONFIG = MavenConfig(text=tiny_e5.text(), vocabulary=tiny_e5.VOCABULARY, max_tokens=100)
LOOP = LoopSettings(epochs=2, batch_size=16, learning_rate=0.01)


@pytest.fixture(scope='module')
def settings(tmp_path_factory):
    return TextSettings(LOOP, e5=str(tiny_e5.write_e5(tmp_path_factory.mktemp('e5'))), versions=3)


@pytest.fixture(scope='module')
def context(tmp_path_factory):
    folder = tmp_path_factory.mktemp('text')
    return StageContext(
        tiny_corpora.corpora(tiny_corpora.write(folder / 'data')), folder / 'out', CONFIG)


@pytest.fixture(scope='module')
def task(settings, context):
    encoder, tokenizer = begin(settings, context)
    train, valid = (gather(context, split, encoder, tokenizer, settings)
                    for split in ('train', 'valid'))
    model = TextModel(encoder.learnt, TextHead(encoder.width, len(train.examples.emotions)))
    return TextTask(settings, train, valid, model.eval(), torch.device('cpu'))


def test_versions_are_the_text_then_without_punctuation_then_parts():
    random = np.random.default_rng(0)
    text = "Well, I didn’t see 'it' — did you?"
    written, bare, *parts = versions_of(text, 6, (2, 3), random)
    assert (written, bare) == (text, "Well I didn't see it did you")
    assert all(part in bare and 2 <= len(part.split()) <= 3 for part in parts)
    assert len(set(parts)) > 1
    assert versions_of('Oh!', 4, (2, 3), random) == ['Oh!', 'Oh', 'Oh', 'Oh']


def test_a_text_is_encoded_by_itself(settings, context):
    encoder, tokenizer = begin(settings, context)
    texts = ['good day', 'a much longer text about you', '']
    together = means_of(encoder, tokenizer, texts)
    for index, text in enumerate(texts):
        torch.testing.assert_close(means_of(encoder, tokenizer, [text])[0], together[index],
                                   atol=0.02, rtol=0.02)


def test_the_mean_of_a_texts_vectors_is_what_the_head_is_trained_on(settings, context, task):
    """The head reads means of whole texts; the network gives a vector per subword."""
    encoder, tokenizer = begin(settings, context)
    encoder.learnt = task.model.learnt
    ids = torch.tensor([tokenizer.encode('good day to you', add_special_tokens=False).ids])
    mask = torch.ones_like(ids, dtype=torch.bool)
    with torch.inference_mode():
        vectors = encoder(ids, mask).mean(1)
        mean = encoder.understand(ids, mask).mean(1)
        torch.testing.assert_close(task.model(mean).points, task.model.head(vectors).points)


def test_texts_are_encoded_once(context, settings, task):
    folder = context.out / 'text/encoded'
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    encoder, tokenizer = begin(settings, context)
    again = gather(context, 'train', encoder, tokenizer, settings)
    assert torch.equal(again.means, task.train.means)
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_a_recipe_may_take_fewer_texts_of_a_corpus(context, settings):
    encoder, tokenizer = begin(settings, context)
    some = gather(context, 'train', encoder, tokenizer, replace(settings, most=5))
    assert torch.bincount(some.corpus).tolist() == [5, 5]
    every = gather(context, 'valid', encoder, tokenizer, replace(settings, most=5))
    assert (torch.bincount(every.corpus) > 5).all()


def test_each_corpus_has_a_loss_of_its_own(task):
    """Raters of one corpus go further than those of another; neither is wrong."""
    means, targets, shares, corpus = next(iter(
        task.batches(0, torch.Generator().manual_seed(0))))
    assert means.shape[1] == tiny_e5.WIDTH and len(means) == LOOP.batch_size
    assert corpus.unique().tolist() == [0, 1]
    losses = task.losses(task.model, (means, targets, shares, corpus))
    assert all(value.isfinite() for value in losses.values())
    together = task.losses(task.model, (means, targets, shares, torch.zeros_like(corpus)))
    assert losses['disagreement'] != together['disagreement']


def test_corpora_with_rated_points_choose_the_epoch(task):
    found = score(task.model, task.valid)
    assert found['emobank']['rated'] and not found['goemotions']['rated']
    assert task.validate(task.model)['r'] == pytest.approx(
        (found['emobank']['r_valence'] + found['emobank']['r_arousal']) / 2)


def test_the_stage_leaves_its_files(context, settings):
    train_text(settings, context)
    folder = context.out / 'text'
    encoder = E5Text(CONFIG.backbone('text'))
    load_stage(folder, ENCODER, encoder)
    assert not torch.equal(encoder.learnt.mean, torch.zeros(tiny_e5.WIDTH))
    load_stage(folder, TASK_HEAD, TextHead(8, len(tiny_corpora.LABELS)))
    assert Tokenizer.from_file(str(folder / TOKENIZER)).encode('good').tokens == ['▁good']
    metrics = json.loads((folder / METRICS).read_text())
    assert metrics.keys() == {'valid', 'valid, without punctuation'}
    assert metrics['valid'].keys() == {'emobank', 'goemotions'}


def test_another_network_or_e5_is_refused(settings, context, tmp_path):
    with pytest.raises(SettingsError, match='the stage text trains what is behind an E5'):
        begin(settings, replace(context, config=MavenConfig()))
    with pytest.raises(ResourceError, match='run `maven-ros models fetch e5-small`'):
        begin(replace(settings, e5='nowhere'), context)
    entry = tiny_e5.text()
    other = MavenConfig(text={**entry, 'config': {**entry['config'], 'intermediate_size': 32}},
                        vocabulary=tiny_e5.VOCABULARY, max_tokens=100)
    with pytest.raises(ResourceError, match=r"'intermediate_size': 64.*; the network has"):
        begin(settings, replace(context, config=other))
