import math
from pathlib import Path
from threading import Event

import pytest
import torch
from full_disk import largest_file
from torch import nn

from maven_ros.errors import ResourceError, SettingsError
from maven_ros.training.loop import CHECKPOINT, LoopSettings, Stopped, fit
from maven_ros.training.schedules import plateaus

SETTINGS = LoopSettings(epochs=4, batch_size=8, learning_rate=0.02, average_decay=0.9)


class Line:
    """A toy: a line through noisy points, by a network with dropout and batch norm."""

    steps = 5

    def __init__(self, stop_at=None):
        torch.manual_seed(3)
        self.model = nn.Sequential(
            nn.Linear(2, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 1))
        self.stop, self.stop_at = Event(), stop_at

    def batches(self, epoch, random):
        for step in range(self.steps):
            if (epoch, step) == self.stop_at:
                self.stop.set()
            yield torch.randn(8, 2, generator=random)

    def losses(self, model, batch):
        error = (model(batch)[:, 0] - batch @ torch.tensor([1.0, -2.0])).square().mean()
        return {'loss': error, 'root': error.sqrt()}

    def validate(self, model):
        assert not model.training
        return {'score': -float(self.losses(model, torch.eye(2).repeat(4, 1))['loss'])}


def run(folder, settings=SETTINGS, task=None, recipe=None, seed=1):
    task = task or Line()
    return fit(task, settings, folder, name='line', recipe=recipe or {}, seed=seed,
               stop=task.stop)


def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path):
    whole = run(tmp_path / 'whole')
    with pytest.raises(Stopped, match=r'stopped in epoch 3 of 4; run the same command'):
        run(tmp_path / 'cut', task=Line(stop_at=(2, 3)))
    resumed = run(tmp_path / 'cut')
    assert resumed.history == whole.history
    for one, other in zip(resumed.model.state_dict().values(), whole.model.state_dict().values(),
                          strict=True):
        assert torch.equal(one, other)


def test_a_finished_run_is_not_run_again(tmp_path):
    first = run(tmp_path)
    again = run(tmp_path, task=Line(stop_at=(0, 0)))
    assert again.history == first.history


def test_what_was_stopped_early_goes_on_as_if_it_had_not_been(tmp_path):
    whole = run(tmp_path / 'whole', LoopSettings(4, 8, 0.02))
    early = run(tmp_path / 'early', LoopSettings(4, 8, 0.02, stop_after=2))
    assert early.history == whole.history[:2]
    assert early.kept.number == 1
    assert run(tmp_path / 'early', LoopSettings(4, 8, 0.02)).history == whole.history


def test_it_learns_and_leaves_its_log(tmp_path):
    fitted = run(tmp_path, LoopSettings(30, 8, 0.05, average_decay=0.9))
    assert fitted.history[0].training.keys() == {'loss', 'root'}
    assert fitted.kept.number == 29
    assert fitted.kept.validation['score'] > -0.5 > fitted.history[0].validation['score']
    assert (tmp_path / 'curves.png').read_bytes().startswith(b'\x89PNG')
    assert list((tmp_path / 'tensorboard').glob('events*'))
    assert not list(tmp_path.glob('*.part'))


def test_the_best_epoch_is_kept_where_asked(tmp_path):
    class Falling(Line):
        def validate(self, model):
            self.scores = getattr(self, 'scores', iter([0.1, 0.7, 0.3, 0.2]))
            return {'score': next(self.scores)}

    best = run(tmp_path / 'best', LoopSettings(4, 8, 0.02, select='score'), Falling())
    assert best.kept.number == 1
    two = LoopSettings(4, 8, 0.02)
    last = run(tmp_path / 'last', two, Falling())
    assert not torch.equal(best.model[0].weight, last.model[0].weight)


def test_patience_ends_it_and_may_be_raised(tmp_path):
    class Falling(Line):
        def validate(self, model):
            self.scores = getattr(self, 'scores', [math.nan, 0.5, 0.4, 0.3, 0.6, 0.1])
            return {'score': self.scores.pop(0)}

    task, settings = Falling(), LoopSettings(6, 8, 0.02, select='score', patience=2)
    early = run(tmp_path, settings, task)
    assert len(early.history) == 4 and early.kept.number == 1
    longer = run(tmp_path, LoopSettings(6, 8, 0.02, select='score', patience=3), task)
    assert len(longer.history) == 6 and longer.kept.number == 4


def test_a_plateau_halves_the_rate(tmp_path):
    class Flat(Line):
        def validate(self, model):
            return {'score': 0.0}

    assert plateaus([1, 0, 0, 2, 1, 1, 1, 1], 2) == 3
    assert plateaus([], 2) == plateaus([1, 2, 3], 1) == 0
    settings = LoopSettings(5, 8, 0.02, warmup_epochs=0, schedule='plateau', plateau_epochs=2,
                            select='score')
    run(tmp_path, settings, Flat())
    saved = torch.load(tmp_path / CHECKPOINT)
    # Two epochs after the first, and two more; the last halving counts from the next step on.
    assert saved['plateaus'] == 2
    assert saved['optimiser']['param_groups'][0]['lr'] == pytest.approx(0.01)


def test_checkpoints_from_before_a_setting_was_there_are_gone_on_with(tmp_path):
    run(tmp_path, LoopSettings(1, 8, 0.02))
    saved = torch.load(tmp_path / CHECKPOINT)
    for name in ('schedule', 'plateau_epochs'):
        del saved['recipe'][name]
    del saved['plateaus']
    torch.save(saved, tmp_path / CHECKPOINT)
    assert len(run(tmp_path, LoopSettings(1, 8, 0.02)).history) == 1


def test_a_full_disk_ends_it_and_it_goes_on_when_there_is_room(tmp_path):
    whole = run(tmp_path / 'whole')
    run(tmp_path / 'full', LoopSettings(4, 8, 0.02, average_decay=0.9, stop_after=1))
    with largest_file(2000), pytest.raises(
            ResourceError, match=r'checkpoint.pt: cannot be written: .*; make room, and run'):
        run(tmp_path / 'full')
    assert not list((tmp_path / 'full').glob('*.part'))
    assert run(tmp_path / 'full').history == whole.history


def test_another_recipe_is_refused_by_name(tmp_path):
    run(tmp_path, recipe={'width': 16})
    with pytest.raises(ResourceError, match=r'has another recipe \(width 16, not 8\); remove it'):
        run(tmp_path, recipe={'width': 8})
    with pytest.raises(ResourceError, match=r'seed 1, not 2'):
        run(tmp_path, recipe={'width': 16}, seed=2)


def test_a_broken_checkpoint_is_named(tmp_path):
    Path(tmp_path / 'checkpoint.pt').write_bytes(b'nonsense')
    with pytest.raises(ResourceError, match=r'checkpoint.pt: cannot be read \(.*\); remove it'):
        run(tmp_path)


def test_a_gradient_that_is_no_number_is_an_error(tmp_path):
    class Broken(Line):
        def losses(self, model, batch):
            return {'loss': super().losses(model, batch)['loss'] * math.nan}

    with pytest.raises(RuntimeError, match='non-finite'):
        run(tmp_path, task=Broken())


@pytest.mark.parametrize(('values', 'message'), [
    ({'epochs': 0}, 'epochs: 0 is not int of at least 1'),
    ({'stop_after': 2}, 'stop_after: 2 is more than epochs, 1'),
    ({'average_decay': 1.0}, r'average_decay: 1.0 is not float in \[0, 1\)'),
    ({'precision': 'fp8'}, "precision: 'fp8' is not 'auto' or 'fp32' or 'bf16'"),
    ({'schedule': 'step'}, "schedule: 'step' is not 'cosine' or 'plateau'"),
    ({'patience': -1}, 'patience: -1 is not int of at least 0'),
    ({'patience': 2}, "select: ''; allowed: a figure, as patience or schedule: plateau need one"),
])
def test_settings_that_cannot_be_are_refused(values, message):
    with pytest.raises(SettingsError, match=message):
        LoopSettings(**{'epochs': 1, 'batch_size': 1, 'learning_rate': 0.1, **values})


class Constant(Line):
    """A toy with nothing to learn: all that changes its weights is their decay."""

    def losses(self, model, batch):
        loss = model(batch).sum() * 0
        return {'loss': loss, 'root': loss}

    def validate(self, model):
        return {'score': 0.0}


def test_weights_decay_but_biases_and_norms_do_not(tmp_path):
    task = Constant()
    with torch.no_grad():
        for value in task.model.parameters():
            value.fill_(1.0)
    run(tmp_path, LoopSettings(1, 8, 0.1, weight_decay=0.5, warmup_epochs=0.0), task)
    for name, value in task.model.named_parameters():
        decayed = name in ('0.weight', '4.weight')
        assert (float(value.detach().max()) < 0.95) == decayed, name
        assert decayed or torch.equal(value, torch.ones_like(value)), name
