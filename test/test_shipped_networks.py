"""What ships under models/: both networks, within the room that a wheel has."""

import math

import pytest
from inputs import SAMPLE

from maven_ros.devices.media import read_media
from maven_ros.errors import SettingsError
from maven_ros.model import checkpoint
from maven_ros.model.encoders import VoiceEncoder
from maven_ros.pipeline import Pipeline
from maven_ros.records import NS, AffectState, Modality, Utterance, Word
from maven_ros.resources import network_folder, resource
from maven_ros.settings import Settings

SMALL = 'compact-small'
EVERYTHING = Modality.VIDEO | Modality.AUDIO | Modality.TEXT


def size(name):
    return sum(path.stat().st_size for path in resource(name).rglob('*') if path.is_file())


def test_there_is_room_for_them_in_a_wheel():
    assert size(f'models/{SMALL}') <= 15e6
    assert size('models') <= 95e6


def test_the_small_one_hears_by_a_student_of_150_thousand_parameters():
    loaded = checkpoint.load(network_folder(SMALL))
    assert loaded.trained and loaded.name.startswith('compact-small-')
    voice, reader = loaded.model.voice_encoder, loaded.model.readers.each['audio']
    assert isinstance(voice, VoiceEncoder)
    assert sum(one.numel() for part in (voice, reader) for one in part.parameters()) <= 150_000
    assert loaded.model.config.languages == ('en',)


def test_the_small_one_sees_hears_and_reads_the_shipped_clip():
    settings = Settings().with_values({'speech.recogniser': 'none', 'model.path': SMALL})
    words = tuple(Word(text, 3 * NS + index * NS // 4, 3 * NS + (index + 1) * NS // 4, 0.9, 'en')
                  for index, text in enumerate(('what', 'a', 'wonderful', 'day')))
    said = [Utterance(3 * NS, 4 * NS, words, True, 'x', 'en', 0.9)]
    outputs = []
    with Pipeline(settings) as pipeline:
        for record in read_media(SAMPLE, start_ns=0):
            if said and record.stamp_ns > 4 * NS:
                outputs += pipeline.feed(said.pop())
            outputs += pipeline.feed(record)
        outputs += pipeline.finish()
    states = [one for one in outputs if isinstance(one, AffectState)]
    whole = [one for one in states if one.modalities == EVERYTHING]
    assert whole and all(one.model.startswith('compact-small-') for one in states)
    for state in whole:
        assert math.hypot(state.affect.valence, state.affect.arousal) <= math.sqrt(2)
        assert 0 < state.confidence <= 1 and sum(state.influence) == pytest.approx(1)


def test_a_network_is_found_by_name_and_a_folder_of_that_name_comes_first(tmp_path, monkeypatch):
    named = Settings().with_values({'model.path': SMALL})
    assert network_folder(SMALL) == resource(f'models/{SMALL}')
    assert named.with_absolute_paths().model.path == str(resource(f'models/{SMALL}').resolve())
    (tmp_path / SMALL).mkdir()
    monkeypatch.chdir(tmp_path)
    assert network_folder(SMALL).resolve() == (tmp_path / SMALL).resolve()
    with pytest.raises(SettingsError, match=r"model\.path: 'compact-tiny' is not an existing "
                                            'folder, the name of a shipped network, or nothing'):
        Settings().with_values({'model.path': 'compact-tiny'})
