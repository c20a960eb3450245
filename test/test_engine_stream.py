"""A minute of windows through an engine that remembers, and one that does not."""

import dataclasses

import numpy as np
import pytest
from estimated import numbers

from maven_ros.engine import Engine
from maven_ros.records import NS, SAMPLE_RATE_HZ, Box, Evidence, Face, Word
from maven_ros.settings import ModelSettings, WindowSettings

LENGTH_NS, HOP_NS, FACE_NS = NS, NS // 5, NS // 5
HOPS = 300
TEXTS = ('a', 'good', 'day', 'is', 'here')


def starts_ns():
    """A minute of hops in which time jumps: ahead, back to what was seen before, and to 0."""
    now_ns = 0
    for hop in range(HOPS):
        now_ns += {100: 4 * NS, 160: -7 * NS, 161: NS, 220: -now_ns}.get(hop, HOP_NS)
        yield now_ns


class Stream:
    """Two people who come and go, who speak and fall silent, by a microphone with gaps."""

    def __init__(self, crop_px):
        random = np.random.default_rng(0)
        self.faces = {person_id: [
            Face(stamp_ns, person_id, Box(0, 0, crop_px, crop_px),
                 random.integers(0, 256, (crop_px, crop_px, 3), np.uint8))
            for stamp_ns in range(0, 70 * NS, FACE_NS)
            if not lost <= stamp_ns / NS < lost + 3 and random.random() > 0.1]
            for person_id, lost in (('p', 5), ('q', 11))}
        self.sound = random.normal(0, 0.1, 70 * SAMPLE_RATE_HZ).astype(np.float32)
        self.heard = np.ones(len(self.sound), np.bool_)
        for start_s, end_s in ((3.0, 3.1), (9.0, 12.5), (15.95, 16.0), (30.0, 30.7)):
            self.heard[round(start_s * SAMPLE_RATE_HZ):round(end_s * SAMPLE_RATE_HZ)] = False
        self.sound[18 * SAMPLE_RATE_HZ:21 * SAMPLE_RATE_HZ] = 0
        self.words = [
            Word(TEXTS[index % len(TEXTS)], index * NS // 2, index * NS // 2 + NS // 3, 0.9)
            for index in range(140) if not 40 <= index < 46]

    def evidence(self, start_ns):
        end_ns = start_ns + LENGTH_NS
        first, after = (at * SAMPLE_RATE_HZ // NS for at in (start_ns, end_ns))
        shared = Evidence(
            start_ns, end_ns, 'p', self._seen('p', start_ns, end_ns), self.sound[first:after],
            self.heard[first:after], tuple(
                word for word in self.words
                if start_ns <= word.start_ns and word.end_ns <= end_ns))
        if 25 * NS <= start_ns < 27 * NS:  # no microphone at all
            shared = dataclasses.replace(
                shared, waveform=np.zeros(0, np.float32), heard=np.zeros(0, np.bool_))
        if not 8 * NS <= start_ns < 20 * NS:
            return [shared]
        return [shared, dataclasses.replace(
            shared, person_id='q', faces=self._seen('q', start_ns, end_ns))]

    def _seen(self, person_id, start_ns, end_ns):
        return tuple(face for face in self.faces[person_id] if start_ns <= face.stamp_ns < end_ns)


def assert_remembering_changes_nothing(folder, one_of):
    """Compare one hop of so many; the engine that remembers runs them all."""
    engine, forgetful = (Engine(
        ModelSettings(path=folder), WindowSettings(length_s=LENGTH_NS / NS), NS / FACE_NS)
        for _ in range(2))
    stream, compared = Stream(engine.crop_px), 0
    for hop, start_ns in enumerate(starts_ns()):
        pieces = [piece for piece in stream.evidence(start_ns) if piece.modalities]
        estimates = engine.infer(pieces)
        if hop % one_of == 0:
            forgetful.reset()
            assert numbers(estimates) == pytest.approx(
                numbers(forgetful.infer(pieces)), abs=1e-4), f'hop {hop}'
            compared += len(pieces)
    assert compared > HOPS / one_of


def test_a_minute_through_the_compact_model():
    assert_remembering_changes_nothing('', one_of=4)  # 100, 160 and 220 are jumps


def test_a_minute_through_backbones_of_the_hub(backbones):
    assert_remembering_changes_nothing(backbones, one_of=1)
