"""A run on made-up features, from settings to a checkpoint that the node loads."""

import csv
import json
import shutil
from dataclasses import replace
from threading import Event

import numpy as np
import pytest
import recorded
import torch
import yaml
from stopping import After

from maven_ros.cli.main import main
from maven_ros.engine import Engine
from maven_ros.errors import MavenError, ResourceError, SettingsError
from maven_ros.files import read_json, write_json
from maven_ros.model import checkpoint
from maven_ros.records import Evidence, Face
from maven_ros.scoring.resultset import read_result_set
from maven_ros.settings import ModelSettings, WindowSettings
from maven_ros.training.loop import LoopSettings
from maven_ros.training.people.ablations import ABLATIONS
from maven_ros.training.people.clip_inputs import InputSettings
from maven_ros.training.people.clips import ClipSettings
from maven_ros.training.people.predict import predict_and_score
from maven_ros.training.people.run import train_run
from maven_ros.training.people.run_settings import LossSettings, RunSettings
from maven_ros.training.processes import Processes

LOOP = LoopSettings(epochs=12, batch_size=32, learning_rate=0.01, warmup_epochs=0.5,
                    average_decay=0.9, precision='fp32', select='mean_ccc')


@pytest.fixture(scope='module')
def recordings(tmp_path_factory):
    folder = tmp_path_factory.mktemp('recorded')
    recorded.write_model(folder / 'model')
    recorded.write_prepared(folder / 'data')
    recorded.write_features(folder / 'features', folder / 'model')
    return folder


@pytest.fixture(scope='module')
def settings(recordings):
    return RunSettings(LOOP, name='tiny-run', model=str(recordings / 'model'),
                       clips=ClipSettings(target_s=0.5), inputs=InputSettings(dropout=0.1),
                       loss=LossSettings(agreement=0.5, frames=0.5, spread=0.05))


def run(recordings, settings, out, **options):
    return train_run(settings, recordings / 'data', recordings / 'features', out,
                     **{'processes': Processes(), 'stop': Event(), **options})


@pytest.fixture(scope='module')
def result(recordings, settings):
    return run(recordings, settings, recordings / 'run')


def test_training_lifts_the_ccc_of_people_it_has_not_seen(recordings, settings, result):
    untrained = run(recordings, replace(settings, loop=replace(
        LOOP, epochs=1, learning_rate=1e-9)), recordings / 'untrained')
    for name, (_, scores) in result.sets.items():
        before = untrained.sets[name][1].overall.scores['mean_ccc'].value
        after = scores.overall.scores['mean_ccc'].value
        assert after > 0.4 and after > before + 0.3
    assert result.history[-1].training['loss'] < result.history[0].training['loss'] / 2


def test_every_frame_is_predicted_and_the_labelled_ones_are_scored(recordings, result):
    with (recordings / 'run/valid/causal/predictions.csv').open() as file:
        rows = list(csv.reader(file))
    assert rows[0] == ['image_location', 'valence', 'arousal']
    assert [row[0] for row in rows[1:3]] == ['5/00001.jpg', '5/00002.jpg']
    assert len(rows) == 1 + 2 * 200 and np.isfinite(np.array(rows[1:])[:, 1:].astype(float)).all()
    found, scores = result.sets['causal']
    assert scores.overall.frames == scores.overall.covered == 2 * 190
    assert scores.overall.unlabelled == 2 * 10
    assert found.about['filled_frames'] == 2 * 5  # nothing had ended in the first half second
    stored = read_result_set(recordings / 'run/valid/causal')
    assert stored.about == {'model': 'tiny-run', 'split': 'valid', 'smoothing': 'causal',
                            'filled_frames': 10}


def test_the_node_loads_it_with_one_parameter(recordings, result):
    engine = Engine(ModelSettings(path=str(result.model)), WindowSettings(), 10)
    assert engine.trained and engine.name.startswith('tiny-run-')
    random = np.random.default_rng(0)
    face = Face(0, 'a', None, random.integers(0, 256, (48, 48, 3)).astype(np.uint8))
    estimate, = engine.infer([Evidence(0, 2 * 10**9, 'a', (face,))])
    assert 0.01 <= estimate.valence_std <= 1
    # The encoders are those of the network that the features are of.
    base = checkpoint.load(recordings / 'model').model.state_dict()
    for name, value in checkpoint.load(result.model).model.state_dict().items():
        if '_encoder.' in name:
            assert torch.equal(value, base[name])


def test_a_run_that_was_cut_off_goes_on_as_if_it_had_not_been(recordings, settings, result):
    out = recordings / 'cut'
    with pytest.raises(MavenError, match=r'cut: stopped in epoch 6 of 12.*, with --resume'):
        run(recordings, settings, out, stop=After(26))
    with pytest.raises(ResourceError, match=r'cut: holds a run; use --resume to'):
        run(recordings, settings, out)
    resumed = run(recordings, settings, out, resume=True)
    assert resumed.history == result.history
    same = [checkpoint.weights_hash(checkpoint.load(one.model).model) for one in (resumed, result)]
    assert same[0] == same[1]


def test_a_run_does_not_go_on_with_other_features(recordings, settings, tmp_path):
    short, out = replace(settings, loop=replace(LOOP, epochs=1)), tmp_path / 'run'
    run(recordings, short, out)
    recorded.write_prepared(tmp_path / 'data', made_of='later')
    recorded.write_features(tmp_path / 'features', recordings / 'model', made_of='later')
    with pytest.raises(ResourceError, match=r"run/checkpoint.pt: has another recipe \(source "
                                            r"'\w{16}', not '\w{16}'\); remove it, or use"):
        run(tmp_path, short, out, resume=True)


def test_the_card_has_data_settings_scores_and_environment(recordings, settings, capsys):
    config = recordings / 'run.yaml'
    config.write_text(yaml.safe_dump({
        'name': 'carded', 'model': str(recordings / 'model'),
        'loop': {'epochs': 1, 'batch_size': 32, 'learning_rate': 0.01, 'select': 'mean_ccc'}}))
    assert main(['train', 'run', '--config', str(config), '--data', str(recordings / 'data'),
                 '--features', str(recordings / 'features'), '--out', str(recordings / 'carded'),
                 '--device', 'cpu']) == 0
    assert 'causal: valence CCC' in capsys.readouterr().out
    card = (recordings / 'carded/model/README.md').read_text()
    for part in ('| train | 1 | 2 | 3 |', 'batch_size: 32', '| mean CCC | ', '1 process on ',
                 'maven-ros run --model.path FOLDER\n', 'no intervals: ',
                 'the training data apply, too: Aff-Wild2: non-commercial research',
                 'of one training, with seed 1: no interval'):
        assert part in card or part == 'no intervals: '
    assert json.loads((recordings / 'carded/run.json').read_text())['name'] == 'carded'


@pytest.mark.parametrize('smoothing', ['none', 'centred'])
def test_predict_reads_what_run_wrote(recordings, result, capsys, smoothing):
    out = recordings / smoothing
    assert main(['predict', '--model', str(result.model), '--data', str(recordings / 'data'),
                 '--features', str(recordings / 'features'), '--out', str(out), '--device', 'cpu',
                 '--smoothing', smoothing]) == 0
    assert 'mean CCC 0.' in capsys.readouterr().out
    if smoothing == 'centred':
        same = [(folder / 'predictions.csv').read_text()
                for folder in (out, recordings / 'run/valid/centred')]
        assert same[0] == same[1]


def test_a_split_without_labels_is_predicted_all_the_same(recordings, result, capsys):
    out = recordings / 'test'
    assert main(['predict', '--model', str(result.model), '--data', str(recordings / 'data'),
                 '--features', str(recordings / 'features'), '--out', str(out), '--split', 'test',
                 '--device', 'cpu']) == 0
    assert 'test: no labelled frame to score' in capsys.readouterr().out
    assert len((out / 'predictions.csv').read_text().splitlines()) == 201
    assert not (out / 'scores.json').exists()


def test_ablations_make_one_table(recordings, settings, capsys):
    config = recordings / 'ablations.yaml'
    config.write_text(yaml.safe_dump({
        'name': 'ablated', 'model': str(recordings / 'model'),
        'loop': {'epochs': 1, 'batch_size': 64, 'learning_rate': 0.01, 'select': 'mean_ccc'}}))
    out = recordings / 'ablations'
    names = ['full', 'video', 'text', 'pooled', 'raw_head', 'unmasked']
    assert main(['train', 'ablations', '--config', str(config), '--data',
                 str(recordings / 'data'), '--features', str(recordings / 'features'), '--out',
                 str(out), '--device', 'cpu', '--only', ','.join(names)]) == 0
    shown = capsys.readouterr().out
    with (out / 'ablations.csv').open() as file:
        rows = list(csv.DictReader(file))
    assert [row['ablation'] for row in rows] == names and {*names, 'audio'} == {*ABLATIONS}
    assert rows[0]['published'] == '0.3061' and rows[0]['frames'] == '380'
    assert len({row['mean_ccc'] for row in rows}) == len(rows)
    assert '| video | video alone | ' in shown
    assert (out / 'ablations.md').read_text() in shown
    assert (out / 'ablations.png').read_bytes().startswith(b'\x89PNG')
    # Only what the node's input is like is written for the node.
    assert {one.parent.name for one in out.glob('*/model')} == {'full', 'raw_head'}
    assert main(['train', 'ablations', '--config', str(config), '--data',
                 str(recordings / 'data'), '--features', str(recordings / 'features'), '--out',
                 str(out), '--only', 'face']) == 1
    assert "only: 'face' is not one of full, video" in capsys.readouterr().err


def test_ablations_on_generated_data_do_not_stand_beside_the_paper_s_figures(
        recordings, settings, tmp_path, capsys):
    data = tmp_path / 'data'
    shutil.copytree(recordings / 'data', data)
    summary = read_json(data / 'prepared.json')
    write_json(data / 'prepared.json', {**summary, 'origin': {
        'name': 'generated faces', 'terms': '', 'generated': True}})
    config = tmp_path / 'ablations.yaml'
    config.write_text(yaml.safe_dump({
        'name': 'ablated', 'model': str(recordings / 'model'),
        'loop': {'epochs': 1, 'batch_size': 64, 'learning_rate': 0.01, 'select': 'mean_ccc'}}))
    assert main(['train', 'ablations', '--config', str(config), '--data', str(data), '--features',
                 str(recordings / 'features'), '--out', str(tmp_path / 'out'), '--device', 'cpu',
                 '--only', 'full']) == 0
    shown = capsys.readouterr().out
    assert 'ublished |' not in shown and '0.3061' not in shown
    assert 'The data are generated: nobody was recorded' in shown
    assert 'published' not in (tmp_path / 'out' / 'ablations.csv').read_text()


def test_features_of_other_encoders_are_refused(recordings, settings, tmp_path):
    other = checkpoint.load(recordings / 'model')
    with torch.no_grad():
        next(other.model.face_encoder.parameters()).add_(1)
    checkpoint.save(tmp_path / 'model', other.model, other.tokenizer)
    with pytest.raises(ResourceError, match='of the video encoder tiny-'):
        run(recordings, replace(settings, model=str(tmp_path / 'model')), tmp_path / 'out')


def test_features_of_people_who_were_prepared_otherwise_since_are_refused(
        recordings, settings, tmp_path):
    later = recorded.write_prepared(tmp_path / 'data', made_of='later')
    (tmp_path / 'features').symlink_to(recordings / 'features')
    said = 'features: has video of 1 from an earlier preparation; run `maven-ros data embed` again'
    with pytest.raises(ResourceError, match=said):
        run(tmp_path, settings, tmp_path / 'out')
    with pytest.raises(ResourceError, match=said):
        predict_and_score(recordings / 'model', later, tmp_path / 'features', 'valid',
                          tmp_path / 'out', 'causal', 1.0, torch.device('cpu'))
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize(('change', 'message'), [
    ({'clips': {'length_s': 4.0}}, r'clips.length_s: 4.0; allowed: that of the features, 2'),
    ({'loop': {'batch_size': 1000}}, r'loop.batch_size: 1000 is more than the \d+ training'),
])
def test_settings_that_do_not_fit_the_data_are_named(recordings, settings, tmp_path, change,
                                                     message):
    (part, values), = change.items()
    changed = replace(settings, **{part: replace(getattr(settings, part), **values)})
    with pytest.raises(SettingsError, match=message):
        run(recordings, changed, tmp_path)


def test_features_and_tuning_exclude_one_another(recordings, settings, tmp_path):
    from maven_ros.training.people.run_settings import TuneSettings

    with pytest.raises(SettingsError, match=r'--features: not allowed if encoders are tuned'):
        run(recordings, replace(settings, tune=TuneSettings(video=1)), tmp_path)
    with pytest.raises(SettingsError, match=r'--features: is missing; `maven-ros data embed`'):
        train_run(settings, recordings / 'data', None, tmp_path, processes=Processes(),
                  stop=Event())
