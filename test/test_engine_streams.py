"""Several cameras through one engine: each as if it had an engine of its own."""

import copy
import gc
import pickle
import weakref

import numpy as np
import pytest
from estimated import numbers

from maven_ros.errors import InputError
from maven_ros.model.incremental import Memory
from maven_ros.records import NS, Box, Evidence, Face, Word

LENGTH_NS, SAMPLES, FACE_NS = NS, 16_000, NS // 5


class Camera:
    """One stream; the same ids and stamps as from every camera."""

    def __init__(self, seed, crop_px, hop_ns=NS // 5, people=('p',)):
        random = np.random.default_rng(seed)
        self.hop_ns = hop_ns
        self.faces = {person_id: [
            Face(index * FACE_NS, person_id, Box(0, 0, 1, 1),
                 random.integers(0, 256, (crop_px, crop_px, 3), np.uint8))
            for index in range(60)] for person_id in people}
        self.sound = random.normal(0, 0.1, 12 * SAMPLES).astype(np.float32)
        self.words = [Word(('good', 'day')[(seed + at) % 2], at * NS, at * NS + NS // 2, 1.0)
                      for at in range(12)]

    def evidence(self, hop=0):
        start_ns = hop * self.hop_ns
        end_ns, first = start_ns + LENGTH_NS, start_ns * SAMPLES // NS
        shared = (self.sound[first:first + SAMPLES], np.ones(SAMPLES, np.bool_), tuple(
            word for word in self.words if start_ns <= word.start_ns and word.end_ns <= end_ns))
        return [Evidence(start_ns, end_ns, person_id, tuple(
            face for face in faces if start_ns <= face.stamp_ns < end_ns), *shared)
            for person_id, faces in self.faces.items()]


def test_streams_equal_an_engine_for_each(make_engine):
    """The same people at the same stamps, at hops of their own, and pictures of their own."""
    shared, alone = make_engine(), [make_engine() for _ in range(3)]
    seen = []
    shared._model.face_encoder.register_forward_pre_hook(
        lambda _, inputs: seen.append(len(inputs[0])))
    cameras = [Camera(1, shared.crop_px), Camera(2, shared.crop_px, 2 * NS // 5, ('p', 'q')),
               Camera(3, shared.crop_px)]
    memories = [Memory() for _ in cameras]
    for hop in range(6):
        # The third stream comes at every other time only.
        taking = [index for index in range(3) if index != 2 or hop % 2 == 0]
        evidence = {index: cameras[index].evidence(hop) for index in taking}
        together = shared.infer_streams([(memories[index], evidence[index]) for index in taking])
        for index, estimates in zip(taking, together, strict=True):
            expected = alone[index].infer(evidence[index])
            np.testing.assert_allclose(numbers(estimates), numbers(expected), atol=1e-5)
    assert seen == [5 + 10 + 5, 1 + 4, 1 + 4 + 2, 1 + 4, 1 + 4 + 2, 1 + 4]


def test_streams_of_nothing(make_engine):
    engine = make_engine()
    assert engine.infer_streams([]) == []
    [one] = Camera(1, engine.crop_px).evidence()
    assert [len(estimates) for estimates in engine.infer_streams(
        [(Memory(), []), (Memory(), [one]), (Memory(), [])])] == [0, 1, 0]


def test_words_that_several_streams_hear_are_read_once(make_engine):
    engine, read = make_engine(), []
    engine._model.text_encoder.register_forward_pre_hook(
        lambda _, inputs: read.append(len(inputs[0])))
    streams = [(Memory(), Camera(seed, engine.crop_px).evidence()) for seed in (1, 3, 2)]
    engine.infer_streams(streams)
    engine.infer_streams(streams)
    assert read == [2]


def test_a_stream_forgets_what_its_own_windows_left(make_engine):
    engine, still, moving = make_engine(), Memory(), Memory()
    stays, moves = Camera(1, engine.crop_px), Camera(2, engine.crop_px, NS)
    for hop in range(8):
        engine.infer_streams([(still, stays.evidence()), (moving, moves.evidence(hop))])
        assert [len(memory.seen) for memory in (still, moving)] == [5, 5]
        assert [len(memory.read) for memory in (still, moving)] == [1, 1]
    engine.infer_streams([(still, stays.evidence())])
    assert len(moving.seen) == 5  # was not asked


def test_the_memory_of_a_stream_dies_with_it(make_engine):
    engine, memory = make_engine(), Memory()
    engine.infer_streams([(memory, Camera(1, engine.crop_px).evidence())])
    vectors = [weakref.ref(seen.vector) for seen in memory.seen.values()]
    memory = weakref.ref(memory)
    gc.collect()
    assert memory() is None
    assert [vector() for vector in vectors] == [None] * 5


def test_another_engines_memory_is_of_no_use(make_engine):
    memory, first, second = Memory(), make_engine(), make_engine()
    pieces = Camera(1, first.crop_px).evidence()
    [expected] = first.infer_streams([(memory, pieces)])
    seen = []
    second._model.face_encoder.register_forward_pre_hook(
        lambda _, inputs: seen.append(len(inputs[0])))
    assert second.infer_streams([(memory, pieces)]) == [expected]
    assert seen == [5]


def test_one_stream_may_not_have_two_faces_of_one_person_where_two_may(make_engine):
    engine = make_engine()
    one, other = (Camera(seed, engine.crop_px).evidence() for seed in (1, 2))
    engine.infer_streams([(Memory(), one), (Memory(), other)])
    memory = Memory()
    later = Camera(2, engine.crop_px).evidence(1)
    with pytest.raises(InputError, match="person 'p' has two faces at 200000000 ns"):
        engine.infer_streams([(memory, one), (memory, later)])
    with pytest.raises(InputError, match='two pieces of evidence; allowed: one of each person'):
        engine.infer_streams([(memory, one), (memory, other)])
    assert not memory.seen


def test_one_stream_in_two_pieces(make_engine):
    engine, memory = make_engine(), Memory()
    camera = Camera(1, engine.crop_px)
    pieces = camera.evidence(), camera.evidence(1)
    apart = engine.infer_streams([(memory, pieces[0]), (memory, pieces[1])])
    together = make_engine().infer([*pieces[0], *pieces[1]])
    np.testing.assert_allclose(
        numbers([*apart[0], *apart[1]]), numbers(together), atol=1e-5)


def test_a_memory_does_not_grow_beside_a_window_that_stands_still(make_engine):
    engine, memory = make_engine(), Memory()
    stays, moves = Camera(1, engine.crop_px), Camera(2, engine.crop_px, NS, ('q',))
    for hop in range(8):
        engine.infer_streams([(memory, [*stays.evidence(), *moves.evidence(hop)])])
        assert len(memory.seen) <= 15  # those of q that stand in either window, and of p


def test_a_memory_does_not_grow_when_encoding_fails(make_engine):
    engine, memory = make_engine(), Memory()
    camera = Camera(1, engine.crop_px, NS)

    def fail(*_):
        raise ValueError('broken')
    engine._model.voice_encoder.register_forward_pre_hook(fail)
    for hop in range(8):
        with pytest.raises(ValueError, match='broken'):
            engine.infer_streams([(memory, camera.evidence(hop))])
        assert len(memory.seen) == 5


def test_a_memory_can_be_copied_and_keeps_no_engine_alive(make_engine):
    memory, engine = Memory(), make_engine()
    pieces = Camera(1, engine.crop_px).evidence()
    [expected] = engine.infer_streams([(memory, pieces)])
    for copied in (copy.deepcopy(memory), pickle.loads(pickle.dumps(memory))):
        assert len(copied.seen) == 5
        np.testing.assert_allclose(numbers(engine.infer_streams([(copied, pieces)])[0]),
                                   numbers(expected), atol=1e-5)
    model = weakref.ref(engine._model)
    del engine
    gc.collect()
    assert model() is None
