"""A data set in Aff-Wild2's layout becomes a manifest; what is wrong with it is listed."""

import itertools
import shutil
from threading import Event

import av
import cv2
import numpy as np
import pytest
import tiny_affwild2
from full_disk import largest_file
from inputs import SAMPLE, cases
from tiny_affwild2 import prepare_again

from maven_ros.devices.media import read_media
from maven_ros.errors import CannotWrite, InputError, ResourceError, SettingsError
from maven_ros.records import Box
from maven_ros.scoring.annotations import read_frame_values
from maven_ros.settings import Settings
from maven_ros.tables import read_table
from maven_ros.training.affwild2.annotated import MANIFEST, PEOPLE
from maven_ros.training.affwild2.frames import Seen, choose, holes
from maven_ros.training.affwild2.layout import find_layout
from maven_ros.training.affwild2.plan import PrepareOptions
from maven_ros.training.affwild2.prepare import prepare
from maven_ros.training.people.prepared import PreparedSet
from maven_ros.training.people.recorded_sound import read_flac, read_words

TRAIN = 'annotations/VA_Estimation_Challenge/Train_Set'


@pytest.fixture(scope='module')
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp('affwild2')
    tiny_affwild2.write(folder, seconds=2.0)
    return folder


@pytest.fixture
def own(written, tmp_path):
    """A copy of the generated set and of what was prepared of it."""
    shutil.copytree(written / 'generated', tmp_path / 'generated')
    prepare_again(tmp_path)
    return tmp_path


def people(folder):
    table = read_table(folder / 'prepared/videos.parquet', PEOPLE)
    return {row[1]: dict(zip(table, row, strict=True))
            for row in zip(*table.values(), strict=True)}


def damage(video, numbers):
    """Overwrite most of some pictures."""
    with av.open(str(video)) as container:
        packets = [(one.pos, one.size) for one in container.demux(video=0) if one.size]
    data = bytearray(video.read_bytes())
    for at, size in (packets[number] for number in numbers):
        data[at + size // 3:at + size] = bytes(size - size // 3)
    video.write_bytes(data)


def label_of(folder, person='1-25-288x144_left'):
    return folder / 'generated' / TRAIN / f'{person}.txt'


def test_the_manifest_has_a_row_a_frame_with_its_label_and_face(written):
    table = read_table(written / 'prepared/manifest.parquet', MANIFEST)
    rows = [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)]
    assert len(rows) == 4 * 50
    assert {row['split'] for row in rows} == {'train', 'valid', 'test'}
    left = [row for row in rows if row['person'] == '1-25-288x144_left']
    values = read_frame_values(label_of(written))
    assert [row['frame'] for row in left] == list(range(1, 51))
    assert [row['stamp_ns'] for row in left[:3]] == [0, 40_000_000, 80_000_000]
    assert np.array_equal([[row['valence'], row['arousal']] for row in left], values,
                          equal_nan=True)
    assert [row['labelled'] for row in left] == np.isfinite(values[:, 0]).tolist()
    assert 0 < sum(not row['labelled'] for row in left) < 25
    crops = written / 'generated/cropped_aligned/1-25-288x144_left'
    for row in left:
        path = crops / f'{row["frame"]:05}.jpg'
        assert row['crop'] == (str(path) if path.exists() else '')


def test_people_have_their_sound_words_and_counts(written):
    one = people(written)['1-25-288x144_left']
    assert (one['status'], one['fps'], one['frames'], one['duration_s']) == ('ok', 25, 50, 2.0)
    assert one['labelled'] + one['unlabelled'] == 50 and one['faceless'] == 12
    waveform = read_flac(written / 'prepared' / one['audio'])
    assert abs(len(waveform) / 16_000 - 2) < 0.1 and np.abs(waveform).max() > 0.05
    assert len(read_words(written / 'prepared' / one['transcript'])) > 2
    assert [one.person for one in PreparedSet(written / 'prepared').people] == list(
        people(written))
    report = (written / 'prepared/report.md').read_text()
    assert '| train | 2 | 100 |' in report and '## Excluded: 0' in report


def test_only_what_changed_is_done_again(own):
    parts = own / 'prepared/parts'
    before = {path.name: path.stat().st_mtime_ns for path in parts.glob('*.json')}
    prepare_again(own)
    assert {path.name: path.stat().st_mtime_ns for path in parts.glob('*.json')} == before
    label_of(own).write_text(label_of(own).read_text() + '\n')
    prepare_again(own)
    changed = {path.name for path in parts.glob('*.json')
               if path.stat().st_mtime_ns != before[path.name]}
    assert changed == {'1-25-288x144.json'}


def test_a_damaged_picture_moves_no_label(own):
    video = next((own / 'generated/videos').rglob('1-*.mp4'))
    damage(video, (5, 6, 7, 20))
    survivors = len([*read_media(video, audio=False)])
    prepare_again(own)
    table = read_table(own / 'prepared/manifest.parquet', MANIFEST)
    of_person = [index for index, one in enumerate(table['person'])
                 if one == '1-25-288x144_left']
    assert survivors < len(of_person) == 50
    assert [table['stamp_ns'][index] for index in of_person] == [
        number * 40_000_000 for number in range(50)]
    values = [[table['valence'][index], table['arousal'][index]] for index in of_person]
    assert np.array_equal(values, read_frame_values(label_of(own)), equal_nan=True)


def test_pictures_that_are_not_in_the_file_keep_their_places(own):
    video = next((own / 'generated/videos').rglob('1-*.mp4'))
    cut = own / 'cut.mkv'
    with av.open(str(video)) as source, av.open(str(cut), 'w') as target:
        stream = source.streams.video[0]
        copy = target.add_stream_from_template(stream)
        for number, packet in enumerate(one for one in source.demux(stream) if one.size):
            if number not in (20, 21, 33) or packet.is_keyframe:
                packet.stream = copy
                target.mux(packet)
    cut.replace(video)
    left = len([*read_media(video, audio=False, keep_lost=True)])
    prepare_again(own)
    table = read_table(own / 'prepared/manifest.parquet', MANIFEST)
    of_person = [index for index, one in enumerate(table['person'])
                 if one == '1-25-288x144_left']
    assert left < len(of_person) == 50
    values = [[table['valence'][index], table['arousal'][index]] for index in of_person]
    assert np.array_equal(values, read_frame_values(label_of(own)), equal_nan=True)
    assert [round(table['stamp_ns'][index] * 25e-9) for index in of_person] == list(range(50))
    assert f'{50 - left} pictures are not in the file' in people(own)[
        '1-25-288x144_left']['reason']


@pytest.mark.parametrize(('stamps', 'lines', 'found'), [
    ([0, 40, 120, 160, 200], 6, [80]), ([0, 40, 160, 200, 240], 7, [80, 120]),
    ([0, 40, 120, 160], 4, []), ([0, 40, 120, 160], 7, []),   # as many; no reason known
    ([0, 40, 100, 160, 200], 6, []), ([0], 5, []), ([0, 40, 40, 160], 5, [])])
def test_holes_are_found_where_labels_count_them(stamps, lines, found):
    assert holes(np.array(stamps, np.int64), lines).tolist() == found


def counted(folder):
    """Write a video of 100 frames, six of them damaged, and labels that count its frames."""
    (folder / 'videos').mkdir()
    video = folder / 'videos/count.mp4'
    noise = np.random.default_rng(0)
    with av.open(str(video), 'w') as container:
        stream = container.add_stream('mpeg4', rate=25)
        stream.width, stream.height = 96, 64
        for _ in range(100):
            pixels = noise.integers(0, 255, (64, 96, 3), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format='bgr24')))
        container.mux(stream.encode(None))
    damage(video, (5, 17, 29, 41, 43, 46))
    labels = folder / TRAIN / 'count.txt'
    labels.parent.mkdir(parents=True)
    labels.write_text('\n'.join(['valence,arousal', *(f'{n / 100},0' for n in range(100))]))
    return folder


@pytest.mark.parametrize('case', [None, *cases('labels_after_damage')])
def test_labels_stay_with_their_frames_after_damage(tmp_path, case):
    case = case or counted(tmp_path)
    assert len([*read_media(case / 'videos/count.mp4', audio=False)]) < 100
    prepare(find_layout(case / 'videos', case / 'annotations'), tmp_path / 'out', PrepareOptions(
        settings=Settings().with_values({'speech.recogniser': 'none'})), Event())
    table = read_table(tmp_path / 'out/manifest.parquet', MANIFEST)
    assert len(table['stamp_ns']) == 100
    for stamp_ns, valence in zip(table['stamp_ns'], table['valence'], strict=True):
        assert stamp_ns * 25e-9 == pytest.approx(round(valence * 100))


def test_a_broken_video_is_listed_and_the_others_are_prepared(own):
    broken = next((own / 'generated/videos/batch2').glob('2-*.mp4'))
    shutil.copy(broken, own / 'whole.mp4')
    broken.write_bytes(broken.read_bytes()[:2000])
    counts = prepare_again(own)
    one = people(own)[broken.stem]
    assert one['status'] == 'excluded' and 'cannot be read as a media file' in one['reason']
    assert counts['excluded'] == 1 and counts['splits'].keys() == {'train', 'test'}
    assert f'- {broken.stem} (valid): ' in (own / 'prepared/report.md').read_text()
    shutil.copy(own / 'whole.mp4', broken)
    assert prepare_again(own)['excluded'] == 0
    broken.write_bytes(broken.read_bytes()[:2000])
    prepare_again(own)
    assert broken.stem not in {one.person for one in PreparedSet(own / 'prepared').people}


@pytest.mark.parametrize(('lines', 'mismatch', 'said', 'unlabelled'), [
    (49, 'cut', 'cut: 1 frames beyond the last line are unlabelled', 1),
    (52, 'cut', 'cut: dropped 2 lines beyond the last frame', 0),
    (49, 'exclude', '49 lines for 50 frames; allowed: the same number (--mismatch exclude)', None),
    (40, 'cut', '40 lines for 50 frames; allowed: within 10% (--mismatch cut)', None),
])
def test_other_numbers_of_lines_follow_the_policy(own, lines, mismatch, said, unlabelled):
    label_of(own).write_text('valence,arousal\n' + '0.5,-0.25\n' * lines)
    prepare_again(own, mismatch=mismatch)
    one = people(own)['1-25-288x144_left']
    assert said in one['reason']
    assert one['status'] == ('excluded' if unlabelled is None else 'ok')
    assert unlabelled is None or one['unlabelled'] == unlabelled
    assert people(own)['1-25-288x144_right']['status'] == 'ok'


@pytest.mark.parametrize(('text', 'said'), [
    ('Neutral,Anger,Disgust\n1\n', "is of the expression track: it begins with 'neutral,anger,"),
    ('AU1,AU2,AU4\n0,0,1\n', 'is of the action unit track: it begins with'),
    ('0.1,0.2\n', "begins with '0.1,0.2'; allowed: valence,arousal (a line a picture)"),
    ('valence,arousal\n0.1,2\n', 'line 2: arousal is 2; allowed: [-1, 1]'),
])
def test_a_file_that_is_no_annotation_excludes_its_person(own, text, said):
    label_of(own).write_text(text)
    prepare_again(own)
    assert said in people(own)['1-25-288x144_left']['reason']
    with pytest.raises(InputError):
        read_frame_values(label_of(own))


def test_an_annotation_without_a_video_is_listed(own):
    shutil.copy(label_of(own), label_of(own, 'nowhere'))
    prepare_again(own)
    assert people(own)['nowhere']['reason'] == 'nowhere.txt: no video has this name'


def test_a_transcript_that_is_none_is_named(own):
    path = own / 'generated/transcripts/1-25-288x144.json'
    path.write_text('[{"text": "late", "start_ns": 5, "end_ns": 4, "confidence": 1}]')
    prepare_again(own)
    assert "is not a word; allowed: text (without" in people(own)['1-25-288x144_left']['reason']


def test_it_stops_when_asked_and_goes_on(own):
    shutil.rmtree(own / 'prepared')
    stop = Event()
    stop.set()
    with pytest.raises(ResourceError, match='stopped; run the same command'):
        prepare_again(own, stop)
    with pytest.raises(ResourceError, match='is not a prepared set'):
        PreparedSet(own / 'prepared')
    prepare_again(own)
    assert len(PreparedSet(own / 'prepared').people) == 4


def test_a_full_disk_stops_it_and_the_same_call_goes_on(own):
    shutil.rmtree(own / 'prepared')
    with largest_file(9_000), \
            pytest.raises(CannotWrite, match=r'flac: cannot be written: .*run the same command'):
        prepare_again(own)
    assert not list((own / 'prepared').rglob('*.part'))
    prepare_again(own)
    assert len(PreparedSet(own / 'prepared').people) == 4


def test_several_videos_at_a_time_give_the_same(own):
    before = (own / 'prepared/manifest.parquet').read_bytes()
    shutil.rmtree(own / 'prepared')
    prepare(tiny_affwild2.layout(own), own / 'prepared', PrepareOptions(tiny_affwild2.SETTINGS),
            Event(), workers=2)
    assert (own / 'prepared/manifest.parquet').read_bytes() == before


def test_what_the_machine_lacks_is_no_fault_of_a_video(own):
    settings = Settings().with_values({'faces.yunet_model': __file__})
    with pytest.raises(ResourceError, match=r'test_prepare.py'):
        prepare(tiny_affwild2.layout(own), own / 'prepared', PrepareOptions(settings), Event())
    with pytest.raises(SettingsError, match='workers: 0; allowed: 1 and above'):
        prepare(tiny_affwild2.layout(own), own / 'prepared', PrepareOptions(Settings()), Event(),
                workers=0)


def test_options_that_cannot_be_are_refused():
    with pytest.raises(SettingsError, match="mismatch: 'guess' is not 'cut' or 'exclude'"):
        PrepareOptions(Settings(), mismatch='guess')
    with pytest.raises(SettingsError, match=r'crop_px: 2000 is not int in \[16, 1024\]'):
        PrepareOptions(Settings(), crop_px=2000)


def seen(x, size=10):
    return Seen(Box(x, 0, size, size), f'{x}'.encode())


def test_left_and_right_are_the_outermost_and_one_alone_has_the_usual_side():
    frames = [{'a': seen(0), 'b': seen(50)}, {'b': seen(0)}, {}, {'c': seen(9)}]
    chosen = choose(frames, ['left', 'right'])
    assert [one and one.jpeg for one in chosen['left']] == [b'0', None, None, None]
    assert [one and one.jpeg for one in chosen['right']] == [b'50', b'0', None, None]


def test_nobody_in_particular_is_the_largest_of_those_who_are_left():
    frames = [{'a': seen(0, 30), 'b': seen(50, 20), 'c': seen(20, 10)}]
    assert choose(frames, [''])[''] == [seen(0, 30)]
    assert choose(frames, ['', 'left'])[''] == [seen(50, 20)]


def test_faces_are_tracked_and_words_recognised_where_none_are_given(tmp_path):
    (tmp_path / 'videos').mkdir()
    shutil.copy(SAMPLE, tmp_path / 'videos')
    count = sum(1 for _ in read_media(SAMPLE, audio=False))
    labels = tmp_path / 'labels/Train_Set/sample.txt'
    labels.parent.mkdir(parents=True)
    labels.write_text('valence,arousal\n' + '0.1,0.2\n' * count)
    out = tmp_path / 'prepared'
    prepare(find_layout(tmp_path / 'videos', tmp_path / 'labels'), out,
            PrepareOptions(Settings().with_values({'faces.detect_hz': 1.0}), crop_px=64), Event())
    [person] = PreparedSet(out).people
    frames = PreparedSet(out).frames(person.person)
    shown = [path for path in frames.crops if path]
    assert len(shown) > 0.9 * count and shown[-1] == f'crops/sample/{count:05}.jpg'
    assert cv2.imread(str(out / shown[0])).shape == (64, 64, 3)
    words = read_words(out / person.transcript)
    assert len(words) > 10
    assert all(one.start_ns <= other.start_ns for one, other in itertools.pairwise(words))


def test_damage_in_the_middle_of_a_video_is_remarked(own):
    path = next((own / 'generated/videos/batch2').glob('2-*.mp4'))
    content = bytearray(path.read_bytes())
    begin = content.find(b'mdat') + len(content) // 3
    content[begin:begin + 600] = b'\xff' * 600
    path.write_bytes(bytes(content))
    prepare_again(own)
    one = people(own)[path.stem]
    assert one['reason'].split(' x ')[0].isdecimal() or 'cut: ' in one['reason']
    assert path.name in one['reason']
