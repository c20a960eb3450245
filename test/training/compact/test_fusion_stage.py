import dataclasses
import json
import shutil
from threading import Event

import numpy as np
import pytest
import tiny_corpora
import tiny_e5
import tiny_whisper
import torch

from maven_ros.engine import Engine
from maven_ros.errors import ResourceError, SettingsError
from maven_ros.model import checkpoint
from maven_ros.model.configuration import MavenConfig
from maven_ros.model.fusion import Features
from maven_ros.model.time_grid import Aligned
from maven_ros.records import MODALITIES, Evidence, Face
from maven_ros.settings import ModelSettings, WindowSettings
from maven_ros.training.compact.card import Evaluator
from maven_ros.training.compact.card_report import markdown, show, update_card, write
from maven_ros.training.compact.compose import ComposeSettings
from maven_ros.training.compact.encoding import BankSettings, encode_corpora, gather
from maven_ros.training.compact.export import ExportSettings, load_probes, train_export
from maven_ros.training.compact.face_stage import FaceHead, FaceStageSettings, train_faces
from maven_ros.training.compact.fusion_stage import (
    FusionSettings,
    load_encoders,
    load_readers,
    make_composer,
    train_fusion,
)
from maven_ros.training.compact.goals import goals
from maven_ros.training.compact.pieces import GRID
from maven_ros.training.compact.stages import (
    METRICS,
    TASK_HEAD,
    StageContext,
    load_stage,
    save_state,
)
from maven_ros.training.compact.text_stage import TextSettings, train_text
from maven_ros.training.compact.voice_stage import VoiceSettings, train_voice
from maven_ros.training.loop import LoopSettings, Stopped
from maven_ros.training.reading import read

CONFIG = MavenConfig(
    name='tiny', audio=tiny_whisper.voice(), face_channels=(8, 32), face_blocks=1,
    text=tiny_e5.text(), vocabulary=tiny_e5.VOCABULARY, max_tokens=100, fusion_width=16,
    context_width=12, head_width=(8,))
LOOP = LoopSettings(epochs=1, batch_size=12, learning_rate=0.003, warmup_epochs=0.1,
                    precision='fp32')
BANK = BankSettings(face_versions=2, voice_versions=2, text_versions=2, noises=4,
                    noise_versions=1)
FUSION = FusionSettings(LOOP, BANK, ComposeSettings(), windows=48, valid_windows=60)


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """Every stage, on a few examples; returns the context."""
    folder = tmp_path_factory.mktemp('recipe')
    context = StageContext(tiny_corpora.corpora(
        tiny_corpora.write(folder / 'data'), tiny_corpora.WITH_NEMO),
                           folder / 'run', CONFIG, seed=3)
    train_faces(FaceStageSettings(LOOP), context)
    whisper = tiny_whisper.write_whisper(folder / 'whisper')
    train_voice(VoiceSettings(LOOP, whisper=str(whisper), versions=2), context)
    e5 = tiny_e5.write_e5(folder / 'e5')
    train_text(TextSettings(LOOP, e5=str(e5), versions=2), context)
    train_fusion(FUSION, context)
    train_export(ExportSettings(), context)
    return context


@pytest.fixture(scope='module')
def with_readers(trained, tmp_path_factory):
    """The same stages, and a fusion that starts from readers."""
    context = dataclasses.replace(trained, out=tmp_path_factory.mktemp('readers'),
                                  config=dataclasses.replace(CONFIG, readers=8))
    for name in ('faces', 'voice', 'text'):
        (context.out / name).symlink_to(trained.out / name)
    train_fusion(FUSION, context)
    train_export(ExportSettings(), context)
    return context


def engine(context):
    settings = ModelSettings(path=str(context.out / 'export'), device='cpu', threads=1)
    return Engine(settings, WindowSettings(), 10.0)


def test_the_engine_runs_what_was_trained(trained):
    runs = engine(trained)
    assert runs.trained and runs.name.startswith('tiny-')
    runs.warm_up()


def test_the_stages_before_the_fusion_are_in_it_unchanged(trained):
    exported = checkpoint.load(trained.out / 'export').model.state_dict()
    before = load_encoders(trained)
    few = before.quantized_bits()
    for name, value in before.state_dict().items():
        if name in few:  # they were rounded before
            assert torch.equal(exported[name], value)
        elif 'encoder' in name:
            assert torch.equal(exported[name].half(), value.half())  # as it is stored
    assert set(few.values()) == {4, 8}
    probes = load_probes(trained.out / 'export', checkpoint.load(trained.out / 'export').model)
    assert not any(probe.training for probe in probes)


def test_figures_are_of_validation_windows(trained):
    figures = json.loads((trained.out / 'fusion' / METRICS).read_text())['valid']
    assert figures.keys() >= {'ccc_valence', 'ccc_arousal', 'coverage_valence'}
    # Calibrated on these very windows.
    assert figures['coverage_valence'] == pytest.approx(0.9, abs=0.03)


def test_a_modality_alone_is_read_by_the_head_of_its_stage(with_readers):
    """The network read single modalities worse than the heads of its encoders did."""
    model = checkpoint.load(with_readers.out / 'export').model
    composer = make_composer(FUSION, with_readers, model, 'valid')
    windows = composer.windows(40, torch.Generator().manual_seed(0), ('video',))
    head = FaceHead(model.face_encoder.width)
    load_stage(with_readers.out / 'faces', TASK_HEAD, head)
    video = windows.features.video
    weights = video.mask / video.mask.sum(1, keepdim=True)
    with torch.no_grad():
        own = head.eval()((weights[..., None] * video.values).sum(1)).points
    torch.testing.assert_close(read(model, windows.features).points, own, atol=2e-3, rtol=0)


def test_readers_are_those_of_the_stages_calibrated(with_readers):
    model = load_encoders(with_readers)
    load_readers(model, with_readers.out)
    exported = checkpoint.load(with_readers.out / 'export').model
    for name, reader in model.readers.each.items():
        own = exported.readers.each[name].state_dict()
        for part, value in reader.state_dict().items():
            close = torch.allclose(own[part], value, atol=2e-3, rtol=1e-3)
            assert close is (part != 'spread'), (name, part)
    assert not torch.equal(exported.readers.gate.bias, model.readers.gate.bias)
    engine(with_readers).warm_up()


def test_a_head_of_another_kind_is_no_reader(with_readers, trained, tmp_path):
    for name in ('faces', 'voice'):
        (tmp_path / name).symlink_to(trained.out / name)
    (tmp_path / 'text').mkdir()
    save_state(tmp_path / 'text' / TASK_HEAD, {'votes.weight': torch.zeros(8, 5)})
    with pytest.raises(ResourceError, match=r'text/task_head\.safetensors: has another shape; '
                                            "train the stage 'text' again"):
        load_readers(load_encoders(with_readers), tmp_path)


def test_what_the_fusion_learns_from_is_what_the_engine_gives_it(trained):
    loaded = checkpoint.load(trained.out / 'export')
    banks, _ = encode_corpora(
        trained.corpora, 'valid', BANK, loaded.model, loaded.tokenizer, trained.out / 'other')
    pieces = [gather(trained.corpora, name, 'valid', BANK).pieces.render(
        np.array([1]), 1, 0)[0][0] for name in MODALITIES]
    crop = pieces[0].faces[0]
    step_ns = round(GRID.slot_s * 1e9)
    evidence = Evidence(
        0, pieces[0].end_ns, 'somebody',
        tuple(Face(slot * step_ns, 'somebody', crop.box, crop.crop) for slot in range(GRID.slots)),
        pieces[1].waveform, pieces[1].heard, pieces[2].words)
    estimate, = engine(trained).infer([evidence])
    video, audio, text = (
        Aligned(*(part[1:2, 0].expand(1, GRID.slots, *part.shape[3:])  # the plain version
                  for part in (banks[name].values, banks[name].mask))) for name in MODALITIES)
    reading = read(loaded.model, Features(video, audio, text, GRID.slot_s))
    assert reading.points[0].tolist() == pytest.approx(
        [estimate.affect.valence, estimate.affect.arousal], abs=1e-5)
    assert reading.stds[0].tolist() == pytest.approx(
        [estimate.valence_std, estimate.arousal_std], abs=1e-5)


def test_a_stage_that_was_stopped_gives_the_same_weights(trained, tmp_path):
    stop = Event()
    stop.set()
    for name in ('faces', 'voice', 'text'):
        (tmp_path / name).symlink_to(trained.out / name)
    with pytest.raises(Stopped):
        train_fusion(FUSION, dataclasses.replace(trained, out=tmp_path, stop=stop))
    train_fusion(FUSION, dataclasses.replace(trained, out=tmp_path))
    once, again = (json.loads((out / 'fusion' / METRICS).read_text())['valid']['ccc']
                   for out in (trained.out, tmp_path))
    assert again == pytest.approx(once, abs=1e-3)  # sums of several threads differ in a bit


def test_it_does_not_go_on_with_other_pieces_of_which_the_same_is_said(trained, tmp_path):
    data, out = (shutil.copytree(one, tmp_path / one.name) for one in (
        trained.corpora.data, trained.out))
    path = data / 'faces/ferplus_train.npz'
    with np.load(path) as arrays:
        np.savez(path, **{**arrays, 'images': 255 - arrays['images']})
    with pytest.raises(ResourceError, match=r'checkpoint\.pt: has another recipe \(data '):
        train_fusion(FUSION, dataclasses.replace(
            trained, corpora=tiny_corpora.corpora(
            data, tiny_corpora.WITH_NEMO), out=out))


def test_a_stage_that_was_not_trained_is_named(trained, tmp_path):
    empty = dataclasses.replace(trained, out=tmp_path)
    with pytest.raises(ResourceError, match="train the stage 'faces' first"):
        train_fusion(FUSION, empty)
    for name in ('faces', 'voice', 'text'):
        (tmp_path / name).symlink_to(trained.out / name)
    with pytest.raises(ResourceError, match="train the stage 'fusion' first"):
        train_export(ExportSettings(), empty)
    with pytest.raises(ResourceError, match=r'probes\.safetensors: cannot be read'):
        load_probes(tmp_path, load_encoders(trained))


def test_impossible_bank_settings_are_refused():
    with pytest.raises(SettingsError, match=r'face_versions: 21 is not int in \[1, 20\]'):
        BankSettings(face_versions=21)
    with pytest.raises(SettingsError, match='noises: 0 is not int of at least 1'):
        BankSettings(noises=0)


def test_a_corpus_without_the_split_is_scored_on_its_validation_examples(trained, tmp_path):
    evaluator = Evaluator(trained.out / 'export', trained.corpora, 'test', FUSION, tmp_path)
    for step in evaluator.steps(('faces', 'voices')).values():
        step()
    found = evaluator.found
    assert {row.set for row in found.rows} == {
        'faces', 'faces of wild, valid', 'voices', 'voices of nemo, valid'}
    found.rows = [row for row in found.rows if row.set.startswith('voices')]
    for reader in ('network', 'probe'):
        rows = [row for row in found.rows if row.reader == reader]
        assert [row.condition for row in rows[:5]] == [row.condition for row in rows[5:]]
        assert rows[0].figures != rows[5].figures


def test_every_figure_is_found_and_shown(trained, tmp_path, capsys):
    evaluator = Evaluator(
        trained.out / 'export', trained.corpora, 'valid', FUSION, trained.out / 'fusion' / 'banks')
    for step in evaluator.steps(('faces', 'voices', 'sentences', 'composed')).values():
        step()
    found = evaluator.found
    assert {row.set for row in found.rows} == {
        'faces', 'faces of ferplus', 'faces of wild', 'voices', 'voices of ravdess',
        'voices of nemo', 'sentences', 'composed'}
    for condition in ('plain', 'blurred', 'dark', 'rotated_20_deg', 'half_size',
                      'mouth_hidden', 'eyes_hidden'):
        for reader in ('network', 'probe'):
            assert -1 <= found.figures('faces', condition, reader)['ccc_valence'] <= 1
    assert found.scatters.keys() == {'faces', 'voices', 'sentences', 'composed'}
    whats = [goal.what for goal in goals(found)]
    assert len(whats) == len(set(whats)) and 'faces: accuracy (probe)' in whats
    show(found)
    assert 'composed' in capsys.readouterr().out
    write(found, tmp_path)
    stored = json.loads((tmp_path / 'figures.json').read_text())
    assert stored['split'] == 'valid' and len(stored['rows']) == len(found.rows)
    page = (tmp_path / 'figures.html').read_text()
    assert page.count('data:image/png;base64,') == 4 and 'http' not in page
    card = tmp_path / 'README.md'
    shutil.copyfile(trained.out / 'export' / 'README.md', card)
    update_card(found, card)
    text = card.read_text()
    assert text.count(markdown(found)) == 1
    assert 'of one training: how much they differ from one seed to another was not meas' in text
    update_card(found, card)
    assert card.read_text() == text  # the old figures made way
    card.write_text('no place')
    with pytest.raises(ResourceError, match='has no place for figures'):
        update_card(found, card)
