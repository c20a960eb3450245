"""What windows are composed of is what the corpora hold, however many there are of a modality."""

import numpy as np
import pytest
import tiny_corpora
from somebody_elses import outside, write_outside

from maven_ros.training.compact.encoding import BankSettings, gather
from maven_ros.training.compact.pieces import loudest, words_of
from maven_ros.training.corpora.emobank import Emobank
from maven_ros.training.corpora.ferplus import POINTS, read_ferplus
from maven_ros.training.corpora.goemotions import read_goemotions
from maven_ros.training.corpora.ravdess import read_ravdess
from maven_ros.training.listed import Corpora, CorpusSettings

BANK = BankSettings(noises=4)


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    return tiny_corpora.write(tmp_path_factory.mktemp('data'))


def plain(pieces):
    return [own[0] for own in pieces.render(np.arange(len(pieces)), 1, 0)]


def test_faces_are_those_that_count_with_their_points_and_spreads(data):
    corpora = tiny_corpora.corpora(data, [CorpusSettings('ferplus', 'faces')])
    material = gather(corpora, 'video', 'train', BANK)
    faces = read_ferplus(data / 'faces', 'train')
    faces = faces.of(faces.counted)
    shown = np.stack([piece.faces[0].crop[..., 0] for piece in plain(material.pieces)])
    assert (shown == faces.images).all() and material.versions == BANK.face_versions
    assert (material.examples.targets == faces.targets).all()
    for votes, target, spread in zip(faces.votes, faces.targets, material.examples.spreads,
                                     strict=True):
        variance = sum(count * (point - target) ** 2
                       for count, point in zip(votes, POINTS, strict=True)) / votes.sum()
        assert spread == pytest.approx(np.sqrt(variance / votes.sum()), abs=1e-6)


def test_voices_are_the_loudest_part_of_every_clip(data):
    material = gather(tiny_corpora.corpora(data), 'audio', 'valid', BANK)
    clips = read_ravdess(data / 'speech/ravdess', 'valid')
    assert (material.examples.targets == clips.targets).all()
    for piece, clip in zip(plain(material.pieces), clips.waveforms, strict=True):
        first = -loudest(clip)  # shorter than a window, in its middle
        assert (piece.waveform[first:first + len(clip)] == clip).all()


def test_texts_are_all_sentences_and_some_comments(data):
    material = gather(tiny_corpora.corpora(data), 'text', 'train', BANK)
    rated = Emobank(data / 'text/emobank').read('train')
    comments = read_goemotions(data / 'text/goemotions', 'train')
    texts = [' '.join(word.text for word in piece.words) for piece in plain(material.pieces)]
    assert texts[:len(rated)] == [' '.join(words_of(text)) for text in rated.evidence]
    assert (material.examples.targets[:len(rated)] == rated.targets).all()
    said = {(' '.join(words_of(text)), *target) for text, target in zip(
        comments.texts, comments.targets.tolist(), strict=True)}
    some = {(text, *target) for text, target in zip(
        texts[len(rated):], material.examples.targets[len(rated):].tolist(), strict=True)}
    assert some <= said and len(texts) == len(rated) + 8
    assert not material.examples.spreads.any()


def test_which_pieces_are_drawn_depends_on_the_split_alone(data):
    few = tiny_corpora.corpora(data, [CorpusSettings('ferplus', 'faces', most=6)])
    first, again = (gather(few, 'video', 'train', BANK) for _ in range(2))
    assert len(first.pieces) == 6 and first.pieces.digest == again.pieces.digest
    assert first.noises.digest == again.noises.digest


def test_pieces_of_several_corpora_stand_beside_each_other(data, tmp_path, monkeypatch):
    write_outside(tmp_path, data, monkeypatch)
    corpora = Corpora([CorpusSettings('ravdess', 'speech/ravdess'), outside(weight=3.0)], data)
    material = gather(corpora, 'audio', 'train', BANK)
    assert len(material.pieces) == len(material.examples) == 18 + 2
    assert material.examples.weights[-3:].tolist() == [1.0, 3.0, 3.0]
    hum = plain(material.pieces)[-1].waveform
    assert np.abs(hum).max() == pytest.approx(0.25, abs=1e-3)
