"""What is drawn over a picture, and what ROS4HRI is told."""

import dataclasses
import math

import numpy as np
import pytest

from maven_ros.affect import Affect
from maven_ros.nodes.annotate import annotated
from maven_ros.nodes.ros4hri import (
    engagement_message,
    expression_message,
    expression_of,
    speech_message,
)
from maven_ros.records import (
    NS,
    AffectState,
    Attention,
    Box,
    Engagement,
    HeadPose,
    Modality,
    Status,
    Utterance,
    VoiceAssigned,
    Word,
)

STATE = AffectState(
    window_start_ns=8 * NS, window_end_ns=10 * NS, status=Status.OK, person_id='person_1',
    affect=Affect(0.5, 0.4), valence_std=0.1, arousal_std=0.1, modalities=Modality.VIDEO,
    influence=(1.0, 0.0, 0.0), voice_assigned=VoiceAssigned.NONE, transcript='',
    face=Box(40, 50, 60, 70), frame_id='camera', model='m')


def looking(yaw, engagement):
    return Attention(10 * NS, 'person_1', engagement, 9 * NS,
                     HeadPose(yaw, 0.0, 0.0, (0.1, 0.1, 0.1)), None, 'camera')


def test_an_arrow_points_where_the_nose_does():
    pixels = np.zeros((200, 300, 3), np.uint8)
    plain = annotated(pixels, [STATE])
    for yaw, columns in ((0.9, slice(67, 120)), (-0.9, slice(20, 74))):
        away = annotated(pixels, [STATE], {'person_1': looking(yaw, Engagement.DISENGAGED)})
        changed = (away != plain).any(2)[80:92]
        assert changed[:, columns].any() and changed.sum() == changed[:, columns].sum()
    unseen = looking(math.nan, Engagement.UNKNOWN)
    assert (annotated(pixels, [STATE], {'person_1': unseen}) == plain).all()
    assert (unseen.text, looking(0.0, Engagement.ENGAGED).text) == ('is not seen', 'attends')
    assert looking(0.9, Engagement.DISENGAGED).text == 'turned away by 52 degrees'
    level = engagement_message(looking(0.0, Engagement.ENGAGED))
    assert level.level == 3 and level.header.frame_id == 'camera'


def test_a_box_is_drawn_around_each_face_and_the_picture_stays():
    pixels = np.zeros((200, 300, 3), np.uint8)
    drawn = annotated(pixels, [STATE])
    assert not pixels.any() and (drawn[50:120, 40] == (80, 220, 80)).all()
    assert drawn[20:48, 40:].any() and not drawn[150:].any()  # words above, nothing below
    speaking = annotated(pixels, [dataclasses.replace(STATE, voice_assigned=VoiceAssigned.SELF)])
    assert speaking[20:38].sum() > drawn[20:38].sum()  # a word more in the first line
    grey = annotated(pixels, [dataclasses.replace(STATE, status=Status.NO_EVIDENCE)])
    assert (grey[60:110, 40] == (160, 160, 160)).all()
    assert not annotated(pixels, [dataclasses.replace(STATE, face=None)]).any()


@pytest.mark.parametrize('degrees, name', [
    (0, 'happy'), (50, 'excited'), (70, 'surprised'), (100, 'angry'), (115, 'scared'),
    (150, 'annoyed'), (200, 'sad'), (240, 'bored'), (275, 'tired'), (320, 'happy')])
def test_the_nearest_expression_is_told(degrees, name):
    assert expression_of(Affect.from_polar(0.7, math.radians(degrees))) == name
    assert expression_of(Affect.from_polar(0.05, math.radians(degrees))) == 'neutral'


def test_an_expression_carries_the_windows_end_and_the_point():
    message = expression_message(STATE)
    assert message.header.stamp.sec == 10 and message.header.frame_id == 'camera'
    assert (message.expression, message.valence) == ('excited', 0.5)
    assert message.confidence == pytest.approx(STATE.confidence)


def test_speech_is_final_or_incremental():
    partial = Utterance(8 * NS, 9 * NS, (Word('hello', 8 * NS, 9 * NS, 0.7),), False, 'vosk',
                        'en-us', 1.0)
    message = speech_message(partial)
    assert (message.incremental, message.final, message.locale) == ('hello', '', 'en-us')
    assert message.confidence == pytest.approx(0.7)
    assert speech_message(dataclasses.replace(partial, is_final=True)).final == 'hello'
