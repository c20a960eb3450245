import dataclasses
import json

import numpy as np
import pytest
import torch
from tiny_corpora import LISTED, corpora, write, write_faces
from tiny_encoders import tiny_config

from maven_ros.errors import ResourceError
from maven_ros.model.configuration import MavenConfig
from maven_ros.model.encoders import FaceEncoder
from maven_ros.resources import resource
from maven_ros.training.compact.face_stage import (
    POINTS,
    FaceHead,
    FaceModel,
    FaceStageSettings,
    FaceTask,
    mean_points,
    predict,
    score,
    train_faces,
)
from maven_ros.training.compact.face_start import load_faces
from maven_ros.training.compact.stages import ENCODER, TASK_HEAD, StageContext, load_stage
from maven_ros.training.loop import LoopSettings

SETTINGS = FaceStageSettings(LoopSettings(2, 8, 0.01), sides_px=(32, 48))


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    return write(tmp_path_factory.mktemp('data'))


@pytest.fixture
def task(data):
    torch.manual_seed(0)
    encoder = FaceEncoder(tiny_config(), normed=True)
    train, valid = corpora(data).train_and_valid('video')
    return FaceTask(SETTINGS, train, {'ferplus': valid},
                    FaceModel(encoder, FaceHead(encoder.width)), torch.device('cpu'))


def test_the_stage_leaves_what_fits_into_the_network(data, tmp_path):
    context = StageContext(corpora(data), tmp_path, tiny_config(), seed=4)
    train_faces(SETTINGS, context)
    folder = tmp_path / 'faces'
    encoder = FaceEncoder(tiny_config())  # as it stands in the network: nothing is normalised
    head = FaceHead(encoder.width)
    load_stage(folder, ENCODER, encoder)
    load_stage(folder, TASK_HEAD, head)
    figures = json.loads((folder / 'metrics.json').read_text())
    again = score(FaceModel(encoder, head).eval(), corpora(data).read('video', 'valid'))
    assert again == pytest.approx(figures['valid']['ferplus'], abs=1e-4)
    assert figures['valid_degraded']['ferplus'].keys() == {
        'plain', 'blurred', 'dark', 'rotated_20_deg', 'half_size', 'mouth_hidden', 'eyes_hidden'}
    assert sum(one['faces'] for one in figures['valid_points']['ferplus'].values()) == 12
    assert (folder / 'curves.png').is_file()


def test_a_stage_does_not_go_on_with_other_pictures(tmp_path):
    write_faces(tmp_path / 'data/faces', np.random.default_rng(0))
    context = StageContext(
        corpora(tmp_path / 'data', LISTED[:1]), tmp_path / 'out', tiny_config())
    settings = FaceStageSettings(LoopSettings(1, 8, 0.01), sides_px=(16,))
    train_faces(settings, context)
    path = tmp_path / 'data/faces/ferplus_train.npz'
    with np.load(path) as arrays:
        content = dict(arrays)
    content['images'][0, 0, 0] ^= 1
    np.savez(path, **content)
    with pytest.raises(ResourceError, match=r"faces/checkpoint.pt: has another recipe \(data "
                                            r"'\w{16}', not '\w{16}'\); remove it, or use"):
        train_faces(settings, context)


def test_pictures_grow_with_the_epochs(task):
    sides = [next(iter(task.batches(epoch, torch.Generator())))[0].shape[-1]
             for epoch in range(2)]
    assert sides == [32, 48]


def test_batches_are_faces_blended_with_each_other(task):
    for pictures, labels in task.batches(1, torch.Generator().manual_seed(1)):
        assert pictures.shape == (8, 1, 48, 48)
        assert not labels[:, 8:].any()  # all were named, none rated
        shares = labels[:, :8]
        assert shares.sum(1).tolist() == pytest.approx([1] * 8)
        assert shares.min() >= 0


def test_blending_nothing_leaves_faces_alone(task):
    task.settings = dataclasses.replace(SETTINGS, mixup=0.0)
    _, labels = next(iter(task.batches(1, torch.Generator().manual_seed(1))))
    assert ((labels - 0.8).abs() < 1e-6).any(1).all()


def test_the_point_is_the_expectation_over_the_votes():
    head = FaceHead(4).eval()
    votes = head(torch.randn(3, 4))
    torch.testing.assert_close(votes.points, votes.logits.softmax(-1) @ torch.from_numpy(POINTS))


def test_bytes_and_floats_are_the_same_faces(task):
    pictures = torch.from_numpy(task.valid['ferplus'].evidence)[:, None]
    model = task.model.eval()
    torch.testing.assert_close(
        predict(model, pictures).logits, predict(model, pictures.float() / 255).logits)


def test_each_corpus_counts_the_same_for_the_epoch_that_is_kept(task):
    faces = task.valid['ferplus']
    task.valid = {'all': faces, 'few': faces.of(np.arange(4))}
    found = task.validate(task.model.eval())
    means = [np.mean([found[f'{name}_{figure}'] for figure in (
        'accuracy', 'ccc_valence', 'ccc_arousal')]) for name in ('all', 'few')]
    assert found['every'] == pytest.approx(np.mean(means))
    assert found['few_accuracy'] == score(task.model, faces.of(np.arange(4)))['accuracy']


def test_the_mean_point_of_each_emotion_is_of_the_faces_of_its_majority(task):
    faces, model = task.valid['ferplus'], task.model.eval()
    faces = faces.of(np.array([0, 1, 8]))  # neutral, happy, neutral
    found = mean_points(model, faces)
    points = predict(model, torch.from_numpy(faces.evidence)[:, None]).points
    assert found.keys() == {'neutral', 'happy'} and found['neutral']['faces'] == 2
    assert found['happy'] == pytest.approx(
        {'faces': 1, 'valence': float(points[1, 0]), 'arousal': float(points[1, 1])})
    assert found['neutral']['arousal'] == pytest.approx(float(points[[0, 2], 1].mean()))
    rated = dataclasses.replace(faces, shares=np.zeros_like(faces.shares))
    assert mean_points(model, rated) == {}


def test_training_begins_with_a_shipped_encoder(data, tmp_path):
    context = StageContext(corpora(data), tmp_path, MavenConfig.compact())
    settings = dataclasses.replace(
        SETTINGS, loop=LoopSettings(1, 24, 1e-9), sides_px=(48,), start='models/compact')
    train_faces(settings, context)
    begun, trained = FaceEncoder(context.config).eval(), FaceEncoder(context.config).eval()
    load_faces(resource('models/compact'), begun, FaceHead(begun.width))
    load_stage(tmp_path / 'faces', ENCODER, trained)
    faces = torch.from_numpy(corpora(data).read('video', 'valid').evidence)[:, None] / 255
    before, after = begun.encode_grey(faces), trained.encode_grey(faces)
    assert torch.cosine_similarity(before, after).min() > 0.9  # but for the statistics


def test_a_start_that_does_not_exist_is_named(data, tmp_path):
    settings = dataclasses.replace(SETTINGS, start='models/nothing')
    with pytest.raises(ResourceError, match='models/nothing'):
        train_faces(settings, StageContext(corpora(data), tmp_path, tiny_config()))


def test_missing_data_is_named(tmp_path):
    with pytest.raises(ResourceError, match=r'ferplus_train.npz: cannot be read'):
        train_faces(SETTINGS, StageContext(corpora(tmp_path / 'none'), tmp_path, tiny_config()))


def test_a_stage_that_was_not_trained_is_named(tmp_path):
    with pytest.raises(ResourceError, match=r"encoder.safetensors: cannot be read: .* train the "
                                            r"stage 'faces' first"):
        load_stage(tmp_path / 'faces', ENCODER, FaceEncoder(tiny_config()))
