import dataclasses
import math
import re
from pathlib import Path

import numpy as np
import pytest
import tiny_encoders as tiny
import tiny_tokenizer
import torch

from maven_ros.affect import PRIOR_STD, confidence
from maven_ros.counters import Counters
from maven_ros.engine import Engine
from maven_ros.errors import InputError, ResourceError
from maven_ros.model.batch import MavenInputs
from maven_ros.model.checkpoint import load, save
from maven_ros.model.configuration import MavenConfig
from maven_ros.model.maven import MavenModel
from maven_ros.records import MODALITIES, NS, Box, Evidence, Face, Word
from maven_ros.resources import resource
from maven_ros.rules import Grid
from maven_ros.settings import ModelSettings, WindowSettings

LENGTH_NS, HOP_NS, SAMPLES = 2 * NS, NS // 5, 32_000
FACE_NS = NS // 10


def open_engine(path=''):
    return Engine(ModelSettings(path=str(path)), WindowSettings(), 10.0)


@pytest.fixture(scope='module')
def opened():
    """The shipped model for all tests, and another of it to compare with."""
    return open_engine(), open_engine()


@pytest.fixture
def engine(opened):
    """The shipped model with nothing to remember; what a test hooks into it is gone after it."""
    opened[0].reset()
    yield opened[0]
    for part in opened[0]._model.modules():
        part._forward_pre_hooks.clear()


@pytest.fixture
def other(opened):
    opened[1].reset()
    return opened[1]


class World:
    """Ten seconds of one person: a face at 10 Hz, sound, a word now and then."""

    def __init__(self, seed=0, person_id='p', crop_px=48):
        random = np.random.default_rng(seed)
        self.person_id = person_id
        self.faces = [
            Face(index * FACE_NS, person_id, Box(0, 0, crop_px, crop_px),
                 random.integers(0, 256, (crop_px, crop_px, 3), dtype=np.uint8))
            for index in range(100)]
        self.sound = random.normal(0, 0.1, 160_000).astype(np.float32)
        texts = ('i', 'am', 'so', 'very', 'glad', 'to', 'see', 'you', 'here', 'now')
        self.words = [Word(text, second * NS, second * NS + NS // 2, 0.9)
                      for second, text in enumerate(texts)]

    def evidence(self, start_ns=0):
        end_ns = start_ns + LENGTH_NS
        first = start_ns * 16 // 1_000_000
        return Evidence(
            start_ns, end_ns, self.person_id,
            tuple(face for face in self.faces if start_ns <= face.stamp_ns < end_ns),
            self.sound[first:first + SAMPLES], np.ones(SAMPLES, np.bool_),
            tuple(word for word in self.words
                  if start_ns <= word.start_ns and word.end_ns <= end_ns))


NONE = {'faces': {'faces': ()}, 'words': {'words': ()},
        'voice': {'waveform': np.zeros(0, np.float32), 'heard': np.zeros(0, np.bool_)}}


def without(evidence, *parts):
    for part in parts:
        evidence = dataclasses.replace(evidence, **NONE[part])
    return evidence


def assert_same(estimate, other):
    parts = [(estimate, other), (estimate.affect, other.affect), *(
        (getattr(estimate.alone, name), getattr(other.alone, name)) for name in MODALITIES)]
    for one, two in parts:
        if one is None or two is None:
            assert one is two
            continue
        for field in dataclasses.fields(one):
            if field.name not in ('affect', 'alone'):
                assert getattr(one, field.name) == pytest.approx(
                    getattr(two, field.name), abs=1e-4), field.name


def test_influence_can_be_left_out_and_is_unknown_then(engine):
    plain = Engine(ModelSettings(influence=False), WindowSettings(), 10.0)
    evidence = World().evidence()
    asked, not_asked = engine.infer([evidence])[0], plain.infer([evidence])[0]
    assert sum(asked.influence) == pytest.approx(1)
    assert all(map(math.isnan, not_asked.influence))
    assert_same(dataclasses.replace(not_asked, influence=asked.influence), asked)


def test_shipped_model_is_trained_and_knows_more_than_nothing(engine):
    assert engine.trained
    assert re.fullmatch('compact-[0-9a-f]{8}', engine.name)
    assert engine.crop_px == 48
    assert Engine(ModelSettings(seed=1), WindowSettings(), 10.0).name == engine.name
    [estimate] = engine.infer([World().evidence()])
    assert estimate.valence_std < 0.8 * PRIOR_STD
    assert sum(estimate.influence) == pytest.approx(1)


def test_a_network_without_weights_says_so_and_claims_no_knowledge(tmp_path):
    engine = open_engine(tiny.write_untrained(tmp_path))
    assert not engine.trained
    assert engine.name.startswith('untrained compact-')
    other = Engine(ModelSettings(path=str(tmp_path), seed=1), WindowSettings(), 10.0)
    assert other.name != engine.name
    [estimate] = engine.infer([World().evidence()])
    assert -1 <= estimate.affect.valence <= 1
    assert -1 <= estimate.affect.arousal <= 1
    assert estimate.valence_std == pytest.approx(PRIOR_STD, rel=0.05)
    assert confidence(estimate.valence_std, estimate.arousal_std) < 0.05
    assert sum(estimate.influence) == pytest.approx(1)
    assert min(estimate.influence) > 0


def test_estimates_do_not_depend_on_the_run(engine):
    torch.manual_seed(5)
    again = Engine(ModelSettings(), WindowSettings(), 10.0)
    assert engine.infer([World().evidence()]) == again.infer([World().evidence()])


def test_remembering_changes_nothing(engine, other):
    """Faces come and go, silence falls, time jumps back: as if every window were the first."""
    world = World()
    starts = [hop * HOP_NS for hop in range(12)] + [6 * NS, 6 * NS + HOP_NS, 0, HOP_NS]
    for step, start_ns in enumerate(starts):
        evidence = world.evidence(start_ns)
        evidence = without(evidence, *(['faces'] * (step in (3, 4)) + ['voice'] * (step in (4, 5))
                                       + ['words'] * (step == 6)))
        if not evidence.modalities:
            continue
        other.reset()
        assert_same(engine.infer([evidence])[0], other.infer([evidence])[0])


def test_each_face_and_text_is_encoded_once(engine):
    world, seen, read, heard = World(), [], [], []
    model = engine._model
    for encoder, calls in ((model.face_encoder, seen), (model.text_encoder, read),
                           (model.voice_encoder, heard)):
        encoder.register_forward_pre_hook(
            lambda _, inputs, calls=calls: calls.append(len(inputs[0])))
    for hop in range(6):
        engine.infer([world.evidence(hop * HOP_NS)])
    assert seen == [20, 2, 2, 2, 2, 2]
    assert len(heard) == 6
    texts = [tuple(word.text for word in world.evidence(hop * HOP_NS).words) for hop in range(6)]
    assert len(read) == sum(now != then for now, then in zip(texts, [None, *texts], strict=False))


def test_what_has_left_the_window_is_forgotten(engine):
    world = World()
    for hop in range(10):
        engine.infer([world.evidence(hop * HOP_NS)])
    stamps = {stamp for _, stamp in engine._memory.seen}
    assert stamps == {face.stamp_ns for face in world.evidence(9 * HOP_NS).faces}
    engine.infer([world.evidence(0)])  # time went back: what lies ahead is of another world
    assert max(stamp for _, stamp in engine._memory.seen) < LENGTH_NS
    engine.reset()
    assert not engine._memory.seen


def test_another_face_under_a_known_stamp_is_looked_at(engine, other):
    first, second = World(1).evidence(), World(2).evidence()
    engine.infer([first])
    assert_same(engine.infer([second])[0], other.infer([second])[0])


def test_several_people_equal_one_at_a_time(engine):
    shared = World(0).evidence()
    people = [
        shared,
        dataclasses.replace(World(1, 'q').evidence(), waveform=shared.waveform,
                            heard=shared.heard, words=shared.words),
        without(World(2, 'r').evidence(), 'voice', 'words'),
        without(World(3, '').evidence(), 'faces'),
        without(World(4, 's').evidence(), 'faces', 'voice'),
    ]
    together = engine.infer(people)
    for person, estimate in zip(people, together, strict=True):
        engine.reset()
        assert_same(estimate, engine.infer([person])[0])
    assert together[2].influence == (1, 0, 0)
    assert together[3].influence[0] == 0
    assert together[4].influence == (0, 0, 1)


def test_a_shared_voice_is_encoded_once(engine):
    heard = []
    engine._model.voice_encoder.register_forward_pre_hook(
        lambda _, inputs: heard.append(len(inputs[0])))
    shared = World(0).evidence()
    engine.infer([shared, dataclasses.replace(
        World(1, 'q').evidence(), waveform=shared.waveform, heard=shared.heard)])
    assert heard == [1]


def test_unheard_sound_is_no_evidence(engine):
    evidence = World().evidence()
    deaf = dataclasses.replace(evidence, heard=np.zeros(SAMPLES, np.bool_))
    [estimate] = engine.infer([deaf])
    assert_same(estimate, engine.infer([without(evidence, 'voice')])[0])
    assert estimate.influence[1] == 0


def test_a_word_without_letters_is_still_a_word(engine):
    word = Word('...', 0, NS, 0.9)
    [estimate] = engine.infer([Evidence(0, LENGTH_NS, words=(word,))])
    assert math.isfinite(estimate.affect.valence)
    assert estimate.influence == (0, 0, 1)


def test_of_too_many_words_the_most_recent_are_kept():
    counters = Counters()
    engine = Engine(ModelSettings(), WindowSettings(), 10.0, counters)
    words = tuple(Word('good', index * 1000, index * 1000 + 1000, 1.0) for index in range(300))
    [estimate] = engine.infer([Evidence(0, LENGTH_NS, words=words)])
    assert counters.get('text', 'too_many_subwords') == 300 - 256
    engine.reset()
    assert_same(estimate, engine.infer([Evidence(0, LENGTH_NS, words=words[-256:])])[0])
    engine.infer([Evidence(0, LENGTH_NS, words=(Word('x' * 9999, 0, NS, 1.0),))])
    assert counters.get('text', 'too_many_subwords') == 300 - 256


def test_warming_up_leaves_nothing_behind(engine):
    engine.warm_up()
    assert not engine._memory.seen
    assert not engine._memory.read


def test_no_pieces_no_estimates(engine):
    assert engine.infer([]) == []


@pytest.mark.parametrize(('length_s', 'rate_hz'), [(0.2, 0.5), (0.35, 7.0), (3.1, 25.0)])
def test_any_window_and_frame_rate_will_do(length_s, rate_hz):
    windows = WindowSettings(length_s=length_s, hop_s=0.1)
    engine = Engine(ModelSettings(), windows, rate_hz)
    engine.warm_up()


def test_refuses_broken_evidence_and_goes_on(engine):
    good = World().evidence()
    for broken, cause in (
            (dataclasses.replace(good, waveform=np.full(SAMPLES, np.nan, np.float32)),
             'not_finite'),
            (without(good, 'faces', 'words', 'voice'), 'no_evidence'),
            (dataclasses.replace(without(good, 'faces', 'words'),
                                 heard=np.zeros(SAMPLES, np.bool_)), 'no_evidence')):
        with pytest.raises(InputError, match="about 'p' in") as raised:
            engine.infer([broken])
        assert raised.value.cause == cause
        assert engine.infer([good])
    with pytest.raises(InputError, match='two pieces of evidence'):
        engine.infer([good, good])


@pytest.mark.parametrize('influence', [True, False])
def test_an_output_that_is_not_finite_is_no_lack_of_evidence(influence):
    engine = Engine(ModelSettings(influence=influence), WindowSettings(), 10.0)
    evidence = World().evidence()
    engine._model.context.register_forward_hook(lambda _, inputs, output: output * math.nan)
    with pytest.raises(InputError, match="the network's output is NaN or infinite; allowed") as (
            raised):
        engine.infer([evidence])
    assert raised.value.cause == 'not_finite'
    with pytest.raises(InputError) as raised:
        engine.infer([dataclasses.replace(
            without(evidence, 'faces', 'words'), heard=np.zeros(SAMPLES, np.bool_))])
    assert raised.value.cause == 'no_evidence'


def test_refuses_two_faces_of_one_person_at_a_time(engine):
    good = World().evidence()
    twin = dataclasses.replace(good.faces[1], crop=good.faces[0].crop.copy())
    with pytest.raises(InputError, match="person 'p' has two faces at 100000000 ns; allowed: one"
                       ) as raised:
        engine.infer([dataclasses.replace(good, faces=(*good.faces, twin))])
    assert raised.value.cause == 'two_faces'


def test_a_short_sound_anywhere_is_evidence(engine):
    """The least that counts, 65 ms, was no evidence where it lay at the edge of a slot."""
    for first in range(0, SAMPLES - 1040, 1777):
        heard = np.zeros(SAMPLES, np.bool_)
        heard[first:first + 1040] = True
        [estimate] = engine.infer([dataclasses.replace(
            without(World().evidence(), 'faces', 'words'), heard=heard)])
        assert estimate.influence == (0, 1, 0)


def test_a_raw_head_may_not_leave_the_square(tmp_path):
    model = MavenModel.untrained(MavenConfig(name='old', trained=True, head='raw'), 0)
    with torch.no_grad():
        model.head.point.bias.copy_(torch.tensor([-9.0, math.pi / 4]))
    save(tmp_path, model, tiny_tokenizer.tokenizer())
    engine = Engine(ModelSettings(path=str(tmp_path)), WindowSettings(), 10.0)
    assert engine.trained
    assert engine.name.startswith('old-')
    [estimate] = engine.infer([World().evidence()])
    assert (estimate.affect.valence, estimate.affect.arousal) == (-1, -1)


@pytest.mark.parametrize('kind', ['compact', 'backbones'])
def test_an_estimate_is_what_the_network_itself_says(backbones, kind):
    """Evidence made into tensors here, by hand, with holes in faces, sound and words."""
    path = backbones if kind == 'backbones' else resource('models/compact')
    engine, itself = open_engine(path), load(Path(path))
    random = np.random.default_rng(0)
    side, slots = engine.crop_px, [slot for slot in range(20) if slot not in (4, 5, 11)]
    frames = random.integers(0, 256, (1, 20, 3, side, side), dtype=np.uint8)
    faces = tuple(Face(slot * FACE_NS, 'p', Box(0, 0, 1, 1),
                       np.ascontiguousarray(frames[0, slot].transpose(1, 2, 0))) for slot in slots)
    heard = np.ones(SAMPLES, np.bool_)
    heard[5000:9000] = False
    waveform = random.normal(0, 0.1, SAMPLES).astype(np.float32) * heard
    # The first word is spoken in slots 0 to 4, the second in 10 to 13.
    spoken = {'good': range(5), 'day': range(10, 14)}
    words = tuple(Word(text, FACE_NS * when[0], FACE_NS * (when[-1] + 1), 0.9)
                  for text, when in spoken.items())
    ids = {text: itself.tokenizer.encode(f' {text}', add_special_tokens=False).ids
           for text in spoken}
    tokens = [one for own in ids.values() for one in own]
    weights = torch.zeros(1, 20, len(tokens))
    first = 0
    for text, when in spoken.items():
        weights[0, list(when), first:first + len(ids[text])] = 1 / len(ids[text])
        first += len(ids[text])
    mask = torch.zeros(1, 20, dtype=torch.bool)
    mask[0, slots] = True
    [estimate] = engine.infer([Evidence(0, LENGTH_NS, 'p', faces, waveform, heard, words)])
    with torch.inference_mode():
        said = itself.model(MavenInputs(
            Grid(20, 0.1), torch.from_numpy(frames), mask, torch.from_numpy(waveform)[None],
            torch.from_numpy(heard)[None], torch.tensor([tokens]),
            torch.ones(1, len(tokens), dtype=torch.bool), weights), influence=True)
    assert estimate.affect.valence == pytest.approx(said.valence.item(), abs=1e-6)
    assert estimate.affect.arousal == pytest.approx(said.arousal.item(), abs=1e-6)
    assert estimate.valence_std == pytest.approx(said.valence_std.item(), abs=1e-6)
    assert estimate.influence == pytest.approx(said.influence[0].tolist(), abs=1e-4)


def test_runs_on_backbones_of_the_hub(backbones):
    """The same windows, remembered and forgotten, through a checkpoint on Swin and the like."""
    engine, forgetful = (open_engine(backbones) for _ in range(2))
    assert engine.crop_px == 16
    engine.warm_up()
    world = World(crop_px=16)
    for hop in range(4):
        forgetful.reset()
        evidence = world.evidence(hop * HOP_NS)
        assert_same(engine.infer([evidence])[0], forgetful.infer([evidence])[0])


def test_refuses_a_folder_without_a_checkpoint(tmp_path):
    with pytest.raises(ResourceError, match=r'config.json: cannot be read'):
        Engine(ModelSettings(path=str(tmp_path)), WindowSettings(), 10.0)


@pytest.mark.parametrize('kind', ['compact', 'backbones'])
def test_half_precision_is_near_full(backbones, kind):
    path = backbones if kind == 'backbones' else ''
    full, half, auto = (Engine(
        ModelSettings(path=path, device='cpu', precision=precision), WindowSettings(), 10.0)
        for precision in ('fp32', 'bf16', 'auto'))
    world = World(crop_px=full.crop_px)
    for hop in range(3):
        evidence = world.evidence(hop * HOP_NS)
        [expected], [rounded] = full.infer([evidence]), half.infer([evidence])
        assert auto.infer([evidence]) == [expected]
        assert rounded != expected
        for name in ('valence', 'arousal'):
            assert getattr(rounded.affect, name) == pytest.approx(
                getattr(expected.affect, name), abs=0.02)


def test_threads_are_as_configured():
    before = torch.get_num_threads()
    try:
        Engine(ModelSettings(threads=2), WindowSettings(), 10.0)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_a_person_without_words_beside_one_whose_words_are_known(engine, other):
    """Torch's fast path hid that the text encoder was given a text of no words."""
    speaker, listener = World(1), World(2, 'q')
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        engine.infer([speaker.evidence()])
        both = engine.infer([speaker.evidence(), without(listener.evidence(), 'words')])
    finally:
        torch.backends.mha.set_fastpath_enabled(True)
    alone = other.infer([without(listener.evidence(), 'words')])
    assert both[1].affect.valence == pytest.approx(alone[0].affect.valence, abs=1e-5)
