"""Who attends to the robot: hysteresis, dwell, and heads that are not seen."""

import math

import numpy as np
import pytest

from maven_ros.acting.attention import Attentions
from maven_ros.freezing import decode, encode
from maven_ros.records import NS, Box, Engagement, Face, HeadPose
from maven_ros.settings import AttentionSettings

FRAME_NS, HOP_NS = NS // 10, NS // 5
T0 = 1_700_000_000 * NS
NOISE = tuple(map(math.radians, (4, 4, 2)))


def face(stamp_ns, yaw_deg, pitch_deg=0.0, person='p'):
    pose = None if yaw_deg is None else HeadPose(
        math.radians(yaw_deg), math.radians(pitch_deg), 0.0, NOISE)
    return Face(stamp_ns, person, Box(0, 0, 9, 9), np.zeros((2, 2, 3), np.uint8), (), pose)


def follow(attentions, yaws, start_ns=T0, person='p'):
    """Return the attention at each hop; a yaw a frame, NaN where no face was found."""
    faces = [face(start_ns + i * FRAME_NS, yaw, person=person)
             for i, yaw in enumerate(yaws) if yaw is None or not math.isnan(yaw)]
    told = []
    for end_ns in range(start_ns + HOP_NS, start_ns + len(yaws) * FRAME_NS + 1, HOP_NS):
        window = [one for one in faces if end_ns - 2 * NS <= one.stamp_ns < end_ns]
        told += attentions.take(end_ns, 'camera', window)
    return told


@pytest.fixture
def attentions():
    return Attentions(AttentionSettings())


def levels(told):
    """Return the levels in order, each once in a row."""
    found = [one.engagement for one in told]
    return [one for one, before in zip(found, [None, *found], strict=False) if one is not before]


def test_who_faces_the_camera_for_the_dwell_attends(attentions):
    told = follow(attentions, [0] * 20)
    assert levels(told) == [Engagement.ENGAGING, Engagement.ENGAGED]
    first = next(one for one in told if one.attending)
    assert first.stamp_ns == T0 + 3 * HOP_NS and first.since_ns == T0
    assert first.angle < math.radians(1) and first.frame_id == 'camera'


def test_who_turns_away_for_the_dwell_attends_no_more(attentions):
    told = follow(attentions, [0] * 20 + [60] * 20)
    assert levels(told) == [Engagement.ENGAGING, Engagement.ENGAGED, Engagement.DISENGAGING,
                            Engagement.DISENGAGED]
    lost = next(one for one in told[5:] if not one.attending)
    assert T0 + 20 * FRAME_NS < lost.since_ns < T0 + 25 * FRAME_NS
    assert lost.stamp_ns - lost.since_ns >= 0.6 * NS
    assert math.degrees(told[-1].pose.yaw) == pytest.approx(60, abs=2)


def test_a_glance_aside_ends_nothing(attentions):
    told = follow(attentions, [0] * 20 + [60] * 5 + [0] * 20)
    assert all(one.attending for one in told[3:])
    assert Engagement.DISENGAGING in levels(told)


def test_between_the_thresholds_nothing_changes(attentions):
    assert not any(one.attending for one in follow(attentions, [60] * 20 + [30] * 30))
    others = Attentions(AttentionSettings())
    told = follow(others, [0] * 20 + [30] * 30)
    assert levels(told) == [Engagement.ENGAGING, Engagement.ENGAGED]


def test_who_looks_down_for_long_does_not_attend(attentions):
    down = [face(T0 + i * FRAME_NS, 0.0, 50.0) for i in range(20)]
    [told] = attentions.take(T0 + 2 * NS, 'camera', down)
    assert told.engagement is Engagement.DISENGAGED
    assert math.degrees(told.angle) == pytest.approx(50, abs=1)


def test_a_head_that_is_not_seen_is_unknown_and_attends_no_more(attentions):
    told = follow(attentions, [0] * 20 + [math.nan] * 18)
    assert levels(told) == [Engagement.ENGAGING, Engagement.ENGAGED, Engagement.UNKNOWN]
    assert math.isnan(told[-1].pose.yaw) and math.isnan(told[-1].angle)
    assert told[-1].place is None and told[-1].since_ns == T0 + 19 * FRAME_NS
    back = follow(attentions, [0] * 20, T0 + 5 * NS)
    assert back[-1].attending


def test_faces_without_landmarks_are_unknown(attentions):
    told = follow(attentions, [None] * 10)
    assert levels(told) == [Engagement.UNKNOWN] and not told[-1].attending
    assert all(map(math.isnan, told[-1].pose.stds))


def test_smoothing_is_less_noisy_than_a_frame_and_says_how_sure_it_is(attentions):
    random = np.random.default_rng(3)
    told = follow(attentions, list(10 + random.normal(0, 4, 200)))
    yaws = np.degrees([one.pose.yaw for one in told[5:]])
    assert yaws.std() < 3.2 and abs(yaws.mean() - 10) < 1
    stds = np.degrees(told[-1].pose.stds)
    assert (stds > (6, 9, 4)).all() and (stds < (8, 11, 6)).all()


def test_people_are_apart_and_who_left_is_forgotten(attentions):
    faces = [one for i in range(20) for one in (
        face(T0 + i * FRAME_NS, 0, person='a'), face(T0 + i * FRAME_NS, 60, person='b'))]
    a, b = attentions.take(T0 + 2 * NS, 'camera', faces)
    assert (a.person_id, a.attending, b.person_id, b.attending) == ('a', True, 'b', False)
    attentions.keep({'b'})
    assert list(attentions.freeze()['_heads']) == ['b']


def test_another_goes_on_exactly_alike_from_what_was_written_down(attentions):
    other = Attentions(AttentionSettings())
    follow(attentions, [0] * 13)
    other.thaw(decode(encode(attentions.freeze())))
    then = [5] * 4 + [50] * 20
    assert repr(follow(other, then, T0 + 2 * NS)) == repr(follow(attentions, then, T0 + 2 * NS))
