"""Corpora by name: ours, and those of other packages, as a recipe lists them."""

from pathlib import Path

import numpy as np
import pytest
import tiny_corpora
from somebody_elses import outside, write_outside

from maven_ros.errors import ResourceError, SettingsError
from maven_ros.records import MODALITIES
from maven_ros.training.corpora.ferplus import Ferplus
from maven_ros.training.corpus import SPLITS
from maven_ros.training.listed import Corpora, CorpusSettings, find, ours


@pytest.fixture
def data(tmp_path, monkeypatch):
    """The tiny corpora, and the files of one of a package that is installed elsewhere."""
    data = tiny_corpora.write(tmp_path / 'data')
    write_outside(tmp_path, data, monkeypatch)
    return data


def test_ours_are_found_by_the_names_of_their_modules():
    assert {'emobank', 'ferplus', 'goemotions', 'ravdess'} <= set(ours())
    assert find('ferplus') is Ferplus
    for name in ours():
        corpus = find(name)
        assert corpus.name == name and corpus.modality in MODALITIES and corpus.licence
        for split in SPLITS:
            with pytest.raises(ResourceError):
                corpus(Path('/nowhere')).read(split)


def test_a_corpus_of_another_package_is_read_beside_ours(data):
    corpora = Corpora([*tiny_corpora.LISTED, outside(weight=2.5)], data)
    heard = corpora.read('audio', 'train')
    assert len(heard) == 18 + 2 and heard.people[-2:] == ('hums/ann', 'hums/bob')
    assert set(heard.people[:-2]) == {f'ravdess/{actor}' for actor in range(1, 19)}
    assert np.abs(heard.evidence[-1]).max() == pytest.approx(0.25, abs=1e-3)
    assert heard.targets[-1].tolist() == [0.5, 0.5] and heard.rated.tolist() == [False] * 18 + [
        True] * 2
    assert heard.spreads[-1].tolist() == pytest.approx([0.2, 0.2])
    assert heard.weights.tolist() == [1.0] * 18 + [2.5] * 2
    assert corpora.licences['hums'] == 'CC0' and len(corpora.licences) == 5


def test_labels_that_are_uncertain_are_smoothed_in_training_alone(data):
    plain, smooth = (Corpora([CorpusSettings('ferplus', 'faces', smoothing=smoothing)], data)
                     for smoothing in (0.0, 0.4))
    before, after = (one.read('video', 'train') for one in (plain, smooth))
    assert before.shares[0].tolist() == pytest.approx([0.8, 0.2] + [0] * 6)
    assert after.shares[0].tolist() == pytest.approx([0.53, 0.17] + [0.05] * 6)
    assert (before.targets == after.targets).all()
    assert (smooth.read('video', 'valid').shares == plain.read('video', 'valid').shares).all()
    rated = Corpora([outside(smoothing=0.4)], data).read('audio', 'train')
    assert rated.rated.all()


def test_one_that_is_listed_for_the_test_alone_is_not_learnt_from(data):
    corpora = Corpora([*tiny_corpora.LISTED, outside(splits=('test',))], data)
    read = {split: {one.partition('/')[0] for one in corpora.read('audio', split).people}
            for split in SPLITS}
    assert read == {'train': {'ravdess'}, 'valid': {'ravdess'}, 'test': {'ravdess', 'hums'}}
    with pytest.raises(SettingsError, match="none of modality audio is listed for the split 'tra"):
        Corpora([outside(splits=('test',))], data).read('audio', 'train')


def test_nobody_is_both_learnt_from_and_held_out(data):
    train, valid = Corpora([outside()], data).train_and_valid('audio')
    assert (train.people, valid.people) == (('hums/ann', 'hums/bob'), ('hums/cid',))
    with pytest.raises(ResourceError, match=r'^hums/ann: in the splits train and valid'):
        Corpora([outside('Overlapping')], data).train_and_valid('audio')


@pytest.mark.parametrize(('name', 'message'), [
    ('ferplu', "'ferplu' is none of .*ferplus, .*; allowed: one of these, or package.module:Name"),
    ('nowhere_at_all:Hums', "nowhere_at_all:Hums: No module named 'nowhere_at_all'"),
    ('elsewhere.corpora:Cries', 'elsewhere.corpora has no such class'),
    ('elsewhere.corpora:Smells', "modality is 'smell'; allowed: video, audio, text"),
    ('elsewhere.corpora:Nameless', 'name is None; allowed: a str'),
    ('elsewhere.corpora:Silent', 'has no method read'),
])
def test_what_is_no_corpus_is_named(data, name, message):
    with pytest.raises(SettingsError, match=f'^corpora: .*{message}'):
        find(name)


def test_what_a_corpus_gives_wrongly_is_named(data):
    with pytest.raises(ResourceError, match=r'^hums, train: a target is beyond \[-1, 1\]'):
        Corpora([outside('Loud')], data).read('audio', 'train')


def test_a_corpus_is_listed_once(data):
    with pytest.raises(SettingsError, match='corpora: ferplus is listed 2 times; allowed: once'):
        Corpora(tiny_corpora.LISTED[:1] * 2, data)


def test_a_split_that_there_is_not_is_named(data):
    with pytest.raises(SettingsError, match="split: 'dev' is not one of train, valid, test"):
        tiny_corpora.corpora(data).read('video', 'dev')
