"""
Faces through time, in real pictures.

The people are scikit-image's portrait and, where it is there, the shared clips; a scene pastes
them, moving, on a background of gravel.
"""

import functools
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
from inputs import SAMPLE, SHARED_DATA

from maven_ros.counters import Counters
from maven_ros.devices.media import read_media
from maven_ros.errors import InputError, ResourceError
from maven_ros.records import NS, FoundFace
from maven_ros.senses.face_detector import FaceDetector
from maven_ros.senses.face_tracker import FaceTracker
from maven_ros.settings import FaceSettings

data = pytest.importorskip('skimage.data')
#: Clips of one person each; with those beside the checkout, where they are.
ALONE = [SAMPLE, *filter(Path.is_file, (SHARED_DATA / 'clips' / f'{name}.mp4' for name in (
    'talking_head_0', 'changing_face', 'single_face')))]
STEP_NS = NS // 10
START_NS = 1_700_000_000 * NS  # stamps of real clocks are as large
CROP_PX = 48


def tracker(counters=None, **changed):
    return FaceTracker(FaceSettings(**changed), CROP_PX, counters or Counters())


def track(tracker, pictures, start=0):
    """Return the faces in each picture, at 10 pictures a second."""
    return [tracker.update(START_NS + (start + i) * STEP_NS, picture)
            for i, picture in enumerate(pictures)]


def ids(results):
    return Counter(face.person_id for faces in results for face in faces)


@functools.cache
def clip(path):
    """Return a clip's pictures, thinned to 10 a second of its own time."""
    frames = {}
    for frame in read_media(path, audio=False):
        frames.setdefault(frame.stamp_ns // STEP_NS, frame.decode())
    return [*frames.values()]


def turned(picture, angle_deg):
    """Return a picture of the same size, turned about its middle."""
    height, width = picture.shape[:2]
    motion = cv2.getRotationMatrix2D((width / 2, height / 2), angle_deg, 1)
    return cv2.warpAffine(picture, motion, (width, height), borderMode=cv2.BORDER_REPLICATE)


@functools.cache
def head(width_px=200):
    portrait = np.ascontiguousarray(data.astronaut()[0:280, 120:330, ::-1])
    return cv2.resize(portrait, (width_px, width_px * 4 // 3), interpolation=cv2.INTER_AREA)


@functools.cache
def gravel():
    grey = cv2.resize(data.gravel(), (640, 480)) // 2 + 40
    return cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR)


def scene(*pasted):
    """Return the background with pictures on it, each at its (x, y)."""
    picture = gravel().copy()
    for image, x, y in pasted:
        height, width = image.shape[:2]
        picture[y:y + height, x:x + width] = image
    return picture


def swaying(i, x, y, width_px=200):
    return head(width_px), x + round(12 * np.sin(i / 5)), y + round(9 * np.cos(i / 7))


# --- one person ------------------------------------------------------------------------------


def test_one_person_has_one_id_and_a_crop_in_every_frame():
    results = track(tracker(), (scene(swaying(i, 200, 80)) for i in range(40)))
    assert set(ids(results)) == {'person_1'}
    assert all(len(faces) == 1 for faces in results[5:])
    for i, (face,) in enumerate(results[5:], 5):
        _, x, y = swaying(i, 200, 80)
        assert face.stamp_ns == START_NS + i * STEP_NS
        assert face.box.x + face.box.width / 2 == pytest.approx(x + 93, abs=12)
        assert face.box.y + face.box.height / 2 == pytest.approx(y + 105, abs=20)
        assert face.crop.shape == (CROP_PX, CROP_PX, 3)
        assert face.crop.dtype == np.uint8


def test_crops_show_the_same_face_in_the_same_place():
    results = track(tracker(), (scene(swaying(i, 200, 80)) for i in range(30)))
    crops = np.array([faces[0].crop for faces in results[6:]], float)
    assert np.abs(crops - crops.mean(axis=0)).mean() < 16


@pytest.mark.parametrize('path', ALONE, ids=lambda path: path.stem)
def test_a_clip_of_one_person_has_one_id(path):
    results = track(tracker(), clip(path))
    assert set(ids(results)) == {'person_1'}
    after_1_s = results[10:]
    assert sum(map(bool, after_1_s)) >= 0.98 * len(after_1_s)
    assert max(map(len, results)) == 1


def test_a_clip_without_people_has_no_face(shared_data):
    assert not ids(track(tracker(), clip(shared_data / 'clips/no_face.mp4')))


def test_pictures_of_things_hold_no_people():
    things = [data.brick(), data.grass(), data.gravel(), data.coffee(), data.chelsea()]
    for thing in things:
        picture = cv2.resize(
            thing if thing.ndim == 3 else cv2.cvtColor(thing, cv2.COLOR_GRAY2BGR), (700, 520))
        panned = (picture[i // 2:][:480, i:][:, :640] for i in range(20))
        assert not ids(track(tracker(), panned))


# --- tilted, small, covered -------------------------------------------------------------------


def assert_one_person(results, share=1.0):
    """Check that nobody else is seen, and in what share of frames after half a second."""
    assert set(ids(results)) == {'person_1'}
    assert all(len(faces) <= 1 for faces in results)
    assert sum(map(bool, results[5:])) >= share * len(results[5:])


@pytest.mark.parametrize('path', ALONE, ids=lambda path: path.stem)
@pytest.mark.parametrize(('angle_deg', 'share'), [(20, 0.98), (-35, 0.98), (60, 0.8), (-60, 0.8)])
def test_a_tilted_head_is_one_person_in_every_frame(path, angle_deg, share):
    pictures = clip(path)[:60]
    assert_one_person(track(tracker(), (turned(one, angle_deg) for one in pictures)), share)


def test_a_head_that_rolls_by_30_degrees_keeps_its_id():
    pictures = clip(SAMPLE)[:60]
    rolled = (turned(one, 30 * np.sin(i * np.pi / 10)) for i, one in enumerate(pictures))
    assert_one_person(track(tracker(), rolled), 0.95)


def test_a_face_of_24_pixels_is_seen():
    width_px = 41  # its face is 24 high, from the brows to the chin
    results = track(tracker(), (scene(swaying(i, 300, 200, width_px)) for i in range(40)))
    assert_one_person(results, 0.95)


def test_a_face_that_is_covered_for_half_a_second_keeps_its_id():
    pictures = [scene(swaying(i, 200, 80)) for i in range(60)]
    covered = [i % 20 in range(10, 15) for i in range(60)]
    results = track(tracker(), (scene() if hidden else picture
                                for hidden, picture in zip(covered, pictures, strict=True)))
    assert set(ids(results)) == {'person_1'}
    assert [bool(faces) for faces in results[5:]] == [not hidden for hidden in covered[5:]]


# --- confirming, losing and finding again ----------------------------------------------------


def test_a_new_face_is_reported_once_it_has_been_seen_for_confirm_s():
    results = track(tracker(confirm_s=0.6), [scene(swaying(0, 200, 80))] * 12)
    assert [bool(faces) for faces in results] == [False] * 6 + [True] * 6
    (faces,) = track(tracker(confirm_s=0.0), [scene(swaying(0, 200, 80))])
    assert [face.person_id for face in faces] == ['person_1']


def test_what_shows_for_a_moment_is_nobody():
    pictures = [scene(swaying(0, 200, 80))] * 2 + [scene()] * 4
    results = track(tracker(), pictures * 3 + [scene(swaying(0, 200, 80))] * 8)
    assert ids(results) == {'person_1': 5}


def test_a_face_that_is_gone_is_not_reported():
    results = track(tracker(), [scene(swaying(0, 200, 80))] * 10 + [scene()] * 10)
    assert results[9]
    assert not any(results[10:])


@pytest.mark.parametrize('moved_px', [0, 220])
@pytest.mark.parametrize(('absent', 'person_id'), [(15, 'person_1'), (25, 'person_2')])
def test_who_comes_back_within_forget_s_keeps_the_id(absent, person_id, moved_px):
    faces = tracker(forget_s=2.0)
    track(faces, (scene(swaying(i, 200, 80)) for i in range(20)))
    assert not any(track(faces, [scene()] * absent, start=20))
    results = track(
        faces, (scene(swaying(i, 200 + moved_px, 80)) for i in range(20)), start=20 + absent)
    assert set(ids(results)) == {person_id}
    assert all(results[6:])


def test_a_fast_face_keeps_its_id():
    pictures = [scene((head(), abs(60 * i % 860 - 430), 80)) for i in range(50)]
    results = track(tracker(), pictures)
    assert set(ids(results)) == {'person_1'}
    assert sum(map(bool, results[5:])) >= 40


def test_reset_forgets_and_never_uses_an_id_twice():
    faces = tracker()
    track(faces, [scene(swaying(0, 200, 80))] * 10)
    faces.reset()
    results = track(faces, [scene(swaying(0, 200, 80))] * 10)  # the same time again
    assert set(ids(results)) == {'person_2'}


# --- several people --------------------------------------------------------------------------


def test_two_people_keep_their_ids():
    results = track(tracker(), (
        scene(swaying(i, 40, 60, 240), swaying(i + 9, 390, 120, 180)) for i in range(40)))
    assert set(ids(results)) == {'person_1', 'person_2'}
    assert all(len(faces) == 2 for faces in results[8:])
    place = {face.person_id: face.box.x < 320 for face in results[8]}
    for faces in results[8:]:
        assert {face.person_id: face.box.x < 320 for face in faces} == place
        assert faces[0].box.width > faces[1].box.width  # the largest first


def test_three_people_who_move_past_and_about_keep_their_ids():
    pale, mirrored = cv2.convertScaleAbs(head(170), alpha=0.7, beta=50), head(180)[:, ::-1]

    def party(i):
        return scene(
            swaying(i, 20, 30, 150),
            (pale, round(230 + 20 * np.sin(i / 6)), round(100 + 80 * np.sin(i / 8))),
            (mirrored, round(440 + 10 * np.cos(i / 5)), round(150 + 60 * np.sin(i / 9))))

    keep_their_ids(party)


def keep_their_ids(party):
    results = track(tracker(), (party(i) for i in range(60)))
    assert set(ids(results)) == {'person_1', 'person_2', 'person_3'}
    assert all(len(faces) == 3 for faces in results[20:])


def test_three_people_of_the_clips_keep_their_ids(shared_data):
    woman, man = (clip(shared_data / 'clips' / name)
                  for name in ('talking_head_0.mp4', 'single_face.mp4'))
    there_and_back = man + man[::-1]

    def party(i):
        return scene(
            swaying(i, 20, 30, 150),
            (cv2.resize(woman[i % 80][40:470, 60:460], (170, 183)),
             round(230 + 20 * np.sin(i / 6)), round(100 + 80 * np.sin(i / 8))),
            (cv2.resize(there_and_back[i % len(there_and_back)], (224, 126)),
             round(404 + 10 * np.cos(i / 5)), round(250 + 60 * np.sin(i / 9))))

    keep_their_ids(party)


def test_one_of_two_leaves_and_another_place_is_another_person():
    faces = tracker()
    track(faces, (scene(swaying(i, 30, 60), swaying(i, 400, 60)) for i in range(15)))
    (stays,) = track(faces, [scene(swaying(14, 400, 60))], start=15)[-1]
    results = track(faces, (
        scene(swaying(i, 400, 60), swaying(i, 150, 200)) for i in range(16, 36)), start=16)
    assert ids(results)[stays.person_id] == 20
    assert len(ids(results)) == 2


def test_at_most_max_people_the_largest():
    results = track(tracker(max_people=1), (
        scene(swaying(i, 40, 60, 240), swaying(i + 9, 390, 120, 180)) for i in range(12)))
    assert all(len(faces) == 1 and faces[0].box.x < 320 for faces in results[6:])


# --- odd and bad input -----------------------------------------------------------------------


def test_a_frame_of_another_size_is_counted_and_the_id_stays():
    counters = Counters()
    faces = tracker(counters)
    pictures = [scene(swaying(i, 200, 80)) for i in range(20)]
    track(faces, pictures[:10])
    tall = [cv2.resize(picture, (1280, 1200)) for picture in pictures[10:]]
    results = track(faces, tall, start=10)
    assert ids(results) == {'person_1': 10}
    assert counters.snapshot() == {'video.size_changed': 1}
    assert '640x480 and are 1280x1200 now' in counters.details()['video.size_changed']
    assert results[-1][0].box.width > 120


@pytest.mark.parametrize('shape', [(1, 1), (3, 900), (20, 20), (480, 640)])
def test_black_and_tiny_frames_hold_no_face(shape):
    faces = tracker()
    track(faces, [scene(swaying(0, 200, 80))] * 6)
    assert not any(track(faces, [np.zeros((*shape, 3), np.uint8)] * 4, start=6))


def test_pixels_of_another_kind_are_refused():
    for pixels in (np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)):
        with pytest.raises(InputError, match=r'is not uint8 of shape \(height, width, 3\)') as e:
            tracker().update(0, pixels)
        assert e.value.cause == 'bad_pixels'


def test_a_stamp_that_is_not_later_is_refused():
    faces = tracker()
    track(faces, [scene()] * 3)
    with pytest.raises(InputError, match='is not later than the one before') as e:
        faces.update(START_NS, scene())
    assert e.value.cause == 'out_of_order'
    assert faces.update(START_NS + NS, scene()) == ()


def test_pixels_seen_through_a_mirror_are_read():
    mirrored = scene(swaying(0, 200, 80))[:, ::-1]  # negative strides
    assert track(tracker(), [mirrored] * 8)[-1]


def test_a_file_that_is_no_yunet_is_named(tmp_path):
    path = tmp_path / 'model.onnx'
    path.write_bytes(b'')
    with pytest.raises(ResourceError, match=r'model\.onnx is not a YuNet ONNX file'):
        FaceTracker(FaceSettings(yunet_model=str(path)), 48, Counters())


# --- what another detector has found ---------------------------------------------------------


def test_what_another_detector_found_is_cut_as_what_is_found_here():
    pictures = [turned(scene(swaying(0, 200, 80)), 25)] * 12
    [face] = track(tracker(), pictures)[-1]
    detector = FaceDetector(FaceSettings())
    [seen] = detector.search(pictures[-1])
    for _ in range(6):  # each time more level
        seen = detector.look(pictures[-1], seen.outline.square)
    (x, y), width, height = seen.outline.centre, seen.outline.width, seen.outline.height
    box = ((x - width / 2) / 640, (y - height / 2) / 480,
           (x + width / 2) / 640, (y + height / 2) / 480)
    right_eye, left_eye = ((x / 640, y / 480) for x, y in seen.outline.landmarks[:2])

    def difference(found):
        [taken] = tracker().accept(face.stamp_ns, pictures[-1], [found])
        assert (taken.person_id, taken.stamp_ns) == ('abcde', face.stamp_ns)
        return np.abs(taken.crop.astype(int) - face.crop).mean()

    assert difference(FoundFace('abcde', box, (right_eye, left_eye))) < 12
    assert difference(FoundFace('abcde', box)) > 30  # her head is not upright


def test_the_largest_of_them_are_kept_and_what_lies_outside_is_no_face():
    small, large = (0.1, 0.1, 0.2, 0.3), (0.4, 0.2, 0.8, 0.9)
    outside, flat = (1.1, 0.1, 1.3, 0.4), (0.3, 0.3, 0.3, 0.5)
    given = [FoundFace(person_id, box) for person_id, box in zip(
        'abcd', (small, outside, large, flat), strict=True)]
    follower = tracker()
    assert [face.person_id for face in follower.accept(START_NS, gravel(), given)] == ['c', 'a']
    follower.change(FaceSettings(max_people=1))
    assert [face.person_id for face in follower.accept(START_NS + 1, gravel(), given)] == ['c']


def test_after_them_faces_are_looked_for_anew():
    follower = tracker()
    track(follower, [scene(swaying(i, 200, 80)) for i in range(6)])
    assert follower.accept(START_NS + 10 * STEP_NS, gravel(), []) == ()
    results = track(follower, [scene(swaying(i, 200, 80)) for i in range(6)], 20)
    assert set(ids(results)) == {'person_2'}
