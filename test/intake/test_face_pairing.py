"""Pictures get the faces that a detector of ROS4HRI lists for them."""

import math
import re

import numpy as np
import pytest

from maven_ros.counters import Counters
from maven_ros.freezing import decode, encode
from maven_ros.graph.interface import Received
from maven_ros.graph.messages import new, time_message, to_cdr
from maven_ros.intake.face_pairing import IDS_LIST, LANDMARKS, REGION, FacePairing
from maven_ros.records import NS, Frame

HOP_NS = NS // 10


def frame(i):
    return Frame.of(i * HOP_NS, np.zeros((48, 64, 3), np.uint8), 'eye')


def hold(tracked, frame):
    return tracked.hold(Received('/camera', 'made up', b'', frame.stamp_ns), frame)


def read(received):
    return frame(received.received_ns // HOP_NS)


def header(i):
    return {'stamp': time_message(i * HOP_NS), 'frame_id': 'eye'}


class Detector:
    """What a detector publishes of a picture, handed over in this order."""

    def __init__(self, tracked):
        self._tracked = tracked

    def _take(self, topic, msgtype, **fields):
        cdr = to_cdr(new(msgtype, **fields), msgtype)
        return self._tracked.take(Received(f'/humans/faces/{topic}', msgtype, cdr, 0))

    def region(self, i, person_id='abcde', **corners):
        box = {'xmin': 0.25, 'ymin': 0.25, 'xmax': 0.5, 'ymax': 0.75, **corners}
        return self._take(f'{person_id}/roi', REGION, header=header(i), **box, c=0.9)

    def landmarks(self, i, person_id='abcde', sure=0.9, left_x=0.4375, lower=()):
        point = 'hri_msgs/msg/NormalizedPointOfInterest2D'
        points = [new(point, x=0.0, y=0.0, c=0.0) for _ in range(70)]
        points[68] = new(point, x=0.3125, y=0.375, c=sure)
        points[69] = new(point, x=left_x, y=0.375, c=sure)
        for index, (x, y) in zip((30, 48, 54), lower, strict=False):
            points[index] = new(point, x=x, y=y, c=sure)
        return self._take(f'{person_id}/landmarks', LANDMARKS, header=header(i), landmarks=points,
                          height=48, width=64)

    def list(self, i, *ids):
        return self._take('tracked', IDS_LIST, header=header(i), ids=list(ids))


@pytest.fixture
def counters():
    return Counters()


@pytest.fixture
def tracked(counters):
    return FacePairing(read, counters)


@pytest.fixture
def detector(tracked):
    """One whose first list, of nobody, has come behind picture 0."""
    detector = Detector(tracked)
    assert stamps(hold(tracked, frame(0))) == [0]
    assert detector.list(0) == []
    assert tracked.used
    return detector


def stamps(frames):
    return [one.stamp_ns // HOP_NS for one in frames]


def test_without_lists_pictures_go_on_as_they_come(tracked):
    assert not tracked.used
    assert [one.faces for i in range(5) for one in hold(tracked, frame(i))] == [None] * 5


def test_a_picture_waits_for_its_list_and_its_regions(tracked, detector):
    assert hold(tracked, frame(1)) == []
    assert detector.list(1, 'abcde') == []  # lists and regions are on topics of their own
    assert detector.landmarks(1) == []
    [found] = detector.region(1)
    assert found.stamp_ns == HOP_NS and found.frame_id == 'eye'
    [face] = found.faces
    assert (face.person_id, face.box) == ('abcde', (0.25, 0.25, 0.5, 0.75))
    assert face.eyes == ((0.3125, 0.375), (0.4375, 0.375))


def test_nose_and_mouth_come_with_the_eyes_or_are_left_out(tracked, detector, counters):
    for i, nose_x in ((1, 0.375), (2, 1.5)):
        hold(tracked, frame(i))
        detector.list(i, 'abcde')
        detector.landmarks(i, lower=((nose_x, 0.5), (0.34375, 0.59375), (0.40625, 0.59375)))
        [found] = detector.region(i)
        assert found.faces[0].eyes == ((0.3125, 0.375), (0.4375, 0.375))
        assert found.faces[0].lower == (
            ((0.375, 0.5), (0.34375, 0.59375), (0.40625, 0.59375)) if i == 1 else None)
    assert counters.snapshot() == {'faces.bad_landmarks': 1}


def test_a_list_of_nobody_is_a_picture_without_faces(tracked, detector):
    hold(tracked, frame(1))
    assert [one.faces for one in detector.list(1)] == [()]


def test_eyes_that_are_not_known_are_none(tracked, detector):
    for i, sure in ((1, None), (2, 0.0)):
        hold(tracked, frame(i))
        if sure is not None:
            detector.landmarks(i, sure=sure)
        detector.region(i)
        [found] = detector.list(i, 'abcde')
        assert found.faces[0].eyes is None


def test_pictures_that_the_detector_leaves_out_are_thinned(tracked, detector, counters):
    for i in range(1, 4):
        assert hold(tracked, frame(i)) == []
    assert stamps(detector.list(3)) == [3]
    assert counters.snapshot() == {'video.thinned': 2}


def test_a_region_that_never_comes_costs_its_face_alone(tracked, detector):
    hold(tracked, frame(1))
    detector.region(1, 'abcde')
    assert detector.list(1, 'abcde', 'fghij') == []
    late = [one for i in range(2, 5) for one in hold(tracked, frame(i))]
    assert stamps(late) == [1]
    assert [face.person_id for face in late[0].faces] == ['abcde']


def test_a_region_that_has_not_come_when_a_newer_one_has_holds_nobody_up(tracked, detector):
    for i in (1, 2):
        hold(tracked, frame(i))
        assert detector.list(i, 'abcde') == []
    first, second = detector.region(2)
    assert stamps([first, second]) == [1, 2]
    assert first.faces == () and [face.person_id for face in second.faces] == ['abcde']


@pytest.mark.parametrize(('corners', 'pupil', 'message'), [
    ({'xmin': math.nan}, 0.4375, r'box \(nan, 0\.25, 0\.5, 0\.75\), eyes '),
    ({'ymax': math.inf}, 0.4375, r'box \(0\.25, 0\.25, 0\.5, inf\), eyes '),
    ({'xmin': -1e30}, 0.4375, r'box \(-1\.0\d*e\+30, .* in \[-1, 2\]'),
    ({'xmin': 0.75}, 0.4375, r'box \(0\.75, 0\.25, 0\.5, 0\.75\), .* the first corner before'),
    ({}, 1.5, r'eyes \(\(0\.3125, 0\.375\), \(1\.5, 0\.375\)\); .* eyes in the box, or beside'),
    ({}, math.nan, r'eyes \(\(0\.3125, 0\.375\), \(nan, 0\.375\)\); allowed: shares of the pic'),
])
def test_a_bad_region_costs_its_face_alone(tracked, detector, counters, corners, pupil, message):
    hold(tracked, frame(1))
    detector.region(1, 'fghij')
    detector.landmarks(1, left_x=pupil)
    detector.region(1, **corners)
    [found] = detector.list(1, 'abcde', 'fghij')
    assert [face.person_id for face in found.faces] == ['fghij']
    assert counters.snapshot() == {'faces.bad_region': 1}
    assert re.match(f'abcde: .*{message}', counters.details()['faces.bad_region'])


def test_regions_of_whom_no_list_comes_do_not_gather(tracked, detector):
    for i in range(1, 1200):
        detector.region(i)
        detector.landmarks(i)
    for places in (tracked._boxes, tracked._marks):
        assert len(places) == 500 and ('abcde', 1199 * HOP_NS) in places


def test_a_first_list_whose_region_was_missed_holds_nobody_up(tracked):
    detector = Detector(tracked)  # its list is what makes us listen to the region: too late
    for i in range(2):
        assert not tracked.used
        assert stamps(hold(tracked, frame(i))) == [i]
        if i:
            detector.region(i)
        detector.list(i, 'abcde')
    assert tracked.used
    assert hold(tracked, frame(2)) == []
    detector.region(2)
    [found] = detector.list(2, 'abcde')
    assert [face.person_id for face in found.faces] == ['abcde']


def test_a_list_that_is_quicker_than_its_picture_waits_for_it(tracked):
    detector = Detector(tracked)
    for i in range(3):  # nothing is held yet: pictures go on
        detector.region(i)
        assert detector.list(i, 'abcde') == []
        if i == 0:
            assert stamps(hold(tracked, frame(i))) == [i]
            assert tracked.used
        else:
            [one] = hold(tracked, frame(i))
            assert [face.person_id for face in one.faces] == ['abcde']


def test_when_lists_stop_faces_are_detected_here_again(tracked, detector):
    went = [one for i in range(1, 13) for one in hold(tracked, frame(i))]
    assert stamps(went) == list(range(1, 13)) and {one.faces for one in went} == {None}
    assert not tracked.used


def test_lists_of_another_camera_change_nothing(tracked):
    detector = Detector(tracked)
    for i in range(20):
        assert stamps(hold(tracked, frame(i))) == [i]
        assert detector.list(1000 + i) == []
    assert not tracked.used


def test_time_that_jumps_back_begins_anew(tracked, detector):
    hold(tracked, frame(1))
    assert stamps(hold(tracked, frame(1))) == [1, 1]
    assert not tracked.used


def test_pictures_go_on_when_time_jumps_far_back_and_no_list_comes(tracked):
    detector = Detector(tracked)
    hold(tracked, frame(6000))
    detector.list(6000)
    assert tracked.used
    assert [stamps(hold(tracked, frame(i))) for i in range(3)] == [[0], [1], [2]]
    assert not tracked.used


def test_regions_from_before_a_jump_back_are_forgotten(tracked, detector):
    hold(tracked, frame(5))
    detector.region(5)
    assert stamps(detector.list(5, 'abcde')) == [5]
    hold(tracked, frame(0))
    detector.region(6)  # its last words on the time before
    detector.list(6, 'abcde')
    hold(tracked, frame(1))
    assert detector.list(1, 'abcde') == []
    assert stamps(detector.region(1)) == [1]
    hold(tracked, frame(2))
    assert detector.list(2, 'abcde') == []  # the region is waited for
    [second] = detector.region(2)
    assert [face.person_id for face in second.faces] == ['abcde']


def test_what_waits_goes_on_in_another_process(tracked, detector, counters):
    hold(tracked, frame(1))
    detector.landmarks(1)
    detector.list(1, 'abcde')
    other = FacePairing(read, counters)
    other.thaw(decode(encode(tracked.freeze())))
    for one in (tracked, other):
        [found] = Detector(one).region(1)
        assert found.stamp_ns == HOP_NS and found.decode().shape == (48, 64, 3)
        assert found.faces[0].eyes == ((0.3125, 0.375), (0.4375, 0.375))
        assert one.listed == ('abcde',) and one.used
