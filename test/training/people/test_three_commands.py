"""Prepare, embed, train: on a small set in Aff-Wild2's layout, as its users would run them."""

import shutil
from dataclasses import asdict
from threading import Event

import pytest
import torch
import yaml
from inputs import ROOT

from maven_ros.cli.main import main
from maven_ros.devices.media import read_media
from maven_ros.files import read_json, write_json
from maven_ros.model import checkpoint
from maven_ros.pipeline import Pipeline
from maven_ros.records import AffectState
from maven_ros.scoring.resultset import read_result_set
from maven_ros.settings import Settings
from maven_ros.training.people.feature_sources import EvidenceSource, FeatureSource
from maven_ros.training.people.features import FeatureSet
from maven_ros.training.people.origin import Origin
from maven_ros.training.people.prepared import PreparedSet
from maven_ros.training.people.run import train_run
from maven_ros.training.people.run_settings import read_run_settings
from maven_ros.training.processes import Processes


def command(*arguments):
    assert main([str(one) for one in arguments]) == 0


def write_config(folder, name, **loop):
    path = folder / f'{name}.yaml'
    path.write_text(yaml.safe_dump({
        'name': name, 'clips': {'target_s': 0.5}, 'loss': {'agreement': 1.0, 'frames': 0.3},
        'network': {'fusion_width': 32, 'context_width': 32, 'head_width': [32]},
        'loop': {'epochs': 10, 'batch_size': 32, 'learning_rate': 0.004, 'average_decay': 0.9,
                 'precision': 'fp32', 'select': 'mean_ccc', **loop}}))
    return path


@pytest.fixture(scope='module')
def embedded(tmp_path_factory):
    """Return the folder with what the first two commands made."""
    folder = tmp_path_factory.mktemp('affwild2')
    generated = folder / 'generated'
    command('data', 'generate', 'aff-wild2', '--out', generated, '--videos', 8, '--seconds', 12,
            '--seed', 1)
    command('data', 'prepare', 'aff-wild2', '--videos', generated / 'videos', '--annotations',
            generated / 'annotations', '--crops', generated / 'cropped_aligned', '--transcripts',
            generated / 'transcripts', '--out', folder / 'data')
    command('data', 'embed', '--data', folder / 'data', '--model', ROOT / 'models/compact',
            '--out', folder / 'features', '--device', 'cpu')
    return folder


@pytest.fixture(scope='module')
def trained(embedded):
    """Return the folder with what the third made."""
    command('train', 'run', '--config', write_config(embedded, 'three'), '--data',
            embedded / 'data', '--features', embedded / 'features', '--out', embedded / 'run',
            '--device', 'cpu')
    return embedded


def test_training_lifts_mean_ccc_well_above_untrained_and_above_0(trained):
    settings = read_run_settings(
        write_config(trained, 'untrained', epochs=1, learning_rate=1e-9))
    untrained = train_run(settings, trained / 'data', trained / 'features', trained / 'untrained',
                          processes=Processes(), stop=Event())
    for reading, (_, before) in untrained.sets.items():
        after = read_result_set(trained / 'run/valid' / reading).scores().overall
        lifted = after.scores['mean_ccc'].value
        assert lifted > 0.25
        assert lifted > before.overall.scores['mean_ccc'].value + 0.2


def test_the_card_and_models_info_state_the_terms_that_the_weights_inherit(trained, capsys):
    """The card named Aff-Wild2's terms, though the data were generated, and not compact's."""
    card = (trained / 'run/model/README.md').read_text()
    assert card.startswith('---\nlicense: cc-by-nc-sa-4.0\nbase_model: compact\n---\n')
    assert 'These weights began from `compact`, so they are under its terms: cc-by' in card
    assert 'Nobody was recorded: the scores say nothing about people.' in card
    assert 'Aff-Wild2' not in card
    command('models', 'info', trained / 'run/model')
    assert '\nlicence: cc-by-nc-sa-4.0\n' in capsys.readouterr().out


@pytest.mark.parametrize('named', [True, False])
def test_terms_of_the_data_stand_beside_those_of_the_base(trained, tmp_path, capsys, named):
    """A set without an origin is Aff-Wild2, as sets from before origins were written."""
    origin = Origin('my videos', 'CC BY 4.0', generated=False) if named else None
    data = tmp_path / 'data'
    shutil.copytree(trained / 'data', data)
    summary = read_json(data / 'prepared.json')
    del summary['origin']
    write_json(data / 'prepared.json', summary | ({'origin': asdict(origin)} if origin else {}))
    command('train', 'run', '--config', write_config(tmp_path, 'own', epochs=1), '--data', data,
            '--features', trained / 'features', '--out', tmp_path / 'run', '--device', 'cpu')
    capsys.readouterr()
    command('models', 'info', tmp_path / 'run/model')
    said = capsys.readouterr().out
    terms = 'my videos: CC BY 4.0' if named else (
        'Aff-Wild2: non-commercial research, under the agreement with its authors')
    assert f'\nlicence: compact: cc-by-nc-sa-4.0; {terms}\n' in said
    card = (tmp_path / 'run/model/README.md').read_text()
    assert f'The terms of the training data apply, too: {terms}.' in card
    assert 'Nobody was recorded' not in card


def test_the_node_s_pipeline_replays_a_clip_with_what_was_trained(trained):
    settings = Settings().with_values({
        'model.path': str(trained / 'run/model'), 'speech.recogniser': 'none'})
    clip = next((trained / 'generated/videos').rglob('*.mp4'))
    with Pipeline(settings) as pipeline:
        outputs = [one for record in read_media(clip) for one in pipeline.feed(record)]
    states = [one for one in outputs if isinstance(one, AffectState)]
    assert len(states) > 20 and {one.model for one in states} == {pipeline.engine.name}
    assert pipeline.engine.name.startswith('three-')
    known = [one for one in states if one.modalities]
    assert known and all(-1 <= one.affect.valence <= 1 for one in known)


def test_the_last_block_of_an_encoder_is_tuned_on_faces_sound_and_words(trained):
    path = trained / 'tuned.yaml'
    values = yaml.safe_load(write_config(trained, 'tuned', epochs=1, batch_size=8).read_text())
    path.write_text(yaml.safe_dump({**values, 'tune': {'text': 1}, 'clips': {'stride': 16}}))
    command('train', 'run', '--config', path, '--data', trained / 'data', '--out',
            trained / 'tuned', '--device', 'cpu')
    from safetensors.torch import load_file

    before, after = (load_file(folder / 'model.safetensors') for folder in (
        ROOT / 'models/compact', trained / 'tuned/model'))
    changed = {name.split('.')[0] for name in before
               if name.split('.')[0].endswith('_encoder') and (before[name] != after[name]).any()}
    assert changed == {'text_encoder'}


def test_evidence_of_a_window_encodes_to_its_features(embedded):
    prepared, loaded = PreparedSet(embedded / 'data'), checkpoint.load(ROOT / 'models/compact')
    features = FeatureSource(FeatureSet(embedded / 'features'))
    evidence = EvidenceSource(prepared, loaded, 2.0)
    pairs = {person.person for person in prepared.people if person.person.endswith('_left')}
    rows = [(person.person, window) for person in prepared.people
            if person.person in pairs or person.split == 'valid' for window in (0, 5, 11)]
    assert pairs and {evidence.windows(person) for person, _ in rows} == {
        features.windows(person) for person, _ in rows}
    with torch.inference_mode():
        said, stored = (source.encode(loaded.model, rows) for source in (evidence, features))
    assert said.slot_s == stored.slot_s
    for own, other in zip(said.streams, stored.streams, strict=True):
        assert torch.equal(own.mask, other.mask) and own.mask.any()
        assert torch.allclose(own.values[own.mask], other.values[own.mask], atol=0.01)
