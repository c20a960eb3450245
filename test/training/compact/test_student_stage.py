import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from test_voice_stage import Hums, clips

from maven_ros.errors import SettingsError
from maven_ros.model import checkpoint
from maven_ros.model.configuration import MavenConfig
from maven_ros.model.encoders import VoiceEncoder
from maven_ros.resources import resource
from maven_ros.training.compact.pieces import GRID
from maven_ros.training.compact.stages import (
    ENCODER,
    METRICS,
    TASK_HEAD,
    StageContext,
    load_stage,
)
from maven_ros.training.compact.student_stage import (
    Student,
    StudentSettings,
    StudentTask,
    teach,
    train_student,
)
from maven_ros.training.compact.voice_stage import VoiceHead, predict
from maven_ros.training.loop import LoopSettings

CONFIG = MavenConfig(voice_width=16, voice_channels=(4, 8, 12))
SETTINGS = StudentSettings(LoopSettings(epochs=2, batch_size=4, learning_rate=0.01), versions=3)


@pytest.fixture(scope='module')
def teacher():
    return checkpoint.load(resource('models/compact')).model


def student():
    torch.manual_seed(0)
    return Student(VoiceEncoder(CONFIG, normed=True), VoiceHead(16)).eval()


@pytest.fixture(scope='module')
def lessons(teacher):
    return teach(teacher, student().encoder, clips(), SETTINGS, 3, 7)


@pytest.fixture(scope='module')
def task(lessons):
    return StudentTask(
        SETTINGS, clips(), clips(), lessons, lessons, student(), torch.device('cpu'))


def test_the_teacher_votes_on_each_version_and_its_slots(teacher, lessons):
    assert lessons.mel.shape == (8, 3, 198, 64) and lessons.mask.shape == (8, 3, 198)
    assert lessons.votes.shape == (8, 3, 1 + GRID.slots, 8)
    assert lessons.votes.isfinite().all() and lessons.mask[:, 0].all()
    assert not torch.equal(lessons.votes[:, 1], lessons.votes[:, 2])
    again = teach(teacher, student().encoder, clips(), SETTINGS, 3, 7)
    assert all(torch.equal(one, two) for one, two in zip(again, lessons, strict=True))


def test_the_votes_are_those_of_the_network_in_use(teacher, lessons):
    """The reader of voices pools the same vectors, on the same slots."""
    points = teacher.readers.each['audio'].points
    read = lessons.votes[:, 0, 0].float().softmax(-1) @ points
    sound = torch.stack([torch.nn.functional.pad(torch.from_numpy(one), (12_000, 12_000))
                         for one in clips().evidence])  # two seconds around it
    heard = torch.ones_like(sound, dtype=torch.bool)
    with torch.inference_mode():
        vectors, mask = teacher.voice_encoder(sound, heard)
        aligned = teacher.align_voice(vectors, mask, GRID)
        said = teacher.readers.each['audio'](*aligned, GRID.slot_s).points[:, 0]
    torch.testing.assert_close(read, said, atol=0.05, rtol=0)  # in half precision


def test_some_bands_and_stretches_are_hidden(task, lessons):
    batches = list(task.batches(0, torch.Generator().manual_seed(1)))
    again = list(task.batches(0, torch.Generator().manual_seed(1)))
    assert len(batches) == task.steps == 2
    mels = torch.cat([batch[0] for batch in batches])
    masks = torch.cat([batch[1] for batch in batches])
    assert (mels == 0).all(1).any() and not (mels == 0).all(1).all()
    assert not masks.all(1).all()
    assert all(torch.equal(one, two) for one, two in zip(batches[1], again[1], strict=True))
    everything = StudentTask(replace(SETTINGS, hidden=0.0), clips(), clips(), lessons, lessons,
                             student(), torch.device('cpu'))
    mel = next(everything.batches(0, torch.Generator().manual_seed(1)))[0]
    assert not (mel == 0).all(1).any()


def test_a_student_that_votes_like_its_teacher_has_the_least_loss(task):
    batch = next(iter(task.batches(0, torch.Generator().manual_seed(1))))

    def loss(votes):
        reading = task.model(*batch[:2])[0]
        slots = votes[:, 1:]

        class Says(torch.nn.Module):
            head = task.model.head

            def forward(self, mel, mask):
                return reading._replace(logits=votes[:, 0]), slots, torch.ones(
                    slots.shape[:2], dtype=torch.bool)

        found = task.losses(Says(), batch)
        return float(found['taught'] + found['slots'])

    assert loss(batch[2]) < loss(batch[2].roll(1, -1)) and loss(batch[2]) < loss(0 * batch[2])


def test_the_stage_leaves_what_the_stage_voice_would(tmp_path):
    train_student(SETTINGS, StageContext(Hums(), tmp_path, CONFIG))
    encoder, head = VoiceEncoder(CONFIG).eval(), VoiceHead(16).eval()
    load_stage(tmp_path / 'voice', ENCODER, encoder)
    load_stage(tmp_path / 'voice', TASK_HEAD, head)
    metrics = json.loads((tmp_path / 'voice' / METRICS).read_text())
    assert metrics['valid'].keys() == {'accuracy', 'ccc_valence', 'ccc_arousal'}
    assert np.isfinite(predict(encoder, head, clips(2).evidence).points.numpy()).all()


def test_another_network_or_teacher_is_refused(tmp_path):
    with pytest.raises(SettingsError, match='the stage student trains our own encoder'):
        train_student(SETTINGS, StageContext(Hums(), tmp_path, MavenConfig.compact()))
