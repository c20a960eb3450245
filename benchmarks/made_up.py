"""A made-up stream, and engines to process it, for the benchmarks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer, models, pre_tokenizers

from maven_ros.engine import Engine
from maven_ros.model import hub
from maven_ros.model.configuration import MavenConfig
from maven_ros.records import NS, SAMPLE_RATE_HZ, Box, Evidence, Face, Word
from maven_ros.settings import ModelSettings, WindowSettings

FRAME_RATE_HZ = 10
HOP_S, USUAL_S = 0.2, 2.0
WORD_NS = NS // 2
TEXTS = ('i', 'am', 'glad', 'to', 'see', 'you', 'here', 'now')


def make_engine(length_s: float, rate_hz: float = FRAME_RATE_HZ, **settings) -> Engine:
    engine = Engine(
        ModelSettings(**{'device': 'cpu', **settings}), WindowSettings(length_s=length_s), rate_hz)
    engine.warm_up()
    return engine


def write_base(folder: Path) -> None:
    """Write an untrained `base`: its configuration, and a tokenizer with the words."""
    MavenConfig.base().save_pretrained(folder)
    words = {'<unk>': 3, **{text: 10 + index for index, text in enumerate(TEXTS)}}
    tokenizer = Tokenizer(models.WordLevel(words, '<unk>'))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    (folder / hub.TOKENIZER).write_text(tokenizer.to_str(), 'utf-8')


def stream(
    length_s: float, crop_px: int, rate_hz: float = FRAME_RATE_HZ, hop_s: float = HOP_S,
    person: str = 'p',
) -> Iterator[Evidence]:
    """Yield the evidence of consecutive windows, which share objects."""
    random = np.random.default_rng(0)
    length_ns, hop_ns, frame_ns = (round(one * NS) for one in (length_s, hop_s, 1 / rate_hz))
    faces = []
    start_ns = 0
    while True:
        end_ns = start_ns + length_ns
        first_ns = faces[-1].stamp_ns + frame_ns if faces else 0
        faces = [face for face in faces if face.stamp_ns >= start_ns] + [
            Face(stamp_ns, person, Box(0, 0, crop_px, crop_px),
                 random.integers(0, 256, (crop_px, crop_px, 3), np.uint8))
            for stamp_ns in range(first_ns, end_ns, frame_ns)]
        samples = length_ns * SAMPLE_RATE_HZ // NS
        words = tuple(
            Word(TEXTS[index % len(TEXTS)], index * WORD_NS, (index + 1) * WORD_NS, 1.0)
            for index in range(-(-start_ns // WORD_NS), end_ns // WORD_NS))
        yield Evidence(
            start_ns, end_ns, person, tuple(faces),
            random.normal(0, 0.1, samples).astype(np.float32), np.ones(samples, np.bool_), words)
        start_ns += hop_ns
