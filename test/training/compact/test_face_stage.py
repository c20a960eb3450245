import dataclasses
import json

import numpy as np
import pytest
import torch
from tiny_corpora import LISTED, corpora, write, write_faces
from tiny_encoders import tiny_config

from maven_ros.errors import ResourceError
from maven_ros.model.encoders import FaceEncoder
from maven_ros.training.compact.face_stage import (
    POINTS,
    FaceHead,
    FaceModel,
    FaceStageSettings,
    FaceTask,
    predict,
    score,
    train_faces,
)
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
    return FaceTask(SETTINGS, train, valid, FaceModel(encoder, FaceHead(encoder.width)),
                    torch.device('cpu'))


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
    assert again == pytest.approx(figures['valid'], abs=1e-4)
    assert figures['valid_degraded'].keys() == {
        'plain', 'blurred', 'dark', 'rotated_20_deg', 'half_size'}
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
    pictures = torch.from_numpy(task.valid.evidence)[:, None]
    model = task.model.eval()
    torch.testing.assert_close(
        predict(model, pictures).logits, predict(model, pictures.float() / 255).logits)


def test_missing_data_is_named(tmp_path):
    with pytest.raises(ResourceError, match=r'ferplus_train.npz: cannot be read'):
        train_faces(SETTINGS, StageContext(corpora(tmp_path / 'none'), tmp_path, tiny_config()))


def test_a_stage_that_was_not_trained_is_named(tmp_path):
    with pytest.raises(ResourceError, match=r"encoder.safetensors: cannot be loaded: .* train the "
                                            r"stage 'faces' first"):
        load_stage(tmp_path / 'faces', ENCODER, FaceEncoder(tiny_config()))
