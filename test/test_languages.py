"""The words of many languages, of which the text encoder saw labels in one alone."""

import numpy as np
import pytest
from sentences import SENTENCES

from maven_ros.engine import Engine
from maven_ros.languages import is_known
from maven_ros.records import NS, Evidence, Word
from maven_ros.settings import ModelSettings, WindowSettings


@pytest.fixture(scope='module')
def engine():
    return Engine(ModelSettings(), WindowSettings(), 10.0)


def spoken(text):
    """A window that the words of a text fill."""
    words = text.split()
    edges = np.linspace(0, 2 * NS, len(words) + 1).astype(int)
    return Evidence(0, 2 * NS, words=tuple(
        Word(word, int(start), int(end), 1.0)
        for word, start, end in zip(words, edges, edges[1:], strict=False)))


def valence(engine, text):
    return engine.infer([spoken(text)])[0].affect.valence


def test_it_says_that_it_knows_the_languages(engine):
    assert all(is_known(language, engine.languages) for language in SENTENCES)
    assert is_known('pt-BR', engine.languages) and not is_known('tlh', engine.languages)


def test_short_sentences_have_the_right_sign(engine):
    wrong = [f'{language}: {text}' for language, texts in SENTENCES.items() for text in texts
             if (valence(engine, text[1:]) > 0) != (text[0] == '+')]
    every = sum(map(len, SENTENCES.values()))
    assert len(wrong) <= 0.05 * every, wrong


def test_case_and_an_apostrophe_change_nothing(engine):
    assert valence(engine, "I don't like it") == pytest.approx(
        valence(engine, 'i don’t like it'), abs=1e-5)
