import wave

import numpy as np
import pytest

from maven_ros.errors import ResourceError, SettingsError
from maven_ros.training.corpora.ravdess import ACTORS, EMOTIONS, Ravdess, read_ravdess


def write_clip(data, name, samples, rate_hz=16_000):
    """Write a clip; RIFF under another name, for FFmpeg looks at the bytes."""
    with wave.open(str(data / f'{name}.flac'), 'wb') as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes((np.asarray(samples) * 32767).astype('<i2').tobytes())


@pytest.fixture
def data(tmp_path):
    for actor in range(1, 25):
        write_clip(tmp_path, f'03-01-01-01-01-01-{actor:02}', np.full(800, 0.25))
    write_clip(tmp_path, '03-01-05-02-01-01-19', np.sin(np.arange(8_000) / 8) / 2)
    return tmp_path


def test_a_name_says_what_a_clip_is(data):
    clips = read_ravdess(data, 'valid')
    assert len(clips) == 3
    assert clips.actors.tolist() == [19, 20, 19]
    assert [EMOTIONS[index] for index in clips.emotions] == ['neutral', 'neutral', 'angry']
    assert clips.strong.tolist() == [False, False, True]
    assert clips.targets.tolist() == pytest.approx(np.array([[0, 0], [0, 0], [-0.51, 0.59]]))
    assert clips.waveforms[2].shape == (8_000,)
    assert clips.waveforms[2].dtype == np.float32
    assert clips.waveforms[2] == pytest.approx(np.sin(np.arange(8_000) / 8) / 2, abs=1e-4)


def test_examples_are_the_clips_with_the_emotion_that_was_asked_for(data):
    examples, clips = Ravdess(data).read('valid'), read_ravdess(data, 'valid')
    assert all(one is not other and (one == other).all() for one, other in zip(
        examples.evidence, clips.waveforms, strict=True))
    assert (examples.targets == clips.targets).all() and not examples.spreads.any()
    assert [examples.emotions[place] for place in examples.shares.argmax(1)] == [
        'neutral', 'neutral', 'angry']
    assert examples.shares.sum(1).tolist() == [1, 1, 1]
    assert examples.people == ('19', '20', '19')


def test_no_actor_is_in_two_splits(data):
    heard = {split: set(read_ravdess(data, split).actors.tolist()) for split in ACTORS}
    assert heard == {'train': set(range(1, 19)), 'valid': {19, 20}, 'test': {21, 22, 23, 24}}


def test_some_clips_by_a_mask(data):
    clips = read_ravdess(data, 'valid')
    loud = clips.of(clips.strong)
    assert len(loud) == 1
    assert loud.actors.tolist() == [19]
    assert loud.waveforms[0] is clips.waveforms[2]


def test_another_rate_becomes_16_khz(data):
    write_clip(data, '03-01-03-01-01-01-20', np.zeros(4_800), rate_hz=48_000)
    clips = read_ravdess(data, 'valid')
    happy = clips.waveforms[int(np.flatnonzero(clips.emotions == EMOTIONS.index('happy'))[0])]
    assert len(happy) == 1_600


def test_an_unknown_split(data):
    with pytest.raises(SettingsError, match="split: 'dev' is not one of train, valid, test"):
        read_ravdess(data, 'dev')


def test_missing_actors(tmp_path):
    write_clip(tmp_path, '03-01-01-01-01-01-19', np.zeros(800))
    with pytest.raises(ResourceError, match='no clips of actors 20, who are in split'):
        read_ravdess(tmp_path, 'valid')


def test_a_name_that_is_none(data):
    write_clip(data, '03-02-01-01-01-01-01', np.zeros(800))  # a song
    with pytest.raises(ResourceError, match=r"'03-02-01-01-01-01-01' is not a name of RAV"):
        read_ravdess(data, 'train')


def test_a_broken_file(data):
    (data / '03-01-01-01-01-01-20.flac').write_bytes(b'no sound at all')
    with pytest.raises(ResourceError, match=r'03-01-01-01-01-01-20\.flac'):
        read_ravdess(data, 'valid')
