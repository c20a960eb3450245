import numpy as np
import pytest
from tiny_corpora import write_clip, write_listed_clips

from maven_ros.errors import ResourceError, SettingsError
from maven_ros.training.corpora.nemo import Nemo
from maven_ros.training.corpora.rooms import Rooms
from maven_ros.training.corpus import check_examples
from maven_ros.training.listed import Corpora, CorpusSettings
from maven_ros.training.voice_clips import listed_clips, read_clips


def test_a_clip_is_16_khz_mono_of_its_length(tmp_path):
    write_clip(tmp_path / 'a.flac', 440, rate_hz=44_100)
    sound, = read_clips([tmp_path / 'a.flac'])
    assert sound.dtype == np.float32 and len(sound) == pytest.approx(8_000, abs=2)
    spectrum = np.abs(np.fft.rfft(sound))
    assert spectrum.argmax() * 16_000 / len(sound) == pytest.approx(440, abs=2)
    (tmp_path / 'b.flac').write_bytes(b'no sound')
    with pytest.raises(ResourceError, match=r'b\.flac: '):
        read_clips([tmp_path / 'b.flac'])


def test_nemo_keeps_a_woman_and_a_man_for_validation(tmp_path):
    folder = write_listed_clips(tmp_path / 'nemo', [
        ('EB0', 'anger'), ('IC0', 'happiness'), ('KS0', 'surprised'), ('MK0', 'sadness'),
        ('MK0', 'fear')])
    valid, train = Nemo(folder).read('valid'), Nemo(folder).read('train')
    assert valid.people == ('EB0', 'KS0') and train.people == ('IC0', 'MK0', 'MK0')
    named = dict(zip(train.emotions, np.eye(6), strict=True))
    assert train.shares.tolist() == [named[one].tolist() for one in ('happy', 'sad', 'fearful')]
    assert valid.targets[0].tolist() == pytest.approx([-0.51, 0.59])
    check_examples(train, 'audio', 'nemo')
    with pytest.raises(ResourceError, match=r'clips\.tsv: no clip of '):
        Nemo(folder).read('test')


def test_rooms_keep_every_fifth_named_speaker_for_validation(tmp_path):
    folder = write_listed_clips(tmp_path / 'rooms', [
        ('s001', 'calm'), ('s002', 'angry'), ('unknown', 'happy'), ('s003', 'fearful')])
    valid, train = Rooms(folder).read('valid'), Rooms(folder).read('train')
    assert valid.people == ('s001',) and sorted(train.people) == ['', 's002', 's003']
    assert valid.targets.tolist() == [[0, 0]]  # ordinary speech


def test_people_of_two_corpora_do_not_mix(tmp_path):
    write_listed_clips(
        tmp_path / 'rooms', [('s001', 'calm'), ('s002', 'angry'), ('unknown', 'happy')])
    write_listed_clips(tmp_path / 'nemo', [('EB0', 'anger'), ('IC0', 'sadness')])
    both = Corpora([CorpusSettings('nemo', 'nemo', splits=('train', 'valid')),
                    CorpusSettings('rooms', 'rooms', weight=2.0)], tmp_path)
    train, valid = both.train_and_valid('audio')
    assert train.people == ('nemo/IC0', 'rooms/s002', '')
    assert valid.people == ('nemo/EB0', 'rooms/s001')
    assert train.weights.tolist() == [1, 2, 2]
    # Rooms have no sad voices, so that a sad one of theirs counts as none.
    sad = train.emotions.index('sad')
    assert train.choices[:, sad].tolist() == [True, False, False]


@pytest.mark.parametrize(('table', 'message'), [
    ('file\tspeaker\n', r'clips\.tsv: has no column emotion'),
    ('file\tspeaker\temotion\n../a.opus\tEB0\tanger\n',
     r"line 2: '\.\./a\.opus' is not the name of a file in this folder"),
    ('file\tspeaker\temotion\na.opus\tEB0\tbored\n',
     'emotion bored; allowed: neutral, happiness, sadness')])
def test_a_damaged_table_is_named(tmp_path, table, message):
    (tmp_path / 'clips.tsv').write_text(table)
    with pytest.raises(ResourceError, match=message):
        Nemo(tmp_path).read('valid')


def test_a_table_that_is_missing_is_named(tmp_path):
    with pytest.raises(ResourceError, match=r'clips\.tsv: cannot be read: .*No such file'):
        listed_clips(tmp_path)
    with pytest.raises(SettingsError, match="split: 'dev' is not one of"):
        Rooms(tmp_path).read('dev')
