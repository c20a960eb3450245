"""The generated set: Aff-Wild2's layout, labels that are shown, nobody in two splits."""

import numpy as np
import pytest
import tiny_corpora

from maven_ros.devices.media import probe
from maven_ros.errors import ResourceError, SettingsError
from maven_ros.scoring.annotations import read_frame_values
from maven_ros.training.affwild2.cast import DrawnActor, Roles
from maven_ros.training.affwild2.generate import GenerateSettings, generate
from maven_ros.training.affwild2.layout import find_layout
from maven_ros.training.people.origin import find_origin


def layout(folder):
    return find_layout(folder / 'videos', folder / 'annotations', folder / 'cropped_aligned',
                       folder / 'transcripts')


def test_splits_follow_the_number_of_videos():
    assert GenerateSettings(12).splits == {'train': 7, 'valid': 3, 'test': 2}
    assert GenerateSettings(3).splits == {'train': 1, 'valid': 1, 'test': 1}


@pytest.fixture(scope='module')
def corpora(tmp_path_factory):
    return tiny_corpora.write(tmp_path_factory.mktemp('corpora'))


def test_it_is_composed_of_the_corpora_in_the_layout(corpora, tmp_path):
    generate(tmp_path / 'set', GenerateSettings(3, 3.0), corpora)
    found = layout(tmp_path / 'set')
    assert found.origin.generated and 'ravdess: CC BY-NC-SA 4.0' in found.origin.terms
    assert find_origin(tmp_path / 'set/annotations/VA_Estimation_Challenge') == found.origin
    people = [one for own in found.subjects.values() for one in own]
    assert [one.person for one in people] == [
        '1-25-288x144_left', '1-25-288x144_right', '2-25-144x144', '3-25-144x144']
    assert found.crops.keys() == {one.person for one in people}
    for one in people:
        media = probe(found.videos[one.video])
        assert (media.frame_rate, media.has_audio, media.sample_rate_hz) == (25, True, 16_000)
        values = read_frame_values(one.annotation)
        known = values[np.isfinite(values[:, 0])]
        assert len(values) == 75 and 40 < len(known) < 75
        assert np.abs(np.diff(values, axis=0))[np.isfinite(np.diff(values, axis=0))].max() < 0.1


def test_a_seed_gives_the_same_labels_and_pictures(tmp_path):
    for name, seed in (('one', 0), ('same', 0), ('other', 1)):
        generate(tmp_path / name, GenerateSettings(3, 2.0, seed))
    one, same, other = (
        [path.read_bytes() for path in sorted((tmp_path / name).rglob('*'))
         if path.suffix in ('.txt', '.jpg')] for name in ('one', 'same', 'other'))
    assert one == same != other


def test_actors_are_those_of_their_split(corpora):
    roles = Roles(corpora, 'valid', 2)
    assert set(roles.clips.actors.tolist()) == {19, 20}


def test_drawn_faces_and_babble_tell_the_point():
    random = np.random.default_rng(0)
    actor = DrawnActor(random)
    sad, happy = (np.mean([actor.shows(np.array([valence, 0.0]), random) for _ in range(8)], 0)
                  for valence in (-0.6, 0.8))
    assert np.abs(sad - happy)[65:100].max() > 40  # about the mouth
    said = [actor.says(random) for _ in range(12)]
    assert len({tuple(one.point) for one in said}) > 3
    loud = sorted(said, key=lambda one: one.point[1])
    assert np.square(loud[0].waveform).mean() < np.square(loud[-1].waveform).mean()


def test_what_cannot_be_is_refused(tmp_path):
    (tmp_path / 'old').touch()
    with pytest.raises(ResourceError, match='is not empty; allowed: a folder that is not there'):
        generate(tmp_path, GenerateSettings(3, 2.0))
    with pytest.raises(SettingsError, match='videos: 2 is not int of at least 3'):
        GenerateSettings(2)
    with pytest.raises(SettingsError, match=r'seconds: 1 is not float in \[2, 3600\]'):
        GenerateSettings(seconds=1)
    with pytest.raises(ResourceError, match=r'ferplus_train.npz: cannot be read'):
        generate(tmp_path / 'set', GenerateSettings(3, 2.0), tmp_path)
