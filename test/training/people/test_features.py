"""Features that were encoded once are what the engine computes live, and nothing else passes."""

import shutil
from threading import Event

import cv2
import pytest
import tiny_affwild2
import torch
from full_disk import largest_file
from listening import Listening, blank_frames, chunks_of, feed
from tiny_encoders import save_checkpoint

from maven_ros import rules
from maven_ros.counters import Counters
from maven_ros.errors import CannotWrite, ResourceError, SettingsError
from maven_ros.model import checkpoint
from maven_ros.model.compute import Batches
from maven_ros.model.incremental import IncrementalEncoder, Memory
from maven_ros.records import NS, AffectState, Box, Face, Utterance, Word
from maven_ros.settings import Settings
from maven_ros.tables import read_table
from maven_ros.training.loop import Stopped
from maven_ros.training.people.embed import Embedder
from maven_ros.training.people.feature_spec import Windowing
from maven_ros.training.people.features import FeatureSet
from maven_ros.training.people.prepared import PreparedSet
from maven_ros.training.people.recorded_sound import read_flac, read_words, write_words

SETTINGS = Settings().with_values({
    'windows.length_s': 1.5, 'windows.hop_s': 0.5, 'speech.recogniser': 'none',
    'audio.min_voiced_s': 0.1})
WINDOWING = Windowing.of(SETTINGS, 0.5)
CPU = torch.device('cpu')
NEWEST, SLOT_OF, GRID_OF = rules.newest_per_slot, rules.slot_of, rules.time_grid


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """A prepared set, a checkpoint on tiny encoders of the hub, and the features of both."""
    folder = tmp_path_factory.mktemp('features')
    tiny_affwild2.write(folder)
    save_checkpoint(folder / 'models')
    embed(folder, folder / 'features')
    return folder


def embedder(folder, out, windowing=WINDOWING, model='models/trained', **options):
    return Embedder(PreparedSet(folder / 'prepared'), checkpoint.load(folder / model), out,
                    windowing, CPU, 'fp32', **options)


def embed(folder, out, stop=None, **options):
    one = embedder(folder, out, **options)
    one.run(stop or Event(), lambda done_s, total_s: None)
    return one


def live(folder, people, model):
    """Return the node's pipeline after it has taken in all of one video."""
    prepared, side = PreparedSet(folder / 'prepared'), 16
    faces = {}
    for person in people:
        frames = prepared.frames(person.person)
        for stamp_ns, path in zip(frames.stamps_ns.tolist(), frames.crops, strict=True):
            if path:
                crop = cv2.resize(cv2.imread(str(prepared.folder / path)), (side, side),
                                  interpolation=cv2.INTER_AREA)
                faces.setdefault(stamp_ns, []).append(
                    Face(stamp_ns, person.person, Box(0, 0, 9, 9), crop))
    pipeline = Listening(SETTINGS.with_values({'model.path': str(model), 'model.device': 'cpu'}),
                         faces, judges=True)
    words = tuple(read_words(prepared.folder / person.transcript))
    pipeline.feed(Utterance(words[0].start_ns, words[-1].end_ns, words, True, 'made'), 0)
    waveform = read_flac(prepared.folder / person.audio)
    pipeline.outputs = feed(pipeline, [
        *chunks_of(waveform, person.audio_start_ns), *blank_frames(frames.stamps_ns)])
    return pipeline


@pytest.mark.parametrize('video', ['1-25-288x144', '2-25-144x144'])
def test_a_window_from_the_features_is_what_the_model_sees_live(folder, video):
    features = FeatureSet(folder / 'features')
    loaded = checkpoint.load(folder / 'models/trained')
    encoder = IncrementalEncoder(loaded.model, loaded.tokenizer, WINDOWING.grid, CPU, Counters(),
                                 Batches(Counters()))
    people = [one for one in PreparedSet(folder / 'prepared').people if one.video == video]
    pieces = [piece for piece in live(folder, people, folder / 'models/trained').pieces
              if piece.person_id]
    places = [(piece.person_id, piece.end_ns // features.hop_ns - 1) for piece in pieces]
    assert len(places) >= 7 * len(people) and len(set(places)) == len(places)
    assert [features.start_ns(window) for _, window in places] == [
        piece.start_ns for piece in pieces]
    assert pieces[0].start_ns < 0
    with torch.inference_mode():
        seen = encoder.encode([(Memory(), piece) for piece in pieces])
        read = features.batch(places)
        for own, other in zip(seen.streams, read.streams, strict=True):
            assert torch.equal(own.mask, other.mask)
            assert torch.allclose(own.values[own.mask], other.values[own.mask],
                                  rtol=1e-3, atol=1e-3)
        one, two = loaded.model.fuse(seen), loaded.model.fuse(read)
    assert torch.allclose(one.valence, two.valence, atol=1e-3)
    assert torch.allclose(one.frame_arousal, two.frame_arousal, atol=1e-3, equal_nan=True)
    voiced = seen.audio.mask.any(1).float().mean()  # whose voice is it, among two?
    assert voiced > 0.8 if len(people) == 1 else 0 < voiced < 0.5
    assert seen.video.mask.any() and not seen.video.mask.all()


@pytest.mark.parametrize(('name', 'other'), [
    ('newest_per_slot', lambda stamps_ns, start_ns, end_ns, slots: {
        slots - 1 - slot: place for slot, place in NEWEST(
            stamps_ns[::2], start_ns, end_ns, slots).items()}),
    ('slot_of', lambda stamp_ns, start_ns, end_ns, slots: SLOT_OF(
        stamp_ns, start_ns, end_ns, slots) // 2),
    ('time_grid', lambda length_s, rate_hz: GRID_OF(length_s, rate_hz / 3)),
])
def test_a_rule_of_slots_is_one_for_the_node_and_for_features(folder, name, other, monkeypatch):
    """What the node says of a window is what training has its features say."""
    people = [one for one in PreparedSet(folder / 'prepared').people if '2-25' in one.person]
    loaded = checkpoint.load(folder / 'models/trained')
    said = {}
    for rule in (getattr(rules, name), other):
        monkeypatch.setattr(rules, name, rule)
        features = FeatureSet(folder / 'features')
        pipeline = live(folder, people, folder / 'models/trained')
        states = {one.window_end_ns: one for one in pipeline.outputs
                  if isinstance(one, AffectState) and one.person_id and one.modalities}
        with torch.inference_mode():
            read = loaded.model.fuse(features.batch([
                (people[0].person, end_ns // features.hop_ns - 1) for end_ns in states]))
        said[rule] = read.valence.tolist()
        assert said[rule] == pytest.approx(
            [one.affect.valence for one in states.values()], abs=1e-4)
    assert len(said[other]) >= 7 and said[other] != pytest.approx(
        said[next(iter(said))], abs=1e-4)


def test_nobody_has_a_voice_beside_another_while_it_is_undecided_who_speaks(folder):
    features = FeatureSet(folder / 'features')
    left, right = (features.batch([(f'1-25-288x144_{side}', window) for window in range(
        features.windows(f'1-25-288x144_{side}'))]).present for side in ('left', 'right'))
    assert not (left[:, 1:] & right[:, :1]).any() and not (right[:, 1:] & left[:, :1]).any()
    assert left[:, 1].any() or right[:, 1].any()


def test_windows_one_by_one_are_those_of_a_batch(folder):
    features = FeatureSet(folder / 'features')
    places = [(person, window) for person in features.people
              for window in range(features.windows(person))]
    batch = features.batch(places)
    for number in range(0, len(places), 3):
        alone = features.batch([places[number]])
        for one, other in zip(alone.streams, batch.part(slice(number, number + 1)).streams,
                              strict=True):
            assert torch.equal(one.mask, other.mask)
            assert torch.allclose(one.values[one.mask], other.values[one.mask], atol=1e-6)


def test_every_frame_is_in_the_last_hop_of_a_window(folder):
    features, prepared = FeatureSet(folder / 'features'), PreparedSet(folder / 'prepared')
    for person in prepared.people:
        last_ns = prepared.frames(person.person).stamps_ns[-1]
        ends = [features.start_ns(window) + features.length_ns
                for window in range(features.windows(person.person))]
        assert ends[0] == features.hop_ns and ends[-2] <= last_ns < ends[-1]


def test_left_and_right_share_what_they_hear_but_not_their_faces(folder):
    index = read_table(folder / 'features/index.parquet', ['person', 'modality', 'key'])
    keys = {(person, modality): key for person, modality, key in zip(*index.values(), strict=True)}
    left, right = (name for name, modality in keys if modality == 'video' and '_' in name)
    assert keys[left, 'audio'] == keys[right, 'audio']
    assert keys[left, 'text'] == keys[right, 'text']
    assert keys[left, 'video'] != keys[right, 'video']


def test_it_goes_on_where_it_was_cut_off(folder, tmp_path):
    stop = Event()
    one = embedder(folder, tmp_path / 'out', shard_bytes=1)
    whole = one.size().total
    with pytest.raises(Stopped, match='run the same command'):
        one.run(stop, lambda done_s, total_s: stop.set())
    with pytest.raises(ResourceError, match=r'has no index.parquet: it is not complete'):
        FeatureSet(tmp_path / 'out')
    first = (tmp_path / 'out/features-00001.safetensors').stat().st_mtime_ns
    again = embedder(folder, tmp_path / 'out', shard_bytes=1)
    assert 0 < again.size().total < whole
    again.run(Event(), lambda done_s, total_s: None)
    assert (tmp_path / 'out/features-00001.safetensors').stat().st_mtime_ns == first
    assert embedder(folder, tmp_path / 'out').size().total == 0
    read, other = FeatureSet(tmp_path / 'out'), FeatureSet(folder / 'features')
    place = [(read.people[0], 4)]
    for own, whole_set in zip(read.batch(place).streams, other.batch(place).streams, strict=True):
        assert torch.equal(own.values, whole_set.values)


def test_people_who_were_prepared_otherwise_since_are_encoded_again_and_no_others(
        folder, tmp_path):
    tiny_affwild2.write(tmp_path, seconds=2.0)
    (tmp_path / 'models').symlink_to(folder / 'models')
    out, changed = tmp_path / 'features', '2-25-144x144'
    embed(tmp_path, out)
    places = [(changed, window) for window in range(4)]
    before = FeatureSet(out).batch(places)
    write_words(tmp_path / f'generated/transcripts/{changed}.json', [
        Word('otherwise', NS // 2, NS, 1.0)])
    tiny_affwild2.prepare_again(tmp_path)
    people = PreparedSet(tmp_path / 'prepared').people
    with pytest.raises(ResourceError, match=rf'features: has video of {changed} from an earli'
                                            'er preparation; run `maven-ros data embed` again'):
        FeatureSet(out).check_people(people)
    for name in ('features', 'anew'):
        embed(tmp_path, tmp_path / name)
    again, anew = (FeatureSet(tmp_path / name) for name in ('features', 'anew'))
    again.check_people(people)
    assert embedder(tmp_path, out).size().total == 0
    index = read_table(out / 'index.parquet', ['person', 'shard'])
    assert {person for person, shard in zip(*index.values(), strict=True)
            if shard != 'features-00001.safetensors'} == {changed} < set(again.people)
    found = again.batch(places)
    for own, other in zip(found.streams, anew.batch(places).streams, strict=True):
        assert torch.equal(own.values, other.values) and torch.equal(own.mask, other.mask)
    assert torch.equal(found.video.values, before.video.values)
    assert not torch.equal(found.text.values, before.text.values)


def test_the_size_is_told_before(folder, tmp_path):
    size = embedder(folder, tmp_path / 'out').size()
    shards = sum(path.stat().st_size for path in (folder / 'features').glob('*.safetensors'))
    assert 0.6 * shards < size.total < 1.5 * shards
    assert str(size).startswith('up to ') and 'kB' in str(size)


def test_only_frames_that_the_node_looks_at_are_encoded(folder, tmp_path, monkeypatch):
    encoded = []
    encode = IncrementalEncoder.encode_faces
    monkeypatch.setattr(IncrementalEncoder, 'encode_faces', lambda self, crops: (
        encoded.append(len(crops)), encode(self, crops))[1])
    embed(folder, tmp_path / 'out')
    prepared = PreparedSet(folder / 'prepared')
    frames = {one.person: prepared.frames(one.person) for one in prepared.people}
    used = {person: rules.looked_at(one.stamps_ns, WINDOWING.rate_hz)
            for person, one in frames.items()}
    assert sum(encoded) == sum(
        bool(path) for person, one in frames.items()
        for path, is_used in zip(one.crops, used[person], strict=True) if is_used)
    index = read_table(tmp_path / 'out/index.parquet', ['person', 'modality', 'rows'])
    rows = {person: rows for person, modality, rows in zip(*index.values(), strict=True)
            if modality == 'video'}
    assert rows == {person: one.sum() for person, one in used.items()}
    assert sum(rows.values()) < 0.5 * sum(len(one.stamps_ns) for one in frames.values())


def test_another_encoder_is_refused(folder, tmp_path):
    other = checkpoint.load(folder / 'models/trained')
    with torch.no_grad():
        next(other.model.face_encoder.parameters()).add_(1)
    with pytest.raises(ResourceError, match=r'features: of the video encoder swin-\w+; allowed: '
                                            r'swin-\w+'):
        FeatureSet(folder / 'features').check(other.model, other.tokenizer)
    with pytest.raises(ResourceError, match=r'holds features: of the video encoder swin-\w+; al'):
        Embedder(PreparedSet(folder / 'prepared'), other, folder / 'features', WINDOWING, CPU)
    with pytest.raises(ResourceError, match=r'holds features: hop_s is 0.5; allowed: 0.25'):
        embedder(folder, folder / 'features', windowing=Windowing.of(SETTINGS, 0.25))
    Embedder(PreparedSet(folder / 'prepared'), other, tmp_path / 'out', WINDOWING, CPU,
             shard_bytes=1).run(Event(), lambda done_s, total_s: None)
    mixed = tmp_path / 'mixed'
    shutil.copytree(folder / 'features', mixed)
    shutil.copy(tmp_path / 'out/features-00001.safetensors', mixed)
    with pytest.raises(ResourceError, match=r'features-00001.safetensors: of the video encoder'):
        FeatureSet(mixed)


def test_what_is_missing_or_broken_is_named(folder, tmp_path):
    with pytest.raises(ResourceError, match=r'holds no features: it has no features.json'):
        FeatureSet(tmp_path)
    with pytest.raises(ResourceError, match=r'is not a prepared set: it has no prepared.json'):
        PreparedSet(tmp_path)
    out = tmp_path / 'out'
    shutil.copytree(folder / 'features', out)
    shard = out / 'features-00001.safetensors'
    shard.write_bytes(shard.read_bytes()[:100])
    with pytest.raises(ResourceError, match=r'00001.safetensors: not a shard of features, or br'):
        FeatureSet(out)
    shard.unlink()
    with pytest.raises(ResourceError, match=r'00001.safetensors: is missing; index.parquet has'):
        FeatureSet(out)
    with pytest.raises(ResourceError, match="has no audio of 'nobody'"):
        FeatureSet(folder / 'features').windows('nobody')
    with pytest.raises(SettingsError, match='hop_s: 2 is longer than length_s'):
        Windowing.of(SETTINGS, 2)


def test_a_full_disk_stops_it_and_the_same_call_goes_on(folder, tmp_path):
    out = tmp_path / 'out'
    with largest_file(20_000), \
            pytest.raises(CannotWrite, match=r'features-0000\d.safetensors: cannot be written: .*'
                                             'make room, and run the same command again'):
        embed(folder, out)
    assert not list(out.glob('*.part'))
    embed(folder, out)
    assert FeatureSet(out).people


def test_a_crop_that_cannot_be_read_is_counted_and_masked(folder, tmp_path):
    person = PreparedSet(folder / 'prepared').people[-1].person
    path = folder / 'generated/cropped_aligned' / person / '00011.jpg'  # the first of its slot
    picture = path.read_bytes()
    path.write_bytes(b'no picture')
    try:
        one = embed(folder, tmp_path / 'out')
    finally:
        path.write_bytes(picture)
    assert one.counters.get('video', 'unreadable_crop') == 1
    assert '00011.jpg: no picture' in one.counters.details()['video.unreadable_crop']
    before, after = (FeatureSet(out).batch([(person, 0)]).video.mask
                     for out in (folder / 'features', tmp_path / 'out'))
    assert (before != after).nonzero().tolist() == [[0, 14]]
